//! In: existing containers. Out: the plans of `stop`, `start`, `restart`, `kill`, `pause` and `unpause`.
//! **Invariant:** no container is made or removed here.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use indexmap::IndexSet;
use rcompose_runtime::runtime::StopOptions;
use rcompose_runtime::state::{ContainerState, Status};

use super::action::{Action, Container, OnFailure, Plan, Reason};
use super::observed::{Observed, is_up, is_wired};
use super::schedule::{Lineup, Member, Schedule, Start, Stopping, existing};
use super::wanted::Wanted;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::graph::Graph;
use crate::model::ServiceName;
use crate::model::service::Condition;

/// Containers of the named services, or of all; one-off ones excluded.
fn chosen<'a>(
    observed: &'a Observed,
    services: &'a [ServiceName],
) -> impl Iterator<Item = &'a ContainerState> {
    observed
        .containers
        .iter()
        .filter(|state| !state.one_off)
        .filter(|state| services.is_empty() || services.iter().any(|name| name.as_str() == state.service))
}

fn stop_options(wanted: &Wanted, state: &ContainerState, grace: Option<Duration>) -> StopOptions {
    let service = wanted.services.get(state.service.as_str());
    StopOptions {
        signal: None,
        grace,
        before: service.map_or_else(Vec::new, |service| service.pre_stop.clone()),
    }
}

/// Everything chosen is stopped, dependents first, and gives its addresses and ports back.
pub(super) fn stop(
    wanted: &Wanted,
    graph: &Graph,
    observed: &Observed,
    services: &[ServiceName],
    timeout: Option<Duration>,
) -> Plan {
    let mut schedule = Schedule::default();
    let stopping = chosen(observed, services)
        .filter(|state| is_up(state))
        .map(|state| Stopping {
            container: existing(state),
            options: stop_options(wanted, state, timeout),
            reason: Reason::Requested,
            after: Vec::new(),
        });
    let stopped = schedule.stop(graph, stopping.collect());
    let wired: Vec<Container> = chosen(observed, services)
        .filter(|state| is_up(state) || is_wired(state))
        .map(existing)
        .collect();
    if !wired.is_empty() {
        schedule.push(
            Action::Unwire(wired),
            Reason::AfterStop,
            stopped.into_values().collect(),
        );
    }
    schedule.finish(Diagnostics::new())
}

/// Everything chosen that does not run is started, dependencies first.
pub(super) fn start(
    wanted: &Wanted,
    graph: &Graph,
    observed: &Observed,
    services: &[ServiceName],
    wait: bool,
) -> Plan {
    let due: Vec<&ContainerState> = chosen(observed, services).filter(|state| !is_up(state)).collect();
    let lineup = lineup(observed, |state| {
        if is_up(state) {
            // It is left with the namespaces that ended with the container it shares them with.
            let lender = due
                .iter()
                .find(|lender| state.joined.values().any(|id| *id == lender.id))?;
            return Some(Start {
                reason: Reason::DependencyRestarts(ServiceName::new(&lender.service)),
                restart: Some(stop_options(wanted, state, None)),
            });
        }
        due.iter().any(|one| one.id == state.id).then_some(Start {
            reason: Reason::NotRunning,
            restart: None,
        })
    });
    let mut notes = Diagnostics::new();
    for service in services.iter().filter(|name| !lineup.contains_key(*name)) {
        let message = format!("service {service} has no container to start");
        notes.push(Diagnostic::warning("no-container", message).help("`rcompose up` makes it"));
    }
    let awaited: Vec<ServiceName> = match wait {
        true if services.is_empty() => graph.services().cloned().collect(),
        true => services.to_vec(),
        false => Vec::new(),
    };
    bring_up(wanted, graph, &lineup, &awaited, notes)
}

/// Everything chosen is stopped and started in place, dependencies first; dependents that asked for it follow.
pub(super) fn restart(
    wanted: &Wanted,
    graph: &Graph,
    observed: &Observed,
    services: &[ServiceName],
    timeout: Option<Duration>,
    no_deps: bool,
) -> Plan {
    let all: Vec<ServiceName> = if services.is_empty() {
        observed
            .containers
            .iter()
            .map(|state| ServiceName::new(&state.service))
            .collect()
    } else {
        services.to_vec()
    };
    let following = if no_deps {
        IndexSet::default()
    } else {
        graph.with_restarting_dependents(&all)
    };
    let lineup = lineup(observed, |state| {
        let named = all.iter().any(|name| name.as_str() == state.service);
        let follows = following.contains(state.service.as_str()) && is_up(state);
        if !named && !follows {
            return None;
        }
        let cause = graph
            .dependencies(&ServiceName::new(&state.service))
            .find(|(on, why)| why.restart && following.contains(*on));
        Some(Start {
            reason: match cause {
                Some((on, _)) if !named => Reason::DependencyRestarts(on.clone()),
                Some(_) | None => Reason::Requested,
            },
            restart: is_up(state).then(|| stop_options(wanted, state, timeout)),
        })
    });
    bring_up(wanted, graph, &lineup, &[], Diagnostics::new())
}

