//! In: the hot rules of a project and what was saved. Out: files in containers, processes restarted, images rebuilt.
//! Order: rebuild, copy, restart, run (docker compose, watch). A failure is told and ends nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use rcompose_runtime::Runtime;
use rcompose_runtime::image_store::build::ignore::PatternList;
use rcompose_runtime::state::{ContainerState, Status};

use super::super::{Asked, Context, LoadedProject, StoreImages, dockerignore};
use super::watched::Watched;
use crate::diagnostic::Diagnostic;
use crate::engine::lower::lower_hook;
use crate::error::{CliError, chain};
use crate::event::{Event, Events};
use crate::model::service::Hook;
use crate::model::{Service, ServiceName};
use crate::plan::{ImagePolicy, Intent, Up};
use crate::state::ProjectRecord;
use crate::ui::progress::Progress;
use crate::watch::rules::{self, Change, Effects, PreparedRule};
use crate::watch::sync;

/// The rules, and the project they came from.
#[derive(Debug, Default)]
pub(super) struct HotRules {
    /// In file order.
    pub(super) rules: Vec<PreparedRule>,
    /// What is left out, and why.
    pub(super) warnings: Vec<Diagnostic>,
    /// Needed to rebuild; none without rules.
    project: Option<LoadedProject>,
    /// Files that are never copied into containers.
    never: Vec<Utf8PathBuf>,
}

impl HotRules {
    /// The rules of a loaded project.
    pub(super) fn of(files: LoadedProject) -> Result<Self, String> {
        let ignored = |service: &Service| {
            let section = service.build.as_ref()?;
            let text = dockerignore(section, Path::new(&section.context)).ok()??;
            PatternList::parse(&text).ok()
        };
        let (rules, warnings) = rules::prepare(&files.project, &ignored).map_err(|error| chain(&error))?;
        let never = files
            .loaded
            .watched
            .iter()
            .filter_map(|path| Utf8PathBuf::from_path_buf(path.clone()).ok())
            .collect();
        // The trees of a large project are dropped where nothing needs them.
        let project = (!rules.is_empty()).then_some(files);
        Ok(Self {
            rules,
            warnings,
            project,
            never,
        })
    }

    /// Files and directories to watch.
    pub(super) fn trees(&self) -> Vec<PathBuf> {
        self.rules
            .iter()
            .map(|rule| rule.rule.path.clone().into_std_path_buf())
            .collect()
    }

    /// What the changes ask for.
    pub(super) fn effects(&self, changes: &[Change]) -> Effects {
        rules::effects(&self.rules, changes, &self.never)
    }

    /// Every file below every rule, as if just saved.
    pub(super) fn everything(&self) -> Vec<Change> {
        self.rules
            .iter()
            .flat_map(|rule| files_below(&rule.rule.path))
            .collect()
    }

    /// Every file below the rules of a service that want it copied at the start.
    fn initial(&self, service: &str) -> Effects {
        let starting: Vec<PreparedRule> = self
            .rules
            .iter()
            .filter(|rule| rule.rule.initial_sync && rule.service.as_str() == service)
            .cloned()
            .collect();
        let changes: Vec<Change> = starting
            .iter()
            .flat_map(|rule| files_below(&rule.rule.path))
            .collect();
        Effects {
            sync: rules::effects(&starting, &changes, &self.never).sync,
            ..Effects::default()
        }
    }

    fn copies_initially(&self, service: &str) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| rule.rule.initial_sync && rule.service.as_str() == service)
    }
}

/// The files of a directory that appeared, was moved or is copied as a whole; a file is itself. Links are not followed.
fn files_below(path: &Utf8Path) -> Vec<Change> {
    let mut files = Vec::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let is_directory = path.symlink_metadata().is_ok_and(|status| status.is_dir());
        if !is_directory {
            files.push(Change { path, removed: false });
            continue;
        }
        // What cannot be read is gone again, or cannot be copied either.
        for entry in path.read_dir_utf8().into_iter().flatten().flatten() {
            if entry.file_name() != ".git" {
                waiting.push(entry.into_path());
            }
        }
    }
    files
}

/// Fires the rules and tells failures to the log. What a person stopped is left alone.
pub(super) fn fire(
    context: &Context,
    watched: &Watched,
    record: &ProjectRecord,
    changes: &[Change],
    log: &dyn Events,
) {
    if watched.hot.rules.is_empty() || changes.is_empty() {
        return;
    }
    // A directory comes with what is in it, and what is ignored must not slip in with it.
    let whole = |change: &Change| {
        if change.removed {
            vec![change.clone()]
        } else {
            files_below(&change.path)
        }
    };
    let changes: Vec<Change> = changes.iter().flat_map(whole).collect();
    let mut effects = watched.hot.effects(&changes);
    let goes_on = |service: &ServiceName| !record.stopped.contains(service);
    effects.rebuild.retain(goes_on);
    effects.restart.retain(goes_on);
    effects.exec.retain(|(service, _)| goes_on(service));
    if effects.is_empty() {
        return;
    }
    tell(apply(context, &watched.hot, record, &effects, log), log);
}

fn tell(failures: Vec<CliError>, log: &dyn Events) {
    for error in failures {
        log.emit(Event::Warning {
            message: error.to_string(),
            help: error.hint,
        });
    }
}

