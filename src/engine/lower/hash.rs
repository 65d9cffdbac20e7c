//! In: a request and the content of files it binds. Out: the hash that decides whether a container is recreated.
//! **Invariant:** name, number and labels of the engine itself do not count, so upgrading or moving a project recreates nothing.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Write;

use rcompose_runtime::request::ContainerRequest;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Hash of a request that has no name, number, hash and engine labels yet, and of the content of bound configs and secrets.
pub(super) fn config_hash(request: &ContainerRequest, contents: &[(&str, &[u8])]) -> String {
    let mut hasher = Sha256::new();
    add(&mut hasher, request);
    for (target, bytes) in contents {
        hasher.update(target.as_bytes());
        hasher.update([0]);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    hex(&hasher.finalize())
}

/// Hash of a network's or volume's request.
pub(super) fn resource_hash(request: &impl Serialize) -> String {
    let mut hasher = Sha256::new();
    add(&mut hasher, request);
    hex(&hasher.finalize())
}

/// The first 12 hexadecimal digits of a text's hash.
pub(super) fn short_hash(text: &str) -> String {
    let mut hash = hex(&Sha256::digest(text.as_bytes()));
    hash.truncate(12);
    hash
}

/// Requests hold nothing JSON lacks (string keys, no NaN), so they always serialise.
fn add(hasher: &mut Sha256, value: &impl Serialize) {
    if let Ok(bytes) = serde_json::to_vec(value) {
        hasher.update(bytes);
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}
