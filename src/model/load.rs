//! In: what a command was asked to load. Out: the project, the tree `config` prints, and everything that is to be said.
//! **Invariant:** no stage stops at its first finding; a later stage only runs on what an earlier one left whole.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use camino::Utf8PathBuf;

use super::consequence::independent;
use super::project::Project;
use super::{decode, env_file, expand, normalise, profile, schema, validate};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::env::{EnvFormat, read_env_file};
use crate::source::load::{self as source, LoadOptions, Loaded};
use crate::source::node::{Mapping, Node, Value};
use crate::source::span::SourceMap;

/// How far a project is loaded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files, names, profiles and environment.
    pub source: LoadOptions,
    /// Services named on the command line: their profiles are switched on. Which of them are acted on is the
    /// command's matter ([`profile::select`]); [`Outcome::normalised`] has them and what they depend on.
    pub services: Vec<String>,
    /// Names, networks and dependencies are spelled out (off with `config --no-normalize`).
    pub normalise: bool,
    /// The parts are checked against each other (off with `config --no-consistency`).
    pub consistency: bool,
    /// Variables get their values from the environment and from `env_file` (off with `config --no-env-resolution`).
    pub environment: bool,
}

impl Options {
    /// A project as every command but `config` loads it.
    pub fn new(source: LoadOptions) -> Self {
        Self {
            source,
            services: Vec::new(),
            normalise: true,
            consistency: true,
            environment: true,
        }
    }
}

/// What came of loading.
#[derive(Debug)]
pub struct Outcome {
    /// The project; none when any finding is an error.
    pub project: Option<Project>,
    /// The tree to print, with the selected services; none when the files are no valid Compose files. It may be there
    /// without a project: when the files are right, but this host cannot do what they ask for.
    pub normalised: Option<Node>,
    /// What is wrong with the files, ordered by place.
    pub diagnostics: Diagnostics,
    /// What is right, but not possible here (code `unsupported-key` and the like), ordered by place.
    pub refusals: Diagnostics,
    /// All texts read, for showing findings.
    pub sources: SourceMap,
    /// The merged tree and what was read for it; none when a file could not be read.
    pub loaded: Option<Loaded>,
}

impl Outcome {
    /// All findings, ordered by place; a warning that is refused at the same place for the same reason is left out.
    pub fn findings(&self) -> Diagnostics {
        let refused = |warning: &Diagnostic| {
            let same =
                |refusal: &Diagnostic| refusal.code == warning.code && refusal.span() == warning.span();
            warning.severity < Severity::Error && self.refusals.iter().any(same)
        };
        let stated = self.diagnostics.iter().filter(|finding| !refused(finding));
        let mut all: Diagnostics = stated.chain(&self.refusals).cloned().collect();
        all.sort();
        all
    }
}

/// Loads a project through all stages.
pub fn load(options: &Options) -> Outcome {
    let (loaded, mut diagnostics, mut sources) = source::load(&options.source);
    let Some(loaded) = loaded else {
        diagnostics.sort();
        return Outcome {
            project: None,
            normalised: None,
            diagnostics,
            refusals: Diagnostics::new(),
            sources,
            loaded: None,
        };
    };
    diagnostics = env_file::explain_missing(diagnostics, &loaded, &mut sources);
    let (normalised, project, refusals) = stages(options, &loaded, &mut diagnostics, &mut sources);
    diagnostics.sort();
    Outcome {
        project,
        normalised,
        diagnostics,
        refusals,
        sources,
        loaded: Some(loaded),
    }
}

