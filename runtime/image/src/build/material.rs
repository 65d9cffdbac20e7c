//! In: the address and the version of something elsewhere. Out: what an image is made of, as a provenance names it.
//! **Invariant:** no password of an address is told.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::digest::Digest;

/// Something from elsewhere that an image is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Material {
    /// Its URI.
    pub(super) uri: String,
    /// The algorithm of its digest.
    pub(super) algorithm: &'static str,
    /// In hexadecimal digits.
    pub(super) digest: String,
}

impl Material {
    /// An image, or a file.
    pub(super) fn content(address: &str, digest: &Digest) -> Self {
        Self {
            uri: without_login(address),
            algorithm: "sha256",
            digest: digest.hex(),
        }
    }

    /// A commit of a repository.
    pub(super) fn commit(address: &str, reference: Option<&str>, commit: &str) -> Self {
        let mut uri = without_login(address);
        if let Some(reference) = reference {
            uri = format!("{uri}#{reference}");
        }
        Self {
            uri,
            algorithm: if commit.len() == 64 { "sha256" } else { "sha1" },
            digest: commit.to_owned(),
        }
    }
}

/// An address without the user and the password that may stand in it.
pub(super) fn without_login(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_login() {
        let commit = "a".repeat(40);
        let told = |address: &str| Material::commit(address, Some("main"), &commit).uri;
        assert_eq!(
            told("https://ann:pa@ss@git.example.org/a@b.git"),
            "https://git.example.org/a@b.git#main"
        );
        assert_eq!(told("git@example.org:a/b"), "git@example.org:a/b#main");
        let file = Material::content("https://token@h?x=@", &Digest::of(b""));
        assert_eq!((file.uri.as_str(), file.algorithm), ("https://h?x=@", "sha256"));
    }
}
