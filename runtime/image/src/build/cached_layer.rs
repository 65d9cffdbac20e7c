//! In: a step that changes files, with the keys its result goes by. Out: its layer, taken from an earlier build or made now.
//! **Invariant:** a layer enters the store whole or not at all.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::PoisonError;

use super::builder::Build;
use super::cache::Record;
use super::dockerfile::Located;
use super::ignore::PatternList;
use super::named::Named;
use super::on_host::HOST;
use super::overlay::Tree;
use super::request::{BuildError, BuildEvent};
use super::shared_cache::DoneStep;
use super::stage_state::{LayerDirectories, StageState};
use super::written::not_after;
use crate::digest::Digest;
use crate::error::ImageError;

/// Where a step is in its build.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'s> {
    pub(super) located: &'s Located,
    /// Names the step in events; 0 for one that is not told.
    pub(super) number: usize,
    /// The index of its stage.
    pub(super) stage: usize,
    /// For who looks at what is kept: stage, place and text.
    pub(super) description: &'s str,
}

/// The keys of a step.
pub(super) struct Keys<'k> {
    /// Known without reading a file, where there is such a key: what the sources are, rather than what is in them.
    pub(super) quick: Option<String>,
    /// Of all that the step reads.
    pub(super) content: &'k dyn Fn() -> Result<String, BuildError>,
}

/// A tree that a step takes files from.
pub(super) struct SourceTree {
    /// Directories of its layers, top-most first.
    pub(super) lower: Vec<PathBuf>,
    pub(super) tree: Tree,
    /// What it is made of; none for a directory of the host.
    pub(super) layers: Option<Vec<Digest>>,
    /// Of a directory of this host: what is left out; its owners mean nothing in an image.
    pub(super) ignore: Option<PatternList>,
}

