//! In: the fates of a project's containers. Out: steps that make new ones and name them, and the line-up at the end of the plan.
//! **Invariant:** a new container has a temporary name for as long as another one holds its own.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, HashMap};

use rcompose_runtime::state::{ContainerState, Status};

use super::{Created, Diffs, Leaving, Planner};
use crate::model::ServiceName;
use crate::plan::action::{Action, Container, Reason, StepId};
use crate::plan::diff::{Fate, is_temporary};
use crate::plan::intent::Starts;
use crate::plan::observed::is_up;
use crate::plan::schedule::{Member, Start, existing};
use crate::plan::wanted::volumes_of;

impl<'a> Planner<'a> {
    pub(super) fn create_containers(
        &mut self,
        diffs: &Diffs<'a>,
        leaving: &Leaving<'a>,
        made: &BTreeMap<String, StepId>,
    ) -> Created {
        let holders: HashMap<&str, &str> = leaving
            .values()
            .map(|(state, _)| (state.name.as_str(), state.id.as_str()))
            .collect();
        let mut created = Created::new();
        for (name, diff) in diffs {
            let Some(service) = self.wanted.services.get(name) else {
                continue;
            };
            let replaced = diff.judged.iter().filter_map(|one| match &one.fate {
                Fate::Recreate(reason) => Some((one.state.number, reason.clone(), Some(one.state))),
                Fate::Keep | Fate::Refresh(_) | Fate::Remove(_) => None,
            });
            let new = diff.create.iter().map(|number| (*number, Reason::Missing, None));
            for (number, reason, old) in replaced.chain(new) {
                let Some(mut request) = service.replica(number) else {
                    continue;
                };
                let volumes = volumes_of(&request).filter_map(|volume| made.get(volume));
                let after = volumes.copied().collect();
                let name_then = request.name.clone();
                let mut temporary = None;
                if let Some(holder) = holders.get(name_then.as_str()) {
                    let id = old.map_or(*holder, |old| old.id.as_str());
                    request.name = self.temporary_name(id, &name_then);
                    temporary = Some(request.name.clone());
                }
                let action = Action::CreateContainer {
                    request: Box::new(request),
                    name: name_then,
                    inherit: old.filter(|_| !self.up.renew_anonymous).map(|old| old.id.clone()),
                    replaces: old.is_some(),
                };
                let step = self.schedule.push(action, reason, after);
                created.insert((name.clone(), number), (step, temporary));
            }
        }
        self.line_up(diffs, &created);
        created
    }

    /// `<first 12 digits of the id>_<name>`; where a cut left a container under that, its id serves instead.
    fn temporary_name(&self, id: &str, name: &str) -> String {
        let mut temporary = format!("{}_{name}", &id[..id.len().min(12)]);
        for _ in &self.observed.containers {
            let Some(holder) = self
                .observed
                .containers
                .iter()
                .find(|state| state.name == temporary)
            else {
                break;
            };
            temporary = format!("{}_{name}", &holder.id[..holder.id.len().min(12)]);
        }
        temporary
    }

    /// The containers of each service at the end of the plan, and which of them it starts.
    pub(super) fn line_up(&mut self, diffs: &Diffs<'a>, created: &Created) {
        for (name, diff) in diffs {
            let mut members = Vec::new();
            for one in &diff.judged {
                let start = match &one.fate {
                    Fate::Keep => self.start_of(one.state, None),
                    Fate::Refresh(reason) => self.start_of(one.state, Some(reason)),
                    Fate::Recreate(_) | Fate::Remove(_) => continue,
                };
                let mut container = existing(one.state);
                if let Some(rest) = self.wanted_name(name, one.state) {
                    container.name = rest;
                }
                members.push(Member {
                    container,
                    state: Some(one.state),
                    start: start.filter(|_| !self.up.except.contains(name)),
                });
            }
            for ((_, number), (step, _)) in created.range((name.clone(), 0)..=(name.clone(), u32::MAX)) {
                let Some(name_then) = self.wanted.services[name].replica_name(*number) else {
                    continue;
                };
                members.push(Member {
                    container: Container {
                        handle: Err(*step),
                        name: name_then,
                        service: name.clone(),
                    },
                    state: None,
                    start: (self.up.start != Starts::Nothing).then_some(Start {
                        reason: Reason::Created,
                        restart: None,
                    }),
                });
            }
            self.lineup.insert(name.clone(), members);
        }
    }

    /// The name that a container left under a temporary one should have.
    pub(super) fn wanted_name(&self, service: &ServiceName, state: &ContainerState) -> Option<String> {
        if !is_temporary(&state.name) {
            return None;
        }
        self.wanted.services.get(service)?.replica_name(state.number)
    }

    pub(super) fn start_of(&self, state: &ContainerState, refresh: Option<&Reason>) -> Option<Start> {
        let start = |reason| {
            Some(Start {
                reason,
                restart: None,
            })
        };
        if is_up(state) {
            return refresh.cloned().and_then(start);
        }
        if !self.selected.contains(state.service.as_str()) {
            return None;
        }
        match self.up.start {
            Starts::All => start(Reason::NotRunning),
            Starts::Interrupted if state.status == Status::Created || state.stopped_by_user => {
                start(Reason::NotRunning)
            }
            Starts::Interrupted | Starts::Nothing => None,
        }
    }

    /// Gives new containers, and those an earlier cut left under a temporary name, their own name.
    pub(super) fn rename(
        &mut self,
        diffs: &Diffs<'a>,
        created: &Created,
        removed: &HashMap<&'a str, StepId>,
    ) -> Vec<StepId> {
        let mut renames = Vec::new();
        for ((service, number), (step, temporary)) in created {
            if let Some(from) = temporary
                && let Some(name) = self.wanted.services[service].replica_name(*number)
            {
                let container = Container {
                    handle: Err(*step),
                    name,
                    service: service.clone(),
                };
                renames.push((container, from.clone(), Some(*step), Reason::Replaced));
            }
        }
        for (service, diff) in diffs {
            for one in diff
                .judged
                .iter()
                .filter(|one| matches!(one.fate, Fate::Keep | Fate::Refresh(_)))
            {
                if let Some(name) = self.wanted_name(service, one.state) {
                    let container = Container {
                        name,
                        ..existing(one.state)
                    };
                    renames.push((container, one.state.name.clone(), None, Reason::LeftOver));
                }
            }
        }
        let mut steps = Vec::new();
        for (container, from, made, reason) in renames {
            let after = made
                .into_iter()
                .chain(removed.get(container.name.as_str()).copied())
                .collect();
            steps.push(
                self.schedule
                    .push(Action::Rename { container, from }, reason, after),
            );
        }
        steps
    }
}
