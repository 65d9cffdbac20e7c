//! An image of the store in, the same image in its registry out: layers, configuration, and the manifest last.
//! **Invariant:** a manifest is named only when everything it points at is there; an image that was pulled keeps its manifest
//! and so its digest.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use thiserror::Error;

use crate::configuration::Configuration;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::Image;
use crate::manifest::{Descriptor, Manifest, ManifestDocument, OCI_CONFIG, OCI_MANIFEST};
use crate::reference::Reference;
use crate::registry::RegistryError;
use crate::store::ImageStore;

mod attested;
mod delivery;
mod layers;
mod pack;

pub use delivery::{Delivery, deliver};

/// Why an image is not in its registry.
#[derive(Debug, Error)]
pub enum PushError {
    /// The store has no such image.
    #[error("cannot push {image}: there is no such image here")]
    NoSuchImage {
        /// The image, as docker prints it.
        image: String,
    },
    /// A name with a digest names what is in a registry already.
    #[error("cannot push {image}: a digest is what a push gives, push a tag")]
    Pinned {
        /// The image, as docker prints it.
        image: String,
    },
    /// The registry did not take it.
    #[error("cannot push {image} to {url}")]
    Registry {
        /// The image, as docker prints it.
        image: String,
        /// What was asked for.
        url: String,
        /// Why not.
        #[source]
        source: Box<RegistryError>,
    },
    /// The store could not give it.
    #[error("cannot push {image}")]
    Store {
        /// The image, as docker prints it.
        image: String,
        /// Why not.
        #[source]
        source: ImageError,
    },
    /// Somebody asked to stop.
    #[error("push of {image} was cancelled")]
    Cancelled {
        /// The image, as docker prints it.
        image: String,
    },
}

/// News of one layer of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushEvent {
    /// Digest of the layer's uncompressed archive.
    pub layer: Digest,
    /// Where it is.
    pub phase: PushPhase,
}

/// Where a layer is; numbers are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushPhase {
    /// Not begun.
    Waiting,
    /// Being compressed; bytes of the uncompressed archive.
    Packing {
        /// Compressed.
        done: u64,
        /// In all.
        total: u64,
    },
    /// On its way; bytes of the compressed archive.
    Uploading {
        /// Sent.
        done: u64,
        /// In all.
        total: u64,
    },
    /// Arrived.
    Done,
    /// Taken over from another repository of the registry.
    Mounted,
    /// Was there before.
    Exists,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of the manifest: the image is `name@digest` now.
    pub digest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
    /// The registry had all of it under this name.
    pub existed: bool,
}

/// Brings the image called `reference` to its registry. `cancel` ends it within a fraction of a second; what arrived before is not
/// sent again.
pub fn push(
    store: &ImageStore,
    configuration: &Configuration,
    reference: &Reference,
    events: &(dyn Fn(PushEvent) + Sync),
    cancel: &AtomicBool,
) -> Result<Pushed, PushError> {
    let name = || reference.familiar();
    let failed = |source| PushError::Store {
        image: name(),
        source,
    };
    if reference.digest().is_some() {
        return Err(PushError::Pinned { image: name() });
    }
    let _lease = store.lease().map_err(failed)?;
    let image = store
        .resolve(reference)
        .map_err(failed)?
        .ok_or_else(|| PushError::NoSuchImage { image: name() })?;
    image.can_leave().map_err(failed)?;
    let original = original(store, &image).map_err(failed)?;
    let pushed = deliver(store, configuration, reference, events, cancel, |delivery| {
        send(delivery, store, &image, original)
    })?;
    remember(store, &image, reference, pushed.digest).map_err(failed)?;
    Ok(pushed)
}

/// Brings an image to a registry under a name that it need not have here, as a cache of builds has none.
pub fn push_image(
    store: &ImageStore,
    configuration: &Configuration,
    image: &Image,
    reference: &Reference,
    cancel: &AtomicBool,
) -> Result<Pushed, PushError> {
    if reference.digest().is_some() {
        let image = reference.familiar();
        return Err(PushError::Pinned { image });
    }
    deliver(store, configuration, reference, &|_| (), cancel, |delivery| {
        send(delivery, store, image, None)
    })
}

/// A manifest as it came with an image.
struct Original {
    media_type: String,
    bytes: Vec<u8>,
    manifest: Manifest,
}