fn lineup(observed: &Observed, start: impl Fn(&ContainerState) -> Option<Start>) -> Lineup<'_> {
    let mut lineup = Lineup::new();
    for state in observed.containers.iter().filter(|state| !state.one_off) {
        lineup
            .entry(ServiceName::new(&state.service))
            .or_default()
            .push(Member {
                container: existing(state),
                state: Some(state),
                start: start(state),
            });
    }
    lineup
}

fn bring_up(
    wanted: &Wanted,
    graph: &Graph,
    lineup: &Lineup<'_>,
    awaited: &[ServiceName],
    notes: Diagnostics,
) -> Plan {
    let mut schedule = Schedule::default();
    let started = lineup
        .values()
        .flatten()
        .filter(|member| member.start.as_ref().is_some_and(|start| start.restart.is_none()));
    let wired: Vec<Container> = started.map(|member| member.container.clone()).collect();
    // Shared namespaces are bound when a container is wired, so one that is wired still is bound anew.
    let bound = lineup.values().flatten().filter(|member| {
        let starts = member.start.as_ref().is_some_and(|start| start.restart.is_none());
        starts && member.state.is_some_and(|state| !state.joined.is_empty())
    });
    let bound: Vec<Container> = bound.map(|member| member.container.clone()).collect();
    let mut first = Vec::new();
    if !bound.is_empty() {
        first.push(schedule.push(Action::Unwire(bound), Reason::BeforeStart, Vec::new()));
    }
    if !wired.is_empty() {
        first = vec![schedule.push(Action::Wire(wired), Reason::BeforeStart, first)];
    }
    let hooks = |service: &ServiceName| {
        let service = wanted.services.get(service);
        service.map_or_else(Vec::new, |service| service.post_start.clone())
    };
    // A dependency that neither runs nor is started here is left to its owner's decision.
    let counted = |service: &ServiceName| {
        let mut members = lineup.get(service).into_iter().flatten();
        members.any(|member| member.start.is_some() || member.state.is_some_and(is_up))
    };
    let mut gates = schedule.start(graph, lineup, &hooks, &counted, &first);
    for service in awaited.iter().filter(|name| lineup.contains_key(*name)) {
        let (on_failure, reason) = (OnFailure::Abort, Reason::Awaited);
        schedule.gate(
            &mut gates,
            lineup,
            service,
            Condition::Healthy,
            on_failure,
            reason,
        );
    }
    schedule.finish(notes)
}

/// A signal to everything chosen that runs.
pub(super) fn kill(
    wanted: &Wanted,
    graph: &Graph,
    observed: &Observed,
    services: &[ServiceName],
    signal: &str,
    remove_orphans: bool,
) -> Plan {
    each(graph, observed, |state| {
        let orphan = !wanted.knows(&state.service);
        let named =
            services.is_empty() && !orphan || services.iter().any(|name| name.as_str() == state.service);
        ((named || orphan && remove_orphans) && is_up(state))
            .then(|| Action::Kill(existing(state), signal.to_owned()))
    })
}

/// Everything chosen that runs is frozen.
pub(super) fn pause(graph: &Graph, observed: &Observed, services: &[ServiceName]) -> Plan {
    each(graph, observed, |state| {
        let named = services.is_empty() || services.iter().any(|name| name.as_str() == state.service);
        (named && state.status == Status::Running).then(|| Action::Pause(existing(state)))
    })
}

/// Everything chosen that is frozen is thawed.
pub(super) fn unpause(graph: &Graph, observed: &Observed, services: &[ServiceName]) -> Plan {
    each(graph, observed, |state| {
        let named = services.is_empty() || services.iter().any(|name| name.as_str() == state.service);
        (named && state.status == Status::Paused).then(|| Action::Unpause(existing(state)))
    })
}

/// One independent step for each container that has one, dependents first.
fn each(graph: &Graph, observed: &Observed, action: impl Fn(&ContainerState) -> Option<Action>) -> Plan {
    let mut schedule = Schedule::default();
    let order = graph.stop_order();
    let position = |state: &ContainerState| order.iter().position(|name| name.as_str() == state.service);
    let mut states: Vec<&ContainerState> = observed
        .containers
        .iter()
        .filter(|state| !state.one_off)
        .collect();
    states.sort_by_cached_key(|state| position(state));
    for action in states.into_iter().filter_map(action) {
        schedule.push(action, Reason::Requested, Vec::new());
    }
    schedule.finish(Diagnostics::new())
}