impl Build<'_> {
    /// Takes the step from the cache, or does it on a fresh layer.
    pub(super) fn layer(
        &self,
        state: &mut StageState,
        at: At<'_>,
        created_by: String,
        keys: &Keys<'_>,
        work: &mut dyn FnMut(&LayerDirectories) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let quick = keys.quick.as_deref();
        let mut record = self.cached(quick, at)?;
        let mut content = None;
        if record.is_none() {
            let key = content.insert((keys.content)()?);
            record = self.cached(Some(key), at)?;
            if let (Some(record), Some(quick)) = (&record, quick) {
                self.cache.put(quick, record)?;
            }
        }
        let used: Vec<&str> = quick.into_iter().chain(content.as_deref()).collect();
        if let Some(record) = record {
            (self.events)(BuildEvent::Cached { number: at.number });
            self.remember(state, at.stage, &used, &record);
            state.record(created_by, record.diff_id, Some(record.created));
            return Ok(());
        }
        let directories = LayerDirectories::new(self.store, self.lower(&state.layers)?)?;
        work(&directories)?;
        if let Some(epoch) = self.request.source_date_epoch {
            let upper = Tree::directory(directories.upper())
                .map_err(ImageError::path("open", directories.upper()))?;
            not_after(upper.root().as_fd(), epoch).map_err(ImageError::path("date", directories.upper()))?;
        }
        let layer = self.store.put_layer_directory(directories.upper())?;
        let record = Record {
            diff_id: Some(layer.diff_id),
            created: self.now(),
            description: at.description.to_owned(),
        };
        for key in &used {
            self.cache.put(key, &record)?;
        }
        self.remember(state, at.stage, &used, &record);
        state.record(created_by, record.diff_id, Some(record.created));
        Ok(())
    }

    /// What was made for this key, here or by a build whose cache is used.
    fn cached(&self, key: Option<&str>, at: At<'_>) -> Result<Option<Record>, BuildError> {
        let Some(key) = key.filter(|_| !self.is_uncached(at.stage)) else {
            return Ok(None);
        };
        if let Some(record) = self.cache.get(key)? {
            return Ok(Some(record));
        }
        for cache in self.imported {
            match cache.get(self.store, key) {
                Ok(Some(record)) => {
                    let record = Record {
                        description: at.description.to_owned(),
                        ..record
                    };
                    self.cache.put(key, &record)?;
                    return Ok(Some(record));
                }
                Ok(None) => {}
                // The step can be done here.
                Err(message) => (self.events)(BuildEvent::Warning {
                    line: at.located.first_line,
                    message: format!("its cached layer cannot be had: {message}"),
                }),
            }
        }
        Ok(None)
    }

    /// Notes a step for the caches that this build fills, unless what it was done on is this host's.
    fn remember(&self, before: &StageState, stage: usize, keys: &[&str], record: &Record) {
        let Some(layer) = record.diff_id.filter(|_| self.apart(&before.layers).0.is_none()) else {
            return;
        };
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let step = DoneStep {
                key: (*key).to_owned(),
                layer,
                created: record.created.clone(),
                of_result: self.result.contains(&stage),
            };
            steps.push((stage, step));
        }
    }

    /// Whether everything in the stage is to be done again (`--no-cache`, `--no-cache-filter`).
    fn is_uncached(&self, stage: usize) -> bool {
        let request = self.request;
        let name = self.stages.stages[stage].from.name.as_deref();
        request.no_cache
            || request
                .no_cache_filter
                .iter()
                .any(|filter| name.is_some_and(|name| filter.eq_ignore_ascii_case(name)))
    }

    /// The time that goes into the image: the one that was asked for, or now.
    pub(super) fn now(&self) -> String {
        match self.request.source_date_epoch.map(jiff::Timestamp::from_second) {
            Some(Ok(epoch)) => epoch.to_string(),
            _ => jiff::Timestamp::now().to_string(),
        }
    }

    /// Directories of layers, top-most first.
    pub(super) fn lower(&self, layers: &[Digest]) -> Result<Vec<PathBuf>, BuildError> {
        let (host, layers) = self.apart(layers);
        let mut directories = Vec::with_capacity(layers.len());
        for diff_id in layers.iter().rev() {
            let layer = self
                .store
                .layer(diff_id)?
                .ok_or_else(|| ImageError::NoSuchImage {
                    name: format!("layer {diff_id}"),
                })?;
            if !directories.contains(&layer.directory) {
                directories.push(layer.directory);
            }
        }
        directories.extend(host.into_iter().flat_map(|host| host.lower.iter().cloned()));
        Ok(directories)
    }

    /// What is called so may have been meant as a stage.
    fn perhaps_a_stage(&self, name: &str, stage: usize, why: String) -> String {
        let names = self.stages.stages[..stage]
            .iter()
            .filter_map(|stage| stage.from.name.as_deref());
        let near = names
            .map(|known| (strsim::osa_distance(known, &name.to_ascii_lowercase()), known))
            .min()
            .filter(|(distance, _)| *distance <= 2);
        match near {
            Some((_, near)) => {
                format!("`{name}` is no stage before this one, and no image: {why}; did you mean `{near}`?")
            }
            None => why,
        }
    }

    /// The tree that `--from=name` means in a stage.
    pub(super) fn source_tree(&self, name: &str, stage: usize) -> Result<SourceTree, String> {
        let unreadable = |error: std::io::Error| format!("cannot open `{name}`: {error}");
        let context = self.request.contexts.get(name);
        let layers = if name.eq_ignore_ascii_case("scratch") {
            Vec::new()
        } else if context.is_none()
            && let Some(index) = self.stages.find(name, stage, true)
        {
            self.outcome(index)
                .ok_or_else(|| format!("stage `{name}` was not built"))?
                .layers
        } else {
            match self.named(name)? {
                Some(Named::Directory(path, ignore)) => {
                    return Ok(SourceTree {
                        tree: Tree::directory(&path).map_err(unreadable)?,
                        lower: vec![path],
                        layers: None,
                        ignore: Some(ignore),
                    });
                }
                Some(Named::Image(image)) => self.layers_of(&image)?,
                Some(Named::Nothing) => Vec::new(),
                Some(Named::Host) => vec![self.host()?.identity],
                None if name == HOST => vec![self.host()?.identity],
                None => {
                    let image = self.image(name, &self.platform());
                    self.layers_of(&image.map_err(|why| self.perhaps_a_stage(name, stage, why))?)?
                }
            }
        };
        let lower = self.lower(&layers).map_err(|error| error.to_string())?;
        let tree = Tree::readable(&lower).map_err(unreadable)?;
        Ok(SourceTree {
            lower,
            tree,
            layers: Some(layers),
            ignore: None,
        })
    }
}
