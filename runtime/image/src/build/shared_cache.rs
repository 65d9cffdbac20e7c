//! In: steps of a build, as a builder elsewhere can use them. Out: the image they travel as, and the steps of such an image.
//! A cache is an image: its layers are those of the steps, and its configuration says which step each is (`rcompose.buildcache`). So
//! it goes wherever images go, and an image that has its own steps on record is a cache, too (`type=inline`).
//! **Invariant:** a layer of a cache is used only under the digest that the step names.

use std::collections::BTreeMap;

use super::cache::Record;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::Image;
use crate::image_config::{CachedStep, ImageDocument};
use crate::manifest::MOST_LAYERS;
use crate::platform::Platform;
use crate::store::ImageStore;

/// A step that a build did, or took from the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneStep {
    /// What it is found by.
    pub(super) key: String,
    pub(super) layer: Digest,
    /// When it was done, RFC 3339.
    pub(super) created: String,
    /// It belongs to the result, not only to a stage that the result takes files from.
    pub(super) of_result: bool,
}

/// Which steps a cache has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheMode {
    /// Those of the result.
    #[default]
    Min,
    /// Those of all stages.
    Max,
}

/// The image that carries the steps; it has no name. A cache has as many layers as an image may have: the first ones, which most
/// builds share.
///
/// # Errors
/// The store cannot be written.
pub fn cache_image(store: &ImageStore, steps: &[DoneStep], mode: CacheMode) -> Result<Image, ImageError> {
    let mut layers: Vec<Digest> = Vec::new();
    let mut carried = Vec::new();
    for step in steps
        .iter()
        .filter(|step| step.of_result || mode == CacheMode::Max)
    {
        if !layers.contains(&step.layer) && layers.len() < MOST_LAYERS {
            layers.push(step.layer);
        }
        carried.push(step);
    }
    let host = Platform::host();
    let document = ImageDocument {
        architecture: host.architecture,
        os: host.os,
        variant: host.variant,
        build_cache: on_record(carried, &layers),
        ..ImageDocument::default()
    };
    store.put_image(&document, &layers)
}

/// The steps that have one of these layers, as a configuration says it.
pub(super) fn on_record<'s>(
    steps: impl IntoIterator<Item = &'s DoneStep>,
    layers: &[Digest],
) -> Vec<CachedStep> {
    let mut found: BTreeMap<&str, CachedStep> = BTreeMap::new();
    for step in steps {
        if let Some(layer) = layers.iter().position(|layer| *layer == step.layer) {
            let cached = CachedStep {
                key: step.key.clone(),
                layer,
                created: step.created.clone(),
            };
            found.insert(&step.key, cached);
        }
    }
    found.into_values().collect()
}

/// Brings the layer with this index of a cache into the store.
pub type BringLayer<'a> = Box<dyn Fn(usize) -> Result<(), String> + Send + Sync + 'a>;

/// A cache from elsewhere; its layers come when a step needs them.
pub struct ImportedCache<'a> {
    steps: BTreeMap<String, (usize, Record)>,
    bring: BringLayer<'a>,
}

impl std::fmt::Debug for ImportedCache<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ImportedCache")
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl<'a> ImportedCache<'a> {
    /// The steps that an image has on record; none when it has none.
    pub fn of(document: &ImageDocument, bring: BringLayer<'a>) -> Option<Self> {
        let layers = &document.rootfs.diff_ids;
        let steps: BTreeMap<String, (usize, Record)> = document
            .build_cache
            .iter()
            .filter_map(|step| {
                let record = Record {
                    diff_id: Some(*layers.get(step.layer)?),
                    created: step.created.clone(),
                    description: String::new(),
                };
                Some((step.key.clone(), (step.layer, record)))
            })
            .collect();
        (!steps.is_empty()).then_some(Self { steps, bring })
    }

    /// The step with this key, its layer in the store. What cannot be fetched is said and done anew.
    pub(super) fn get(&self, store: &ImageStore, key: &str) -> Result<Option<Record>, String> {
        let Some((layer, record)) = self.steps.get(key) else {
            return Ok(None);
        };
        let is_here = |digest: &Digest| store.layer(digest).map_err(|error| error.to_string());
        let Some(diff_id) = &record.diff_id else {
            return Ok(None);
        };
        if is_here(diff_id)?.is_none() {
            (self.bring)(*layer)?;
        }
        Ok(is_here(diff_id)?.map(|_| record.clone()))
    }
}
