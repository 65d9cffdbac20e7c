//! An image name in; what the image is made of, or some of its layers, out: caches of builds are images of which only what is needed
//! is fetched.
//! **Invariant:** the same as of a whole pull: nothing enters the store before its digest is checked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use super::{CANCEL_POLL, Problem, Pull, PullError, PullEvent};
use crate::configuration::Configuration;
use crate::image_config::ImageDocument;
use crate::manifest::Manifest;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::Registry;
use crate::store::ImageStore;

/// What an image is made of, without its layers.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its manifest for the host's platform.
    pub manifest: Manifest,
    /// Its configuration.
    pub document: ImageDocument,
}

/// Asks the registry what the image called `reference` is made of.
pub fn describe(
    store: &ImageStore,
    configuration: &Configuration,
    reference: &Reference,
    cancel: &AtomicBool,
) -> Result<Described, PullError> {
    with_registry(store, configuration, reference, &|_| (), cancel, |pull| {
        let expected = reference.digest();
        let top = pull.registry.manifest(&pull.name(), expected)?;
        let manifest = pull.manifest(top)?;
        let (_, document) = pull.configuration(&manifest)?;
        Ok(Described { manifest, document })
    })
}

/// Brings the layers with these indices (from 0, lowest first) of an image into the store.
pub fn pull_layers(
    store: &ImageStore,
    configuration: &Configuration,
    reference: &Reference,
    described: &Described,
    layers: &[usize],
    cancel: &AtomicBool,
) -> Result<(), PullError> {
    let mut part = described.clone();
    let pairs = described
        .manifest
        .layers
        .iter()
        .zip(&described.document.rootfs.diff_ids);
    let chosen = pairs.enumerate().filter(|(index, _)| layers.contains(index));
    (part.manifest.layers, part.document.rootfs.diff_ids) = chosen
        .map(|(_, (layer, diff_id))| (layer.clone(), *diff_id))
        .unzip();
    with_registry(store, configuration, reference, &|_| (), cancel, |pull| {
        pull.layers(&part.manifest, &part.document)
    })
}

/// Gives the registry of an image to `work`, and breaks its connections when `cancel` is set.
fn with_registry<T>(
    store: &ImageStore,
    configuration: &Configuration,
    reference: &Reference,
    events: &(dyn Fn(PullEvent) + Sync),
    cancel: &AtomicBool,
    work: impl FnOnce(&Pull<'_>) -> Result<T, Problem>,
) -> Result<T, PullError> {
    let stop = AtomicBool::new(false);
    let attempt = || {
        let _lease = store.lease()?;
        let registry = Registry::new(configuration, reference, &stop);
        thread::scope(|scope| {
            let (_finished, watch) = channel::<()>();
            let (stop, registry) = (&stop, &registry);
            scope.spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = watch.recv_timeout(CANCEL_POLL) {
                    if cancel.load(Ordering::Relaxed) {
                        stop.store(true, Ordering::Relaxed);
                        registry.shut_down();
                    }
                }
            });
            work(&Pull {
                store,
                registry,
                reference,
                wanted: Platform::host(),
                is_explicit: false,
                events,
                stop,
            })
        })
    };
    attempt().map_err(|problem: Problem| problem.of(reference))
}
