//! In: a service and the flags of `run`. Out: the service as its one-off container has it.
//! **Invariant:** a flag is read by the same rules as the key of a compose file it stands for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use rcompose_runtime::request::{ContainerRequest, NetworkingRequest};

use super::Context;
use super::exec::variables;
use super::project::LoadedProject;
use super::run::Args;
use crate::diagnostic::Diagnostics;
use crate::engine::lower::{Facts, lower, lower_one_off};
use crate::error::CliError;
use crate::model::decode;
use crate::model::mount::MountSource;
use crate::model::normalise::{self, normalise};
use crate::model::volume::Volume;
use crate::model::{Project, Service};
use crate::source::env::{EnvFormat, read_env_file};
use crate::source::node::{Mapping, Node};
use crate::source::span::{SourceMap, Span};
use crate::ui::terminal;

/// What is known before flags are read.
pub(super) struct Terminal {
    /// The container has one.
    pub(super) tty: bool,
    /// Its standard input stays open.
    pub(super) stdin_open: bool,
}

/// Puts the flags into the service; volumes it then names and the project does not have are added to the project.
pub(super) fn apply(
    context: &Context,
    args: &Args,
    project: &mut Project,
    service: &mut Service,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let written = flags_as_keys(context, args)?;
    if !args.command.is_empty() {
        service.command = Some(args.command.clone());
    }
    if args.entrypoint.is_some() {
        service.entrypoint = Some(written.entrypoint.unwrap_or_default());
        if args.command.is_empty() {
            service.command = Some(Vec::new());
        }
    }
    for (name, value) in file_variables(context, &args.env_from_file)? {
        service.environment.insert(name, Some(value));
    }
    for (name, value) in variables(context, &args.env) {
        service.environment.insert(name, value);
    }
    for label in &args.label {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        service.labels.insert(name.to_owned(), value.to_owned());
    }
    for mount in written.mounts {
        service.mounts.retain(|own| own.target != mount.target);
        if let MountSource::Named { key, .. } = &mount.source {
            let volume = || Volume {
                name: key.to_string(),
                span: mount.span,
                external: false,
                driver: None,
                driver_opts: indexmap::IndexMap::new(),
                labels: indexmap::IndexMap::new(),
            };
            project.volumes.entry(key.clone()).or_insert_with(volume);
        }
        service.mounts.push(mount);
    }
    if !args.service_ports {
        service.ports.clear();
    }
    service.ports.extend(written.ports);
    service.cap_add.extend(args.cap_add.iter().cloned());
    service.cap_drop.extend(args.cap_drop.iter().cloned());
    if let Some(user) = &args.user {
        service.user = Some(user.clone());
    }
    if let Some(directory) = &args.workdir {
        service.working_dir = Some(directory.clone());
    }
    service.tty = terminal.tty;
    service.stdin_open = terminal.stdin_open;
    Ok(())
}

/// The request of the container. Its service has been given the flags by [`apply`].
pub(super) fn request(
    args: &Args,
    files: &LoadedProject,
    service: &Service,
    slug: &str,
    facts: &Facts,
) -> Result<ContainerRequest, CliError> {
    let mut found = Diagnostics::new();
    let lowered = lower_one_off(&files.project, service, slug, facts, &mut found);
    let Some(mut request) = lowered else {
        return Err(CliError::findings(&found, &files.sources));
    };
    if let Some(replica) = lower(&files.project, service, 0, facts, &mut Diagnostics::new()) {
        // Ports were chosen by flags already.
        request.ports = replica.ports;
        if args.use_aliases
            && let (NetworkingRequest::Bridges(own), NetworkingRequest::Bridges(replica)) =
                (&mut request.network, replica.network)
        {
            for (own, replica) in own.iter_mut().zip(replica) {
                own.names = replica.names;
            }
        }
    }
    request.terminal_size = terminal::size().filter(|_| request.tty && !args.detach);
    if let Some(name) = &args.name {
        request.name.clone_from(name);
    }
    Ok(request)
}

/// Flags that have a grammar, read as keys of a service of their own.
fn flags_as_keys(context: &Context, args: &Args) -> Result<Service, CliError> {
    let mut sources = SourceMap::new();
    let mut node = |flag: &str, text: String| {
        let length = text.len();
        let file = sources.add(flag, text.clone());
        Node::string(text, Span::new(file, 0, length))
    };
    let anchor = node("command line", String::new()).span;
    let mut keys = Mapping::new();
    keys.insert("image", anchor, Node::string("none", anchor));
    if let Some(text) = &args.entrypoint {
        keys.insert("entrypoint", anchor, node("--entrypoint", text.clone()));
    }
    let mut list = |key: &str, flag: &str, texts: Vec<String>| {
        let items = texts.into_iter().map(|text| node(flag, text)).collect();
        keys.insert(key, anchor, Node::seq(items, anchor));
    };
    let volumes = args
        .volume
        .iter()
        .map(|text| absolute(&context.cwd, text))
        .collect();
    list("volumes", "--volume", volumes);
    list("ports", "--publish", args.publish.clone());
    let mut services = Mapping::new();
    services.insert("run", anchor, Node::map(keys, anchor));
    let mut root = Mapping::new();
    root.insert("services", anchor, Node::map(services, anchor));
    let root = Node::map(root, anchor);

    let lookup = |_: &str| None;
    let around = normalise::Context {
        project: "run",
        directory: ".",
        lookup: &lookup,
        implied: false,
        raw: false,
        environment: false,
    };
    let (root, mut findings) = normalise(&root, around);
    let enabled = BTreeSet::from(["run".to_owned()]);
    let around = decode::Context {
        project: "run",
        directory: Utf8Path::new("/"),
        lookup: &lookup,
        enabled: &enabled,
    };
    let (project, more) = Project::decode(&root, around);
    findings.append(more);
    let service = project.and_then(|mut project| project.services.shift_remove("run"));
    match service {
        Some(service) if !findings.has_errors() => Ok(service),
        Some(_) | None => Err(CliError::findings(&findings, &sources)),
    }
}

/// A volume whose source is a path from the working directory, as a shell's user means it.
fn absolute(cwd: &Path, text: &str) -> String {
    let Some((source, rest)) = text.split_once(':') else {
        return text.to_owned();
    };
    if source.starts_with('.') {
        let clean: PathBuf = cwd.join(source).components().collect();
        return format!("{}:{rest}", clean.display());
    }
    text.to_owned()
}

/// `--env-from-file`: variables in order.
fn file_variables(context: &Context, files: &[PathBuf]) -> Result<Vec<(String, String)>, CliError> {
    let lookup = |name: &str| context.variable(name).map(str::to_owned);
    let mut variables = Vec::new();
    for file in files {
        let path = context.cwd.join(file);
        let (mut sources, mut findings) = (SourceMap::new(), Diagnostics::new());
        let entries = read_env_file(&path, EnvFormat::Dotenv, &lookup, &mut sources, &mut findings)
            .map_err(|error| CliError::user(format!("cannot read {}: {error}", path.display())))?;
        if findings.has_errors() {
            return Err(CliError::findings(&findings, &sources));
        }
        variables.extend(entries.into_iter().map(|entry| (entry.name, entry.value)));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_are_made_absolute() {
        let cwd = Path::new("/srv/shop");
        assert_eq!(absolute(cwd, "./data:/data:ro"), "/srv/shop/data:/data:ro");
        assert_eq!(absolute(cwd, "data:/data"), "data:/data");
        assert_eq!(absolute(cwd, "/data"), "/data");
        assert_eq!(absolute(cwd, ".:/src"), "/srv/shop:/src");
    }
}