fn stages(
    options: &Options,
    loaded: &Loaded,
    diagnostics: &mut Diagnostics,
    sources: &mut SourceMap,
) -> (Option<Node>, Option<Project>, Diagnostics) {
    let mut refusals = Diagnostics::new();
    let lookup = |name: &str| loaded.environment.get(name).map(str::to_owned);
    let directory = loaded.project_directory.to_string_lossy();
    let raw = !options.source.interpolate;
    for earlier in &loaded.earlier {
        let found = schema::validate(earlier, raw);
        let mut short = Diagnostics::new();
        expand::expand(&mut earlier.clone(), raw, &mut short);
        let short = independent(short, &found, earlier);
        diagnostics.append(found);
        diagnostics.append(short);
    }
    let found = schema::validate(&loaded.root, raw);
    diagnostics.append(independent(found, diagnostics, &loaded.root));
    let (mut root, findings) = normalise::normalise(
        &loaded.root,
        normalise::Context {
            project: &loaded.project_name,
            directory: if options.source.resolve_paths {
                &directory
            } else {
                "."
            },
            lookup: &lookup,
            implied: options.normalise,
            raw,
            environment: options.environment,
        },
    );
    diagnostics.append(independent(findings, diagnostics, &loaded.root));
    diagnostics.append(validate::sources(&loaded.root));
    if raw {
        return ((!diagnostics.has_errors()).then_some(root), None, refusals);
    }
    let enabled = profile::enabled(&root, &loaded.profiles, &options.services);
    let mut found = validate::parts(&root);
    if options.consistency {
        found.append(validate::consistency(&root, &enabled));
        normalise::agree_on_replicas(&mut root);
    }
    diagnostics.append(independent(found, diagnostics, &loaded.root));
    if options.environment && !diagnostics.has_errors() {
        EnvironmentFiles {
            lookup: &lookup,
            sources,
            diagnostics,
        }
        .read_all(&mut root, &enabled);
    }
    if diagnostics.has_errors() {
        return (None, None, refusals);
    }
    let all = options.source.all_resources;
    let is_wanted = |doubt: &Diagnostic| !(all && doubt.code == "unused-resource");
    diagnostics.extend(validate::doubts(&root, &enabled).into_iter().filter(is_wanted));
    let selected = profile::selected(&root, &enabled, &options.services);
    let narrowed = |tree: Node, services: &BTreeSet<String>| {
        if all {
            tree
        } else {
            profile::narrow_resources(tree, services)
        }
    };
    let tree = narrowed(root, &enabled);
    let project = match Utf8PathBuf::from_path_buf(loaded.project_directory.clone()) {
        Ok(directory) => {
            let (project, findings) = Project::decode(
                &tree,
                decode::Context {
                    project: &loaded.project_name,
                    directory: &directory,
                    lookup: &lookup,
                    enabled: &enabled,
                },
            );
            refusals.append(findings);
            project
        }
        Err(path) => {
            refusals.push(Diagnostic::error(
                "bad-path",
                format!("the project directory `{}` is not valid UTF-8", path.display()),
            ));
            None
        }
    };
    refusals.sort();
    let mut kept = profile::narrow_services(narrowed(tree, &selected), &selected);
    if options.environment {
        without_files(&mut kept);
    }
    (Some(kept), project, refusals)
}

/// Puts the variables of `env_file` and the labels of `label_file` into their services.
struct EnvironmentFiles<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    sources: &'a mut SourceMap,
    diagnostics: &'a mut Diagnostics,
}

