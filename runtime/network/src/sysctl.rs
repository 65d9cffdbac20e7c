//! Kernel settings under /proc/sys, which show the network namespace of the calling thread.
//!
//! **Invariant:** a setting that already has the value is not written, so a read-only /proc/sys is no error then.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::NetworkError;

/// Sets `/proc/sys/<key>` to `value`.
pub(crate) fn set(key: &str, value: &'static str) -> Result<(), NetworkError> {
    let path = Path::new("/proc/sys").join(key);
    let wanted = |source| NetworkError::Sysctl {
        path: path.clone(),
        value,
        source,
    };
    let current = fs::read_to_string(&path).map_err(wanted)?;
    if current.split_whitespace().eq(value.split_whitespace()) {
        return Ok(());
    }
    fs::write(&path, value).map_err(wanted)
}

/// Sets `/proc/sys/<key>` to `value` where the kernel has the setting.
pub(crate) fn set_if_present(key: &str, value: &'static str) -> Result<(), NetworkError> {
    match set(key, value) {
        Err(NetworkError::Sysctl { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