/// The manifest an image came with, or was last pushed with: itself or, when an index brought it, the one of its platform.
fn original(store: &ImageStore, image: &Image) -> Result<Option<Original>, ImageError> {
    let Some(top) = image.manifest else {
        return Ok(None);
    };
    let Some(bytes) = store.read_blob(&top)? else {
        return Ok(None);
    };
    let as_original = |bytes: Vec<u8>| {
        let document = announced_type(&bytes)
            .and_then(|media_type| Some((ManifestDocument::parse(&media_type, &bytes).ok()?, media_type)));
        match document {
            Some((ManifestDocument::Manifest(manifest), media_type))
                if manifest.config.digest == image.id && manifest.layers.len() == image.diff_ids.len() =>
            {
                Ok(Original {
                    media_type,
                    bytes,
                    manifest,
                })
            }
            Some((ManifestDocument::Index(index), _)) => Err(Some(index)),
            Some((ManifestDocument::Manifest(_), _)) | None => Err(None),
        }
    };
    let index = match as_original(bytes) {
        Ok(original) => return Ok(Some(original)),
        Err(None) => return Ok(None),
        Err(Some(index)) => index,
    };
    for entry in &index.manifests {
        if let Some(bytes) = store.read_blob(&entry.digest)?
            && let Ok(original) = as_original(bytes)
        {
            return Ok(Some(original));
        }
    }
    Ok(None)
}

/// The type that a stored manifest was served under: what it says of itself, and OCI's where it says nothing (image-spec, manifest.md).
fn announced_type(bytes: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    match document.get("mediaType") {
        Some(written) => written.as_str().map(str::to_owned),
        None if document.get("manifests").is_some() => Some(crate::manifest::OCI_INDEX.to_owned()),
        None => Some(OCI_MANIFEST.to_owned()),
    }
}

fn send(
    delivery: &Delivery<'_>,
    store: &ImageStore,
    image: &Image,
    original: Option<Original>,
) -> Result<Pushed, PushError> {
    let pushed = |bytes: &[u8], existed| Pushed {
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        existed,
    };
    if let Some(Original {
        media_type, bytes, ..
    }) = &original
    {
        let attested = delivery.attested(image, media_type, bytes)?;
        let top = attested.as_ref().map_or(bytes, |attested| &attested.index);
        if delivery.has(&Digest::of(top))? {
            return Ok(pushed(top, true));
        }
    }
    let known: BTreeMap<Digest, Descriptor> = original
        .iter()
        .flat_map(|original| {
            image
                .diff_ids
                .iter()
                .copied()
                .zip(original.manifest.layers.clone())
        })
        .collect();
    let layers = delivery.layers_like(&image.diff_ids, &known)?;
    let configuration = store
        .read_blob(&image.id)
        .map_err(|source| delivery.store_error(source))?;
    let configuration = configuration.ok_or_else(|| {
        delivery.store_error(ImageError::NoSuchImage {
            name: image.id.to_string(),
        })
    })?;
    let config = delivery.blob(OCI_CONFIG, &configuration)?;
    let is_same = |original: &Original| {
        let digests = |layers: &[Descriptor]| layers.iter().map(|layer| layer.digest).collect::<Vec<_>>();
        digests(&original.manifest.layers) == digests(&layers)
    };
    let (media_type, bytes) = match original.filter(is_same) {
        Some(original) => (original.media_type, original.bytes),
        None => {
            let manifest = Manifest {
                schema_version: 2,
                media_type: Some(OCI_MANIFEST.to_owned()),
                config,
                layers,
            };
            let bytes = serde_json::to_vec(&manifest).map_err(|source| {
                delivery.store_error(ImageError::Member {
                    member: "manifest".to_owned(),
                    source,
                })
            })?;
            (OCI_MANIFEST.to_owned(), bytes)
        }
    };
    let attested = delivery.attested(image, &media_type, &bytes)?;
    let top = attested.as_ref().map_or(&bytes, |attested| &attested.index);
    for document in [&bytes, top] {
        store
            .put_blob(document)
            .map_err(|source| delivery.store_error(source))?;
    }
    if delivery.has(&Digest::of(top))? {
        return Ok(pushed(top, true));
    }
    match &attested {
        Some(attested) => delivery.attested_image(&media_type, &bytes, attested)?,
        None => drop(delivery.manifest(&media_type, &bytes)?),
    }
    Ok(pushed(top, false))
}

/// Notes what the registry has under the name now, unless the name was given to another image meanwhile.
fn remember(
    store: &ImageStore,
    image: &Image,
    reference: &Reference,
    manifest: Digest,
) -> Result<(), ImageError> {
    store.tag(&image.id, &reference.with_digest(manifest), Some(manifest))?;
    let now = store.resolve(reference)?;
    if now.is_some_and(|now| now.id == image.id && now.manifest != Some(manifest)) {
        store.tag(&image.id, reference, Some(manifest))?;
    }
    Ok(())
}
