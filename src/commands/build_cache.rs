//! In: where a build takes steps of other builds from, and where it brings its own. Out: the caches, read when they are needed; and the
//! cache written.
//! **Invariant:** a cache that cannot be had costs time and is said; one that cannot be written is an error, unless that was allowed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rcompose_runtime::image_store::archive::{DirectoryImage, Format, Output, save};
use rcompose_runtime::image_store::build::{CacheMode, DoneStep, ImportedCache, cache_image};
use rcompose_runtime::image_store::{
    Configuration, Image, ImageStore, Reference, describe, pull_layers, push_image,
};

use crate::engine::ImageError;
use crate::error::chain;
use crate::model::build_cache::{CacheExport, CacheImport, CachePlace};

/// What caches are reached through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caches<'a> {
    pub(super) store: &'a ImageStore,
    pub(super) registries: &'a Configuration,
    /// What directories are relative to.
    pub(super) project: &'a Path,
    pub(super) cancel: &'a AtomicBool,
}

impl<'a> Caches<'a> {
    /// The caches that can be had; `missing` is told why another cannot.
    pub(super) fn import(&self, from: &[CacheImport], missing: &dyn Fn(String)) -> Vec<ImportedCache<'a>> {
        let mut found = Vec::new();
        for import in from {
            let (name, opened) = match import {
                CacheImport::Registry(name) => (name, self.of_registry(name)),
                CacheImport::Local(path) => (path, self.of_directory(path)),
            };
            match opened {
                Ok(Some(cache)) => found.push(cache),
                Ok(None) => missing(format!(
                    "{name} has no steps of builds on record that can be used here"
                )),
                Err(error) => missing(format!("the cache {name} cannot be used: {error}")),
            }
        }
        found
    }

    fn of_registry(&self, name: &str) -> Result<Option<ImportedCache<'a>>, String> {
        let reference: Reference = name.parse().map_err(|error| chain(&error))?;
        let Self {
            store,
            registries,
            cancel,
            ..
        } = *self;
        let described = describe(store, registries, &reference, cancel).map_err(|error| chain(&error))?;
        let document = described.document.clone();
        let bring = Box::new(move |layer: usize| {
            pull_layers(store, registries, &reference, &described, &[layer], cancel)
                .map_err(|error| chain(&error))
        });
        Ok(ImportedCache::of(&document, bring))
    }

    fn of_directory(&self, path: &str) -> Result<Option<ImportedCache<'a>>, String> {
        let directory = self.project.join(path);
        let store = self.store;
        let image = DirectoryImage::open(&directory).map_err(|error| chain(&error))?;
        let image = Arc::new(image);
        let layers = Arc::clone(&image);
        let bring =
            Box::new(move |layer: usize| layers.load_layer(store, layer).map_err(|error| chain(&error)));
        Ok(ImportedCache::of(&image.document, bring))
    }

    /// Brings the steps of a build to a place; `missing` is told of a failure that was allowed. What goes into the image itself is there.
    pub(super) fn export(
        &self,
        steps: &[DoneStep],
        to: &[CacheExport],
        missing: &dyn Fn(String),
    ) -> Result<(), ImageError> {
        for export in to {
            let written = match &export.place {
                CachePlace::Inline => Ok(()),
                CachePlace::Registry(name) => self.bring_to_registry(steps, export, name),
                CachePlace::Local(path) => self.write_directory(steps, export, &self.project.join(path)),
            };
            match written {
                Err(error) if export.ignore_error => missing(chain(&*error)),
                written => written?,
            }
        }
        Ok(())
    }

    fn bring_to_registry(
        &self,
        steps: &[DoneStep],
        export: &CacheExport,
        name: &str,
    ) -> Result<(), ImageError> {
        let reference: Reference = name.parse()?;
        let image = cache_image(self.store, steps, mode(export))?;
        let pushed = push_image(self.store, self.registries, &image, &reference, self.cancel);
        self.forget(&image)?;
        pushed?;
        Ok(())
    }

    fn write_directory(
        &self,
        steps: &[DoneStep],
        export: &CacheExport,
        path: &Path,
    ) -> Result<(), ImageError> {
        let image = cache_image(self.store, steps, mode(export))?;
        // The layout is made beside and takes the place of the old one, so that a cut build leaves a whole cache.
        let unfinished = beside(path, "new");
        remove(&unfinished)?;
        std::fs::create_dir_all(&unfinished)
            .map_err(|error| format!("cannot make {}: {error}", unfinished.display()))?;
        let mut output = Output::Directory(unfinished.clone());
        let saved = save(
            self.store,
            &[image.id.to_string()],
            None,
            Format::Oci,
            &mut output,
        );
        self.forget(&image)?;
        saved?;
        let old = beside(path, "old");
        remove(&old)?;
        match std::fs::rename(path, &old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("cannot replace {}: {error}", path.display()).into());
            }
            _ => {}
        }
        std::fs::rename(&unfinished, path)
            .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        remove(&old)
    }
}

impl Caches<'_> {
    /// A cache is no image of this host; its layers stay as long as the steps are known.
    fn forget(&self, image: &Image) -> Result<(), ImageError> {
        self.store.remove(&image.id.to_string(), true, &|_| false)?;
        Ok(())
    }
}

fn mode(export: &CacheExport) -> CacheMode {
    if export.all_stages {
        CacheMode::Max
    } else {
        CacheMode::Min
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    PathBuf::from(name)
}

fn remove(directory: &Path) -> Result<(), ImageError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", directory.display()).into())
        }
        _ => Ok(()),
    }
}
