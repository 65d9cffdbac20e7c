//! A path in, an exclusive lock across processes out, which ends with its holder however that ends.
//! **Invariant:** a lock that was acquired is on the file the path names now, so two holders never exist.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::ImageError;

/// Held until dropped; the file goes with it.
pub(crate) struct FileLock {
    path: PathBuf,
    _file: File,
}

impl FileLock {
    /// Waits until nobody else holds the lock, or `cancelled` says to stop waiting.
    pub(crate) fn acquire(path: &Path, cancelled: &dyn Fn() -> bool) -> Result<Self, ImageError> {
        loop {
            let file = open(path)?;
            loop {
                match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                    Ok(()) => break,
                    Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                    Err(error) => return Err(ImageError::errno("lock", path)(error)),
                }
                if cancelled() {
                    return Err(ImageError::Cancelled);
                }
                thread::sleep(Duration::from_millis(20));
            }
            // The holder before us removes the file: then this lock is on a file nobody else will find.
            let locked = file.metadata().map_err(ImageError::path("read", path))?;
            if fs::metadata(path)
                .is_ok_and(|named| (named.dev(), named.ino()) == (locked.dev(), locked.ino()))
            {
                return Ok(Self {
                    path: path.to_owned(),
                    _file: file,
                });
            }
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Failing leaves an empty file, which the next holder takes over.
        drop(fs::remove_file(&self.path));
    }
}

/// Opens the file to be locked, creating it when needed.
pub(crate) fn open(path: &Path) -> Result<File, ImageError> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path).map_err(ImageError::path("open", path))
}
