//! In: the wanted project and what is there. Out: the plan of `up`, `create`, `scale` and of every reload.
//! Creation of everything comes first, then one wiring, then starts in dependency order.
//! **Invariant:** a replaced container stays until the one that replaces it is recorded; no data is removed.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;
use rcompose_runtime::state::{ContainerState, Status};

use super::action::{Action, Container, OnFailure, Plan, Reason, StepId};
use super::diff::{Fate, Judged, Rules, ServiceDiff, diff};
use super::intent::{Recreate, Starts, Up};
use super::observed::{Observed, is_up};
use super::schedule::{Lineup, Schedule};
use super::wanted::{Wanted, networks_of, volumes_of};
use crate::diagnostic::Diagnostics;
use crate::graph::Graph;
use crate::model::ServiceName;
use crate::model::service::Condition;

mod containers;
mod leaving;
mod resources;

/// The services an `up` is about, in start order.
pub(super) fn selection(wanted: &Wanted, graph: &Graph, up: &Up) -> Vec<ServiceName> {
    let named = |service: &ServiceName| up.services.is_empty() || up.services.contains(service);
    let reached = if up.no_deps || up.services.is_empty() {
        graph
            .start_order()
            .into_iter()
            .filter(|name| named(name))
            .cloned()
            .collect()
    } else {
        graph.with_dependencies(&up.services)
    };
    reached
        .into_iter()
        .filter(|name| wanted.services.contains_key(name) && !up.except.contains(name))
        .collect()
}

/// The plan of an `up`.
pub(super) fn plan(wanted: &Wanted, graph: &Graph, observed: &Observed, up: &Up) -> Plan {
    let selected = selection(wanted, graph, up);
    let mut planner = Planner {
        wanted,
        graph,
        observed,
        up,
        selected: selected.iter().cloned().collect(),
        schedule: Schedule::default(),
        notes: Diagnostics::new(),
        lineup: Lineup::new(),
    };
    let remade = planner.remade_networks();
    let diffs = planner.judge(&selected, &remade);
    let leaving = planner.leaving(&diffs);
    let made = planner.create_resources(&remade);
    let created = planner.create_containers(&diffs, &leaving, &made);
    let stopped = planner.stop(&diffs, &leaving, &created);
    let unwired = planner.unwire(&diffs, &leaving, &remade, &stopped);
    let networks = planner.remake_networks(&remade, &unwired);
    let removed = planner.remove(&leaving, &created, &unwired);
    let renamed = planner.rename(&diffs, &created, &removed);
    let ready = [made.into_values().collect(), unwired.clone(), networks, renamed].concat();
    planner.start(&created, ready);
    planner.remove_unused_networks(&leaving, &unwired);
    planner.schedule.finish(planner.notes)
}

struct Planner<'a> {
    wanted: &'a Wanted,
    graph: &'a Graph,
    observed: &'a Observed,
    up: &'a Up,
    selected: BTreeSet<ServiceName>,
    schedule: Schedule,
    notes: Diagnostics,
    lineup: Lineup<'a>,
}

/// Diffs by service; services that are only touched because of others are in it, too.
type Diffs<'a> = IndexMap<ServiceName, ServiceDiff<'a>>;

/// Containers that go, by id, with the reason.
type Leaving<'a> = IndexMap<String, (&'a ContainerState, Reason)>;

/// Containers this plan makes: by service and number, the step and the name until the end of the plan.
type Created = BTreeMap<(ServiceName, u32), (StepId, Option<String>)>;

