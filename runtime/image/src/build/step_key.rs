//! In: what a step depends on, word by word. Out: the key its result is found again by.
//! **Invariant:** pure, and two lists of words never give the same key because they read the same when joined.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// Collects what a step depends on.
#[derive(Debug, Clone)]
pub(crate) struct StepKey(Sha256);

impl StepKey {
    /// A key of a kind of step; the number in it changes when what the kind does changes.
    pub(crate) fn new(kind: &str) -> Self {
        let mut key = Self(Sha256::new());
        key.word(kind.as_bytes());
        key
    }

    /// Adds a word, its length first.
    pub(crate) fn word(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds words that are encoded as [`Self::word`] does.
    pub(crate) fn encoded(&mut self, words: &[u8]) {
        self.0.update(words);
    }

    /// Adds a list, its length first.
    pub(crate) fn list<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        self.0.update((words.len() as u64).to_le_bytes());
        for word in words {
            self.word(word.as_ref());
        }
    }

    /// Adds the layers a step stands on.
    pub(crate) fn layers(&mut self, layers: &[Digest]) {
        let layers: Vec<String> = layers.iter().map(Digest::hex).collect();
        self.list(&layers);
    }

    /// The key, 64 hexadecimal characters.
    pub(crate) fn finish(self) -> String {
        self.0.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Appends a word as [`StepKey::word`] takes it.
pub(crate) fn encode(words: &mut Vec<u8>, word: &[u8]) {
    words.extend_from_slice(&(word.len() as u64).to_le_bytes());
    words.extend_from_slice(word);
}
