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
use crate::store::{ImageStore, file_names, write_json};

/// What a step made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// None when it changed no file.
    pub(crate) diff_id: Option<Digest>,
    /// When it was made, RFC 3339: a build from the cache gives the same image, to the byte.
    pub(crate) created: String,
    /// Its stage, place and text in the Dockerfile, for who looks at the disk.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
}

/// The cache of one store.
#[derive(Debug)]
pub struct BuildCache<'a> {
    pub(super) store: &'a ImageStore,
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
        write_json(&self.path(key), record, false)
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

    /// All steps on record, in no order, with the files of their records.
    pub(super) fn steps(&self) -> Result<Vec<(PathBuf, Record)>, ImageError> {
        let mut steps = Vec::new();
        for name in file_names(&self.directory)? {
            let path = self.directory.join(name);
            // An unfinished file has no such name.
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(record) = read(&path)
            {
                steps.push((path, record));
            }
        }
        Ok(steps)
    }
}

fn read(path: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