impl EnvironmentFiles<'_> {
    fn read_all(&mut self, root: &mut Node, enabled: &BTreeSet<String>) {
        let services = root.as_map_mut().and_then(|file| file.get_mut("services"));
        let Some(services) = services.and_then(Node::as_map_mut) else {
            return;
        };
        for (name, service) in services.iter_mut().filter(|(name, _)| enabled.contains(*name)) {
            let span = service.span;
            let Some(service) = service.as_map_mut() else {
                continue;
            };
            let own = service.get("environment").cloned();
            let variables = self.variables(name, service, own.as_ref());
            merge_pairs(service, "environment", variables, span);
            let labels = self.labels(name, service);
            merge_pairs(service, "labels", labels, span);
        }
    }

    fn variables(&mut self, name: &str, service: &Mapping, own: Option<&Node>) -> Vec<(String, Node)> {
        let mut found = Vec::new();
        for entry in service.get("env_file").and_then(Node::as_seq).unwrap_or_default() {
            let nameless = Node::string("", entry.span);
            let path = entry.get("path").unwrap_or(&nameless);
            let required = entry.get("required").and_then(Node::as_bool) != Some(false);
            let raw = entry.get("format").and_then(Node::as_str) == Some("raw");
            let format = if raw { EnvFormat::Raw } else { EnvFormat::Dotenv };
            let lookup = |variable: &str| {
                (self.lookup)(variable).or_else(|| own?.get(variable)?.as_str().map(str::to_owned))
            };
            let kind = FileKind {
                title: "env_file",
                required,
                format,
            };
            found.extend(read(name, path, &kind, &lookup, self.sources, self.diagnostics));
        }
        found
    }

    fn labels(&mut self, name: &str, service: &Mapping) -> Vec<(String, Node)> {
        let mut found = Vec::new();
        for path in service
            .get("label_file")
            .and_then(Node::as_seq)
            .unwrap_or_default()
        {
            let kind = FileKind {
                title: "label_file",
                required: true,
                format: EnvFormat::Dotenv,
            };
            found.extend(read(
                name,
                path,
                &kind,
                self.lookup,
                self.sources,
                self.diagnostics,
            ));
        }
        found
    }
}

struct FileKind {
    title: &'static str,
    required: bool,
    format: EnvFormat,
}

fn read(
    service: &str,
    path: &Node,
    kind: &FileKind,
    lookup: &dyn Fn(&str) -> Option<String>,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Node)> {
    let text = path.as_str().unwrap_or_default();
    match read_env_file(Path::new(text), kind.format, lookup, sources, diagnostics) {
        Ok(entries) => entries
            .into_iter()
            .map(|entry| (entry.name, Node::string(entry.value, entry.span)))
            .collect(),
        Err(error) if !kind.required && error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let reason = if missing {
                "no such file".to_owned()
            } else {
                error.to_string()
            };
            let mut finding = Diagnostic::error(
                "missing-file",
                format!(
                    "the {} `{text}` of `{service}` cannot be read: {reason}",
                    kind.title
                ),
            )
            .at(path.span);
            if missing && kind.title == "env_file" {
                finding = finding.help(format!(
                    "create it, or let it be absent:\nservices:\n  {service}:\n    env_file:\n      - path: {text}\n        required: false"
                ));
            }
            diagnostics.push(finding);
            Vec::new()
        }
    }
}

/// Adds what files say below what the service itself says; later files win over earlier ones.
fn merge_pairs(
    service: &mut Mapping,
    key: &str,
    from_files: Vec<(String, Node)>,
    span: crate::source::span::Span,
) {
    if from_files.is_empty() {
        return;
    }
    let mut all: BTreeMap<String, Node> = BTreeMap::new();
    for (name, mut node) in from_files {
        if let Some(below) = all.get(&name) {
            node.record_replaced(below);
        }
        all.insert(name, node);
    }
    let key_span = service.key_span(key).unwrap_or(span);
    let own = service.remove(key).map(|entry| entry.node.value);
    if let Some(Value::Map(own)) = own {
        for (name, mut entry) in own.into_entries() {
            if let Some(below) = all.get(name.as_str()) {
                entry.node.record_replaced(below);
            }
            all.insert(name.to_string(), entry.node);
        }
    }
    let mut merged = Mapping::new();
    for (name, node) in all {
        merged.insert(name, node.span, node);
    }
    service.insert(key, key_span, Node::map(merged, span));
}

/// Files whose contents were put in are not printed.
fn without_files(root: &mut Node) {
    let services = root.as_map_mut().and_then(|file| file.get_mut("services"));
    for service in services
        .and_then(Node::as_map_mut)
        .into_iter()
        .flat_map(Mapping::values_mut)
    {
        if let Some(service) = service.as_map_mut() {
            service.remove("env_file");
            service.remove("label_file");
        }
    }
}
