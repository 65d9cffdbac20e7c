//! In: containers to stop and to start. Out: steps with the edges that dependencies demand.
//! **Invariant:** a container stops after those that depend on it and starts after what it depends on; the rest is parallel.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;
use rcompose_runtime::request::ExecRequest;
use rcompose_runtime::runtime::StopOptions;
use rcompose_runtime::state::{ContainerState, Health, Status};

use super::action::{Action, Container, OnFailure, Plan, Reason, Step, StepId};
use crate::diagnostic::Diagnostics;
use crate::graph::Graph;
use crate::model::ServiceName;
use crate::model::service::Condition;

/// A plan in the making.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    steps: Vec<Step>,
}

/// A container to be stopped.
#[derive(Debug)]
pub(super) struct Stopping {
    pub(super) container: Container,
    pub(super) options: StopOptions,
    pub(super) reason: Reason,
    /// Steps to wait for besides those of dependents.
    pub(super) after: Vec<StepId>,
}

/// A container of a service as it is when the plan is done.
#[derive(Debug, Clone)]
pub(super) struct Member<'a> {
    pub(super) container: Container,
    /// What it was before; none when this plan makes it.
    pub(super) state: Option<&'a ContainerState>,
    /// Why this plan starts it, if it does.
    pub(super) start: Option<Start>,
}

/// How a container gets running.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) reason: Reason,
    /// In place, from running.
    pub(super) restart: Option<StopOptions>,
}

/// Containers by service.
pub(super) type Lineup<'a> = IndexMap<ServiceName, Vec<Member<'a>>>;

impl Schedule {
    pub(super) fn push(&mut self, action: Action, reason: Reason, after: Vec<StepId>) -> StepId {
        self.step(action, reason, after, OnFailure::Abort)
    }

    /// A step whose failure is only reported.
    pub(super) fn try_push(&mut self, action: Action, reason: Reason, after: Vec<StepId>) -> StepId {
        self.step(action, reason, after, OnFailure::Warn)
    }

    fn step(
        &mut self,
        action: Action,
        reason: Reason,
        mut after: Vec<StepId>,
        on_failure: OnFailure,
    ) -> StepId {
        after.sort_unstable();
        after.dedup();
        self.steps.push(Step {
            action,
            reason,
            after,
            on_failure,
        });
        StepId(self.steps.len() - 1)
    }

    pub(super) fn finish(self, notes: Diagnostics) -> Plan {
        Plan {
            steps: self.steps,
            notes,
        }
    }

    /// Stops containers, dependents first; the step of each by container id.
    pub(super) fn stop(&mut self, graph: &Graph, stopping: Vec<Stopping>) -> BTreeMap<String, StepId> {
        let mut by_service: IndexMap<ServiceName, Vec<Stopping>> = IndexMap::new();
        for one in stopping {
            by_service
                .entry(one.container.service.clone())
                .or_default()
                .push(one);
        }
        let known: BTreeSet<&ServiceName> = graph.services().collect();
        let strangers: Vec<ServiceName> = by_service
            .keys()
            .filter(|name| !known.contains(name))
            .cloned()
            .collect();
        let mut steps = BTreeMap::new();
        // What has to be over before a service may stop: the stops of its dependents, or, where one of them has none, of theirs.
        let mut over: HashMap<&ServiceName, BTreeSet<StepId>> = HashMap::new();
        for service in strangers.iter().chain(graph.stop_order()) {
            let before: BTreeSet<StepId> = graph
                .dependents(service)
                .filter_map(|(dependent, _)| over.get(dependent))
                .flatten()
                .copied()
                .collect();
            let own: BTreeSet<StepId> = by_service
                .swap_remove(service)
                .into_iter()
                .flatten()
                .map(|one| {
                    let after = before.iter().copied().chain(one.after).collect();
                    let id = one.container.handle.clone().ok();
                    let step = self.push(Action::Stop(one.container, one.options), one.reason, after);
                    steps.extend(id.map(|id| (id, step)));
                    step
                })
                .collect();
            over.insert(service, if own.is_empty() { before } else { own });
        }
        steps
    }

