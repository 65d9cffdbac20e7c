//! In: a request, the store, somebody who finds base images and somebody who runs commands. Out: the image.
//! A step is either taken from the cache by the digest of all it depends on, or done on a fresh directory that becomes a layer.
//! **Invariant:** a layer enters the store whole or not at all; a cut build leaves only what the next one uses again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::cache::BuildCache;
use super::dockerfile::{self, Dockerfile, Instruction, Located};
use super::expand::expand;
use super::ignore::PatternList;
use super::overlay::Tree;
use super::request::{BuildError, BuildEvent, BuildRequest, FindImage, NamedContext};
use super::scope::{Given, Scope};
use super::stage::Stages;
use super::stage_state::StageState;
use super::step::StepRunner;
use super::{configure, copy_step, run_step, workdir_step};
use crate::digest::Digest;
use crate::image::Image;
use crate::image_config::{History, ImageDocument};
use crate::platform::Platform;
use crate::store::ImageStore;

/// Everything a step needs besides its stage.
pub(super) struct Build<'a> {
    pub(super) store: &'a ImageStore,
    pub(super) request: &'a BuildRequest,
    pub(super) find_image: FindImage<'a>,
    pub(super) runner: &'a dyn StepRunner,
    pub(super) events: &'a (dyn Fn(BuildEvent) + Sync),
    pub(super) cancel: &'a AtomicBool,
    pub(super) cache: BuildCache<'a>,
    pub(super) ignore: PatternList,
    pub(super) given: Given,
    pub(super) globals: BTreeMap<String, String>,
    pub(super) escape: char,
    pub(super) stages: Stages,
    /// Stages that are done.
    pub(super) done: BTreeMap<usize, StageState>,
}

/// Builds an image. It has no name yet.
pub fn build(
    store: &ImageStore,
    request: &BuildRequest,
    find_image: FindImage<'_>,
    runner: &dyn StepRunner,
    events: &(dyn Fn(BuildEvent) + Sync),
    cancel: &AtomicBool,
) -> Result<Image, BuildError> {
    let _lease = store.lease()?;
    let parsed = dockerfile::parse(&request.dockerfile)
        .map_err(|error| at_line(request, error.line, error.message))?;
    warn_of_frontend(&parsed, events);
    let ignore = PatternList::parse(&request.dockerignore)
        .map_err(|error| at_line(request, 1, format!("in the .dockerignore: {error}")))?;
    let mut build = Build {
        store,
        request,
        find_image,
        runner,
        events,
        cancel,
        cache: BuildCache::of(store),
        ignore,
        given: Given::new(&request.arguments),
        globals: BTreeMap::new(),
        escape: parsed.directives.escape,
        stages: Stages::of(&parsed),
        done: BTreeMap::new(),
    };
    build.declare_globals()?;
    let target = build
        .stages
        .target(request.target.as_deref())
        .map_err(|error| at_line(request, error.line, error.message))?;
    let bases: Vec<String> = build
        .stages
        .stages
        .iter()
        .map(|stage| build.base_name(&stage.from.image, stage.line))
        .collect::<Result<_, _>>()?;
    let needed = build.stages.needed(target, &|index| bases[index].clone());
    let total = needed
        .iter()
        .map(|index| build.stages.stages[*index].instructions.len())
        .sum();
    let mut number = 0;
    for index in needed {
        let state = build.stage(index, &bases[index], &mut number, total)?;
        build.done.insert(index, state);
    }
    let mut state = build.done.remove(&target).ok_or(BuildError::Cancelled)?;
    state.document.config.labels.extend(request.labels.clone());
    Ok(store.put_image(&state.document, &state.layers)?)
}

/// A failure at a line of the Dockerfile.
pub(super) fn at_line(request: &BuildRequest, line: usize, message: String) -> BuildError {
    let text = request
        .dockerfile
        .lines()
        .nth(line.saturating_sub(1))
        .unwrap_or_default()
        .trim_end()
        .to_owned();
    BuildError::Step {
        dockerfile: request.dockerfile_name.clone(),
        line,
        text,
        message,
    }
}

/// `# syntax=` is never fetched: known frontends speak the language that is built in, others may not.
fn warn_of_frontend(parsed: &Dockerfile, events: &(dyn Fn(BuildEvent) + Sync)) {
    let Some(syntax) = &parsed.directives.syntax else {
        return;
    };
    let name = syntax.trim_start_matches("docker.io/");
    if !name.starts_with("docker/dockerfile:") && name != "docker/dockerfile" {
        let message =
            format!("the frontend `{syntax}` is not fetched; the built-in Dockerfile language is used");
        events(BuildEvent::Warning { line: 1, message });
    }
}

