//! Layers of the store in, the same layers in the registry out, a few at a time, and what points at each.
//! **Invariant:** a layer keeps the compressed form it came in; one that was made here is compressed to the same bytes every time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::delivery::Delivery;
use super::pack::{is_gzip, pack};
use super::{PushError, PushPhase};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::manifest::{Descriptor, OCI_LAYER_GZIP};
use crate::registry::Outgoing;
use crate::store::{LayerBlob, LayerRecord};

/// Layers in the works at the same time, as many as a pull has.
const PARALLEL_LAYERS: usize = 4;

impl Delivery<'_> {
    /// Brings layers of the store there, and returns what points at them, in the same order.
    pub fn layers(&self, diff_ids: &[Digest]) -> Result<Vec<Descriptor>, PushError> {
        self.layers_like(diff_ids, &BTreeMap::new())
    }

    /// The same in the forms that are `known`, as far as they can be had.
    pub(super) fn layers_like(
        &self,
        diff_ids: &[Digest],
        known: &BTreeMap<Digest, Descriptor>,
    ) -> Result<Vec<Descriptor>, PushError> {
        let mut distinct = diff_ids.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        // In the image's order, as they are shown.
        let mut jobs: Vec<Digest> = Vec::with_capacity(distinct.len());
        for diff_id in diff_ids {
            if let Ok(at) = distinct.binary_search(diff_id) {
                distinct.remove(at);
                self.tell(*diff_id, PushPhase::Waiting);
                jobs.push(*diff_id);
            }
        }
        let next = AtomicUsize::new(0);
        let done: Mutex<Result<BTreeMap<Digest, Descriptor>, PushError>> = Mutex::new(Ok(BTreeMap::new()));
        thread::scope(|scope| {
            for _ in 0..jobs.len().min(PARALLEL_LAYERS) {
                scope.spawn(|| {
                    while let Some(diff_id) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let layer = self.layer(diff_id, known.get(diff_id));
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        match (&mut *done, layer) {
                            (Ok(layers), Ok(layer)) => {
                                layers.insert(*diff_id, layer);
                            }
                            (Ok(_) | Err(PushError::Cancelled { .. }), Err(error)) => {
                                *done = Err(error);
                                self.stop.store(true, Ordering::Relaxed);
                                self.registry.shut_down();
                                return;
                            }
                            (Err(_), _) => return,
                        }
                    }
                });
            }
        });
        let layers = done.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        Ok(diff_ids
            .iter()
            .filter_map(|diff_id| layers.get(diff_id).cloned())
            .collect())
    }

    fn layer(&self, diff_id: &Digest, known: Option<&Descriptor>) -> Result<Descriptor, PushError> {
        let record = self
            .store
            .layer_record(diff_id)
            .and_then(|record| record.ok_or(ImageError::NoLayer { diff_id: *diff_id }))
            .map_err(|source| self.store_error(source))?;
        let descriptor = match known {
            Some(known) => Some(known.clone()),
            None => self
                .packed_form(&record)
                .map_err(|source| self.store_error(source))?,
        };
        let absent = descriptor.as_ref().map(|descriptor| descriptor.digest);
        if let Some(descriptor) = descriptor {
            if self.is_there(diff_id, &descriptor)? {
                return Ok(descriptor);
            }
            let path = self.store.blob_path(&descriptor.digest);
            if path.exists() {
                self.upload(diff_id, &descriptor, &path)?;
                return Ok(descriptor);
            }
        }
        self.pack_and_upload(diff_id, &record, absent)
    }

    /// What is known of the compressed form of a layer that no manifest describes.
    fn packed_form(&self, record: &LayerRecord) -> Result<Option<Descriptor>, ImageError> {
        if let Some(blob) = &record.blob
            && is_gzip(&self.store.blob_path(&blob.digest))?
        {
            return Ok(Some(descriptor(blob)));
        }
        Ok(record.packed.as_ref().map(descriptor))
    }

    /// Whether the registry has the layer, or can take it over from a repository next to this one.
    fn is_there(&self, diff_id: &Digest, layer: &Descriptor) -> Result<bool, PushError> {
        let has = self.registry.has_blob(&layer.digest);
        if has.map_err(|failure| self.registry_error(failure))? {
            self.tell(*diff_id, PushPhase::Exists);
            return Ok(true);
        }
        let Some((_, source)) = self.sources.iter().find(|(known, _)| known == diff_id) else {
            return Ok(false);
        };
        let mounted = self.registry.take_over(&layer.digest, source);
        let mounted = mounted.map_err(|failure| self.registry_error(failure))?;
        if mounted {
            self.tell(*diff_id, PushPhase::Mounted);
        }
        Ok(mounted)
    }

    /// Makes the gzip form and brings it there; `absent` is known not to be there.
    fn pack_and_upload(
        &self,
        diff_id: &Digest,
        record: &LayerRecord,
        absent: Option<Digest>,
    ) -> Result<Descriptor, PushError> {
        let total = record.size;
        let told = self.meter(*diff_id, move |done| PushPhase::Packing { done, total });
        let packed = pack(self.store, record, &told, self.stop);
        let packed = packed.map_err(|source| self.store_error(source))?;
        let layer = descriptor(&packed.blob);
        // What it was packed to is known from now on, whatever becomes of this push.
        self.store
            .remember_packed(diff_id, packed.blob.clone())
            .map_err(|source| self.store_error(source))?;
        if absent == Some(layer.digest) || !self.is_there(diff_id, &layer)? {
            self.upload(diff_id, &layer, &packed.path())?;
        }
        Ok(layer)
    }

    fn upload(&self, diff_id: &Digest, layer: &Descriptor, path: &Path) -> Result<(), PushError> {
        let total = layer.size;
        let told = self.meter(*diff_id, move |done| PushPhase::Uploading { done, total });
        let outgoing = Outgoing {
            digest: layer.digest,
            size: total,
            open: &|offset| {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(file) as Box<dyn Read>)
            },
            progress: &told,
        };
        let uploaded = self.registry.upload(&outgoing);
        uploaded.map_err(|failure| self.registry_error(failure))?;
        self.tell(*diff_id, PushPhase::Done);
        Ok(())
    }
}

fn descriptor(blob: &LayerBlob) -> Descriptor {
    Descriptor {
        media_type: OCI_LAYER_GZIP.to_owned(),
        digest: blob.digest,
        size: blob.size,
        platform: None,
        annotations: None,
    }
}