    /// Starts the members that are to be started: dependencies first, behind the conditions of those that are `counted`.
    pub(super) fn start(
        &mut self,
        graph: &Graph,
        lineup: &Lineup<'_>,
        hooks: &dyn Fn(&ServiceName) -> Vec<ExecRequest>,
        counted: &dyn Fn(&ServiceName) -> bool,
        first: &[StepId],
    ) -> Gates {
        let mut gates = Gates::default();
        let starts = |service: &ServiceName| {
            let members = lineup.get(service).into_iter().flatten();
            members.filter_map(|member| Some((member, member.start.as_ref()?)))
        };
        let known: BTreeSet<&ServiceName> = graph.services().collect();
        let strangers = lineup.keys().filter(|name| !known.contains(name));
        for service in graph.start_order().into_iter().chain(strangers) {
            if starts(service).next().is_none() {
                continue;
            }
            let mut before = first.to_vec();
            for (dependency, dependence) in graph.dependencies(service).filter(|(name, _)| counted(name)) {
                let on_failure = if dependence.required {
                    OnFailure::Abort
                } else {
                    OnFailure::Warn
                };
                match dependence.condition {
                    Condition::Started => before.extend(gates.ready.get(dependency).into_iter().flatten()),
                    condition @ (Condition::Healthy | Condition::CompletedSuccessfully) => {
                        let reason = Reason::NeededBy(service.clone());
                        before
                            .extend(self.gate(&mut gates, lineup, dependency, condition, on_failure, reason));
                    }
                }
            }
            let hooks = hooks(service);
            for (member, start) in starts(service) {
                let container = member.container.clone();
                let action = match &start.restart {
                    Some(options) => Action::Restart(container, options.clone()),
                    None => Action::Start(container),
                };
                let mut last = self.push(action, start.reason.clone(), before.clone());
                for hook in &hooks {
                    let action = Action::RunHook(member.container.clone(), hook.clone());
                    last = self.push(action, Reason::AfterStart, vec![last]);
                }
                gates.ready.entry(service.clone()).or_default().push(last);
            }
        }
        gates
    }

    /// The step that waits for a condition of a service; none when it is met already.
    pub(super) fn gate(
        &mut self,
        gates: &mut Gates,
        lineup: &Lineup<'_>,
        service: &ServiceName,
        condition: Condition,
        on_failure: OnFailure,
        reason: Reason,
    ) -> Option<StepId> {
        let key = (
            service.clone(),
            condition == Condition::Healthy,
            on_failure == OnFailure::Abort,
        );
        if let Some(step) = gates.waits.get(&key) {
            return Some(*step);
        }
        let members = lineup.get(service).map_or(&[][..], Vec::as_slice);
        if members.iter().all(|member| meets(member, condition)) {
            return None;
        }
        let action = Action::Wait {
            service: service.clone(),
            containers: members.iter().map(|member| member.container.clone()).collect(),
            condition,
        };
        let after = gates.ready.get(service).cloned().unwrap_or_default();
        let step = self.step(action, reason, after, on_failure);
        gates.waits.insert(key, step);
        Some(step)
    }
}

/// Steps that mean a service is there.
#[derive(Debug, Default)]
pub(super) struct Gates {
    /// Last step of each container's start.
    pub(super) ready: HashMap<ServiceName, Vec<StepId>>,
    /// By service, whether health (else completion) is waited for, and whether a failure ends the plan.
    waits: HashMap<(ServiceName, bool, bool), StepId>,
}

fn meets(member: &Member<'_>, condition: Condition) -> bool {
    let Some(state) = member.state.filter(|_| member.start.is_none()) else {
        return false;
    };
    match condition {
        Condition::Started => true,
        Condition::Healthy => {
            state.status == Status::Running && matches!(state.health, Health::Healthy | Health::None)
        }
        Condition::CompletedSuccessfully => state.status == Status::Exited { code: 0 },
    }
}

/// An existing container as the object of a step.
pub(super) fn existing(state: &ContainerState) -> Container {
    Container {
        handle: Ok(state.id.clone()),
        name: state.name.clone(),
        service: ServiceName::new(&state.service),
    }
}
