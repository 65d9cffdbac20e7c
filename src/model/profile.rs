//! In: the services of a project, the profiles asked for and the services named. Out: which services are on, and the
//! project or tree that is left of them. **Invariant:** a service that is switched off stays known as disabled.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::fields::Fields;
use super::name::ServiceName;
use super::project::Project;
use crate::diagnostic::{Diagnostic, nearest};
use crate::source::node::{Mapping, Node};

/// The services that are on: those without profiles, and those with a profile asked for. `*` is every profile; the
/// profile without a name is on while none is asked for (docker compose splits an empty list into one empty name).
/// Naming a service asks for its profiles.
pub fn enabled(root: &Node, profiles: &[String], named: &[String]) -> BTreeSet<String> {
    let file = Fields::of(root);
    let services: BTreeMap<&str, Vec<String>> = file
        .members("services")
        .map(|(name, service)| (name, service.texts("profiles")))
        .collect();
    let mut asked: BTreeSet<&str> = profiles.iter().map(String::as_str).collect();
    if asked.is_empty() {
        asked.insert("");
    }
    for name in named {
        if let Some(own) = services.get(name.as_str()) {
            asked.extend(own.iter().map(String::as_str));
        }
    }
    services
        .iter()
        .filter(|(_, own)| {
            own.is_empty()
                || asked.contains("*")
                || own.iter().any(|profile| asked.contains(profile.as_str()))
        })
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

/// The services named and all they depend on; with no name, all that are on.
pub fn selected(root: &Node, enabled: &BTreeSet<String>, named: &[String]) -> BTreeSet<String> {
    if named.is_empty() {
        return enabled.clone();
    }
    let file = Fields::of(root);
    let dependencies: BTreeMap<&str, Vec<&str>> = file
        .members("services")
        .map(|(name, service)| {
            (
                name,
                service.members("depends_on").map(|(name, _)| name).collect(),
            )
        })
        .collect();
    let mut found = BTreeSet::new();
    let mut waiting: Vec<&str> = named.iter().map(String::as_str).collect();
    while let Some(name) = waiting.pop() {
        if enabled.contains(name) && found.insert(name.to_owned()) {
            waiting.extend(dependencies.get(name).into_iter().flatten());
        }
    }
    found
}

/// The tree with every service, but with no resource that none of these uses.
pub fn narrow_resources(mut root: Node, services: &BTreeSet<String>) -> Node {
    let unused = unused(&root, services);
    remove(&mut root, unused);
    root
}

/// Removes from `rest` the resources of `tree` that none of these services uses.
pub(super) fn remove_unused(rest: &mut Node, tree: &Node, services: &BTreeSet<String>) {
    remove(rest, unused(tree, services));
}

fn unused(tree: &Node, services: &BTreeSet<String>) -> [(&'static str, BTreeSet<String>); 5] {
    used_resources(tree, |service| services.contains(service)).map(|(section, used)| {
        let resources = tree.get(section).and_then(Node::as_map);
        let names = resources.into_iter().flat_map(Mapping::keys);
        let unused = names.filter(|name| !used.contains(name)).map(str::to_owned);
        (section, unused.collect())
    })
}

fn remove(root: &mut Node, unused: impl IntoIterator<Item = (&'static str, BTreeSet<String>)>) {
    let Some(file) = root.as_map_mut() else { return };
    for (section, unused) in unused {
        if let Some(resources) = file.get_mut(section).and_then(Node::as_map_mut) {
            resources.retain(|name, _| !unused.contains(name));
            if resources.is_empty() {
                file.remove(section);
            }
        }
    }
}

/// The keys of each section that one of the services refers to.
pub(super) fn used_resources(
    root: &Node,
    mut is_user: impl FnMut(&str) -> bool,
) -> [(&'static str, BTreeSet<&str>); 5] {
    let (mut networks, mut volumes, mut configs, mut secrets, mut models) = (
        BTreeSet::new(),
        BTreeSet::new(),
        BTreeSet::new(),
        BTreeSet::new(),
        BTreeSet::new(),
    );
    let file = Fields::of(root);
    for (_, service) in file.members("services").filter(|(name, _)| is_user(name)) {
        networks.extend(names(&service, "networks"));
        models.extend(names(&service, "models"));
        configs.extend(sources(&service, "configs"));
        secrets.extend(sources(&service, "secrets"));
        if let Some(build) = service.child("build") {
            secrets.extend(sources(&build, "secrets"));
        }
        let named = service
            .items("volumes")
            .filter(|volume| volume.text("type") == Some("volume"));
        volumes.extend(named.filter_map(|volume| volume.text("source")));
    }
    [
        ("networks", networks),
        ("volumes", volumes),
        ("configs", configs),
        ("secrets", secrets),
        ("models", models),
    ]
}

fn names<'a>(service: &Fields<'a>, key: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
    let mapping = service.get(key).and_then(Node::as_map);
    mapping.into_iter().flat_map(Mapping::keys)
}

fn sources<'a>(parent: &Fields<'a>, key: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
    parent.items(key).filter_map(|item| item.text("source"))
}

/// The project with the named services only, and, if asked, all they depend on; with no name, the project as it is.
/// The other services become disabled ones, and resources that nobody uses any more go.
///
/// # Errors
/// A name is no service of the project.
pub fn select(
    project: &Project,
    named: &[ServiceName],
    with_dependencies: bool,
) -> Result<Project, Vec<Diagnostic>> {
    let unknown: Vec<Diagnostic> = named
        .iter()
        .filter(|name| !project.services.contains_key(name.as_str()))
        .map(|name| unknown_service(project, name))
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    if named.is_empty() {
        return Ok(project.clone());
    }
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut waiting: Vec<&str> = named.iter().map(ServiceName::as_str).collect();
    while let Some(name) = waiting.pop() {
        let Some(service) = project.services.get(name) else {
            continue;
        };
        if wanted.insert(name) && with_dependencies {
            waiting.extend(service.depends_on.keys().map(ServiceName::as_str));
        }
    }
    let mut selected = project.clone();
    let (on, off): (IndexMap<_, _>, IndexMap<_, _>) = std::mem::take(&mut selected.services)
        .into_iter()
        .partition(|(name, _)| wanted.contains(name.as_str()));
    selected.services = on;
    selected.disabled.extend(off);
    retain_used(&mut selected);
    Ok(selected)
}

fn unknown_service(project: &Project, name: &ServiceName) -> Diagnostic {
    if let Some(service) = project.disabled.get(name.as_str()) {
        return Diagnostic::error("disabled-service", format!("the service `{name}` is not enabled"))
            .label(service.span, "switched off by its profiles")
            .help(format!(
                "enable it with `--profile {}`",
                service.profiles.join("` or `--profile ")
            ));
    }
    let finding = Diagnostic::error("unknown-service", format!("there is no service `{name}`"));
    match nearest(name.as_str(), project.services.keys().map(ServiceName::as_str)) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => {
            let names: Vec<&str> = project.services.keys().map(ServiceName::as_str).collect();
            finding.help(format!("the services are {}", names.join(", ")))
        }
    }
}

/// Drops networks, volumes, configs and secrets that no enabled service uses.
fn retain_used(project: &mut Project) {
    use super::mount::MountSource;
    let services = &project.services;
    project.networks.retain(|key, _| {
        services
            .values()
            .any(|service| service.networks.contains_key(key))
    });
    project.volumes.retain(|key, _| {
        services
            .values()
            .flat_map(|service| &service.mounts)
            .any(|mount| match &mount.source {
                MountSource::Named { key: used, .. } => used == key,
                MountSource::Bind { .. }
                | MountSource::Anonymous { .. }
                | MountSource::Tmpfs { .. }
                | MountSource::Image { .. } => false,
            })
    });
    project.configs.retain(|key, _| {
        services
            .values()
            .any(|service| service.configs.iter().any(|mount| mount.source == *key))
    });
    project.secrets.retain(|key, _| {
        services.values().any(|service| {
            let built = service
                .build
                .as_ref()
                .is_some_and(|build| build.secrets.iter().any(|(_, used)| used == key));
            built || service.secrets.iter().any(|mount| mount.source == *key)
        })
    });
}

#[cfg(test)]
mod tests;
