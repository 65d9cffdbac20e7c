//! In: what a project was brought up with. Out: its record, lock and event log under the data root.
//! **Invariant:** a record is replaced whole (tmp, rename), and only by who holds the lock; only its owner may read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::lock::ProjectLock;
use crate::model::ServiceName;

pub mod event_log;
pub mod lock;
pub mod rejected_reload;

/// What a project was brought up with: all that a reload, or a command elsewhere, needs to load it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag of `up`")]
pub struct ProjectRecord {
    /// Name.
    pub name: String,
    /// Directory that relative paths start from, absolute.
    pub working_dir: PathBuf,
    /// Compose files, absolute, in order.
    pub config_files: Vec<PathBuf>,
    /// `--env-file`, absolute, in order; empty means `.env` where there is one.
    pub env_files: Vec<PathBuf>,
    /// Profiles enabled.
    pub profiles: Vec<String>,
    /// Resources that no service uses are made, too (`--all-resources`).
    pub all_resources: bool,
    /// The process environment of the last `up`: what the files refer to after the next save is not known yet.
    pub environment: BTreeMap<String, String>,
    /// Whether a supervisor follows the files.
    pub live_reload: bool,
    /// Number of the last `up` or reload.
    pub generation: u64,
    /// Services asked for; none means all.
    pub services: Vec<ServiceName>,
    /// `--scale`.
    pub scale: BTreeMap<ServiceName, u32>,
    /// Dependencies of `services` are left alone (`--no-deps`).
    pub no_deps: bool,
    /// Images that a watch rule replaces are kept (`watch --prune=false`).
    pub keep_images: bool,
    /// Services a person stopped: a reload leaves them alone.
    pub stopped: BTreeSet<ServiceName>,
}

/// A record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file operation.
    #[error("cannot {what} {}", .path.display())]
    Io {
        /// `read`, `write`, …
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("{} is not a project record", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

fn io_error<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StateError + 'a {
    move |source| StateError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// The directory of one project: `<data root>/projects/<project>`.
#[derive(Debug, Clone)]
pub struct ProjectDir {
    path: PathBuf,
}

impl ProjectDir {
    /// Where the records of a project are.
    pub fn of(data_root: &Path, project: &str) -> Self {
        Self {
            path: data_root.join("projects").join(project),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the rejected reload of a project is kept until it is mended.
    pub fn reload_error(&self) -> PathBuf {
        self.path.join("reload-error.json")
    }

    /// The record; none when the project was never brought up.
    pub fn read(&self) -> Result<Option<ProjectRecord>, StateError> {
        let path = self.path.join("project.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(record) => Ok(Some(record)),
            Err(source) => Err(StateError::Malformed { path, source }),
        }
    }

    /// Replaces the record.
    pub fn write(&self, _lock: &ProjectLock, record: &ProjectRecord) -> Result<(), StateError> {
        let path = self.path.join("project.json");
        let malformed = |source| StateError::Malformed {
            path: path.clone(),
            source,
        };
        let text = serde_json::to_vec_pretty(record).map_err(malformed)?;
        replace(&path, &text)
    }

    /// Forgets the project: record, event log, rejected reload and the directory, as far as nothing else is in it.
    pub fn remove(&self, lock: ProjectLock) -> Result<(), StateError> {
        for name in [
            "project.json",
            "reload-error.json",
            event_log::NAME,
            event_log::OLD_NAME,
            "lock",
        ] {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("remove", &path)(error)),
            }
        }
        // Each goes only when it is empty: containers of a project may still be recorded in it.
        for path in [self.path.join("containers"), self.path.clone()] {
            match fs::remove_dir(&path) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {}
                Err(error) => return Err(io_error("remove", &path)(error)),
            }
        }
        drop(lock);
        Ok(())
    }
}

/// Records of all projects of a data root, by name.
///
/// # Errors
/// The directory, or one of the records, cannot be read.
pub fn projects(data_root: &Path) -> Result<Vec<ProjectRecord>, StateError> {
    let path = data_root.join("projects");
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    let mut records = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error("read", &path))?;
        let dir = ProjectDir { path: entry.path() };
        let name = entry.file_name().to_string_lossy().into_owned();
        // Containers of `run` alone leave a project without a record.
        let nameless = || ProjectRecord {
            name,
            ..ProjectRecord::default()
        };
        records.push(dir.read()?.unwrap_or_else(nameless));
    }
    records.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(records)
}

/// Writes a file so that a reader sees the old content or the new.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let new = path.with_extension("tmp");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&new, path)
    };
    write().map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_and_a_removed_project_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let dir = ProjectDir::of(root.path(), "shop");
        assert_eq!(dir.read().unwrap(), None);
        let lock = dir.try_lock().unwrap().unwrap();
        assert!(dir.try_lock().unwrap().is_none(), "a second holder");
        let record = ProjectRecord {
            name: "shop".to_owned(),
            generation: 3,
            stopped: BTreeSet::from([ServiceName::new("db")]),
            ..ProjectRecord::default()
        };
        dir.write(&lock, &record).unwrap();
        assert_eq!(dir.read().unwrap().as_ref(), Some(&record));
        assert_eq!(projects(root.path()).unwrap(), [record]);
        dir.remove(lock).unwrap();
        assert!(!dir.path().exists());
        assert_eq!(projects(root.path()).unwrap(), []);
    }
}
