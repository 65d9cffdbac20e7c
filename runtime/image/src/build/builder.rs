//! In: a request, the store, somebody who finds base images and somebody who runs commands. Out: the image.
//! Every stage has a thread; a step that takes files from another stage waits for that stage alone.
//! **Invariant:** a layer enters the store whole or not at all; a cut build leaves only what the next one uses again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use super::attest::attest;
use super::cache::BuildCache;
use super::dockerfile::{self, Dockerfile};
use super::expand::expand;
use super::hash_index::HashIndex;
use super::ignore::PatternList;
use super::in_flight::RunningBuild;
use super::lint_summary;
use super::material::Material;
use super::on_host::HostBase;
use super::request::{BuildError, BuildEvent, BuildRequest, FindImage, StepsKept};
use super::scope::Given;
use super::shared_cache::{DoneStep, ImportedCache, on_record};
use super::stage::Stages;
use super::stage_outcome::StageOutcome;
use super::stage_state::StageState;
use super::step::StepRunner;
use crate::image::Image;
use crate::platform::Platform;
use crate::store::ImageStore;

/// Base images by name, each looked for once.
pub(super) type FoundImages = BTreeMap<String, Arc<OnceLock<Result<Image, String>>>>;

/// Everything a step needs besides its stage.
pub(super) struct Build<'a> {
    pub(super) store: &'a ImageStore,
    pub(super) request: &'a BuildRequest,
    find_image: FindImage<'a>,
    pub(super) runner: &'a dyn StepRunner,
    pub(super) events: &'a (dyn Fn(BuildEvent) + Sync),
    pub(super) cancel: &'a AtomicBool,
    pub(super) cache: BuildCache<'a>,
    /// Of the files of the context.
    pub(super) index: HashIndex,
    pub(super) ignore: PatternList,
    pub(super) given: Given,
    pub(super) globals: BTreeMap<String, String>,
    pub(super) escape: char,
    pub(super) stages: Stages,
    /// What each stage starts from, expanded.
    pub(super) bases: Vec<String>,
    outcomes: Vec<StageOutcome>,
    /// The first failure; the others stop.
    failure: Mutex<Option<BuildError>>,
    /// Caches of builds elsewhere.
    pub(super) imported: &'a [ImportedCache<'a>],
    /// The result's stage and those it starts from.
    pub(super) result: Vec<usize>,
    /// What was done, or taken from a cache, with its stage.
    pub(super) steps: Mutex<Vec<(usize, DoneStep)>>,
    failed: AtomicBool,
    pub(super) images: Mutex<FoundImages>,
    /// The host as a base, once something starts from it.
    pub(super) host: OnceLock<Result<HostBase, String>>,
    /// What came from elsewhere, besides images by name.
    pub(super) taken: Mutex<Vec<Material>>,
    numbers: AtomicUsize,
}

/// What a build has made.
#[derive(Debug)]
pub struct Built {
    /// The image.
    pub image: Image,
    /// Its steps, in the order of the Dockerfile, for caches elsewhere.
    pub steps: Vec<DoneStep>,
}

