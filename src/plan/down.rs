//! In: what is there of a project. Out: the plans of `down` and `rm`: stop dependents first, then take everything away.
//! **Invariant:** data goes only when asked for, and nothing external ever does.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use rcompose_runtime::runtime::StopOptions;
use rcompose_runtime::state::ContainerState;

use super::action::{Action, Plan, Reason, StepId};
use super::intent::{Down, Remove, RemoveImages};
use super::observed::{Observed, is_up};
use super::schedule::{Schedule, Stopping, existing};
use super::wanted::Wanted;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::graph::Graph;
use crate::model::ServiceName;

/// The plan of a `down`.
pub(super) fn plan(wanted: &Wanted, graph: &Graph, observed: &Observed, down: &Down) -> Plan {
    let selected = graph.with_dependents(&down.services);
    let (going, staying): (Vec<&ContainerState>, Vec<&ContainerState>) =
        observed.containers.iter().partition(|state| {
            if wanted.knows(&state.service) {
                down.services.is_empty() || selected.contains(state.service.as_str())
            } else {
                down.remove_orphans
            }
        });
    let mut notes = Diagnostics::new();
    if !down.remove_orphans {
        notes.extend(orphan_note(wanted, observed));
    }
    let mut schedule = Schedule::default();
    let options = |service: &str| stop_options(wanted, service, down.timeout);
    let reason = |state: &ContainerState| {
        if wanted.knows(&state.service) {
            Reason::Requested
        } else {
            Reason::Orphan
        }
    };
    let (unwired, removed) = take_away(&mut schedule, graph, &going, &options, &reason, down.volumes);
    let used: BTreeSet<&str> = staying
        .iter()
        .flat_map(|state| state.networks.keys().map(String::as_str))
        .collect();
    for (name, network) in &observed.networks {
        let external = wanted
            .networks
            .get(name)
            .is_some_and(|wanted| wanted.request.is_none());
        if network.request.project == wanted.project && !external && !used.contains(name.as_str()) {
            let action = Action::RemoveNetwork { name: name.clone() };
            schedule.try_push(action, Reason::Requested, unwired.clone());
        }
    }
    if down.volumes {
        let used: BTreeSet<&str> = staying.iter().flat_map(|state| volumes_mounted(state)).collect();
        for (name, volume) in &observed.volumes {
            let external = wanted
                .volumes
                .get(name)
                .is_some_and(|wanted| wanted.request.is_none());
            if volume.request.project == wanted.project && !external && !used.contains(name.as_str()) {
                let action = Action::RemoveVolume { name: name.clone() };
                schedule.try_push(action, Reason::Requested, removed.values().copied().collect());
            }
        }
    }
    for reference in images(wanted, observed, down, &going) {
        let action = Action::RemoveImage { reference };
        schedule.try_push(action, Reason::Requested, removed.values().copied().collect());
    }
    schedule.finish(notes)
}

/// The plan of `rm`.
pub(super) fn remove(wanted: &Wanted, graph: &Graph, observed: &Observed, remove: &Remove) -> Plan {
    let going: Vec<&ContainerState> = observed
        .containers
        .iter()
        .filter(|state| {
            remove.services.is_empty() || remove.services.contains(&ServiceName::new(&state.service))
        })
        .filter(|state| wanted.knows(&state.service) && (remove.one_off || !state.one_off))
        .filter(|state| remove.stop || !is_up(state))
        .collect();
    let mut schedule = Schedule::default();
    let options = |service: &str| stop_options(wanted, service, None);
    take_away(
        &mut schedule,
        graph,
        &going,
        &options,
        &|_| Reason::Requested,
        remove.volumes,
    );
    schedule.finish(Diagnostics::new())
}

/// Stops, unwires and removes containers; the step that unwired them all, and each one's removal.
fn take_away(
    schedule: &mut Schedule,
    graph: &Graph,
    going: &[&ContainerState],
    options: &dyn Fn(&str) -> StopOptions,
    reason: &dyn Fn(&ContainerState) -> Reason,
    volumes: bool,
) -> (Vec<StepId>, BTreeMap<String, StepId>) {
    let stopping = going.iter().filter(|state| is_up(state)).map(|state| Stopping {
        container: existing(state),
        options: options(&state.service),
        reason: reason(state),
        after: Vec::new(),
    });
    let stopped = schedule.stop(graph, stopping.collect());
    let mut unwired = Vec::new();
    if !going.is_empty() {
        let action = Action::Unwire(going.iter().map(|state| existing(state)).collect());
        unwired.push(schedule.push(action, Reason::AfterStop, stopped.into_values().collect()));
    }
    let mut removed = BTreeMap::new();
    for state in going {
        let action = Action::RemoveContainer {
            container: existing(state),
            volumes,
        };
        let step = schedule.push(action, reason(state), unwired.clone());
        removed.insert(state.id.clone(), step);
    }
    (unwired, removed)
}

fn stop_options(wanted: &Wanted, service: &str, grace: Option<std::time::Duration>) -> StopOptions {
    let service = wanted.services.get(service);
    StopOptions {
        signal: None,
        grace,
        before: service.map_or_else(Vec::new, |service| service.pre_stop.clone()),
    }
}

fn volumes_mounted(state: &ContainerState) -> impl Iterator<Item = &str> {
    let volumes = state.mounts.iter().filter(|mount| mount.kind == "volume");
    volumes.map(|mount| mount.source.as_str())
}

/// Images of the services that go, as far as they are in the local store.
fn images(wanted: &Wanted, observed: &Observed, down: &Down, going: &[&ContainerState]) -> BTreeSet<String> {
    let services = wanted.services.iter().filter(|(name, _)| {
        down.services.is_empty() || going.iter().any(|state| state.service == name.as_str())
    });
    services
        .map(|(_, service)| &service.image)
        .filter(|image| match down.images {
            RemoveImages::Nothing => false,
            RemoveImages::Local => !image.named,
            RemoveImages::All => true,
        })
        .filter(|image| !image.reference.starts_with('@') && observed.images.contains_key(&image.reference))
        .map(|image| image.reference.clone())
        .collect()
}

/// A warning that names containers of services which are not in the files.
pub(super) fn orphan_note(wanted: &Wanted, observed: &Observed) -> Option<Diagnostic> {
    let orphans: Vec<&str> = observed
        .containers
        .iter()
        .filter(|state| !state.one_off && !wanted.knows(&state.service))
        .map(|state| state.name.as_str())
        .collect();
    if orphans.is_empty() {
        return None;
    }
    let found = format!("found orphan containers of this project: {}", orphans.join(", "));
    Some(
        Diagnostic::warning("orphan", found)
            .help("`--remove-orphans` removes them if their service was removed or renamed"),
    )
}
