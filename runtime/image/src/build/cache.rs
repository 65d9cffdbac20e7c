//! In: the key of a step. Out: the layer an earlier build made for the same key.
//! Records are `build-cache/<key>.json` in the store; a record whose layer is gone is no record.
//! **Invariant:** a key is made of content alone: never of times, paths of the host, or what a secret says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::ImageError;
use crate::store::{ImageStore, file_names};

/// What a step made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// None when it changed no file.
    pub(crate) diff_id: Option<Digest>,
    /// When it was made, RFC 3339: a build from the cache gives the same image, to the byte.
    pub(crate) created: String,
}

/// What is kept of a step, for who looks at the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The step's key.
    pub key: String,
    /// The layer it made; none when it changed no file.
    pub diff_id: Option<Digest>,
    /// When it was done, RFC 3339.
    pub created: String,
    /// When a build last took it from the cache, or did it.
    pub last_used: SystemTime,
}

/// The cache of one store.
#[derive(Debug)]
pub struct BuildCache<'a> {
    store: &'a ImageStore,
    directory: PathBuf,
}

impl<'a> BuildCache<'a> {
    /// The cache beside the store's images.
    pub fn of(store: &'a ImageStore) -> Self {
        Self {
            store,
            directory: store.root().join("build-cache"),
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.directory.join(format!("{key}.json"))
    }

    /// What was made for this key, when its layer is still there.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Record>, ImageError> {
        let path = self.path(key);
        let Some(record) = read(&path) else {
            return Ok(None);
        };
        // What was used longest ago goes first when room is needed; a use that is not noted costs at most a step.
        drop(fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now())));
        match record.diff_id {
            None => Ok(Some(record)),
            Some(diff_id) => Ok(self.store.layer(&diff_id)?.map(|_| record)),
        }
    }

    /// Remembers what a step made.
    pub(crate) fn put(&self, key: &str, record: &Record) -> Result<(), ImageError> {
        fs::create_dir_all(&self.directory).map_err(ImageError::path("create", &self.directory))?;
        let path = self.path(key);
        let temporary = self.directory.join(format!(".{key}.{}", std::process::id()));
        let text = serde_json::to_vec(record).map_err(|source| ImageError::Record {
            path: path.clone(),
            source,
        })?;
        fs::write(&temporary, text).map_err(ImageError::path("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(ImageError::path("replace", &path))
    }

    /// Directories of all layers the cache would use again; a collection keeps them.
    pub fn layer_directories(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        entries
            .filter_map(|entry| read(&entry.path())?.diff_id)
            .filter_map(|diff_id| self.store.layer(&diff_id).ok().flatten())
            .map(|layer| layer.directory)
            .collect()
    }

    /// All steps that are kept, in no order.
    pub fn entries(&self) -> Result<Vec<CacheEntry>, ImageError> {
        let mut entries = Vec::new();
        for name in file_names(&self.directory)? {
            let path = self.directory.join(&name);
            // An unfinished file has no such name.
            let Some(key) = name.strip_suffix(".json") else {
                continue;
            };
            let Some(record) = read(&path) else { continue };
            let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
            entries.push(CacheEntry {
                key: key.to_owned(),
                diff_id: record.diff_id,
                created: record.created,
                last_used: modified.unwrap_or(SystemTime::UNIX_EPOCH),
            });
        }
        Ok(entries)
    }

    /// Forgets a step; a collection then frees its layer, if no image has it.
    pub fn forget(&self, entry: &CacheEntry) -> Result<(), ImageError> {
        let path = self.path(&entry.key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ImageError::path("remove", &path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Forgets everything; a collection then frees what no image uses. Returns how many records there were.
    pub fn clear(&self) -> Result<usize, ImageError> {
        let count = fs::read_dir(&self.directory).map_or(0, Iterator::count);
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ImageError::path("remove", &self.directory)(error))
            }
            _ => Ok(count),
        }
    }
}

fn read(path: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
