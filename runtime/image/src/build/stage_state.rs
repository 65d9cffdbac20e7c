//! In: steps as they are done. Out: what a stage has become: its layers, its configuration, its variables.
//! **Invariant:** times come from the steps' own records, so that a build from the cache gives the same image.

use std::path::{Path, PathBuf};

use super::builder::history;
use super::dockerfile::Located;
use super::scope::Scope;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image_config::ImageDocument;
use crate::store::{ImageStore, PreparedLayer};

/// A stage so far.
#[derive(Debug, Clone)]
pub(super) struct StageState {
    /// Lowest first.
    pub(super) layers: Vec<Digest>,
    /// Configuration and history.
    pub(super) document: ImageDocument,
    /// ARGs.
    pub(super) scope: Scope,
    /// This stage has its own CMD.
    pub(super) command_set: bool,
}

impl StageState {
    /// The start of a stage that is built on this one; it inherits the ARGs too, as in BuildKit.
    pub(super) fn inherit(self) -> Self {
        Self {
            command_set: false,
            ..self
        }
    }

    /// Notes a step. Without a time of its own it has that of the step before.
    pub(super) fn record(&mut self, located: &Located, layer: Option<Digest>, created: Option<String>) {
        let created = created.or_else(|| self.document.created.clone());
        self.document
            .history
            .push(history(located, created.clone(), layer.is_none()));
        self.document.created = created;
        self.layers.extend(layer);
    }
}

/// The directories of one step that changes files; gone when dropped, unless the store took the upper one.
pub(super) struct LayerDirectories {
    /// Layers below, top-most first.
    pub(super) lower: Vec<PathBuf>,
    upper: PreparedLayer,
    work: PreparedLayer,
}

impl LayerDirectories {
    pub(super) fn new(store: &ImageStore, lower: Vec<PathBuf>) -> Result<Self, ImageError> {
        Ok(Self {
            lower,
            upper: store.prepare_layer()?,
            work: store.prepare_layer()?,
        })
    }

    pub(super) fn upper(&self) -> &Path {
        self.upper.path()
    }

    pub(super) fn work(&self) -> &Path {
        self.work.path()
    }
}
