//! In: the merged tree and findings about variables that are not set. Out: what the services' `env_file`s set, and the
//! findings with the hint that it is set there, where interpolation does not look.
//! **Invariant:** files are only read here when a variable is missing or asked about; what is wrong in them is said elsewhere.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::Path;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::env::{EnvFormat, read_env_file};
use crate::source::load::Loaded;
use crate::source::node::{Mapping, Node};
use crate::source::span::{SourceMap, Span};
use crate::source::template;

/// A variable that an `env_file` gives to a service's containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The variable.
    pub name: String,
    /// Where it is set.
    pub span: Span,
    /// The service.
    pub service: String,
    /// Where the service names the file.
    pub named: Span,
}

impl Definition {
    /// What to do when it is missed in interpolation; `place` is where it is set.
    pub fn advice(&self, place: &str) -> String {
        let Self { name, service, .. } = self;
        format!(
            "`{name}` is set at {place}, in an env_file of `{service}`: that is given to the container, but is not used \
             for interpolation; put it into `.env`, or name the file with `--env-file`"
        )
    }

    /// What it means when interpolation has a value of its own; `place` is where it is set.
    pub fn difference(&self, place: &str) -> String {
        let Self { name, service, .. } = self;
        format!(
            "`{name}` is also set at {place}, in an env_file of `{service}`: its container gets that, unless `environment` says otherwise"
        )
    }
}

/// All that the `env_file`s of the services set. Files that cannot be read are left out.
pub fn definitions(loaded: &Loaded, sources: &mut SourceMap) -> Vec<Definition> {
    let lookup = |name: &str| loaded.environment.get(name).map(str::to_owned);
    let services = loaded.root.get("services").and_then(Node::as_map);
    let mut found = Vec::new();
    for (service, node) in services.into_iter().flat_map(Mapping::iter) {
        let Some(files) = node.get("env_file") else {
            continue;
        };
        for file in files.as_seq().unwrap_or(std::slice::from_ref(files)) {
            let path = file.get("path").unwrap_or(file);
            let Some(text) = path.as_str() else { continue };
            let format = match file.get("format").and_then(Node::as_str) {
                Some("raw") => EnvFormat::Raw,
                Some(_) | None => EnvFormat::Dotenv,
            };
            let full = loaded.project_directory.join(Path::new(text));
            let entries = read_env_file(&full, format, &lookup, sources, &mut Diagnostics::new());
            found.extend(entries.into_iter().flatten().map(|entry| Definition {
                name: entry.name,
                span: entry.span,
                service: service.to_owned(),
                named: path.span,
            }));
        }
    }
    found
}

/// Adds to findings about variables that are not set where an `env_file` sets them.
pub(super) fn explain_missing(
    findings: Diagnostics,
    loaded: &Loaded,
    sources: &mut SourceMap,
) -> Diagnostics {
    let is_missing = |finding: &Diagnostic| matches!(finding.code, "unset-variable" | "required-variable");
    if !findings.iter().any(is_missing) {
        return findings;
    }
    let definitions = definitions(loaded, sources);
    let explained = |finding: Diagnostic| {
        let Some(span) = finding.span().filter(|_| is_missing(&finding)) else {
            return finding;
        };
        let names = template::variables(sources.text(span));
        let definition = names
            .first()
            .and_then(|name| definitions.iter().find(|definition| definition.name == *name));
        match definition {
            Some(definition) => finding
                .secondary(definition.span, "set here, but for the container only")
                .help(definition.advice(&sources.locate(definition.span))),
            None => finding,
        }
    };
    findings.into_iter().map(explained).collect()
}
