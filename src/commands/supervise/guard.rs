//! In: the containers of a project. Out: shims for those that lost theirs, and no names or ports for those that ended.
//! **Invariant:** works under the project's lock or not at all: a command that holds it mends by itself.

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use rcompose_runtime::Runtime;
use rcompose_runtime::state::{ContainerState, Health, Status};

use super::super::Context;
use crate::error::CliError;
use crate::event::{Event, Events};
use crate::ui::container_view::health_word;

/// Knows how the containers were.
#[derive(Debug, Default)]
pub(super) struct Guard {
    before: BTreeMap<String, ContainerState>,
    /// When each container's shim last wrote its state.
    written: BTreeMap<String, Option<SystemTime>>,
}

impl Guard {
    /// Looks once, and tells what happened to containers since the last look; a failure is told and tried again at the next one.
    pub(super) fn look(&mut self, context: &Context, project: &str, log: &dyn Events) {
        let looked = self.look_closer(context, project, log);
        if let Err(error) = looked {
            log.emit(Event::Warning {
                message: error.to_string(),
                help: error.hint,
            });
        }
    }

    /// Reads the containers' records only when one of them changed: most looks find that nothing did.
    fn look_closer(&mut self, context: &Context, project: &str, log: &dyn Events) -> Result<(), CliError> {
        let runtime = context.runtime()?;
        let roots = runtime.roots();
        let ids = fs::read_dir(roots.project_containers(project)?)
            .into_iter()
            .flatten()
            .flatten();
        let written: BTreeMap<String, Option<SystemTime>> = ids
            .filter_map(|entry| entry.file_name().into_string().ok())
            .map(|id| {
                let state = fs::metadata(roots.run_container(&id).join("state.json"));
                (id, state.and_then(|state| state.modified()).ok())
            })
            .collect();
        if written == self.written && !runtime.needs_repair(project)? {
            return Ok(());
        }
        let containers = runtime.containers(project)?;
        self.tell(&containers, log);
        if mend(context, project, &containers)? {
            self.written = written;
        }
        Ok(())
    }

    fn tell(&mut self, containers: &[ContainerState], log: &dyn Events) {
        for now in containers {
            let Some(before) = self.before.get(&now.id) else {
                continue;
            };
            let ended = match now.status {
                Status::Exited { code } if before.status != now.status && !now.stopped_by_user => Some(code),
                Status::Exited { .. }
                | Status::Created
                | Status::Running
                | Status::Paused
                | Status::Restarting => None,
            };
            if let Some(code) = ended {
                log.emit(Event::ContainerDied {
                    container: now.name.clone(),
                    service: now.service.clone(),
                    code,
                });
            }
            let decided = matches!(now.health, Health::Healthy | Health::Unhealthy);
            if decided && before.health != now.health {
                log.emit(Event::HealthChanged {
                    container: now.name.clone(),
                    service: now.service.clone(),
                    health: health_word(now.health).to_owned(),
                });
            }
        }
        let by_id = containers.iter().map(|state| (state.id.clone(), state.clone()));
        self.before = by_id.collect();
    }
}

/// False when it was put off, because a command works on the project: the next look tries again.
fn mend(context: &Context, project: &str, containers: &[ContainerState]) -> Result<bool, CliError> {
    let runtime = context.runtime()?;
    let ended: Vec<String> = containers
        .iter()
        .filter(|container| matches!(container.status, Status::Exited { .. }))
        .filter(|container| container.networks.values().any(Option::is_some) || !container.ports.is_empty())
        .map(|container| container.id.clone())
        .collect();
    if ended.is_empty() && !runtime.needs_repair(project)? {
        return Ok(true);
    }
    let dir = context.project_dir(project)?;
    let Some(_lock) = dir.try_lock()? else {
        return Ok(false);
    };
    runtime.repair(project)?;
    // Looked at again under the lock: a command may have started them meanwhile.
    let still: Vec<String> = runtime
        .containers(project)?
        .into_iter()
        .filter(|container| {
            ended.contains(&container.id) && matches!(container.status, Status::Exited { .. })
        })
        .map(|container| container.id)
        .collect();
    runtime.unwire(&still)?;
    Ok(true)
}
