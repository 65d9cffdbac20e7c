//! In: findings in saved files that could not be applied. Out: `reload-error.json`, which `ps` shows until they are mended.
//! **Invariant:** the record is there exactly as long as the files on disk differ from what is in force because of an error.

use std::fs;
use std::io::ErrorKind;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ProjectDir, StateError, io_error, replace};

/// A reload that was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedReload {
    /// Since when the files are wrong.
    pub since: Timestamp,
    /// The findings, with file, line and column.
    pub rendered: String,
}

impl RejectedReload {
    /// The record of a project; none when its files are right, or the record is torn.
    pub fn read(dir: &ProjectDir) -> Result<Option<Self>, StateError> {
        let path = dir.reload_error();
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Records what was found. Files that were wrong before are wrong since then.
    pub fn write(dir: &ProjectDir, rendered: &str) -> Result<(), StateError> {
        let path = dir.reload_error();
        let before = Self::read(dir)?;
        let rejected = Self {
            since: before.map_or_else(Timestamp::now, |before| before.since),
            rendered: rendered.to_owned(),
        };
        let text = serde_json::to_vec_pretty(&rejected).map_err(|source| StateError::Malformed {
            path: path.clone(),
            source,
        })?;
        replace(&path, &text)
    }

    /// The files are right again.
    pub fn clear(dir: &ProjectDir) -> Result<(), StateError> {
        let path = dir.reload_error();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("remove", &path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_wrong_since_the_first_error_until_they_are_mended() {
        let root = tempfile::tempdir().unwrap();
        let dir = ProjectDir::of(root.path(), "shop");
        assert_eq!(RejectedReload::read(&dir).unwrap(), None);
        drop(dir.try_lock().unwrap());
        RejectedReload::write(&dir, "one").unwrap();
        let first = RejectedReload::read(&dir).unwrap().unwrap();
        RejectedReload::write(&dir, "other").unwrap();
        let second = RejectedReload::read(&dir).unwrap().unwrap();
        assert_eq!((first.since, second.rendered.as_str()), (second.since, "other"));
        RejectedReload::clear(&dir).unwrap();
        RejectedReload::clear(&dir).unwrap();
        assert_eq!(RejectedReload::read(&dir).unwrap(), None);
    }
}
