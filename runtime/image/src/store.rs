//! The images of this host: blobs and unpacked layers by digest, records by id, names. Paths in, `Image`s out.
//! **Invariant:** whatever is found by its final name is complete: everything is made elsewhere and renamed into place,
//! and what a power cut may have damaged counts as absent.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock, syncfs};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::Image;
use crate::image_config::{ImageDocument, RootFileSystem};
use crate::lock;
use crate::reference::Reference;

mod attestations;
mod collect;
mod layer_archive;
mod layers;
mod names;
mod usage;

pub use collect::Collected;
pub use layers::{Layer, PreparedLayer};
pub(crate) use layers::{LayerBlob, LayerRecord};
pub use names::Removal;
pub use usage::tree_size;

/// A directory of images, shared by any number of processes.
#[derive(Debug, Clone)]
pub struct ImageStore {
    root: PathBuf,
}

/// While one exists, in any process, nothing is collected. Hold it from looking an image up until its layers' directories
/// are on record elsewhere, as a container's or a build's.
#[derive(Debug)]
pub struct Lease {
    _file: File,
}

impl ImageStore {
    /// Opens the store at `root`, creating what is missing (mode 0700).
    pub fn open(root: &Path) -> Result<Self, ImageError> {
        let root = std::path::absolute(root).map_err(ImageError::path("resolve", root))?;
        for directory in ["blobs/sha256", "layers", "images", "refs", "ingest"] {
            let path = root.join(directory);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(ImageError::path("create", &path))?;
        }
        Ok(Self { root })
    }

    /// Where the store is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps everything in the store from being collected. Waits for a collection that is under way (milliseconds).
    pub fn lease(&self) -> Result<Lease, ImageError> {
        let path = self.root.join("lock");
        let file = lock::open(&path)?;
        flock(&file, FlockOperation::LockShared).map_err(ImageError::errno("lock", &path))?;
        Ok(Lease { _file: file })
    }

    /// Records an image made of layers that are in the store already, lowest first, and makes all of it survive a power
    /// cut. The image's id is the digest of `document` with these layers; it has no name yet.
    pub fn put_image(&self, document: &ImageDocument, diff_ids: &[Digest]) -> Result<Image, ImageError> {
        let rootfs = RootFileSystem {
            diff_ids: diff_ids.to_vec(),
            ..RootFileSystem::default()
        };
        let document = ImageDocument {
            rootfs,
            ..document.clone()
        };
        let bytes = serde_json::to_vec(&document).map_err(|source| ImageError::Record {
            path: self.root.join("images"),
            source,
        })?;
        self.record(&bytes, &document, None)
    }

    /// The same for a configuration that was read, whose very bytes make the id. It may be anybody's, and gets nothing of the host.
    pub(crate) fn record_image(
        &self,
        bytes: &[u8],
        document: &ImageDocument,
        manifest: Option<Digest>,
    ) -> Result<Image, ImageError> {
        if document.host.is_some() {
            return Err(ImageError::StandsOnOtherHost {
                id: Digest::of(bytes),
            });
        }
        self.record(bytes, document, manifest)
    }

    fn record(
        &self,
        bytes: &[u8],
        document: &ImageDocument,
        manifest: Option<Digest>,
    ) -> Result<Image, ImageError> {
        let mut layers = Vec::with_capacity(document.rootfs.diff_ids.len());
        for diff_id in &document.rootfs.diff_ids {
            layers.push(
                self.layer_record(diff_id)?
                    .ok_or(ImageError::NoLayer { diff_id: *diff_id })?,
            );
        }
        let id = Digest::of(bytes);
        let known = self.image(&id)?;
        if let Some(known) = &known
            && known.manifest == manifest
            && self.read_blob(&id)?.is_some()
        {
            // Whatever is on record is on the disk.
            return Ok(known.clone());
        }
        self.put_blob(bytes)?;
        self.make_durable(&layers)?;
        let image = Image {
            id,
            manifest,
            references: Vec::new(),
            created: document.created.clone(),
            platform: document.platform(),
            size: layers.iter().map(|layer| layer.size).sum(),
            diff_ids: document.rootfs.diff_ids.clone(),
            host: document.host,
            config: document.config.clone(),
            attestations: known.map(|known| known.attestations).unwrap_or_default(),
            layers: self.root.join("layers"),
        };
        write_json(&self.image_path(&id), &image, true)?;
        Ok(image)
    }

    /// The image with this id.
    pub fn image(&self, id: &Digest) -> Result<Option<Image>, ImageError> {
        let image: Option<Image> = read_json(&self.image_path(id))?;
        Ok(image.map(|image| Image {
            layers: self.root.join("layers"),
            ..image
        }))
    }

