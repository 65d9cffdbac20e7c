//! In: decoded keys. Out: top-level `configs` and `secrets`, and their use by a service.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::Utf8PathBuf;

use crate::source::span::Span;

/// One entry of the top-level `configs:` or `secrets:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileObject {
    /// Its key.
    pub key: String,
    /// `name:`.
    pub name: String,
    /// Where its key stands.
    pub span: Span,
    /// Where the content comes from.
    pub source: FileObjectSource,
}

/// Where the content of a config or secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileObjectSource {
    /// An absolute path of the host.
    File(Utf8PathBuf),
    /// A variable of the project's environment, with its value when set.
    Environment(String, Option<String>),
    /// Written in the file.
    Content(String),
    /// Made elsewhere.
    External,
}

/// One entry of a service's `configs:` or `secrets:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMount {
    /// Key of the top-level entry.
    pub source: String,
    /// Absolute path inside the container.
    pub target: String,
    /// Owner as written, digits.
    pub uid: Option<u32>,
    /// Group as written, digits.
    pub gid: Option<u32>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Where the entry stands.
    pub span: Span,
}
