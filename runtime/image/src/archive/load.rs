//! A `docker save` or OCI layout archive in, its images in the store out.
//! **Invariant:** a layer is stored only if it has the digest the image's configuration names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::members::Members;
use super::{CONTAINERD_NAME, DockerManifest, OCI_REF_NAME};
use crate::compression::decompress;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::Image;
use crate::image_config::ImageDocument;
use crate::manifest::{Descriptor, Index, Manifest, ManifestDocument, ManifestError};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::{ImageStore, LayerBlob, LayerRecord};
use crate::unpack::{Limits, unpack_layer};

/// Fast: the archive is written once and read hardly ever.
const ZSTD_LEVEL: i32 = 1;
const DEEPEST_INDEX: u32 = 4;

/// Reads images from `archive`, which may be compressed. Returns them with the names they were given.
pub fn load(store: &ImageStore, archive: impl Read) -> Result<Vec<Image>, ImageError> {
    let _lease = store.lease()?;
    let members = Members::read(archive, store.prepare_layer()?)?;
    let mut images = Vec::new();
    for described in describe(&members)? {
        images.push(load_one(store, &members, &described)?);
    }
    Ok(images)
}

/// An image of the archive: names of members, and the image's own names.
struct Described {
    config: String,
    layers: Vec<String>,
    names: Vec<Reference>,
}

fn describe(members: &Members) -> Result<Vec<Described>, ImageError> {
    if members.has("manifest.json") {
        let manifests: Vec<DockerManifest> = parse(members, "manifest.json")?;
        return manifests
            .into_iter()
            .map(|manifest| {
                let names = manifest.repo_tags.unwrap_or_default();
                let names = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
                Ok(Described {
                    config: manifest.config,
                    layers: manifest.layers.unwrap_or_default(),
                    names,
                })
            })
            .collect();
    }
    if !members.has("index.json") {
        return Err(ImageError::NoMember {
            member: "manifest.json or index.json".to_owned(),
        });
    }
    let index: Index = parse(members, "index.json")?;
    let mut described = Vec::new();
    for descriptor in &index.manifests {
        let Some(manifest) = manifest(members, descriptor, 0)? else {
            continue;
        };
        let layers = manifest
            .layers
            .iter()
            .map(|layer| blob_name(&layer.digest))
            .collect();
        described.push(Described {
            config: blob_name(&manifest.config.digest),
            layers,
            names: names(descriptor),
        });
    }
    Ok(described)
}

/// The manifest for this host behind a descriptor; `None` for what is no image, such as attestations.
fn manifest(members: &Members, descriptor: &Descriptor, depth: u32) -> Result<Option<Manifest>, ImageError> {
    let name = blob_name(&descriptor.digest);
    let bytes = members.content(&name)?;
    let actual = Digest::of(&bytes);
    if actual != descriptor.digest {
        return Err(ImageError::WrongDigest {
            what: name,
            expected: descriptor.digest,
            actual,
        });
    }
    match ManifestDocument::parse(&descriptor.media_type, &bytes) {
        Ok(ManifestDocument::Manifest(manifest)) => Ok(Some(manifest)),
        Ok(ManifestDocument::Index(index)) if depth < DEEPEST_INDEX => {
            let chosen = index
                .choose(&Platform::host())
                .map_err(|source| ImageError::Manifest { source })?;
            manifest(members, chosen, depth + 1)
        }
        Ok(ManifestDocument::Index(_))
        | Err(ManifestError::NotAnImage { .. } | ManifestError::UnknownType { .. }) => Ok(None),
        Err(source) => Err(ImageError::Manifest { source }),
    }
}

/// Many tools write only a tag into OCI's annotation; that alone names no image.
fn names(descriptor: &Descriptor) -> Vec<Reference> {
    let absent = BTreeMap::new();
    let annotations = descriptor.annotations.as_ref().unwrap_or(&absent);
    let whole = annotations
        .get(CONTAINERD_NAME)
        .and_then(|name| name.parse().ok());
    let reference = || {
        annotations
            .get(OCI_REF_NAME)
            .filter(|name| name.contains([':', '/']))?
            .parse()
            .ok()
    };
    whole.or_else(reference).into_iter().collect()
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn parse<T: DeserializeOwned>(members: &Members, name: &str) -> Result<T, ImageError> {
    serde_json::from_slice(&members.content(name)?).map_err(|source| ImageError::Member {
        member: name.to_owned(),
        source,
    })
}

fn load_one(store: &ImageStore, members: &Members, described: &Described) -> Result<Image, ImageError> {
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
    let (layers, diff_ids) = (described.layers.len(), document.rootfs.diff_ids.len());
    if layers != diff_ids {
        return Err(ImageError::LayerCount { layers, diff_ids });
    }
    for (diff_id, member) in document.rootfs.diff_ids.iter().zip(&described.layers) {
        if store.layer_record(diff_id)?.is_none() {
            load_layer(store, members.path(member)?, member, diff_id)?;
        }
    }
    let image = store.record_image(&bytes, &document, None)?;
    for name in &described.names {
        store.tag(&image.id, name, None)?;
    }
    Ok(Image {
        references: described.names.clone(),
        ..image
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
        let packing = scope.spawn(|| -> Result<LayerBlob, ImageError> {
            let plain = decompress(open()?).map_err(|source| ImageError::Read { source })?;
            compress(plain.take(Limits::default().stream()), output)
                .map_err(|source| ImageError::Write { source })
        });
        let unpacked = open().and_then(|archive| unpack_layer(archive, prepared.path()));
        let blob = packing
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, ImageError>((blob, unpacked?))
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
        unsynced_since_boot: None,
    };
    store.commit_layer(prepared.path(), record)?;
    Ok(())
}

/// Writes `plain` as zstd and hashes what it writes.
fn compress(mut plain: impl Read, output: File) -> io::Result<LayerBlob> {
    let mut encoder = zstd::Encoder::new(
        HashingWriter {
            output,
            hash: Sha256::new(),
            count: 0,
        },
        ZSTD_LEVEL,
    )?;
    io::copy(&mut plain, &mut encoder)?;
    let written = encoder.finish()?;
    Ok(LayerBlob {
        digest: written.hash.into(),
        size: written.count,
    })
}

struct HashingWriter {
    output: File,
    hash: Sha256,
    count: u64,
}

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
