//! In: references and `build:` sections. Out: images in the local store, pulled from registries or built, told as events.
//! **Invariant:** a name points at its image only after all of it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use rcompose_runtime::LocalRuntime;
use rcompose_runtime::image_store::build::cache::BuildCache;
use rcompose_runtime::image_store::build::remote::{RemoteAccess, Sources};
use rcompose_runtime::image_store::build::{BuildError, BuildRequest, RunningBuild, build, environment_of};
use rcompose_runtime::image_store::{
    Configuration, Image, ImageError as StoreError, ImageStore, Platform, Proxies, PullEvent, PullPhase,
    PushEvent, PushPhase, Pushed, Reference, pull, push,
};

use super::build_cache::Caches;
use super::build_request::{BuildOptions, Surroundings, build_request};
use super::build_story::Story;
use super::context::Context;
use super::project::LoadedProject;
use crate::engine::{ImageError, ImageSource};
use crate::error::{CliError, chain};
use crate::event::{Event, Events};
use crate::model::build::Build;
use crate::model::{Service, ServiceName};

/// The local store, its registries and the builder.
#[derive(Debug)]
pub struct StoreImages<'a> {
    context: &'a Context,
    files: Option<&'a LoadedProject>,
    configuration: OnceLock<Configuration>,
    options: BuildOptions,
}

impl<'a> StoreImages<'a> {
    /// Images of a project; without its files nothing can be built.
    pub fn new(context: &'a Context, files: Option<&'a LoadedProject>) -> Self {
        Self {
            context,
            files,
            configuration: OnceLock::new(),
            options: BuildOptions::default(),
        }
    }

    /// The same with other options of builds.
    #[must_use]
    pub fn with_options(self, options: BuildOptions) -> Self {
        Self { options, ..self }
    }

    fn runtime(&self) -> Result<&LocalRuntime, ImageError> {
        self.context.runtime().map_err(plain)
    }

    fn store(&self) -> Result<&ImageStore, ImageError> {
        Ok(self.runtime()?.images()?)
    }

    fn configuration(&self) -> Result<&Configuration, ImageError> {
        if let Some(configuration) = self.configuration.get() {
            return Ok(configuration);
        }
        let configuration = registry_configuration(&|name| self.context.variable(name))?;
        Ok(self.configuration.get_or_init(|| configuration))
    }

    fn fetch(
        &self,
        name: &str,
        platform: Option<&str>,
        events: &dyn Events,
        cancel: &AtomicBool,
    ) -> Result<Image, ImageError> {
        let reference: Reference = name.parse()?;
        let platform = platform.map(str::parse::<Platform>).transpose()?;
        let told = |event: PullEvent| {
            let (phase, done, total) = match event.phase {
                PullPhase::Waiting => ("waiting", 0, None),
                PullPhase::Downloading { done, total } => ("downloading", done, Some(total)),
                PullPhase::Extracting { done, total } => ("unpacking", done, Some(total)),
                PullPhase::Done => ("done", 0, None),
                PullPhase::Exists => ("exists", 0, None),
            };
            events.emit(Event::PullProgress {
                image: name.to_owned(),
                layer: event.layer.short(),
                phase: phase.to_owned(),
                done,
                total,
            });
        };
        let configuration = self.configuration()?;
        Ok(pull(
            self.store()?,
            configuration,
            &reference,
            platform.as_ref(),
            &told,
            cancel,
        )?)
    }

    /// Brings the image called `name` to its registry.
    ///
    /// # Errors
    /// What [`push`] says.
    pub fn send(&self, name: &str, events: &dyn Events, cancel: &AtomicBool) -> Result<Pushed, ImageError> {
        let reference: Reference = name.parse()?;
        let told = |event: PushEvent| {
            let (phase, done, total) = match event.phase {
                PushPhase::Waiting => ("waiting", 0, None),
                PushPhase::Packing { done, total } => ("packing", done, Some(total)),
                PushPhase::Uploading { done, total } => ("uploading", done, Some(total)),
                PushPhase::Done => ("done", 0, None),
                PushPhase::Mounted => ("mounted", 0, None),
                PushPhase::Exists => ("exists", 0, None),
            };
            events.emit(Event::PushProgress {
                image: name.to_owned(),
                layer: event.layer.short(),
                phase: phase.to_owned(),
                done,
                total,
            });
        };
        Ok(push(
            self.store()?,
            self.configuration()?,
            &reference,
            &told,
            cancel,
        )?)
    }