impl Build<'_> {
    fn declare_globals(&mut self) -> Result<(), BuildError> {
        for (name, default) in self.stages.global_arguments.clone() {
            let default = default.map(|word| self.expand_global(&word, 1)).transpose()?;
            if let Some(value) = self.given.get(&name).or(default) {
                self.globals.insert(name, value);
            }
        }
        Ok(())
    }

    fn expand_global(&self, word: &str, line: usize) -> Result<String, BuildError> {
        let look_up = |name: &str| Given::global(name, &self.globals, self.request.target.as_deref());
        expand(word, self.escape, &look_up).map_err(|message| at_line(self.request, line, message))
    }

    fn base_name(&self, image: &str, line: usize) -> Result<String, BuildError> {
        let name = self.expand_global(image, line)?;
        if name.is_empty() {
            let message = format!(
                "FROM has no image: `{image}` expands to nothing; set the argument, or give it a default before FROM"
            );
            return Err(at_line(self.request, line, message));
        }
        Ok(name)
    }

    fn stage(
        &self,
        index: usize,
        base: &str,
        number: &mut usize,
        total: usize,
    ) -> Result<StageState, BuildError> {
        let stage = &self.stages.stages[index];
        let label = stage
            .from
            .name
            .clone()
            .unwrap_or_else(|| format!("stage-{index}"));
        let mut state = self.base(index, base, stage.line)?;
        let mut instructions = Vec::new();
        for text in std::mem::take(&mut state.document.config.on_build) {
            let parsed = dockerfile::parse(&format!("FROM scratch\n{text}")).map_err(|error| {
                at_line(
                    self.request,
                    stage.line,
                    format!("ONBUILD {text}: {}", error.message),
                )
            })?;
            instructions.extend(parsed.instructions.into_iter().skip(1).map(|mut located| {
                located.first_line = stage.line;
                located
            }));
        }
        instructions.extend(stage.instructions.iter().cloned());
        for located in &instructions {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(BuildError::Cancelled);
            }
            *number += 1;
            let text = located.source.lines().next().unwrap_or_default().to_owned();
            (self.events)(BuildEvent::Step {
                number: *number,
                total: total.max(*number),
                stage: label.clone(),
                text,
            });
            let start = Instant::now();
            self.step(&mut state, located, *number, index)?;
            (self.events)(BuildEvent::Done {
                number: *number,
                took: start.elapsed(),
            });
        }
        Ok(state)
    }

    /// What a stage starts from: nothing, an earlier stage, a named context or an image.
    fn base(&self, index: usize, name: &str, line: usize) -> Result<StageState, BuildError> {
        if let Some(stage) = self.stages.find(name, index, false) {
            return self
                .done
                .get(&stage)
                .cloned()
                .map(StageState::inherit)
                .ok_or(BuildError::Cancelled);
        }
        if name.eq_ignore_ascii_case("scratch") {
            let host = Platform::host();
            let mut document = ImageDocument {
                architecture: host.architecture,
                os: host.os,
                variant: host.variant,
                ..ImageDocument::default()
            };
            document.config.env = vec![format!("PATH={}", configure::DEFAULT_PATH)];
            return Ok(StageState {
                layers: Vec::new(),
                document,
                scope: Scope::default(),
                command_set: false,
            });
        }
        let name = match self.request.contexts.get(name) {
            Some(NamedContext::Image(image)) => image,
            Some(NamedContext::Directory(_)) => {
                return Err(at_line(
                    self.request,
                    line,
                    format!("the context `{name}` is a directory, and no image to start from"),
                ));
            }
            None => name,
        };
        let image = (self.find_image)(name).map_err(|message| at_line(self.request, line, message))?;
        let document = self.store.document(&image.id)?;
        Ok(StageState {
            layers: image.diff_ids,
            document,
            scope: Scope::default(),
            command_set: false,
        })
    }

    fn step(
        &self,
        state: &mut StageState,
        located: &Located,
        number: usize,
        stage: usize,
    ) -> Result<(), BuildError> {
        let failed = |message: String| at_line(self.request, located.first_line, message);
        let mut config = state.document.config.clone();
        let scope = state.scope.clone();
        let environment = state.document.config.env.clone();
        let expand_word = |word: &str| expand(word, self.escape, &|name| scope.value(name, &environment));
        let mut command_set = state.command_set;
        if configure::apply(&mut config, &located.instruction, &expand_word, &mut command_set)
            .map_err(failed)?
        {
            state.document.config = config;
            state.command_set = command_set;
            state.record(located, None, None);
            return Ok(());
        }
        match &located.instruction {
            Instruction::Arg(arguments) => {
                for (name, default) in arguments {
                    // A default may use an ARG of the same line.
                    let look_up = |name: &str| state.scope.value(name, &environment);
                    let default = default
                        .as_deref()
                        .map(|word| expand(word, self.escape, &look_up))
                        .transpose()
                        .map_err(failed)?;
                    state.scope.declare(
                        name,
                        default,
                        &self.given,
                        &self.globals,
                        self.request.target.as_deref(),
                    );
                }
                state.record(located, None, None);
                Ok(())
            }
            Instruction::Workdir(path) => {
                let path = expand_word(path).map_err(failed)?;
                workdir_step::workdir(self, state, located, &path, number)
            }
            Instruction::Copy(copy) => copy_step::copy(self, state, located, copy, number, stage, false),
            Instruction::Add(copy) => copy_step::copy(self, state, located, copy, number, stage, true),
            Instruction::Run(run) => run_step::run(self, state, located, run, number, stage),
            Instruction::From(_)
            | Instruction::Env(_)
            | Instruction::Label(_)
            | Instruction::User(_)
            | Instruction::Expose(_)
            | Instruction::Volume(_)
            | Instruction::Cmd(_)
            | Instruction::Entrypoint(_)
            | Instruction::Shell(_)
            | Instruction::Healthcheck(_)
            | Instruction::StopSignal(_)
            | Instruction::OnBuild(_)
            | Instruction::Maintainer(_) => Ok(()),
        }
    }

    /// Takes the step from the cache, or does it on a fresh layer.
    pub(super) fn layer(
        &self,
        state: &mut StageState,
        located: &Located,
        number: usize,
        key: &str,
        work: &mut dyn FnMut(&super::stage_state::LayerDirectories) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        if !self.request.no_cache
            && let Some(record) = self.cache.get(key)?
        {
            (self.events)(BuildEvent::Cached { number });
            state.record(located, record.diff_id, Some(record.created));
            return Ok(());
        }
        let directories = super::stage_state::LayerDirectories::new(self.store, self.lower(&state.layers)?)?;
        work(&directories)?;
        let layer = self.store.put_layer_directory(directories.upper())?;
        let created = jiff::Timestamp::now().to_string();
        let record = super::cache::Record {
            diff_id: Some(layer.diff_id),
            created,
        };
        self.cache.put(key, &record)?;
        state.record(located, record.diff_id, Some(record.created));
        Ok(())
    }

    /// Directories of layers, top-most first.
    pub(super) fn lower(&self, layers: &[Digest]) -> Result<Vec<std::path::PathBuf>, BuildError> {
        let mut directories = Vec::with_capacity(layers.len());
        for diff_id in layers.iter().rev() {
            let layer = self
                .store
                .layer(diff_id)?
                .ok_or_else(|| crate::error::ImageError::NoSuchImage {
                    name: format!("layer {diff_id}"),
                })?;
            if !directories.contains(&layer.directory) {
                directories.push(layer.directory);
            }
        }
        Ok(directories)
    }

    /// The tree that `--from=name` means, and what stands for its content in a cache key.
    pub(super) fn source_tree(
        &self,
        name: &str,
        stage: usize,
    ) -> Result<(Vec<std::path::PathBuf>, Tree), String> {
        let unreadable = |error: std::io::Error| format!("cannot open `{name}`: {error}");
        let lower = if let Some(index) = self.stages.find(name, stage, true) {
            let state = self
                .done
                .get(&index)
                .ok_or_else(|| format!("stage `{name}` was not built"))?;
            self.lower(&state.layers).map_err(|error| error.to_string())?
        } else {
            let reference = match self.request.contexts.get(name) {
                Some(NamedContext::Directory(path)) => {
                    return Ok((vec![path.clone()], Tree::directory(path).map_err(unreadable)?));
                }
                Some(NamedContext::Image(image)) => image.as_str(),
                None => name,
            };
            (self.find_image)(reference)?.layer_directories()
        };
        if lower.is_empty() {
            return Err(format!("`{name}` has no files"));
        }
        let tree = Tree::readable(&lower).map_err(unreadable)?;
        Ok((lower, tree))
    }
}

/// The entry of an image's history for an instruction.
pub(super) fn history(located: &Located, created: Option<String>, empty_layer: bool) -> History {
    History {
        created,
        created_by: located.source.clone(),
        comment: "rcompose".to_owned(),
        empty_layer,
        ..History::default()
    }
}
