//! In: text of a file. Out: bytes, durations and the like, by compose's grammars.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