    /// A service of the files, and how it is built.
    fn buildable(
        &self,
        service: &ServiceName,
    ) -> Result<(&'a LoadedProject, &'a Service, &'a Build), ImageError> {
        let found = self.files.and_then(|files| {
            let found = files.project.services.get(service.as_str());
            let found = found.or_else(|| files.project.disabled.get(service.as_str()))?;
            Some((files, found, found.build.as_ref()?))
        });
        found.ok_or_else(|| format!("service {service} has no build section at hand").into())
    }

    /// What the build of a service is asked; its context is fetched when it is elsewhere.
    ///
    /// # Errors
    /// Something of it is not there, or not possible here.
    pub fn build_request_of(
        &self,
        service: &ServiceName,
        cancel: &AtomicBool,
    ) -> Result<BuildRequest, ImageError> {
        let (files, wanted, section) = self.buildable(service)?;
        let store = self.store()?;
        let remote = RemoteAccess {
            configuration: self.configuration()?.clone(),
            environment: self.context.environment.clone(),
        };
        let around = Surroundings {
            files,
            options: &self.options,
            remote: &remote,
            sources: &Sources::new(store, &remote, cancel),
            variable: &|name| self.context.variable(name).map(str::to_owned),
            image_id: &|reference| Ok(store.find(reference)?.map(|image| image.id.to_string())),
        };
        build_request(&around, wanted, section)
    }

    /// The environment of an image of this host; none when it is not here.
    pub fn environment_of(&self, name: &str) -> Option<Vec<String>> {
        environment_of(self.store().ok()?, name)
    }

    /// Removes images of a project's builds that lost their last name to newer ones and that no container uses.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn prune(&self, project: &str) -> Result<(), ImageError> {
        let used = self.runtime()?.images_in_use()?;
        for image in self.store()?.list()? {
            let label = image.config.labels.get("com.docker.compose.project");
            let id = image.id.to_string();
            if image.references.is_empty() && label.is_some_and(|of| of == project) && !used.contains(&id) {
                self.remove(&id)?;
            }
        }
        Ok(())
    }

    fn build_image(
        &self,
        service: &ServiceName,
        reference: &str,
        events: &dyn Events,
        cancel: &AtomicBool,
    ) -> Result<(), ImageError> {
        let (files, _, section) = self.buildable(service)?;
        let store = self.store()?;
        let _running = RunningBuild::begin(store)?;
        let request = self.build_request_of(service, cancel)?;
        let always = section.pull || self.options.pull;
        let find = |name: &str, platform: &Platform| -> Result<Image, String> {
            // An id is of this host.
            let is_id = name.starts_with("sha256:");
            let here = || -> Result<Option<Image>, ImageError> {
                // A name of hexadecimal digits is a name: ids are written with their algorithm.
                Ok(if is_id {
                    store.find(name)?
                } else {
                    store.resolve(&name.parse()?)?
                })
            };
            let found = here().map_err(|error| chain(&*error))?;
            let fits = |image: &Image| {
                image.platform.architecture.is_empty() || platform.suits(&image.platform).is_some()
            };
            match found.filter(|image| is_id || !always && fits(image)) {
                Some(image) => Ok(image),
                None => self
                    .fetch(name, Some(&platform.to_string()), events, cancel)
                    .map_err(|error| chain(&*error)),
            }
        };
        if let Some(built) = request.platform.as_ref().filter(|_| section.platforms.len() > 1) {
            events.emit(Event::Warning {
                message: format!(
                    "build of {service}: of its platforms {built} is built, as an image has one here"
                ),
                help: None,
            });
        }
        let runner = self.runtime()?.build_runner();
        let story = Story::new(service, events);
        let caches = Caches {
            store,
            registries: self.configuration()?,
            project: files.project.directory.as_std_path(),
            cancel,
        };
        let warn = |message: String| {
            events.emit(Event::Warning {
                message: format!("build of {service}: {message}"),
                help: None,
            });
        };
        let imported = caches.import(&section.cache_from, &warn);
        let built = build(
            store,
            &request,
            &find,
            &imported,
            &runner,
            &|event| story.tell(event),
            cancel,
        );
        story.end();
        let built = match built {
            Ok(built) => built,
            // The engine knows a cancellation by the runtime's.
            Err(BuildError::Cancelled) => return Err("cancelled".into()),
            Err(error) => return Err(error.into()),
        };
        let name: Reference = reference.parse()?;
        store.tag(&built.image.id, &name, None)?;
        for tag in &section.tags {
            store.tag(&built.image.id, &tag.parse()?, None)?;
        }
        caches.export(&built.steps, &section.cache_to, &warn)
    }

    /// Brings what builds keep below the limits of the configuration, used longest ago first.
    fn make_room(&self) -> Result<(), ImageError> {
        let room = self.configuration()?.build_room;
        if room.is_limited() {
            BuildCache::of(self.store()?).prune(&room, &|_| true)?;
            self.collect()?;
        }
        Ok(())
    }

    /// Removes layers that nobody needs; where a build goes on, the next collection does.
    fn collect(&self) -> Result<(), ImageError> {
        let store = self.store()?;
        let mut kept: BTreeSet<PathBuf> = self.runtime()?.layers_in_use()?;
        kept.extend(BuildCache::of(store).layer_directories());
        store.collect(&kept)?;
        Ok(())
    }
}