/// Copies into containers that are new what their rules copy at the start.
pub(super) fn copy_initially(context: &Context, watched: &mut Watched, project: &str, log: &dyn Events) {
    if !watched.hot.rules.iter().any(|rule| rule.rule.initial_sync) {
        return;
    }
    let containers = context
        .runtime()
        .and_then(|runtime| Ok(runtime.containers(project)?));
    let containers = match containers {
        Ok(containers) => containers,
        Err(error) => return tell(vec![error], log),
    };
    for container in containers {
        let new = container.status == Status::Running
            && !container.one_off
            && watched.hot.copies_initially(&container.service)
            && !watched.copied.contains(&container.id);
        if new {
            watched.copied.insert(container.id.clone());
            let effects = watched.hot.initial(&container.service);
            tell(copy(context, &[container], &effects, log), log);
        }
    }
}

/// Does what the effects ask for; what failed comes back, the rest is done.
fn apply(
    context: &Context,
    hot: &HotRules,
    record: &ProjectRecord,
    effects: &Effects,
    events: &dyn Events,
) -> Vec<CliError> {
    let mut failures = Vec::new();
    let Some(files) = &hot.project else {
        return failures;
    };
    if !effects.rebuild.is_empty() {
        failures.extend(rebuild(context, files, record, &effects.rebuild).err());
    }
    let containers = context
        .runtime()
        .and_then(|runtime| Ok(runtime.containers(&record.name)?));
    let mut containers = match containers {
        Ok(containers) => containers,
        Err(error) => {
            failures.push(error);
            return failures;
        }
    };
    containers.retain(|container| !container.one_off);
    failures.extend(copy(context, &containers, effects, events));
    let runs = |service: &&ServiceName| running(&containers, service).next().is_some();
    let restarted: Vec<ServiceName> = effects.restart.iter().filter(runs).cloned().collect();
    if !restarted.is_empty() {
        failures.extend(restart(context, files, &restarted).err());
    }
    for (service, hook) in &effects.exec {
        for container in running(&containers, service) {
            failures.extend(run_hook(context, container, hook).err());
        }
    }
    failures
}

fn running<'a>(
    containers: &'a [ContainerState],
    service: &'a ServiceName,
) -> impl Iterator<Item = &'a ContainerState> {
    containers
        .iter()
        .filter(move |container| container.service == service.as_str() && container.status == Status::Running)
}

fn copy(
    context: &Context,
    containers: &[ContainerState],
    effects: &Effects,
    events: &dyn Events,
) -> Vec<CliError> {
    let mut failures = Vec::new();
    let start = Instant::now();
    let mut roots = BTreeMap::new();
    let mut told: BTreeMap<&ServiceName, Vec<String>> = BTreeMap::new();
    for item in &effects.sync {
        for container in running(containers, &item.service) {
            let root = match roots.entry(&container.id) {
                std::collections::btree_map::Entry::Occupied(root) => root.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    match context
                        .runtime()
                        .and_then(|runtime| Ok(runtime.root_directory(&container.id)?))
                    {
                        Ok(root) => place.insert(root),
                        Err(error) => {
                            failures.push(error);
                            continue;
                        }
                    }
                }
            };
            let to = Path::new(&item.to);
            let done = if item.removed {
                sync::remove(&*root, to)
            } else {
                sync::copy(&*root, item.from.as_std_path(), to)
            };
            if let Err(error) = done {
                failures.push(CliError::user(format!("{}: {}", container.name, chain(&error))));
            }
        }
        told.entry(&item.service).or_default().push(item.to.clone());
    }
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    for (service, files) in told {
        events.emit(Event::Synced {
            service: service.to_string(),
            files,
            millis,
        });
    }
    failures
}

fn rebuild(
    context: &Context,
    files: &LoadedProject,
    record: &ProjectRecord,
    services: &[ServiceName],
) -> Result<(), CliError> {
    let up = Up {
        services: services.to_vec(),
        images: ImagePolicy {
            build: true,
            ..ImagePolicy::default()
        },
        no_deps: true,
        scale: record.scale.clone(),
        ..Up::default()
    };
    act(context, files, &Intent::Up(up))?;
    if !record.keep_images {
        let pruned = StoreImages::new(context, Some(files)).prune(&record.name);
        pruned.map_err(|error| CliError::user(chain(&*error)))?;
    }
    Ok(())
}

fn restart(context: &Context, files: &LoadedProject, services: &[ServiceName]) -> Result<(), CliError> {
    let intent = Intent::Restart {
        services: services.to_vec(),
        timeout: None,
        no_deps: false,
    };
    act(context, files, &intent)
}

fn act(context: &Context, files: &LoadedProject, intent: &Intent) -> Result<(), CliError> {
    let prepared = files.prepare()?;
    let images = StoreImages::new(context, Some(files));
    let progress = Progress::new("watch", context.look(), None);
    let asked = Asked::default();
    context
        .reconcile(&prepared, Some(files), intent, &images, &progress, &asked)
        .map(drop)
}

fn run_hook(context: &Context, container: &ContainerState, hook: &Hook) -> Result<(), CliError> {
    let (code, output) = context.runtime()?.run_inside(&container.id, &lower_hook(hook))?;
    if code == 0 {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output);
    Err(CliError::user(format!(
        "{}: {} ended with {code}: {}",
        container.name,
        hook.command.join(" "),
        output.trim_end()
    )))
}
