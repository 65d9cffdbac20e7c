//! In: the content of a record. Out: a file that holds the old content or the new one, never a part.
//! **Invariant:** a reader never sees a torn record from a killed writer; one torn by a power cut counts as absent.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::root::failed;
use crate::runtime::RuntimeError;

/// What the names of unfinished records begin with; [`crate::LocalRuntime::repair`] removes old ones.
pub(crate) const UNFINISHED: &str = ".tmp-";

/// Replaces the file at `path`.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), RuntimeError> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_file_name(format!("{UNFINISHED}{}-{serial}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(failed("write", path))
}

/// Replaces the file at `path` by a value as JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RuntimeError> {
    let mut bytes =
        serde_json::to_vec(value).map_err(|error| failed("encode", path)(io::Error::from(error)))?;
    bytes.push(b'\n');
    write(path, &bytes, 0o600)
}

/// The value at `path`; none when there is no file, or one that is torn.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RuntimeError> {
    Ok(read(path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// The bytes at `path`; none when there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, RuntimeError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed("read", path)(error)),
    }
}
