//! Images of the store in, one archive out that is an OCI layout and a `docker save` archive at the same time.
//! **Invariant:** what is written has the digests under which it is written; a layer changed on disk is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::{CONTAINERD_NAME, DockerManifest, OCI_LAYOUT, OCI_REF_NAME};
use crate::compression::decompress;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::Image;
use crate::layer_tar::write_layer_tar;
use crate::manifest::{Descriptor, Index, Manifest, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use crate::store::ImageStore;

/// Writes the images called `names` (references or ids) to `output`. Layers go uncompressed, under their diff ids.
pub fn save(store: &ImageStore, names: &[String], output: &mut dyn Write) -> Result<(), ImageError> {
    let _lease = store.lease()?;
    let mut images: BTreeMap<Digest, Image> = BTreeMap::new();
    let mut order = Vec::new();
    for name in names {
        let image = store
            .find(name)?
            .ok_or_else(|| ImageError::NoSuchImage { name: name.clone() })?;
        if let Some(present) = images.get_mut(&image.id) {
            present.references.extend(image.references);
        } else {
            order.push(image.id);
            images.insert(image.id, image);
        }
    }
    let mut archive = Archive {
        builder: Builder::new(output),
        written: BTreeSet::new(),
    };
    let (mut docker, mut oci) = (Vec::new(), Vec::new());
    for image in order.iter().filter_map(|id| images.get(id)) {
        let descriptor = archive.image(store, image)?;
        let tags = image
            .references
            .iter()
            .filter(|reference| reference.tag().is_some());
        let names: Vec<(String, String)> = tags.map(|tag| (tag.familiar(), tag.to_string())).collect();
        docker.push(DockerManifest {
            config: blob_name(&image.id),
            repo_tags: Some(names.iter().map(|(familiar, _)| familiar.clone()).collect())
                .filter(|tags: &Vec<_>| !tags.is_empty()),
            layers: Some(image.diff_ids.iter().map(blob_name).collect()),
        });
        for (_, canonical) in &names {
            let tag = canonical.rsplit(':').next().unwrap_or_default().to_owned();
            let annotations = [
                (CONTAINERD_NAME.to_owned(), canonical.clone()),
                (OCI_REF_NAME.to_owned(), tag),
            ];
            oci.push(Descriptor {
                annotations: Some(annotations.into()),
                ..descriptor.clone()
            });
        }
        if names.is_empty() {
            oci.push(descriptor);
        }
    }
    let index = Index {
        schema_version: 2,
        media_type: Some(OCI_INDEX.to_owned()),
        manifests: oci,
    };
    archive.file("index.json", &json(&index)?)?;
    archive.file("manifest.json", &json(&docker)?)?;
    archive.file("oci-layout", OCI_LAYOUT)?;
    archive.builder.finish().map_err(write_failed)
}

struct Archive<'a> {
    builder: Builder<&'a mut dyn Write>,
    written: BTreeSet<Digest>,
}

impl Archive<'_> {
    /// Writes an image's blobs and returns what points at it.
    fn image(&mut self, store: &ImageStore, image: &Image) -> Result<Descriptor, ImageError> {
        let config = store
            .read_blob(&image.id)?
            .ok_or_else(|| ImageError::NoSuchImage {
                name: image.id.to_string(),
            })?;
        self.blob(&config)?;
        let mut layers = Vec::new();
        for diff_id in &image.diff_ids {
            let size = self.layer(store, diff_id)?;
            layers.push(descriptor(OCI_LAYER, *diff_id, size));
        }
        let config = descriptor(OCI_CONFIG, image.id, config.len() as u64);
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            config,
            layers,
        };
        let bytes = json(&manifest)?;
        let digest = self.blob(&bytes)?;
        let platform = Some(image.platform.clone());
        Ok(Descriptor {
            platform,
            ..descriptor(OCI_MANIFEST, digest, bytes.len() as u64)
        })
    }

    fn blob(&mut self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Digest::of(bytes);
        if self.written.insert(digest) {
            self.file(&blob_name(&digest), bytes)?;
        }
        Ok(digest)
    }

    /// Writes the uncompressed archive of a layer: from the blob it came as, or made again from its directory.
    fn layer(&mut self, store: &ImageStore, diff_id: &Digest) -> Result<u64, ImageError> {
        let record = store
            .layer_record(diff_id)?
            .ok_or(ImageError::NoLayer { diff_id: *diff_id })?;
        if !self.written.insert(*diff_id) {
            return Ok(record.size);
        }
        let header = header(record.size);
        let mut writer = LayerWriter {
            builder: &mut self.builder,
            hash: Sha256::new(),
            left: record.size,
        };
        writer.start(header, &blob_name(diff_id))?;
        if let Some(blob) = &record.blob {
            let path = store.blob_path(&blob.digest);
            let file = File::open(&path).map_err(ImageError::path("open", &path))?;
            let plain = decompress(file).map_err(ImageError::path("read", &path))?;
            io::copy(&mut plain.take(record.size.saturating_add(1)), &mut writer).map_err(write_failed)?;
        } else {
            let path = store.layer_directory(diff_id);
            let directory = File::open(&path).map_err(ImageError::path("open", &path))?;
            write_layer_tar(directory.as_fd(), &mut writer)?;
        }
        let (actual, left) = writer.finish(record.size)?;
        if actual != *diff_id || left != 0 {
            return Err(ImageError::WrongDigest {
                what: "layer on disk".to_owned(),
                expected: *diff_id,
                actual,
            });
        }
        Ok(record.size)
    }

    fn file(&mut self, name: &str, content: &[u8]) -> Result<(), ImageError> {
        self.builder
            .append_data(&mut header(content.len() as u64), name, content)
            .map_err(write_failed)
    }
}

/// Passes a layer's bytes on, hashed, and not more of them than were announced.
struct LayerWriter<'a, 'b> {
    builder: &'a mut Builder<&'b mut dyn Write>,
    hash: Sha256,
    left: u64,
}

impl LayerWriter<'_, '_> {
    fn start(&mut self, mut header: Header, name: &str) -> Result<(), ImageError> {
        header.set_path(name).map_err(write_failed)?;
        header.set_cksum();
        self.builder
            .get_mut()
            .write_all(header.as_bytes())
            .map_err(write_failed)
    }

    fn finish(self, size: u64) -> Result<(Digest, u64), ImageError> {
        let padding = (512 - size % 512) % 512;
        let zeros = [0; 512];
        self.builder
            .get_mut()
            .write_all(&zeros[..usize::try_from(padding).unwrap_or(0)])
            .map_err(write_failed)?;
        Ok((self.hash.into(), self.left))
    }
}

impl Write for LayerWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other("the layer on disk has grown"))?;
        self.builder.get_mut().write_all(bytes)?;
        self.hash.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn header(size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: None,
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec(value).map_err(|source| ImageError::Member {
        member: "description".to_owned(),
        source,
    })
}

fn write_failed(source: io::Error) -> ImageError {
    ImageError::Write { source }
}
