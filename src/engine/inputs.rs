//! In: the host files behind a project's configs and secrets. Out: [`Facts`], their content, and where the project came from.
//! **Invariant:** the only reading that lowering needs; a file that cannot be read is a fact, told where it is used.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use camino::Utf8Path;

use super::lower::{Content, Facts, Origin};
use crate::model::file_object::{FileMount, FileObjectSource};
use crate::model::{Project, Service};

/// Reads the files behind configs and secrets that enabled services use. Variables of `env_file` and labels of
/// `label_file` are in the services already.
pub fn read_inputs(project: &Project, origin: Origin) -> Facts {
    let mut facts = Facts {
        origin,
        ..Facts::default()
    };
    let used = |mounts: fn(&Service) -> &[FileMount]| -> BTreeSet<&str> {
        let services = project.services.values();
        services
            .flat_map(|service| mounts(service).iter().map(|mount| mount.source.as_str()))
            .collect()
    };
    let (configs, secrets) = (used(|service| &service.configs), used(|service| &service.secrets));
    let configs = project
        .configs
        .iter()
        .filter(|(key, _)| configs.contains(key.as_str()));
    let secrets = project
        .secrets
        .iter()
        .filter(|(key, _)| secrets.contains(key.as_str()));
    for (_, object) in configs.chain(secrets) {
        if let FileObjectSource::File(path) = &object.source {
            facts.contents.entry(path.clone()).or_insert_with(|| read(path));
        }
    }
    facts
}

fn read(path: &Utf8Path) -> Content {
    match std::fs::read(path) {
        Ok(bytes) => Content::Bytes(bytes),
        Err(error) if error.kind() == ErrorKind::IsADirectory => Content::Directory,
        Err(error) => Content::Unreadable(error.to_string()),
    }
}
