//! A `docker save` archive, an OCI layout or a directory of either in, its images in the store out.
//! **Invariant:** a layer is stored only if it has the digest the image's configuration names.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::describe::{Described, describe};
use super::members::Members;
use crate::compression::is_compressed;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::hashing_writer::HashingWriter;
use crate::image::Image;
use crate::image_config::ImageDocument;
use crate::platform::Platform;
use crate::store::{ImageStore, LayerBlob, LayerRecord};
use crate::unpack::unpack_layer;

/// Fast: the archive is written once and read hardly ever.
const ZSTD_LEVEL: i32 = 1;
/// Layers unpacked at a time; each keeps its archive beside, which is a second thread.
const AT_ONCE: usize = 3;

/// Reads images from `archive`, which may be compressed. Returns them with the names they were given. Of an image for several
/// platforms that for `platform` is taken, without one the host's.
pub fn load(
    store: &ImageStore,
    archive: impl Read,
    platform: Option<&Platform>,
) -> Result<Vec<Image>, ImageError> {
    let _lease = store.lease()?;
    load_all(store, &Members::read(archive, store.prepare_layer()?)?, platform)
}

/// The same from a directory: an OCI layout, or what skopeo calls `dir:`.
pub fn load_directory(
    store: &ImageStore,
    directory: &Path,
    platform: Option<&Platform>,
) -> Result<Vec<Image>, ImageError> {
    let _lease = store.lease()?;
    load_all(store, &Members::of_directory(directory)?, platform)
}

/// An image of a directory, of which single layers are wanted.
#[derive(Debug)]
pub struct DirectoryImage {
    members: Members,
    layers: Vec<String>,
    /// Its configuration.
    pub document: ImageDocument,
}

impl DirectoryImage {
    /// The first image of an OCI layout.
    pub fn open(directory: &Path) -> Result<Self, ImageError> {
        let members = Members::of_directory(directory)?;
        let described = describe(&members, None)?;
        let first = described.into_iter().next().ok_or_else(|| ImageError::NoMember {
            member: "image for this host".to_owned(),
        })?;
        let bytes = members.content(&first.config)?;
        let document = serde_json::from_slice(&bytes).map_err(|source| ImageError::Member {
            member: first.config,
            source,
        })?;
        Ok(Self {
            members,
            layers: first.layers,
            document,
        })
    }

    /// Brings the layer with this index (from 0, lowest first) into the store.
    pub fn load_layer(&self, store: &ImageStore, index: usize) -> Result<(), ImageError> {
        let (Some(diff_id), Some(name)) = (self.document.rootfs.diff_ids.get(index), self.layers.get(index))
        else {
            return Err(ImageError::LayerCount {
                layers: self.layers.len(),
                diff_ids: self.document.rootfs.diff_ids.len(),
            });
        };
        let _lease = store.lease()?;
        load_layers(store, &self.members, &[*diff_id], std::slice::from_ref(name))
    }
}

fn load_all(
    store: &ImageStore,
    members: &Members,
    platform: Option<&Platform>,
) -> Result<Vec<Image>, ImageError> {
    let described = describe(members, platform)?;
    described
        .iter()
        .map(|described| load_one(store, members, described, platform))
        .collect()
}

fn load_one(
    store: &ImageStore,
    members: &Members,
    described: &Described,
    platform: Option<&Platform>,
) -> Result<Image, ImageError> {
    let bytes = members.content(&described.config)?;
    let document: ImageDocument = serde_json::from_slice(&bytes).map_err(|source| ImageError::Member {
        member: described.config.clone(),
        source,
    })?;
    if !matches!(document.os.as_str(), "" | "linux") {
        return Err(ImageError::NotLinux {
            platform: document.platform().to_string(),
        });
    }
    if let Some(wanted) = platform
        && wanted.suits(&document.platform()).is_none()
    {
        return Err(ImageError::OtherPlatform {
            name: described
                .names
                .first()
                .map_or_else(|| described.config.clone(), ToString::to_string),
            platform: document.platform().to_string(),
            wanted: wanted.to_string(),
        });
    }
    let (layers, diff_ids) = (described.layers.len(), document.rootfs.diff_ids.len());
    if layers != diff_ids {
        return Err(ImageError::LayerCount { layers, diff_ids });
    }
    load_layers(store, members, &document.rootfs.diff_ids, &described.layers)?;
    let image = store.record_image(&bytes, &document, None)?;
    for name in &described.names {
        store.tag(&image.id, name, None)?;
    }
    Ok(Image {
        references: described.names.clone(),
        ..image
    })
}

/// Unpacks what the store does not have, several layers at a time.
fn load_layers(
    store: &ImageStore,
    members: &Members,
    diff_ids: &[Digest],
    names: &[String],
) -> Result<(), ImageError> {
    let mut asked = BTreeSet::new();
    let mut missing = Vec::new();
    for (diff_id, name) in diff_ids.iter().zip(names) {
        if asked.insert(*diff_id) && store.layer_record(diff_id)?.is_none() {
            missing.push((diff_id, name, members.path(name)?));
        }
    }
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), ImageError> {
        while let Some((diff_id, name, path)) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Once one has failed there is no image, and the others are not begun.
            load_layer(store, path, name, diff_id)
                .inspect_err(|_| next.store(missing.len(), Ordering::Relaxed))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE.min(missing.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let results: Vec<_> = workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect();
        results.into_iter().collect()
    })
}

/// Unpacks a layer and keeps its archive, compressed, so that the image can be saved under the same digests.
fn load_layer(store: &ImageStore, path: &Path, member: &str, expected: &Digest) -> Result<(), ImageError> {
    let open = || File::open(path).map_err(ImageError::path("open", path));
    let prepared = store.prepare_layer()?;
    let blob_file = store.prepare_layer()?;
    let blob_path = blob_file.path().join("blob");
    let output = File::create(&blob_path).map_err(ImageError::path("create", &blob_path))?;
    let (blob, (diff_id, size)) = std::thread::scope(|scope| {
        let packing = scope.spawn(|| keep(open()?, output).map_err(|source| ImageError::Write { source }));
        let unpacked = open().and_then(|archive| unpack_layer(archive, prepared.path()));
        let blob = packing
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // The first failure of an archive that is no good is that of unpacking it.
        let unpacked = unpacked?;
        Ok::<_, ImageError>((blob?, unpacked))
    })?;
    if diff_id != *expected {
        return Err(ImageError::WrongDigest {
            what: member.to_owned(),
            expected: *expected,
            actual: diff_id,
        });
    }
    store.adopt_blob(&blob_path, &blob.digest)?;
    let record = LayerRecord {
        diff_id,
        size,
        blob: Some(blob),
        packed: None,
        unsynced_since_boot: None,
    };
    store.commit_layer(prepared.path(), record)?;
    Ok(())
}

/// Writes an archive as it is, if it is compressed, else as zstd, and hashes what it writes.
fn keep(mut archive: File, output: File) -> io::Result<LayerBlob> {
    let mut output = HashingWriter::new(output, u64::MAX);
    if is_compressed(&mut archive)? {
        io::copy(&mut archive, &mut output)?;
    } else {
        let mut encoder = zstd::Encoder::new(output, ZSTD_LEVEL)?;
        io::copy(&mut archive, &mut encoder)?;
        output = encoder.finish()?;
    }
    let (_, digest, size) = output.finish();
    Ok(LayerBlob { digest, size })
}
