//! Garbage: what no image, container, build or pull needs is removed. A set of used directories in, freed bytes out.
//! **Invariant:** nothing is removed while anybody holds a lease, and no directory the caller names is ever touched.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Deserialize;

use super::{ImageStore, UNFINISHED, file_names, read_json, unique};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::lock;

/// A download that nobody resumed for so long will not be resumed.
const PART_AGE: Duration = Duration::from_hours(168);

/// No small file takes so long to be written.
const WRITING_AGE: Duration = Duration::from_hours(1);
/// Directories of small files that are written under a temporary name first.
const RECORDS: [&str; 6] = [
    "images",
    "layers",
    "build-cache",
    "build-index",
    "build-copies",
    "build-mounts",
];

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Layers removed.
    pub layers: usize,
    /// Blobs removed.
    pub blobs: usize,
    /// Bytes freed, by the sizes of archives and blobs.
    pub bytes: u64,
    /// A pull, a build or a start is under way: nothing was done, try again later.
    pub busy: bool,
}

/// What an index blob may name: other manifests in the store.
#[derive(Deserialize)]
struct Pointers {
    #[serde(default)]
    manifests: Vec<Pointer>,
}

#[derive(Deserialize)]
struct Pointer {
    digest: Digest,
}

impl ImageStore {
    /// Removes every layer and blob that belongs to no image, except the layers in `used` (directories as
    /// [`crate::Image::layer_directories`] gives them: those of containers, and those a build cache wants kept).
    pub fn collect(&self, used: &BTreeSet<PathBuf>) -> Result<Collected, ImageError> {
        let lock_path = self.root.join("lock");
        let lock = lock::open(&lock_path)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Ok(Collected {
                    busy: true,
                    ..Collected::default()
                });
            }
            Err(error) => return Err(ImageError::errno("lock", &lock_path)(error)),
        }
        let mut collected = Collected::default();
        let (blobs, layers) = self.needed(used)?;
        self.sweep_layers(&layers, &mut collected)?;
        self.sweep_blobs(&blobs, &mut collected)?;
        let trash = self.sweep_ingest()?;
        self.sweep_unfinished()?;
        // Renamed away under the lock; removing takes long, so that waits for nobody and nobody for it.
        drop(lock);
        for path in trash {
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            match removed {
                // Who threw it away was faster.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other.map_err(ImageError::path("remove", &path))?,
            }
        }
        Ok(collected)
    }

    /// The blobs and layers something needs.
    fn needed(&self, used: &BTreeSet<PathBuf>) -> Result<(BTreeSet<Digest>, BTreeSet<Digest>), ImageError> {
        let mut blobs = self.named_manifests()?;
        let mut layers: BTreeSet<Digest> = used
            .iter()
            .filter_map(|directory| {
                Digest::from_hex(directory.strip_prefix(self.root.join("layers")).ok()?.to_str()?).ok()
            })
            .collect();
        for id in self.image_ids()? {
            if let Some(image) = self.image(&id)? {
                blobs.insert(id);
                blobs.extend(image.manifest);
                blobs.extend(image.attestations.iter().map(|attestation| attestation.predicate));
                layers.extend(image.diff_ids);
            }
        }
        for manifest in blobs.clone() {
            if let Ok(Some(pointers)) = read_json::<Pointers>(&self.blob_path(&manifest)) {
                blobs.extend(pointers.manifests.iter().map(|pointer| pointer.digest));
            }
        }
        for layer in &layers {
            blobs.extend(
                self.layer_record(layer)?
                    .and_then(|record| record.blob)
                    .map(|blob| blob.digest),
            );
        }
        Ok((blobs, layers))
    }

    fn sweep_layers(&self, needed: &BTreeSet<Digest>, collected: &mut Collected) -> Result<(), ImageError> {
        for name in file_names(&self.root.join("layers"))? {
            let Ok(diff_id) = Digest::from_hex(name.strip_suffix(".json").unwrap_or(&name)) else {
                continue;
            };
            if needed.contains(&diff_id) {
                continue;
            }
            if let Some(record) = self.layer_record(&diff_id)? {
                collected.layers += 1;
                collected.bytes += record.size;
            }
            // The record first: without it the directory counts as absent.
            let path = self.layer_record_path(&diff_id);
            remove_if_present(&path)?;
            let directory = self.layer_directory(&diff_id);
            if directory.exists() {
                let trash = self.ingest_path(&unique("trash"));
                fs::rename(&directory, &trash).map_err(ImageError::path("remove", &directory))?;
            }
        }
        Ok(())
    }

    fn sweep_blobs(&self, needed: &BTreeSet<Digest>, collected: &mut Collected) -> Result<(), ImageError> {
        let directory = self.root.join("blobs/sha256");
        for name in file_names(&directory)? {
            let digest = Digest::from_hex(&name).ok();
            if digest.is_some_and(|digest| needed.contains(&digest)) {
                continue;
            }
            let path = directory.join(&name);
            collected.bytes += fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
            collected.blobs += usize::from(digest.is_some());
            remove_if_present(&path)?;
        }
        Ok(())
    }

    /// Files whose writers were killed before they had their name.
    fn sweep_unfinished(&self) -> Result<(), ImageError> {
        for directory in RECORDS.map(|name| self.root.join(name)) {
            // One that does not exist has nothing in it.
            let Ok(entries) = fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                let is_unfinished = entry.file_name().as_bytes().starts_with(UNFINISHED.as_bytes());
                if is_unfinished && is_older_than(&entry.path(), WRITING_AGE) {
                    remove_if_present(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Everything unfinished that no living process works on: all of it, since the lock is ours; but downloads may be resumed.
    fn sweep_ingest(&self) -> Result<Vec<PathBuf>, ImageError> {
        let directory = self.root.join("ingest");
        let mut trash = Vec::new();
        for name in file_names(&directory)? {
            let path = directory.join(&name);
            if path.extension().is_some_and(|extension| extension == "part")
                && !is_older_than(&path, PART_AGE)
            {
                continue;
            }
            if name.starts_with("trash-") {
                trash.push(path);
            } else {
                let unused = self.ingest_path(&unique("trash"));
                fs::rename(&path, &unused).map_err(ImageError::path("remove", &path))?;
                trash.push(unused);
            }
        }
        Ok(trash)
    }
}

fn is_older_than(path: &Path, age: Duration) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| {
        SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|passed| passed > age)
    })
}

fn remove_if_present(path: &Path) -> Result<(), ImageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(ImageError::path("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
