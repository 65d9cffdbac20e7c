//! In: decoded keys. Out: [`WatchRule`], one entry of `develop.watch`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::Utf8PathBuf;

use super::service::Hook;
use crate::source::span::Span;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRule {
    /// Absolute path of a file or directory of the host.
    pub path: Utf8PathBuf,
    /// What happens.
    pub action: WatchAction,
    /// Absolute path inside the container; present for the sync actions.
    pub target: Option<String>,
    /// dockerignore patterns relative to `path`.
    pub ignore: Vec<String>,
    /// When not empty, a file must match one.
    pub include: Vec<String>,
    /// Copy everything once at the start.
    pub initial_sync: bool,
    /// Command of `sync+exec`.
    pub exec: Option<Hook>,
    /// Where the entry stands.
    pub span: Span,
}

/// `action:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchAction {
    /// Copy.
    Sync,
    /// Copy, then restart.
    SyncRestart,
    /// Copy, then run a command.
    SyncExec,
    /// Restart.
    Restart,
    /// Build and recreate.
    Rebuild,
}
