//! Out: why a control group could not be made, changed or removed, with the file that was in the way.
//! **Invariant:** every error of the file system keeps its path.

use std::io;
use std::path::PathBuf;

/// Why a control group could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No cgroup file system is mounted.
    #[error("no control-group file system is mounted")]
    NotMounted,
    /// Reading a file or directory of a group failed.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Writing a file of a group failed.
    #[error("write `{value}` to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Making a group failed.
    #[error("make the control group {}", path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Removing a group failed.
    #[error("remove the control group {}", path.display())]
    Remove {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A block device named for a rate does not exist or is no block device.
    #[error("{path} is no block device of this host")]
    NoBlockDevice {
        /// The path.
        path: String,
    },
    /// The group did not reach the state that was asked for in time.
    #[error("the control group {path} was not {state} within {seconds} seconds")]
    Timeout {
        /// The relative path.
        path: String,
        /// The state.
        state: &'static str,
        /// How long it was waited.
        seconds: u64,
    },
}

impl CgroupError {
    pub(super) fn read(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Read {
            path: path.into(),
            source,
        }
    }

    /// The errno of the cause, 0 when there is none.
    pub fn errno(&self) -> i32 {
        match self {
            Self::NotMounted | Self::NoBlockDevice { .. } | Self::Timeout { .. } => 0,
            Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Make { source, .. }
            | Self::Remove { source, .. } => source.raw_os_error().unwrap_or(0),
        }
    }
}
