//! In: networks and volumes that selected services use. Out: steps that make them, and notes on those left as they are.
//! **Invariant:** a volume is never made anew, for that loses data; a network only when no stranger is on it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use rcompose_runtime::request::NetworkRequest;
use rcompose_runtime::state::NetworkState;

use super::Planner;
use crate::diagnostic::Diagnostic;
use crate::plan::action::{Action, Reason, StepId};
use crate::plan::observed::is_up;

impl Planner<'_> {
    /// Networks whose settings changed and that can be made anew.
    pub(super) fn remade_networks(&mut self) -> BTreeSet<String> {
        let (used, _) = self.used();
        let mut remade = BTreeSet::new();
        for (name, wanted) in &self.wanted.networks {
            let (Some(request), Some(state)) = (&wanted.request, self.observed.networks.get(name)) else {
                continue;
            };
            let recorded = &state.request.config_hash;
            if !used.contains(name.as_str()) || recorded.is_empty() || *recorded == request.config_hash {
                continue;
            }
            let why_not = if state.request.project == self.wanted.project {
                self.stranger_on(state).map(|user| format!("is used by {user}"))
            } else {
                Some(format!("belongs to project {}", state.request.project))
            };
            match why_not {
                None => {
                    remade.insert(name.clone());
                }
                Some(why) => self.notes.push(
                    Diagnostic::warning(
                        "network-changed",
                        format!("network {name} has other settings than the file and is left as it is, because it {why}"),
                    )
                    .at(wanted.span),
                ),
            }
        }
        remade
    }

    /// A container on a network that this plan must not stop.
    fn stranger_on(&self, network: &NetworkState) -> Option<String> {
        network.users.iter().find_map(|id| {
            match self.observed.containers.iter().find(|state| state.id == *id) {
                Some(state) if !(state.one_off && is_up(state)) => None,
                Some(state) => Some(format!("container {}", state.name)),
                None => Some("a container of another project".to_owned()),
            }
        })
    }

    /// Makes what is missing; the step of each volume and network by name.
    pub(super) fn create_resources(&mut self, remade: &BTreeSet<String>) -> BTreeMap<String, StepId> {
        let (networks, volumes) = self.used();
        let mut made = BTreeMap::new();
        for (name, wanted) in &self.wanted.volumes {
            let Some(request) = wanted
                .request
                .as_ref()
                .filter(|_| volumes.contains(name.as_str()))
            else {
                continue;
            };
            match self.observed.volumes.get(name) {
                None => {
                    let action = Action::CreateVolume(request.clone());
                    made.insert(
                        name.clone(),
                        self.schedule.push(action, Reason::Missing, Vec::new()),
                    );
                }
                Some(state) => {
                    let recorded = &state.request.config_hash;
                    if !recorded.is_empty() && *recorded != request.config_hash {
                        let mut note = Diagnostic::warning(
                            "volume-changed",
                            format!("volume {name} has other settings than the file and is kept, for its data would be lost"),
                        )
                        .help("`rcompose down --volumes` removes it; the next `up` makes it anew");
                        if let Some(span) = wanted.span {
                            note = note.at(span);
                        }
                        self.notes.push(note);
                    }
                }
            }
        }
        for (name, wanted) in &self.wanted.networks {
            let missing = !self.observed.networks.contains_key(name) && !remade.contains(name);
            if let Some(request) = wanted
                .request
                .as_ref()
                .filter(|_| missing && networks.contains(name.as_str()))
            {
                let action = Action::CreateNetwork(request.clone());
                made.insert(
                    name.clone(),
                    self.schedule.push(action, Reason::Missing, Vec::new()),
                );
            }
        }
        made
    }

    /// Removes networks whose settings changed and makes them anew.
    pub(super) fn remake_networks(&mut self, remade: &BTreeSet<String>, unwired: &[StepId]) -> Vec<StepId> {
        let mut steps = Vec::new();
        for name in remade {
            let Some(request) = self
                .wanted
                .networks
                .get(name)
                .and_then(|wanted| wanted.request.clone())
            else {
                continue;
            };
            let keys = self
                .observed
                .networks
                .get(name)
                .map_or_else(Vec::new, |state| network_changes(&state.request, &request));
            let settings = || vec!["its settings".to_owned()];
            let reason = Reason::Changed(if keys.is_empty() { settings() } else { keys });
            let remove = Action::RemoveNetwork { name: name.clone() };
            let removed = self.schedule.push(remove, reason.clone(), unwired.to_vec());
            steps.push(
                self.schedule
                    .push(Action::CreateNetwork(request), reason, vec![removed]),
            );
        }
        steps
    }
}

/// The keys of a network that differ.
fn network_changes(old: &NetworkRequest, new: &NetworkRequest) -> Vec<String> {
    let pool = |request: &NetworkRequest| {
        (
            request.subnet.clone(),
            request.gateway.clone(),
            request.ip_range.clone(),
            request.reserved.clone(),
        )
    };
    let options = |request: &NetworkRequest| (request.bridge.clone(), request.mtu, request.icc);
    [
        ("internal", old.internal != new.internal),
        ("ipam.config", pool(old) != pool(new)),
        ("driver_opts", options(old) != options(new)),
        ("labels", old.labels != new.labels),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(key, _)| key.to_owned())
    .collect()
}