/// Builds an image. It has no name yet.
pub fn build(
    store: &ImageStore,
    request: &BuildRequest,
    find_image: FindImage<'_>,
    imported: &[ImportedCache<'_>],
    runner: &dyn StepRunner,
    events: &(dyn Fn(BuildEvent) + Sync),
    cancel: &AtomicBool,
) -> Result<Built, BuildError> {
    let _running = RunningBuild::begin(store)?;
    let started = jiff::Timestamp::now();
    let parsed = dockerfile::parse(&request.dockerfile)
        .map_err(|error| at_line(request, error.line, error.message))?;
    warn_of_frontend(&parsed, events);
    let ignore = PatternList::parse(&request.dockerignore)
        .map_err(|error| at_line(request, 1, format!("in the .dockerignore: {error}")))?;
    lint_summary::tell(store, request, &parsed, &ignore, events)?;
    let stages = Stages::of(&parsed);
    let mut build = Build {
        store,
        request,
        find_image,
        runner,
        events,
        cancel,
        cache: BuildCache::of(store),
        index: HashIndex::of(store, &request.context),
        ignore,
        given: Given::new(
            &request.arguments,
            request.platform.clone().unwrap_or_else(Platform::host),
        ),
        globals: BTreeMap::new(),
        escape: parsed.directives.escape,
        outcomes: stages.stages.iter().map(|_| StageOutcome::default()).collect(),
        stages,
        bases: Vec::new(),
        failure: Mutex::new(None),
        imported,
        result: Vec::new(),
        steps: Mutex::new(Vec::new()),
        failed: AtomicBool::new(false),
        images: Mutex::new(BTreeMap::new()),
        host: OnceLock::new(),
        taken: Mutex::new(Vec::new()),
        numbers: AtomicUsize::new(0),
    };
    build.declare_globals()?;
    let target = build
        .stages
        .target(request.target.as_deref())
        .map_err(|error| at_line(request, error.line, error.message))?;
    build.bases = build
        .stages
        .stages
        .iter()
        .map(|stage| build.base_name(&stage.from.image, stage.line))
        .collect::<Result<_, _>>()?;
    build.result = build.stages.chain(target, &|index| build.bases[index].clone());
    let replaced = |index: usize| build.replaces(build.stages.stages[index].from.name.as_deref());
    let needed = build
        .stages
        .needed(target, &|index| build.bases[index].clone(), &replaced);
    build.stages_beside_each_other(&needed);
    thread::scope(|scope| {
        // Where no thread can be started the runner clears when it is dropped.
        let _beside = thread::Builder::new().spawn_scoped(scope, || runner.clear());
        build.index.save();
        conclude(build, target, started)
    })
}

/// Makes the image of what the stages have become.
fn conclude(build: Build<'_>, target: usize, started: jiff::Timestamp) -> Result<Built, BuildError> {
    let (store, request, events) = (build.store, build.request, build.events);
    let failure = build
        .failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(error) = failure {
        return Err(error);
    }
    let StageState {
        layers, mut document, ..
    } = build.outcome(target).ok_or(BuildError::Cancelled)?;
    document.config.labels.extend(request.labels.clone());
    if let Some(platform) = request.platform.clone() {
        document.os = platform.os;
        document.architecture = platform.architecture;
        document.variant = platform.variant;
    }
    let (host, layers) = build.apart(&layers);
    document.host = host.map(|host| host.identity);
    let materials = build.materials()?;
    let mut steps = build.steps.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Stages end in any order.
    steps.sort_by_key(|(stage, _)| *stage);
    let steps: Vec<DoneStep> = steps.into_iter().map(|(_, step)| step).collect();
    if request.steps_kept == StepsKept::InImage {
        let of_result = steps.iter().filter(|step| step.of_result);
        document.build_cache = on_record(of_result, layers);
    }
    let image = store.put_image(&document, layers)?;
    let image = attest(store, request, image, &materials, started, events)?;
    Ok(Built { image, steps })
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
        let look_up = |name: &str| {
            self.given
                .global(name, &self.globals, self.request.target.as_deref())
        };
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

    /// Builds the stages, each on a thread of its own; without threads one after the other, as they depend only on earlier ones.
    fn stages_beside_each_other(&self, needed: &[usize]) {
        let (last, others) = match needed {
            [others @ .., last] => (*last, others),
            [] => return,
        };
        thread::scope(|scope| {
            for index in others {
                let started = thread::Builder::new().spawn_scoped(scope, || self.build_stage(*index));
                if started.is_err() {
                    self.build_stage(*index);
                }
            }
            self.build_stage(last);
        });
    }

    /// Builds the stage unless somebody is at it already.
    fn build_stage(&self, index: usize) {
        let Some(duty) = self.outcomes[index].begin() else {
            return;
        };
        match self.stage(index) {
            Ok(state) => duty.done(state),
            Err(error) => {
                self.failed.store(true, Ordering::Relaxed);
                let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                // That others stopped says less than why.
                if first
                    .as_ref()
                    .is_none_or(|first| matches!(first, BuildError::Cancelled))
                {
                    *first = Some(error);
                }
            }
        }
    }

    /// What a stage has become, as soon as it is built; none when that failed. An ONBUILD may need one that nobody else does.
    pub(super) fn outcome(&self, index: usize) -> Option<StageState> {
        self.build_stage(index);
        self.outcomes[index].wait()
    }

    /// Whether the build is not to go on.
    pub(super) fn is_stopped(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }

    /// A number that names a step in events, from 1.
    pub(super) fn next_number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What the build is for.
    pub(super) fn platform(&self) -> Platform {
        self.request.platform.clone().unwrap_or_else(Platform::host)
    }

    /// What a stage is for: `--platform`, or what the build is for.
    pub(super) fn platform_of(&self, stage: usize) -> Result<Platform, String> {
        let from = &self.stages.stages[stage].from;
        let Some(written) = &from.platform else {
            return Ok(self.platform());
        };
        let look_up = |name: &str| {
            self.given
                .global(name, &self.globals, self.request.target.as_deref())
        };
        let text = expand(written, self.escape, &look_up)?;
        if text.is_empty() {
            return Err(format!("`--platform={written}` expands to nothing"));
        }
        text.parse()
            .map_err(|error| format!("`--platform={written}`: {error}"))
    }

    /// A base image, pulled when it is missing; asked for by several stages it is looked for once.
    pub(super) fn image(&self, name: &str, platform: &Platform) -> Result<Image, String> {
        let cell = {
            let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(images.entry(format!("{name} {platform}")).or_default())
        };
        cell.get_or_init(|| (self.find_image)(name, platform)).clone()
    }
}
