//! In: the hot rules of a project and what was saved. Out: files in containers, processes restarted, images rebuilt.
//! Order: rebuild, copy, restart, run (docker compose, watch). A failure is told and ends nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rcompose_runtime::Runtime;
use rcompose_runtime::image_store::build::ignore::PatternList;
use rcompose_runtime::request::ExecRequest;
use rcompose_runtime::state::{ContainerState, Status};

use super::super::{Asked, Context, LoadedProject, StoreImages, build_request};
use super::Watched;
use crate::diagnostic::Diagnostic;
use crate::error::{CliError, chain};
use crate::event::{Event, Events};
use crate::model::service::Hook;
use crate::model::{Service, ServiceName};
use crate::plan::{ImagePolicy, Intent, Up};
use crate::ui::progress::Progress;
use crate::watch::rules::{self, Change, Effects, PreparedRule};
use crate::watch::sync;

/// The rules, and the project they came from.
#[derive(Debug, Default)]
pub struct HotRules {
    /// In file order.
    pub rules: Vec<PreparedRule>,
    /// What is left out, and why.
    pub warnings: Vec<Diagnostic>,
    /// Needed to rebuild; none without rules.
    project: Option<LoadedProject>,
    /// Files that are never copied into containers.
    never: Vec<camino::Utf8PathBuf>,
}

impl HotRules {
    /// The rules of a loaded project.
    pub fn of(files: LoadedProject) -> Result<Self, String> {
        let dockerignore = |service: &Service| {
            let section = service.build.as_ref()?;
            let text = build_request::dockerignore(section, Path::new(&section.context)).ok()??;
            PatternList::parse(&text).ok()
        };
        let (rules, warnings) =
            rules::prepare(&files.project, &dockerignore).map_err(|error| chain(&error))?;
        let never = files
            .loaded
            .watched
            .iter()
            .filter_map(|path| camino::Utf8PathBuf::from_path_buf(path.clone()).ok())
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
    pub fn trees(&self) -> Vec<PathBuf> {
        self.rules
            .iter()
            .map(|rule| rule.rule.path.clone().into_std_path_buf())
            .collect()
    }

    /// What the changes ask for.
    pub fn effects(&self, changes: &[Change]) -> Effects {
        rules::effects(&self.rules, changes, &self.never)
    }

    /// Every file below the rules that want it copied at the start.
    pub fn initial(&self) -> Effects {
        let starting = self.rules.iter().filter(|rule| rule.rule.initial_sync);
        let changes: Vec<Change> = starting
            .map(|rule| Change {
                path: rule.rule.path.clone(),
                removed: false,
            })
            .collect();
        let mut effects = rules::effects(&self.rules, &changes, &self.never);
        (effects.rebuild, effects.restart, effects.exec) = (Vec::new(), Vec::new(), Vec::new());
        effects
    }
}

/// Fires the rules and tells failures to the log.
pub(super) fn fire(context: &Context, watched: &Watched, changes: &[Change], log: &dyn Events) {
    let effects = watched.hot.effects(changes);
    if effects.is_empty() {
        return;
    }
    for error in apply(context, &watched.hot, &effects, log) {
        log.emit(Event::Warning {
            message: error.to_string(),
            help: error.hint,
        });
    }
}

/// Does what the effects ask for; what failed comes back, the rest is done.
pub fn apply(context: &Context, hot: &HotRules, effects: &Effects, events: &dyn Events) -> Vec<CliError> {
    let mut failures = Vec::new();
    let Some(files) = &hot.project else {
        return failures;
    };
    if !effects.rebuild.is_empty() {
        failures.extend(rebuild(context, files, &effects.rebuild).err());
    }
    let containers = match context
        .runtime()
        .map_err(Box::new)
        .map(|runtime| runtime.containers(files.project.name.as_str()))
    {
        Ok(Ok(containers)) => containers
            .into_iter()
            .filter(|container| !container.one_off)
            .collect(),
        Ok(Err(error)) => {
            failures.push(error.into());
            Vec::new()
        }
        Err(error) => {
            failures.push(*error);
            Vec::new()
        }
    };
    failures.extend(copy(context, &containers, effects, events));
    if !effects.restart.is_empty() {
        failures.extend(restart(context, files, &effects.restart).err());
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

fn rebuild(context: &Context, files: &LoadedProject, services: &[ServiceName]) -> Result<(), CliError> {
    let up = Up {
        services: services.to_vec(),
        images: ImagePolicy {
            build: true,
            ..ImagePolicy::default()
        },
        no_deps: true,
        ..Up::default()
    };
    act(context, files, "rebuild", &Intent::Up(up))
}

fn restart(context: &Context, files: &LoadedProject, services: &[ServiceName]) -> Result<(), CliError> {
    let intent = Intent::Restart {
        services: services.to_vec(),
        timeout: None,
        no_deps: false,
    };
    act(context, files, "restart", &intent)
}

fn act(context: &Context, files: &LoadedProject, title: &str, intent: &Intent) -> Result<(), CliError> {
    let prepared = files.prepare()?;
    let images = StoreImages::new(context, Some(files));
    let progress = Progress::new(title, context.look(), None);
    context
        .reconcile(
            &prepared,
            Some(files),
            intent,
            &images,
            &progress,
            &Asked::default(),
        )
        .map(drop)
}

fn run_hook(context: &Context, container: &ContainerState, hook: &Hook) -> Result<(), CliError> {
    let request = ExecRequest {
        command: hook.command.clone(),
        environment: hook
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        user: hook.user.clone(),
        working_directory: hook.working_dir.clone(),
        privileged: hook.privileged,
        tty: false,
    };
    let (code, output) = context.runtime()?.run_inside(&container.id, &request)?;
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
