//! In: a path and bytes. Out: a file that readers find whole, old or new.
//!
//! **Invariant:** nobody ever reads half a file.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::NetworkError;

/// Makes a directory and those above it, mode 0700.
pub(crate) fn make_directory(path: &Path) -> Result<(), NetworkError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(NetworkError::file("create", path))
}

/// Removes a file; not there is as good as removed.
pub(crate) fn remove(path: &Path) -> Result<(), NetworkError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(NetworkError::file("remove", path)(source))
        }
        _ => Ok(()),
    }
}

/// Writes a file of mode 0600 that shares no inode with what was at `path`.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), NetworkError> {
    // A link to what a killed process left here may exist: a new file, never new bytes in the old one.
    remove(path)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(NetworkError::file("write", path))
}

/// Puts a complete file of mode 0600 in the place of what was at `path`.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), NetworkError> {
    /// Keeps two threads that replace one file from writing to one name.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let complete = path.with_file_name(format!(".{name}-{}-{write}", std::process::id()));
    write_new(&complete, bytes)?;
    fs::rename(&complete, path).map_err(NetworkError::file("replace", path))
}
