//! In: decoded keys. Out: [`Volume`], one entry of the top-level `volumes:`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use indexmap::IndexMap;

use crate::source::span::Span;

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Name on the host (`<project>_<key>` unless `name:` says otherwise).
    pub name: String,
    /// Where its key stands.
    pub span: Span,
    /// Made elsewhere: it must exist, and is never removed.
    pub external: bool,
    /// `driver:`; none and `local` are the same.
    pub driver: Option<String>,
    /// `driver_opts:` (`type`, `o`, `device` of the local driver).
    pub driver_opts: IndexMap<String, String>,
    /// Labels.
    pub labels: IndexMap<String, String>,
}