impl ImageSource for StoreImages<'_> {
    fn pull(
        &self,
        reference: &str,
        platform: Option<&str>,
        events: &dyn Events,
        cancel: &AtomicBool,
    ) -> Result<(), ImageError> {
        self.fetch(reference, platform, events, cancel).map(drop)
    }

    fn build(
        &self,
        service: &ServiceName,
        reference: &str,
        events: &dyn Events,
        cancel: &AtomicBool,
    ) -> Result<(), ImageError> {
        self.build_image(service, reference, events, cancel)?;
        // The image is there: what cannot be removed now is only told.
        if let Err(error) = self.make_room() {
            events.emit(Event::Warning {
                message: format!(
                    "what builds keep could not be brought below its limit: {}",
                    chain(&*error)
                ),
                help: None,
            });
        }
        Ok(())
    }

    fn push(&self, reference: &str, events: &dyn Events, cancel: &AtomicBool) -> Result<(), ImageError> {
        self.send(reference, events, cancel).map(drop)
    }

    fn remove(&self, reference: &str) -> Result<(), ImageError> {
        let (store, runtime) = (self.store()?, self.runtime()?);
        let used = runtime.images_in_use()?;
        match store.remove(reference, false, &|id| used.contains(&id.to_string())) {
            Ok(_) => {}
            Err(StoreError::NoSuchImage { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.collect()
    }

    fn age(&self, reference: &str) -> Option<Duration> {
        let reference: Reference = reference.parse().ok()?;
        let named = self.store().ok()?.named_at(&reference).ok()??;
        SystemTime::now().duration_since(named).ok()
    }
}

/// How registries are reached: `/etc/rcompose/config.toml`, then the user's, and docker's logins.
pub(super) fn registry_configuration<'v>(
    variable: &dyn Fn(&str) -> Option<&'v str>,
) -> Result<Configuration, ImageError> {
    let home = variable("HOME").map(PathBuf::from);
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let user = variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let user = user.or_else(|| in_home(".config"));
    let mut paths = vec![PathBuf::from("/etc/rcompose/config.toml")];
    paths.extend(user.map(|directory| directory.join("rcompose/config.toml")));
    let docker = variable("DOCKER_CONFIG").map(PathBuf::from);
    let docker = docker.or_else(|| in_home(".docker"));
    let docker = docker.map(|directory| directory.join("config.json"));
    let paths: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
    let mut configuration = Configuration::load(&paths, docker.as_deref())?;
    configuration.proxies = Proxies::of_environment(variable);
    Ok(configuration)
}

/// An error of a command as one of the image source.
fn plain(error: CliError) -> ImageError {
    error.message.into()
}

/// Reads a small file of a build; the error names it.
pub(super) fn read_text(path: &std::path::Path) -> Result<String, ImageError> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

/// Values given on the command line for the arguments of builds.
pub fn build_arguments(written: &[String], context: &Context) -> BTreeMap<String, Option<String>> {
    let pairs = written.iter().map(|argument| match argument.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (argument.clone(), context.variable(argument).map(str::to_owned)),
    });
    pairs.collect()
}
