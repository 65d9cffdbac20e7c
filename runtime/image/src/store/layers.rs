//! Layers: a prepared directory in, a committed layer under its digest out.
//! **Invariant:** a layer counts as present only with its record, and a record written before the data reached the disk
//! counts only until the next boot.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::{ImageStore, read_json, unique, write_json};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::layer_tar::layer_digest;
use crate::lock::FileLock;

/// A layer in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Digest of its uncompressed archive.
    pub diff_id: Digest,
    /// Bytes of its uncompressed archive.
    pub size: u64,
    /// Its tree. Nobody may change anything in it.
    pub directory: PathBuf,
}

/// The compressed archive a layer came as, kept so that the image can be saved bit by bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerBlob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// `layers/<hex>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    pub(crate) diff_id: Digest,
    pub(crate) size: u64,
    /// `None` for layers whose canonical tar is their archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) blob: Option<LayerBlob>,
    /// The gzip form it was last pushed in, which is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packed: Option<LayerBlob>,
    /// The boot in which it was written, until the data is known to be on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unsynced_since_boot: Option<String>,
}

/// An empty directory to be filled and committed; removed if it is not.
#[derive(Debug)]
pub struct PreparedLayer {
    path: PathBuf,
}

impl PreparedLayer {
    /// The directory, on the file system of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PreparedLayer {
    fn drop(&mut self) {
        // Gone already when it was committed; what cannot be removed now is collected later.
        drop(fs::remove_dir_all(&self.path));
    }
}

impl ImageStore {
    /// A new empty directory for the content of a layer. Hold a [`super::Lease`] as long as it is used.
    pub fn prepare_layer(&self) -> Result<PreparedLayer, ImageError> {
        let path = self.ingest_path(&unique("layer"));
        fs::DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .map_err(ImageError::path("create", &path))?;
        Ok(PreparedLayer { path })
    }

    /// Moves `directory` into the store as a layer, under the digest of its canonical tar. It may be an overlay's upper
    /// directory (mounted with `redirect_dir=off,metacopy=off`) and must be on the file system of the store. If the
    /// store has this layer already, the directory is removed.
    pub fn put_layer_directory(&self, directory: &Path) -> Result<Layer, ImageError> {
        let opened = File::open(directory).map_err(ImageError::path("open", directory))?;
        let (diff_id, size) = layer_digest(opened.as_fd())?;
        self.commit_layer(
            directory,
            LayerRecord {
                diff_id,
                size,
                blob: None,
                packed: None,
                unsynced_since_boot: None,
            },
        )
    }

    /// The layer with this digest, if it is complete.
    pub fn layer(&self, diff_id: &Digest) -> Result<Option<Layer>, ImageError> {
        let record = self.layer_record(diff_id)?;
        Ok(record.map(|record| Layer {
            diff_id: *diff_id,
            size: record.size,
            directory: self.layer_directory(diff_id),
        }))
    }

    pub(crate) fn layer_directory(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex())
    }

    pub(super) fn layer_record_path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(format!("{}.json", diff_id.hex()))
    }

    pub(crate) fn layer_record(&self, diff_id: &Digest) -> Result<Option<LayerRecord>, ImageError> {
        let record: Option<LayerRecord> = read_json(&self.layer_record_path(diff_id))?;
        let complete = |record: &LayerRecord| {
            record
                .unsynced_since_boot
                .as_deref()
                .is_none_or(|boot| boot == boot_id())
        };
        Ok(record
            .filter(complete)
            .filter(|_| self.layer_directory(diff_id).exists()))
    }

    /// Gives a finished directory its final name and record; one rename, so no reader ever sees part of it.
    pub(crate) fn commit_layer(&self, directory: &Path, record: LayerRecord) -> Result<Layer, ImageError> {
        let diff_id = record.diff_id;
        let lock = FileLock::acquire(&self.ingest_path(&format!("{}.commit", diff_id.hex())), &|| false)?;
        let target = self.layer_directory(&diff_id);
        let layer = Layer {
            diff_id,
            size: record.size,
            directory: target.clone(),
        };
        if self.layer_record(&diff_id)?.is_some() {
            fs::remove_dir_all(directory).map_err(ImageError::path("remove", directory))?;
            return Ok(layer);
        }
        // A directory without a valid record is what a crash left.
        let stale = self.ingest_path(&unique("trash"));
        match fs::rename(&target, &stale) {
            Ok(()) => fs::remove_dir_all(&stale).map_err(ImageError::path("remove", &stale))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(ImageError::path("replace", &target)(error)),
        }
        fs::rename(directory, &target).map_err(ImageError::path("create", &target))?;
        let record = LayerRecord {
            unsynced_since_boot: Some(boot_id().to_owned()),
            ..record
        };
        write_json(&self.layer_record_path(&diff_id), &record, false)?;
        drop(lock);
        Ok(layer)
    }

    /// Notes what a layer was compressed to, so that the next push need not do it to know its digest.
    pub(crate) fn remember_packed(&self, diff_id: &Digest, packed: LayerBlob) -> Result<(), ImageError> {
        match self.layer_record(diff_id)? {
            Some(record) if record.packed.as_ref() != Some(&packed) => {
                let packed = Some(packed);
                write_json(
                    &self.layer_record_path(diff_id),
                    &LayerRecord { packed, ..record },
                    true,
                )
            }
            Some(_) | None => Ok(()),
        }
    }

    /// One sync of the file system for all layers of an image, not one for each file.
    pub(super) fn make_durable(&self, layers: &[LayerRecord]) -> Result<(), ImageError> {
        if layers.iter().all(|layer| layer.unsynced_since_boot.is_none()) {
            return Ok(());
        }
        self.sync()?;
        let mut done = BTreeSet::new();
        for layer in layers.iter().filter(|layer| layer.unsynced_since_boot.is_some()) {
            if !done.insert(layer.diff_id) {
                continue;
            }
            let record = LayerRecord {
                unsynced_since_boot: None,
                ..layer.clone()
            };
            write_json(&self.layer_record_path(&record.diff_id), &record, true)?;
        }
        Ok(())
    }
}

/// Names the time since the kernel started (random(4)); empty where /proc is not mounted.
fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned()
    })
}