    /// The whole configuration document of an image: history and all.
    pub fn document(&self, id: &Digest) -> Result<ImageDocument, ImageError> {
        read_json(&self.blob_path(id))?.ok_or_else(|| ImageError::NoSuchImage { name: id.to_string() })
    }

    /// All images with all their names, newest first.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let mut names = self.names()?;
        let mut images = Vec::new();
        for id in self.image_ids()? {
            if let Some(mut image) = self.image(&id)? {
                image.references = names.remove(&id).unwrap_or_default();
                images.push(image);
            }
        }
        images.sort_by(|one, other| {
            other
                .created
                .cmp(&one.created)
                .then_with(|| one.id.cmp(&other.id))
        });
        Ok(images)
    }

    /// The image called `name`: a reference, an id, or the beginning of an id that fits one image only.
    pub fn find(&self, name: &str) -> Result<Option<Image>, ImageError> {
        if let Ok(reference) = name.parse::<Reference>()
            && let Some(image) = self.resolve(&reference)?
        {
            return Ok(Some(image));
        }
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        if hex.is_empty()
            || hex.len() > 64
            || !hex
                .bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Ok(None);
        }
        let mut fitting: Vec<Digest> = self.image_ids()?;
        fitting.retain(|id| id.hex().starts_with(hex));
        match fitting.as_slice() {
            [] => Ok(None),
            [id] => self.image(id),
            several => Err(ImageError::AmbiguousId {
                name: name.to_owned(),
                count: several.len(),
            }),
        }
    }

    fn image_ids(&self) -> Result<Vec<Digest>, ImageError> {
        let names = file_names(&self.root.join("images"))?;
        Ok(names
            .iter()
            .filter_map(|name| Digest::from_hex(name.strip_suffix(".json")?).ok())
            .collect())
    }

    fn image_path(&self, id: &Digest) -> PathBuf {
        self.root.join("images").join(format!("{}.json", id.hex()))
    }

    /// Where a blob is, or would be.
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// A path for something unfinished, on the file system of the store.
    pub(crate) fn ingest_path(&self, name: &str) -> PathBuf {
        self.root.join("ingest").join(name)
    }

    /// The content of a small blob, checked against its digest.
    pub(crate) fn read_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ImageError> {
        let path = self.blob_path(digest);
        match fs::read(&path) {
            // A blob that was damaged is as good as none: it is fetched again.
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| Digest::of(bytes) == *digest)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ImageError::path("read", &path)(error)),
        }
    }

    /// Stores a small blob.
    pub(crate) fn put_blob(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Digest::of(bytes);
        write_atomically(&self.blob_path(&digest), bytes, true)?;
        Ok(digest)
    }

    /// Makes a verified file of the ingest directory a blob.
    pub(crate) fn adopt_blob(&self, file: &Path, digest: &Digest) -> Result<(), ImageError> {
        let path = self.blob_path(digest);
        fs::rename(file, &path).map_err(ImageError::path("create", &path))
    }

    fn sync(&self) -> Result<(), ImageError> {
        let directory = File::open(&self.root).map_err(ImageError::path("open", &self.root))?;
        syncfs(&directory).map_err(ImageError::errno("sync", &self.root))
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ImageError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| ImageError::Record {
                path: path.to_owned(),
                source,
            }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ImageError::path("read", path)(error)),
    }
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize, durable: bool) -> Result<(), ImageError> {
    let bytes = serde_json::to_vec(value).map_err(|source| ImageError::Record {
        path: path.to_owned(),
        source,
    })?;
    write_atomically(path, &bytes, durable)
}

/// A name no other thread or process uses now.
pub(crate) fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    // Process ids return; the time tells a left-over of an earlier process from ours.
    let time = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    format!(
        "{prefix}-{}-{}-{time:x}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}

/// How the temporary names of files begin.
const UNFINISHED: &str = ".new";

/// Readers see the old content or the new, never part of it; with `durable`, also after a power cut. Only its owner may read it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], durable: bool) -> Result<(), ImageError> {
    let failed = || ImageError::path("write", path);
    let temporary = path.with_file_name(unique(UNFINISHED));
    // Whatever has this name already was laid there by somebody else.
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed())?;
    let mut write = || {
        file.write_all(bytes)?;
        if durable {
            file.sync_data()?;
        }
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        // What matters is the first error; a left-over file is collected.
        drop(fs::remove_file(&temporary));
        failed()(error)
    })
}

/// The names in a directory, without those of unfinished files; none if it does not exist.
pub(crate) fn file_names(directory: &Path) -> Result<Vec<String>, ImageError> {
    let failed = || ImageError::path("list", directory);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed()(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.map_err(failed())?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
