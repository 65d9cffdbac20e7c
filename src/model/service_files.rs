//! In: services whose variables and labels stand in files. Out: the same services with what those files say.
//! **Invariant:** what a service says itself wins over its files, and a later file over an earlier one.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::env::{EnvFormat, read_env_file};
use crate::source::node::{Mapping, Node, Value};
use crate::source::span::{SourceMap, Span};

/// Puts the variables of `env_file` and the labels of `label_file` into their services.
pub(super) struct ServiceFiles<'a> {
    /// The project's environment.
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Where the texts that are read go.
    pub(super) sources: &'a mut SourceMap,
    /// Where findings go.
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl ServiceFiles<'_> {
    /// Reads the files of the services that are on.
    pub(super) fn read_all(&mut self, root: &mut Node, enabled: &BTreeSet<String>) {
        let services = root.as_map_mut().and_then(|file| file.get_mut("services"));
        let Some(services) = services.and_then(Node::as_map_mut) else {
            return;
        };
        for (name, service) in services.iter_mut().filter(|(name, _)| enabled.contains(*name)) {
            let span = service.span;
            let Some(service) = service.as_map_mut() else {
                continue;
            };
            let variables = self.variables(name, service, service.get("environment"));
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
fn merge_pairs(service: &mut Mapping, key: &str, from_files: Vec<(String, Node)>, span: Span) {
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
pub(super) fn without_files(service: &mut Mapping) {
    for key in ["env_file", "label_file"] {
        service.remove(key);
    }
}
