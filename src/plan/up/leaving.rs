//! In: containers that stop, restart or go. Out: the steps that stop, disconnect and remove them.
//! **Invariant:** what replaces a container is recorded before it stops.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rcompose_runtime::runtime::StopOptions;
use rcompose_runtime::state::ContainerState;

use super::{Created, Diffs, Leaving, Planner};
use crate::model::ServiceName;
use crate::plan::action::{Action, Reason, StepId};
use crate::plan::diff::Fate;
use crate::plan::observed::{is_up, is_wired};
use crate::plan::schedule::{Stopping, existing};

impl<'a> Planner<'a> {
    pub(super) fn stop(
        &mut self,
        diffs: &Diffs<'a>,
        leaving: &Leaving<'a>,
        created: &Created,
    ) -> BTreeMap<String, StepId> {
        let refreshed = diffs
            .values()
            .flat_map(|diff| &diff.judged)
            .filter_map(|one| match &one.fate {
                Fate::Refresh(reason) => Some((one.state, reason.clone())),
                Fate::Keep | Fate::Recreate(_) | Fate::Remove(_) => None,
            });
        let leaving = leaving.values().map(|(state, reason)| (*state, reason.clone()));
        let stopping = leaving
            .chain(refreshed)
            .filter(|(state, _)| is_up(state))
            .map(|(state, reason)| Stopping {
                container: existing(state),
                options: self.stop_options(&state.service),
                after: creation_of(created, state, &reason).into_iter().collect(),
                reason,
            })
            .collect();
        self.schedule.stop(self.graph, stopping)
    }

    pub(super) fn stop_options(&self, service: &str) -> StopOptions {
        let service = self.wanted.services.get(service);
        StopOptions {
            signal: None,
            grace: self.up.timeout,
            before: service.map_or_else(Vec::new, |service| service.pre_stop.clone()),
        }
    }

    /// Takes the wiring of what leaves, and of all users of networks made anew, back.
    pub(super) fn unwire(
        &mut self,
        diffs: &Diffs<'a>,
        leaving: &Leaving<'a>,
        remade: &BTreeSet<String>,
        stopped: &BTreeMap<String, StepId>,
    ) -> Vec<StepId> {
        let refreshed = diffs
            .values()
            .flat_map(|diff| &diff.judged)
            .filter(|one| match &one.fate {
                Fate::Refresh(Reason::NetworkRecreated(_) | Reason::Detached(_)) => true,
                // Shared namespaces are bound when a container is wired.
                Fate::Refresh(_) => !one.state.joined.is_empty(),
                Fate::Keep => !one.state.joined.is_empty() && self.start_of(one.state, None).is_some(),
                Fate::Recreate(_) | Fate::Remove(_) => false,
            })
            .map(|one| one.state);
        let one_off = self.observed.containers.iter().filter(|state| {
            state.one_off && is_wired(state) && state.networks.keys().any(|name| remade.contains(name))
        });
        let mut states: Vec<&ContainerState> = leaving
            .values()
            .map(|(state, _)| *state)
            .chain(refreshed)
            .collect();
        states.extend(one_off.filter(|state| !leaving.contains_key(&state.id)));
        if states.is_empty() {
            return Vec::new();
        }
        let after = states
            .iter()
            .filter_map(|state| stopped.get(&state.id).copied())
            .collect();
        let action = Action::Unwire(states.into_iter().map(existing).collect());
        vec![self.schedule.push(action, Reason::AfterStop, after)]
    }

    pub(super) fn remove(
        &mut self,
        leaving: &Leaving<'a>,
        created: &Created,
        unwired: &[StepId],
    ) -> HashMap<&'a str, StepId> {
        let mut removed = HashMap::new();
        for (state, reason) in leaving.values() {
            let after = unwired
                .iter()
                .copied()
                .chain(creation_of(created, state, reason))
                .collect();
            let action = Action::RemoveContainer {
                container: existing(state),
                volumes: self.up.renew_anonymous && *reason == Reason::Replaced,
            };
            removed.insert(
                state.name.as_str(),
                self.schedule.push(action, reason.clone(), after),
            );
        }
        removed
    }
}

/// The step that makes the container which replaces this one.
fn creation_of(created: &Created, state: &ContainerState, reason: &Reason) -> Option<StepId> {
    if *reason != Reason::Replaced {
        return None;
    }
    let key = (ServiceName::new(&state.service), state.number);
    created.get(&key).map(|(step, _)| *step)
}
