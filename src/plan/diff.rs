//! In: what is wanted of a service and the containers it has. Out: the fate of each container and the numbers to be made.
//! **Invariant:** of several containers with one number (left by a cut) at most one survives.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use rcompose_runtime::request::ContainerRequest;
use rcompose_runtime::state::ContainerState;
use serde_json::Value;

use super::action::Reason;
use super::intent::Recreate;
use super::observed::{Observed, is_up};
use super::wanted::{WantedService, networks_of, volumes_of};

/// What becomes of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Keep,
    /// It stays, but has to stop and start again.
    Refresh(Reason),
    /// Another one with its number takes its place.
    Recreate(Reason),
    /// It goes.
    Remove(Reason),
}

/// A container and what becomes of it.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub(super) state: &'a ContainerState,
    pub(super) fate: Fate,
}

/// What becomes of a service.
#[derive(Debug, Default)]
pub(super) struct ServiceDiff<'a> {
    /// Its containers, in order of their numbers.
    pub(super) judged: Vec<Judged<'a>>,
    /// Numbers of replicas to be made.
    pub(super) create: Vec<u32>,
}

/// Settings of one comparison.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) observed: &'a Observed,
    pub(super) recreate: Recreate,
    pub(super) scale: u32,
    /// Networks and volumes that this plan makes anew.
    pub(super) remade: &'a BTreeSet<String>,
}

/// Compares a service with its containers (one-off ones excluded by the caller).
pub(super) fn diff<'a>(
    wanted: &WantedService,
    containers: impl IntoIterator<Item = &'a ContainerState>,
    rules: Rules<'_>,
) -> ServiceDiff<'a> {
    let mut by_number: BTreeMap<u32, Vec<&ContainerState>> = BTreeMap::new();
    for container in containers {
        by_number.entry(container.number).or_default().push(container);
    }
    let mut judged = Vec::new();
    let mut left_over = Vec::new();
    for (number, mut group) in by_number {
        // A cut replacement leaves the old container under its name and the new one under a temporary name. An up-to-date one
        // wins; else the newest, because the anonymous volumes moved to it.
        group.sort_by_key(|state| {
            let current = wanted
                .template
                .as_ref()
                .is_none_or(|t| divergence(t, state, rules.observed).is_none());
            (
                !current,
                !is_temporary(&state.name),
                std::cmp::Reverse(&state.created_at),
            )
        });
        let mut group = group.into_iter();
        if let Some(first) = group.next() {
            let fate = fate(wanted, first, number, rules);
            judged.push(Judged { state: first, fate });
        }
        left_over.extend(group.map(|state| Judged {
            state,
            fate: Fate::Remove(Reason::LeftOver),
        }));
    }
    let create = scale(wanted, &mut judged, rules.scale);
    judged.extend(left_over);
    judged.sort_by_key(|one| one.state.number);
    ServiceDiff { judged, create }
}

fn fate(wanted: &WantedService, state: &ContainerState, number: u32, rules: Rules<'_>) -> Fate {
    let Some(template) = &wanted.template else {
        return Fate::Keep;
    };
    match rules.recreate {
        Recreate::Force => return Fate::Recreate(Reason::Forced),
        Recreate::Never => {}
        Recreate::Diverged => {
            if let Some(reason) = divergence(template, state, rules.observed) {
                return Fate::Recreate(reason);
            }
            let name = wanted.replica_name(number);
            if name.as_deref() != Some(&state.name) && !is_temporary(&state.name) {
                return Fate::Recreate(Reason::Changed(vec!["container_name".to_owned()]));
            }
        }
    }
    if let Some(reason) = staleness(state, rules) {
        return Fate::Refresh(reason);
    }
    Fate::Keep
}

/// Why a container no longer is what is wanted.
fn divergence(template: &ContainerRequest, state: &ContainerState, observed: &Observed) -> Option<Reason> {
    if state.config_hash != template.config_hash {
        let keys = state
            .request
            .as_ref()
            .map_or_else(Vec::new, |request| changed_keys(request, template));
        return Some(Reason::Changed(keys));
    }
    let image = observed.images.get(&template.image)?;
    (image.id != state.image_id).then_some(Reason::ImageChanged)
}

/// Why a running container must be started anew although it is what is wanted.
fn staleness(state: &ContainerState, rules: Rules<'_>) -> Option<Reason> {
    let request = state.request.as_ref();
    let networks: Vec<&str> = match request {
        Some(request) => networks_of(request).collect(),
        None => state.networks.keys().map(String::as_str).collect(),
    };
    if let Some(name) = networks.iter().find(|name| rules.remade.contains(**name)) {
        return Some(Reason::NetworkRecreated((*name).to_owned()));
    }
    if !is_up(state) {
        return None;
    }
    if let Some(name) = networks
        .iter()
        .find(|name| !matches!(state.networks.get(**name), Some(Some(_))))
    {
        return Some(Reason::Detached((*name).to_owned()));
    }
    if let Some(name) = request
        .into_iter()
        .flat_map(volumes_of)
        .find(|name| !rules.observed.volumes.contains_key(*name))
    {
        return Some(Reason::VolumeRecreated(name.to_owned()));
    }
    let id_of = |name: &str| {
        rules
            .observed
            .containers
            .iter()
            .find(|c| c.name == name)
            .map(|c| c.id.as_str())
    };
    state
        .joined
        .iter()
        .find(|(name, id)| id_of(name).is_some_and(|now| now != id.as_str()))
        .map(|(name, _)| Reason::ParentReplaced(name.clone()))
}

