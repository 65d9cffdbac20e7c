//! In: the path of a lock file. Out: exclusive use of what it guards, until dropped or until the process dies.
//!
//! **Invariant:** the file is never removed, so two holders never lock two files of one name.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::NetworkError;

/// A held lock: `run/firewall.lock` around the firewall, any other file for a caller's own needs.
#[derive(Debug)]
pub struct HostLock {
    _file: File,
}

impl HostLock {
    /// Waits for the lock at `path`, making the file (mode 0600) when it is not there.
    pub fn acquire(path: &Path) -> Result<Self, NetworkError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(NetworkError::file("open", path))?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                result => {
                    return result
                        .map(|()| Self { _file: file })
                        .map_err(|source| NetworkError::file("lock", path)(source.into()));
                }
            }
        }
    }
}
