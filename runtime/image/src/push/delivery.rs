//! A repository of a registry in, a door to it out through which layers, blobs and at last a manifest are handed: images are
//! pushed through it, and so is anything else that is made of layers.
//! **Invariant:** whatever waits for the registry stops waiting when cancelled.

use std::cell::Cell;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::{PushError, PushEvent, PushPhase};
use crate::configuration::Configuration;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::manifest::Descriptor;
use crate::reference::Reference;
use crate::registry::{Failure, Outgoing, Registry, RegistryError};
use crate::store::ImageStore;

const CANCEL_POLL: Duration = Duration::from_millis(50);

/// A door to one repository.
pub struct Delivery<'a> {
    pub(super) store: &'a ImageStore,
    pub(super) registry: &'a Registry<'a>,
    pub(super) reference: &'a Reference,
    pub(super) events: &'a (dyn Fn(PushEvent) + Sync),
    pub(super) stop: &'a AtomicBool,
    /// Other repositories of the registry that have layers of ours: by diff id.
    pub(super) sources: &'a [(Digest, String)],
}

/// Opens the repository of `reference`, lets `work` put things there, and ends it when `cancel` is set.
pub fn deliver<T>(
    store: &ImageStore,
    configuration: &Configuration,
    reference: &Reference,
    events: &(dyn Fn(PushEvent) + Sync),
    cancel: &AtomicBool,
    work: impl FnOnce(&Delivery<'_>) -> Result<T, PushError>,
) -> Result<T, PushError> {
    let stop = AtomicBool::new(false);
    let sources = sources(store, reference).map_err(|source| PushError::Store {
        image: reference.familiar(),
        source,
    })?;
    let mut repositories: Vec<&str> = sources
        .iter()
        .map(|(_, repository)| repository.as_str())
        .collect();
    repositories.sort_unstable();
    repositories.dedup();
    let registry = Registry::to_push(configuration, reference, &repositories, &stop);
    let delivery = Delivery {
        store,
        registry: &registry,
        reference,
        events,
        stop: &stop,
        sources: &sources,
    };
    thread::scope(|scope| {
        let (_finished, watch) = channel::<()>();
        let (registry, stop) = (&registry, &stop);
        scope.spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = watch.recv_timeout(CANCEL_POLL) {
                if cancel.load(Ordering::Relaxed) {
                    stop.store(true, Ordering::Relaxed);
                    registry.shut_down();
                }
            }
        });
        work(&delivery)
    })
}

/// Layers that images of other repositories of the registry have, by what their names say.
fn sources(store: &ImageStore, reference: &Reference) -> Result<Vec<(Digest, String)>, ImageError> {
    let mut sources = Vec::new();
    for image in store.list()? {
        let elsewhere = image.references.iter().find(|name| {
            name.digest().is_some()
                && name.registry() == reference.registry()
                && name.repository() != reference.repository()
        });
        if let Some(name) = elsewhere {
            let repository = name.repository().to_owned();
            sources.extend(
                image
                    .diff_ids
                    .iter()
                    .map(|diff_id| (*diff_id, repository.clone())),
            );
        }
    }
    Ok(sources)
}

impl Delivery<'_> {
    /// Whether the name points at the manifest with this digest already.
    pub fn has(&self, manifest: &Digest) -> Result<bool, PushError> {
        let name = self.reference.tag().unwrap_or("latest");
        let there = self.registry.manifest_digest(name);
        Ok(there.map_err(|failure| self.registry_error(failure))? == Some(*manifest))
    }

    /// Puts a small blob there, and returns what points at it.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, PushError> {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        let put = || {
            if self.registry.has_blob(&digest)? {
                return Ok(());
            }
            let outgoing = Outgoing {
                digest,
                size,
                open: &|offset| {
                    let mut rest = Cursor::new(bytes);
                    rest.set_position(offset);
                    Ok(Box::new(rest) as Box<dyn Read>)
                },
                progress: &|_| (),
            };
            self.registry.upload(&outgoing)
        };
        put().map_err(|failure| self.registry_error(failure))?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            annotations: None,
        })
    }

    /// Gives the manifest `bytes`, whose blobs are there, the name.
    pub fn manifest(&self, media_type: &str, bytes: &[u8]) -> Result<Digest, PushError> {
        let name = self.reference.tag().unwrap_or("latest");
        let put = self.registry.put_manifest(name, media_type, bytes);
        put.map_err(|failure| self.registry_error(failure))?;
        Ok(Digest::of(bytes))
    }

    pub(super) fn tell(&self, layer: Digest, phase: PushPhase) {
        (self.events)(PushEvent { layer, phase });
    }

    pub(super) fn registry_error(&self, failure: Failure) -> PushError {
        let image = self.reference.familiar();
        if matches!(failure.error, RegistryError::Cancelled) {
            return PushError::Cancelled { image };
        }
        PushError::Registry {
            image,
            url: failure.url,
            source: Box::new(failure.error),
        }
    }

    pub(super) fn store_error(&self, source: ImageError) -> PushError {
        let image = self.reference.familiar();
        if matches!(source, ImageError::Cancelled) {
            return PushError::Cancelled { image };
        }
        PushError::Store { image, source }
    }

    /// A function that tells of a layer's bytes now and then.
    pub(super) fn meter(&self, layer: Digest, phase: impl Fn(u64) -> PushPhase) -> impl Fn(u64) {
        let meter = Cell::new(crate::download::Meter::default());
        move |done| {
            let mut now = meter.take();
            if now.is_due() {
                self.tell(layer, phase(done));
            }
            meter.set(now);
        }
    }
}