/// Marks what is too much and returns the numbers of what is missing: up-to-date containers with the lowest numbers stay,
/// obsolete ones and then the highest numbers go; new numbers follow the highest, holes stay open. A service whose
/// namespaces others share keeps its lowest numbers and fills its holes, for the others name its first replica.
fn scale(wanted: &WantedService, judged: &mut [Judged<'_>], scale: u32) -> Vec<u32> {
    let mut order: Vec<usize> = (0..judged.len()).collect();
    order.sort_by_key(|at| {
        let one = &judged[*at];
        let obsolete = matches!(one.fate, Fate::Recreate(_)) && !wanted.shared;
        (obsolete, one.state.number)
    });
    let first_alive = judged.iter().any(|one| one.state.number == 1);
    let mut room = usize::try_from(scale).unwrap_or(usize::MAX);
    let mut create = Vec::new();
    if wanted.shared && !first_alive && room > 0 {
        create.push(1);
        room -= 1;
    }
    for at in order.iter().skip(room) {
        judged[*at].fate = Fate::Remove(Reason::Surplus { wanted: scale });
    }
    let taken: BTreeSet<u32> = judged.iter().map(|one| one.state.number).collect();
    let missing = room.saturating_sub(judged.len());
    let after = taken
        .last()
        .copied()
        .unwrap_or(0)
        .max(create.len().try_into().unwrap_or(1));
    create.extend((after + 1..).take(missing));
    create
}

/// Whether a name is one that a replacement carries until the old container is gone: `<12 hex digits>_<name>`.
pub(super) fn is_temporary(name: &str) -> bool {
    name.split_once('_').is_some_and(|(id, rest)| {
        id.len() == 12 && !rest.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// The keys, in the file's terms, in which two requests of one service differ; empty when only the content of a
/// mounted config or secret does.
pub fn changed_keys(old: &ContainerRequest, new: &ContainerRequest) -> Vec<String> {
    let as_map = |request| match serde_json::to_value(request) {
        Ok(Value::Object(map)) => map,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let (old, new) = (as_map(old), as_map(new));
    let mut keys = Vec::new();
    for (field, value) in &new {
        let before = old.get(field).unwrap_or(&Value::Null);
        if before == value {
            continue;
        }
        match field.as_str() {
            "name" | "project" | "service" | "number" | "one_off" | "config_hash" => {}
            "environment" => keys.extend(changed_entries("environment", &pairs(before), &pairs(value))),
            "labels" => keys.extend(
                changed_entries("labels", &entries(before), &entries(value))
                    .filter(|key| !key.starts_with("labels.com.docker.compose.")),
            ),
            other => keys.push(file_key(other).to_owned()),
        }
    }
    keys
}

fn changed_entries(
    key: &str,
    old: &BTreeMap<String, Value>,
    new: &BTreeMap<String, Value>,
) -> impl Iterator<Item = String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed: Vec<String> = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| format!("{key}.{name}"))
        .collect();
    changed.into_iter()
}

fn pairs(list: &Value) -> BTreeMap<String, Value> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|item| Some((item.get(0)?.as_str()?.to_owned(), item.get(1)?.clone())))
        .collect()
}

fn entries(map: &Value) -> BTreeMap<String, Value> {
    let items = map.as_object().into_iter().flatten();
    items.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The key of the file that a field of the request comes from, where the two are spelled differently.
fn file_key(field: &str) -> &str {
    match field {
        "working_directory" => "working_dir",
        "additional_groups" => "group_add",
        "mounts" => "volumes",
        "files" => "configs or secrets",
        "network" => "networks",
        "dns_options" => "dns_opt",
        "uts_host" => "uts",
        "cgroup_host" => "cgroup",
        "no_new_privileges" | "seccomp_unconfined" => "security_opt",
        "device_rules" => "device_cgroup_rules",
        "limits" => "deploy.resources.limits",
        "stop_grace" => "stop_grace_period",
        "health" => "healthcheck",
        "log" => "logging",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changed_keys_are_named_as_in_the_file() {
        let old = ContainerRequest::minimal("p", "a");
        let mut new = old.clone();
        new.environment = vec![("TAG".to_owned(), Some("2".to_owned()))];
        new.labels.insert("team".to_owned(), "x".to_owned());
        new.labels
            .insert("com.docker.compose.version".to_owned(), "9".to_owned());
        new.stop_grace = Some(std::time::Duration::from_secs(1));
        new.name = "other".to_owned();
        assert_eq!(
            changed_keys(&old, &new),
            ["labels.team", "environment.TAG", "stop_grace_period"]
        );
    }

    #[test]
    fn temporary_names_are_told_from_names_with_an_underscore() {
        assert!(is_temporary("0123456789ab_shop-web-1"));
        assert!(!is_temporary("shop_web_1"));
        assert!(!is_temporary("0123456789ab_"));
    }
}
