//! An image name in, the image in the store out: manifest, configuration, and all layers at once.
//! **Invariant:** what is present is not fetched again, what was received is not lost by a crash, and no name points at
//! the image before all of it is there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::configuration::Configuration;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::Image;
use crate::image_config::ImageDocument;
use crate::manifest::{Descriptor, LONGEST_CONFIG, Manifest, ManifestDocument, ManifestError};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::{Failure, FetchedManifest, Registry, RegistryError};
use crate::store::ImageStore;

mod layers;
mod parts;

pub use parts::{Described, describe, pull_layers};

const CANCEL_POLL: Duration = Duration::from_millis(50);

/// Why an image is not here.
#[derive(Debug, Error)]
pub enum PullError {
    /// The registry or a mirror did not give it.
    #[error("cannot pull {image} from {url}")]
    Registry {
        /// The image, as docker prints it.
        image: String,
        /// What was asked for.
        url: String,
        /// Why not.
        #[source]
        source: Box<RegistryError>,
    },
    /// It could not be unpacked or stored.
    #[error("cannot store {image}")]
    Store {
        /// The image, as docker prints it.
        image: String,
        /// Why not.
        #[source]
        source: ImageError,
    },
    /// Somebody asked to stop.
    #[error("pull of {image} was cancelled")]
    Cancelled {
        /// The image, as docker prints it.
        image: String,
    },
}

/// News of one layer of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullEvent {
    /// Digest of the compressed layer, as registries list it.
    pub layer: Digest,
    /// Where it is.
    pub phase: PullPhase,
}

/// Where a layer is; numbers are bytes of the compressed layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPhase {
    /// Not begun, or somebody else is at it.
    Waiting,
    /// Coming from the registry, and being unpacked as it comes.
    Downloading {
        /// Received.
        done: u64,
        /// In all.
        total: u64,
    },
    /// All received, not all unpacked.
    Extracting {
        /// Unpacked.
        done: u64,
        /// In all.
        total: u64,
    },
    /// In the store.
    Done,
    /// Was in the store before.
    Exists,
}

/// Brings the image called `reference` for `platform` (the host's if `None`) into the store. A name pinned by digest that
/// is in the store already needs no registry. `cancel` ends it within a fraction of a second; the next pull goes on there.
pub fn pull(
    store: &ImageStore,
    configuration: &Configuration,
    reference: &Reference,
    platform: Option<&Platform>,
    events: &(dyn Fn(PullEvent) + Sync),
    cancel: &AtomicBool,
) -> Result<Image, PullError> {
    let stop = AtomicBool::new(false);
    let outcome = pull_unless_stopped(store, configuration, reference, platform, events, cancel, &stop);
    outcome.map_err(|problem| problem.of(reference))
}

enum Problem {
    Registry(Failure),
    Store(ImageError),
}

impl Problem {
    /// The same as an error that names the image.
    fn of(self, reference: &Reference) -> PullError {
        let image = reference.familiar();
        match self {
            Self::Registry(Failure {
                error: RegistryError::Cancelled,
                ..
            })
            | Self::Store(ImageError::Cancelled) => PullError::Cancelled { image },
            Self::Registry(Failure { url, error }) => PullError::Registry {
                image,
                url,
                source: Box::new(error),
            },
            Self::Store(source) => PullError::Store { image, source },
        }
    }

    fn is_cancelled(&self) -> bool {
        matches!(
            self,
            Self::Registry(Failure {
                error: RegistryError::Cancelled,
                ..
            }) | Self::Store(ImageError::Cancelled)
        )
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Registry(failure)
    }
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        Self::Store(error)
    }
}

fn pull_unless_stopped(
    store: &ImageStore,
    configuration: &Configuration,
    reference: &Reference,
    platform: Option<&Platform>,
    events: &(dyn Fn(PullEvent) + Sync),
    cancel: &AtomicBool,
    stop: &AtomicBool,
) -> Result<Image, Problem> {
    let wanted = platform.cloned().unwrap_or_else(Platform::host);
    let _lease = store.lease()?;
    let present = store
        .resolve(reference)?
        .filter(|image| wanted.suits(&image.platform).is_some());
    let present = present.filter(|image| is_complete(store, image));
    if let (Some(image), Some(_)) = (&present, reference.digest()) {
        return Ok(image.clone());
    }
    let registry = Registry::new(configuration, reference, stop);
    thread::scope(|scope| {
        let (finished, watch) = channel::<()>();
        scope.spawn(|| {
            let watch = watch;
            while let Err(RecvTimeoutError::Timeout) = watch.recv_timeout(CANCEL_POLL) {
                if cancel.load(Ordering::Relaxed) {
                    stop.store(true, Ordering::Relaxed);
                    registry.shut_down();
                }
            }
        });
        let pull = Pull {
            store,
            registry: &registry,
            reference,
            wanted,
            is_explicit: platform.is_some(),
            events,
            stop,
        };
        pull.run(present, finished)
    })
}

