//! In: the files a project's services name (`env_file`, `label_file`, configs, secrets). Out: [`Facts`], their content.
//! **Invariant:** the only reading that lowering needs; what cannot be read is told at the entry that asked for it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use camino::Utf8Path;

use super::lower::{Content, Facts};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::file_object::FileObjectSource;
use crate::model::{Project, Service};
use crate::source::env::{EnvFormat, Environment, read_env_file};
use crate::source::span::{SourceMap, Span};

/// Where a project came from, as its containers' labels say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Compose files, absolute.
    pub config_files: Vec<String>,
    /// `--env-file` and `.env` files, absolute.
    pub env_files: Vec<String>,
}

/// Reads every file that enabled services name. Texts of environment files are added to `sources`, findings to `diagnostics`.
pub fn read_inputs(
    project: &Project,
    origin: Origin,
    environment: &Environment,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Facts {
    let mut facts = Facts {
        origin,
        ..Facts::default()
    };
    for service in project.services.values() {
        read_environment(service, environment, &mut facts, sources, diagnostics);
        read_labels(service, environment, &mut facts, sources, diagnostics);
    }
    let used = |mounts: fn(&Service) -> &Vec<crate::model::file_object::FileMount>| -> BTreeSet<&str> {
        let services = project.services.values();
        services
            .flat_map(|service| mounts(service).iter().map(|mount| mount.source.as_str()))
            .collect()
    };
    let (configs, secrets) = (used(|service| &service.configs), used(|service| &service.secrets));
    let objects = project
        .configs
        .iter()
        .filter(|(key, _)| configs.contains(key.as_str()));
    for (_, object) in objects.chain(
        project
            .secrets
            .iter()
            .filter(|(key, _)| secrets.contains(key.as_str())),
    ) {
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

fn read_environment(
    service: &Service,
    environment: &Environment,
    facts: &mut Facts,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) {
    let lookup = |name: &str| {
        let own = || service.environment.get(name).cloned().flatten();
        environment.get(name).map(str::to_owned).or_else(own)
    };
    for file in &service.env_files {
        let format = if file.raw {
            EnvFormat::Raw
        } else {
            EnvFormat::Dotenv
        };
        match read_env_file(file.path.as_std_path(), format, &lookup, sources, diagnostics) {
            Ok(entries) => {
                let known = facts.environment.entry(service.name.clone()).or_default();
                known.extend(entries.into_iter().map(|entry| (entry.name, entry.value)));
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !file.required => {}
            Err(error) => {
                diagnostics.push(unreadable("env file", file.path.as_std_path(), &error, file.span));
            }
        }
    }
}

fn read_labels(
    service: &Service,
    environment: &Environment,
    facts: &mut Facts,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) {
    let lookup = |name: &str| environment.get(name).map(str::to_owned);
    for path in &service.label_files {
        match read_env_file(
            path.as_std_path(),
            EnvFormat::Dotenv,
            &lookup,
            sources,
            diagnostics,
        ) {
            Ok(entries) => {
                let known = facts.labels.entry(service.name.clone()).or_default();
                known.extend(entries.into_iter().map(|entry| (entry.name, entry.value)));
            }
            Err(error) => {
                let span = service
                    .key_spans
                    .get("label_file")
                    .copied()
                    .unwrap_or(service.span);
                diagnostics.push(unreadable("label file", path.as_std_path(), &error, span));
            }
        }
    }
}

fn unreadable(what: &str, path: &Path, error: &std::io::Error, span: Span) -> Diagnostic {
    let path = path.display();
    let diagnostic = if error.kind() == ErrorKind::NotFound {
        Diagnostic::error("file-missing", format!("{what} {path} does not exist"))
    } else {
        Diagnostic::error(
            "file-unreadable",
            format!("{what} {path} cannot be read: {error}"),
        )
    };
    diagnostic.at(span)
}
