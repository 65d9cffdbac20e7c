//! In: a service and its origin. Out: the labels of its containers, spelled as Docker Compose spells them, since scripts read them.
//! **Invariant:** the user's labels never override the engine's.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rcompose_runtime::request::ContainerRequest;

use super::Facts;
use crate::model::{Project, Service};

/// Prefix of the engine's labels.
pub(super) const PREFIX: &str = "com.docker.compose.";

/// Adds the engine's labels.
pub(super) fn add(request: &mut ContainerRequest, project: &Project, service: &Service, facts: &Facts) {
    let depends_on: Vec<String> = service
        .depends_on
        .iter()
        .map(|(name, dependency)| format!("{name}:{}:{}", dependency.condition.as_str(), dependency.restart))
        .collect();
    let number = request.number.to_string();
    let hash = request.config_hash.clone();
    let labels = [
        ("project", project.name.to_string()),
        ("service", service.name.to_string()),
        ("container-number", number),
        ("oneoff", "False".to_owned()),
        ("config-hash", hash),
        ("depends_on", depends_on.join(",")),
        ("project.working_dir", project.directory.to_string()),
        ("project.config_files", facts.origin.config_files.join(",")),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    for (name, value) in labels {
        request.labels.insert(format!("{PREFIX}{name}"), value);
    }
    if !facts.origin.env_files.is_empty() {
        let files = facts.origin.env_files.join(",");
        request
            .labels
            .insert(format!("{PREFIX}project.environment_file"), files);
    }
}

/// Turns the labels of a replica into those of a container made by `run`.
pub(super) fn mark_one_off(request: &mut ContainerRequest, slug: &str) {
    request
        .labels
        .insert(format!("{PREFIX}oneoff"), "True".to_owned());
    request.labels.insert(format!("{PREFIX}slug"), slug.to_owned());
    request.labels.remove(&format!("{PREFIX}container-number"));
}