fn is_complete(store: &ImageStore, image: &Image) -> bool {
    image
        .diff_ids
        .iter()
        .all(|diff_id| matches!(store.layer_record(diff_id), Ok(Some(_))))
}

struct Pull<'a> {
    store: &'a ImageStore,
    registry: &'a Registry<'a>,
    reference: &'a Reference,
    wanted: Platform,
    is_explicit: bool,
    events: &'a (dyn Fn(PullEvent) + Sync),
    stop: &'a AtomicBool,
}

impl Pull<'_> {
    /// `_finished` ends the watcher when it is dropped.
    fn run(&self, present: Option<Image>, _finished: Sender<()>) -> Result<Image, Problem> {
        let expected = self.reference.digest();
        let top = self.registry.manifest(&self.name(), expected)?;
        if let Some(image) = present.filter(|image| image.manifest == Some(top.digest)) {
            return Ok(image);
        }
        self.store.put_blob(&top.bytes)?;
        let top_digest = top.digest;
        let manifest = self.manifest(top)?;
        let (bytes, document) = self.configuration(&manifest)?;
        self.layers(&manifest, &document)?;
        let image = self.store.record_image(&bytes, &document, Some(top_digest))?;
        self.store.tag(
            &image.id,
            &self.reference.with_digest(top_digest),
            Some(top_digest),
        )?;
        if expected.is_none() {
            self.store.tag(&image.id, self.reference, Some(top_digest))?;
        }
        Ok(Image {
            references: vec![self.reference.clone()],
            ..image
        })
    }

    /// What the registry is asked for.
    fn name(&self) -> String {
        match (self.reference.digest(), self.reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        }
    }

    /// The manifest for the wanted platform.
    fn manifest(&self, top: FetchedManifest) -> Result<Manifest, Problem> {
        let unusable = |name: String, error| Failure {
            url: name,
            error: RegistryError::Manifest(error),
        };
        let index = match top.document {
            ManifestDocument::Manifest(manifest) => return Ok(manifest),
            ManifestDocument::Index(index) => index,
        };
        let chosen = index
            .choose(&self.wanted)
            .map_err(|error| unusable(self.reference.to_string(), error))?;
        let name = chosen.digest.to_string();
        let document = if let Some(bytes) = self.store.read_blob(&chosen.digest)? {
            ManifestDocument::parse(&chosen.media_type, &bytes)
                .map_err(|error| unusable(name.clone(), error))?
        } else {
            let fetched = self.registry.manifest(&name, Some(&chosen.digest))?;
            self.store.put_blob(&fetched.bytes)?;
            fetched.document
        };
        match document {
            ManifestDocument::Manifest(manifest) => Ok(manifest),
            ManifestDocument::Index(_) => {
                let (announced, written) = (chosen.media_type.clone(), "an index inside an index".to_owned());
                Err(unusable(name, ManifestError::TypeMismatch { announced, written }).into())
            }
        }
    }

    fn configuration(&self, manifest: &Manifest) -> Result<(Vec<u8>, ImageDocument), Problem> {
        let digest = &manifest.config.digest;
        let bytes = match self.store.read_blob(digest)? {
            Some(bytes) => bytes,
            None => self.registry.small_blob(&manifest.config, LONGEST_CONFIG)?,
        };
        let document: ImageDocument =
            serde_json::from_slice(&bytes).map_err(|source| ImageError::Member {
                member: format!("configuration {digest}"),
                source,
            })?;
        let platform = document.platform();
        if !matches!(document.os.as_str(), "" | "linux") {
            return Err(ImageError::NotLinux {
                platform: platform.to_string(),
            }
            .into());
        }
        if self.is_explicit && self.wanted.suits(&platform).is_none() {
            let error = ManifestError::NoPlatform {
                wanted: self.wanted.clone(),
                offered: platform.to_string(),
            };
            return Err(Failure {
                url: self.reference.to_string(),
                error: RegistryError::Manifest(error),
            }
            .into());
        }
        let (layers, diff_ids) = (manifest.layers.len(), document.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(ImageError::LayerCount { layers, diff_ids }.into());
        }
        Ok((bytes, document))
    }

    fn tell(&self, descriptor: &Descriptor, phase: PullPhase) {
        (self.events)(PullEvent {
            layer: descriptor.digest,
            phase,
        });
    }
}
