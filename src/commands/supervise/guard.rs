//! In: the containers of a project. Out: shims for those that lost theirs, and no names or ports for those that ended.
//! **Invariant:** works under the project's lock or not at all: a command that holds it mends by itself.

use rcompose_runtime::Runtime;
use rcompose_runtime::state::Status;

use super::super::Context;
use crate::error::{CliError, chain};
use crate::event::{Event, Events};

/// Looks once; a failure is told and tried again at the next look.
pub(super) fn look(context: &Context, project: &str, log: &dyn Events) {
    if let Err(error) = mend(context, project) {
        log.emit(Event::Warning {
            message: error.to_string(),
            help: error.hint,
        });
    }
}

fn mend(context: &Context, project: &str) -> Result<(), CliError> {
    let runtime = context.runtime()?;
    let ended: Vec<String> = runtime
        .containers(project)?
        .into_iter()
        .filter(|container| matches!(container.status, Status::Exited { .. }))
        .filter(|container| container.networks.values().any(Option::is_some) || !container.ports.is_empty())
        .map(|container| container.id)
        .collect();
    if ended.is_empty() && !runtime.needs_repair(project)? {
        return Ok(());
    }
    let dir = context.project_dir(project)?;
    let Some(_lock) = dir.try_lock()? else {
        return Ok(());
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
    runtime
        .unwire(&still)
        .map_err(|error| CliError::user(chain(&error)))
}
