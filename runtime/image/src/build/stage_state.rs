//! In: steps as they are done. Out: what a stage has become: its layers, its configuration, its variables.
//! **Invariant:** times come from the steps' own records, so that a build from the cache gives the same image.

use std::path::{Path, PathBuf};

use super::configure::{DEFAULT_PATH, set_environment};
use super::created_by::{COMMENT, of_configuration};
use super::dockerfile::Instruction;
use super::scope::Scope;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image_config::{History, ImageDocument};
use crate::platform::Platform;
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
    /// The start of a stage on an image, or on nothing. PATH is always set.
    pub(super) fn new(layers: Vec<Digest>, mut document: ImageDocument) -> Self {
        let config = &mut document.config;
        if !config.env.iter().any(|entry| entry.starts_with("PATH=")) {
            set_environment(&mut config.env, "PATH", DEFAULT_PATH);
        }
        Self {
            layers,
            scope: Scope::of_image(&config.env),
            document,
            command_set: false,
        }
    }

    /// `FROM scratch`
    pub(super) fn nothing(platform: Platform) -> Self {
        let mut document = ImageDocument {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            ..ImageDocument::default()
        };
        "/".clone_into(&mut document.config.working_dir);
        Self::new(Vec::new(), document)
    }

    /// Notes an instruction that changed the configuration only.
    pub(super) fn configured(&mut self, instruction: &Instruction) {
        if let Instruction::Env(pairs) = instruction {
            for pair in pairs {
                self.scope.set(&pair.name, &pair.value);
            }
        }
        if let Instruction::Maintainer(author) = instruction {
            self.document.author.clone_from(author);
        }
        if let Some(text) = of_configuration(instruction, &self.document.config) {
            self.record(text, None, None);
        }
    }

    /// The start of a stage that is built on this one; it inherits the ARGs too, as in BuildKit.
    pub(super) fn inherit(self) -> Self {
        Self {
            command_set: false,
            ..self
        }
    }

    /// Notes a step. Without a time of its own it has that of the step before.
    pub(super) fn record(&mut self, created_by: String, layer: Option<Digest>, created: Option<String>) {
        let created = created.or_else(|| self.document.created.clone());
        self.document.history.push(History {
            created: created.clone(),
            created_by,
            comment: COMMENT.to_owned(),
            empty_layer: layer.is_none(),
            ..History::default()
        });
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
