//! In: the normalised tree of a project without errors. Out: the typed [`Project`], and what this engine refuses or
//! warns about. **Invariant:** a project is only made when nothing it asks for is lost on the way.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod build;
mod deploy;
mod develop;
mod environment;

mod file_object;
mod health;
mod limits;
mod mount;
mod namespace;
mod network;
mod port;
mod service;
mod start;
mod unsupported;
mod volume;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use camino::Utf8Path;
use indexmap::IndexMap;

use super::fields::Fields;
use super::name::{NetworkKey, ProjectName, ServiceName, VolumeKey};
use super::network::Network;
use super::project::Project;
use super::schema::{CONFIG, SECRET};
use crate::diagnostic::Diagnostics;
use crate::source::node::Node;

/// What the tree alone does not say.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The project's name.
    pub project: &'a str,
    /// Absolute directory of the project.
    pub directory: &'a Utf8Path,
    /// The project's environment, for configs and secrets that come from it.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Names of the services that profiles leave on.
    pub enabled: &'a BTreeSet<String>,
}

impl Project {
    /// Reads a normalised tree. No project comes out when a finding is an error.
    pub fn decode(root: &Node, context: Context<'_>) -> (Option<Self>, Diagnostics) {
        let (mut project, findings) = decode(root, context, Keep::Services);
        imply_bridge(&mut project);
        let project = (!findings.has_errors()).then_some(project);
        (project, findings)
    }

    /// What [`Project::decode`] finds; no more than one service is there at any time.
    pub fn refusals(root: &Node, context: Context<'_>) -> Diagnostics {
        decode(root, context, Keep::Findings).1
    }
}

/// What decoding is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Services,
    Findings,
}

fn decode(root: &Node, context: Context<'_>, keep: Keep) -> (Project, Diagnostics) {
    let mut findings = Diagnostics::new();
    let file = Fields::of(root);
    let mut project = Project {
        name: ProjectName::new(context.project),
        directory: context.directory.to_owned(),
        services: IndexMap::new(),
        disabled: IndexMap::new(),
        networks: IndexMap::new(),
        volumes: IndexMap::new(),
        configs: IndexMap::new(),
        secrets: IndexMap::new(),
    };
    for (name, fields) in file.members("services") {
        let enabled = context.enabled.contains(name);
        // What a disabled service cannot do here does not matter.
        let mut ignored = Diagnostics::new();
        let service = service::decode(name, &fields, if enabled { &mut findings } else { &mut ignored });
        let services = if enabled {
            &mut project.services
        } else {
            &mut project.disabled
        };
        if keep == Keep::Services {
            services.insert(ServiceName::new(name), service);
        }
    }
    for (name, fields) in file.members("networks") {
        if let Some(network) = network::decode(&fields, &mut findings) {
            project.networks.insert(NetworkKey::new(name), network);
        }
    }
    for (name, fields) in file.members("volumes") {
        if let Some(volume) = volume::decode(&fields, &mut findings) {
            project.volumes.insert(VolumeKey::new(name), volume);
        }
    }
    for (section, object) in [("configs", &CONFIG), ("secrets", &SECRET)] {
        for (name, fields) in file.members(section) {
            if let Some(object) = file_object::decode(name, &fields, object, context.lookup, &mut findings) {
                let objects = if section == "configs" {
                    &mut project.configs
                } else {
                    &mut project.secrets
                };
                objects.insert(name.to_owned(), object);
            }
        }
    }
    (project, findings)
}

/// `network_mode: bridge` is the project's default network here: there is no bridge that all projects share.
fn imply_bridge(project: &mut Project) {
    let default = NetworkKey::new("default");
    let user = project
        .services
        .values()
        .find(|service| service.networks.contains_key("default"));
    if let Some(user) = user
        && !project.networks.contains_key("default")
    {
        let network = Network {
            name: format!("{}_default", project.name),
            span: user.span,
            external: false,
            driver: None,
            driver_opts: IndexMap::new(),
            internal: false,
            attachable: false,
            enable_ipv6: None,
            ipam: Vec::new(),
            labels: IndexMap::new(),
        };
        project.networks.insert(default, network);
    }
}