impl<'a> Planner<'a> {
    /// The fate of every container that is not a leaving orphan.
    fn judge(&self, selected: &[ServiceName], remade: &BTreeSet<String>) -> Diffs<'a> {
        let mut of: HashMap<&str, Vec<&'a ContainerState>> = HashMap::new();
        let stays = |state: &&ContainerState| !state.one_off && !self.is_leaving_orphan(state);
        for state in self.observed.containers.iter().filter(stays) {
            of.entry(state.service.as_str()).or_default().push(state);
        }
        let mut diffs = Diffs::new();
        for name in selected {
            let service = &self.wanted.services[name];
            let target = self.up.services.is_empty() || self.up.services.contains(name);
            let recreate = match (target, self.up.recreate, self.up.always_recreate_deps) {
                (true, policy, _) => policy,
                (false, _, true) => Recreate::Force,
                (false, _, false) => Recreate::Diverged,
            };
            let rules = Rules {
                observed: self.observed,
                recreate,
                scale: self.up.scale.get(name).copied().unwrap_or(service.scale),
                remade,
            };
            let containers = of.remove(name.as_str()).unwrap_or_default();
            diffs.insert(name.clone(), diff(service, containers, rules));
        }
        let mut others: Vec<_> = of.into_iter().collect();
        others.sort_unstable_by_key(|(service, _)| *service);
        for (service, containers) in others {
            let judged = containers.into_iter().map(|state| Judged {
                state,
                fate: match state.networks.keys().find(|name| remade.contains(*name)) {
                    Some(name) => Fate::Refresh(Reason::NetworkRecreated(name.clone())),
                    None => Fate::Keep,
                },
            });
            let diff = ServiceDiff {
                judged: judged.collect(),
                create: Vec::new(),
            };
            diffs.insert(ServiceName::new(service), diff);
        }
        self.cascade(&mut diffs);
        diffs
    }

    /// Dependents with `restart: true` of what is recreated or restarted restart with it.
    fn cascade(&self, diffs: &mut Diffs<'a>) {
        if self.up.start == Starts::Nothing {
            return;
        }
        let stops = |diff: &ServiceDiff<'_>| {
            diff.judged.iter().any(|one| match one.fate {
                Fate::Recreate(_) => true,
                Fate::Refresh(_) => is_up(one.state),
                Fate::Keep | Fate::Remove(_) => false,
            })
        };
        for name in self.graph.start_order() {
            if self.up.except.contains(name) {
                continue;
            }
            // Who shares the namespaces of a container that starts from nothing is left with those it had before.
            let starting = |id: &String| {
                let lender = self.observed.containers.iter().find(|state| state.id == *id);
                lender.filter(|state| !is_up(state) && self.start_of(state, None).is_some())
            };
            for one in diffs.get_mut(name).into_iter().flat_map(|diff| &mut diff.judged) {
                if one.fate == Fate::Keep
                    && is_up(one.state)
                    && let Some(lender) = one.state.joined.values().find_map(starting)
                {
                    let service = ServiceName::new(&lender.service);
                    one.fate = Fate::Refresh(Reason::DependencyRestarts(service));
                }
            }
            let Some((cause, _)) = self
                .graph
                .dependencies(name)
                .find(|(on, why)| why.restart && diffs.get(*on).is_some_and(stops))
            else {
                continue;
            };
            for one in diffs.get_mut(name).into_iter().flat_map(|diff| &mut diff.judged) {
                if one.fate == Fate::Keep && is_up(one.state) {
                    one.fate = Fate::Refresh(Reason::DependencyRestarts(cause.clone()));
                }
            }
        }
    }

    /// Whether a container goes because nothing in the files stands for it.
    fn is_leaving_orphan(&self, state: &ContainerState) -> bool {
        let orphan = if state.one_off {
            matches!(state.status, Status::Exited { .. })
        } else {
            !self.wanted.knows(&state.service)
        };
        self.up.remove_orphans && orphan
    }

    /// Containers that are not in any diff's future: removed or replaced ones, and orphans when they are to go; with the reason.
    fn leaving(&mut self, diffs: &Diffs<'a>) -> Leaving<'a> {
        let mut leaving = IndexMap::new();
        let orphans = self
            .observed
            .containers
            .iter()
            .filter(|state| self.is_leaving_orphan(state));
        for state in orphans {
            leaving.insert(state.id.clone(), (state, Reason::Orphan));
        }
        if !self.up.remove_orphans {
            self.notes
                .extend(super::down::orphan_note(self.wanted, self.observed));
        }
        for one in diffs.values().flat_map(|diff| &diff.judged) {
            match &one.fate {
                Fate::Remove(reason) => leaving.insert(one.state.id.clone(), (one.state, reason.clone())),
                Fate::Recreate(_) => leaving.insert(one.state.id.clone(), (one.state, Reason::Replaced)),
                Fate::Keep | Fate::Refresh(_) => None,
            };
        }
        leaving
    }

    fn start(&mut self, created: &Created, ready: Vec<StepId>) {
        let lineup = std::mem::take(&mut self.lineup);
        let starting = lineup.values().flatten().filter(|member| member.start.is_some());
        let wired: Vec<Container> = starting.map(|member| member.container.clone()).collect();
        let mut first = Vec::new();
        if !wired.is_empty() {
            let after = ready
                .into_iter()
                .chain(created.values().map(|(step, _)| *step))
                .collect();
            first.push(
                self.schedule
                    .push(Action::Wire(wired), Reason::BeforeStart, after),
            );
        }
        let (wanted, selected) = (self.wanted, &self.selected);
        let hooks = |service: &ServiceName| {
            let service = wanted.services.get(service);
            service.map_or_else(Vec::new, |service| service.post_start.clone())
        };
        let starts = |service: &ServiceName| {
            lineup
                .get(service)
                .into_iter()
                .flatten()
                .any(|member| member.start.is_some())
        };
        let counted = |service: &ServiceName| selected.contains(service) || starts(service);
        let mut gates = self.schedule.start(self.graph, &lineup, &hooks, &counted, &first);
        if !self.up.wait {
            return;
        }
        for service in self
            .graph
            .start_order()
            .into_iter()
            .filter(|name| selected.contains(*name))
        {
            let completes = self
                .graph
                .dependents(service)
                .any(|(_, why)| why.condition == Condition::CompletedSuccessfully);
            let condition = if completes {
                Condition::CompletedSuccessfully
            } else {
                Condition::Healthy
            };
            let (on_failure, reason) = (OnFailure::Abort, Reason::Awaited);
            self.schedule
                .gate(&mut gates, &lineup, service, condition, on_failure, reason);
        }
    }

    /// Networks of the project that neither its files nor a remaining container name.
    fn remove_unused_networks(&mut self, leaving: &Leaving<'a>, unwired: &[StepId]) {
        if !self.up.services.is_empty() {
            return;
        }
        let staying = |state: &&ContainerState| !leaving.contains_key(&state.id);
        let used: BTreeSet<&String> = self
            .observed
            .containers
            .iter()
            .filter(staying)
            .flat_map(|state| state.networks.keys())
            .collect();
        let unused = self.observed.networks.values().filter(|network| {
            let name = &network.request.name;
            network.request.project == self.wanted.project
                && !self.wanted.networks.contains_key(name)
                && !used.contains(name)
        });
        for network in unused {
            let name = network.request.name.clone();
            let action = Action::RemoveNetwork { name };
            self.schedule.try_push(action, Reason::Unwanted, unwired.to_vec());
        }
    }

    /// Networks that the selected services have an interface on, and volumes they mount.
    fn used(&self) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
        let templates = || {
            let services = self
                .wanted
                .services
                .iter()
                .filter(|(name, _)| self.selected.contains(*name));
            services.filter_map(|(_, service)| service.template.as_ref())
        };
        (
            templates().flat_map(networks_of).collect(),
            templates().flat_map(volumes_of).collect(),
        )
    }
}
