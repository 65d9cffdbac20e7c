//! In: a variable's name and a loaded project. Out: where its value is looked for, in order, who has it, and every
//! place that uses it. **Invariant:** all that is said of a file is read in the text that was loaded.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::PathBuf;

use super::compose_files;
use crate::diagnostic::{Diagnostics, nearest};
use crate::model::env_file::Definition;
use crate::source::dotenv;
use crate::source::load::Loaded;
use crate::source::node::{Node, Step, Value, VariableOrigin};
use crate::source::path::NodePath;
use crate::source::span::{FileId, SourceMap, Span};
use crate::source::{template, toml, written, yaml};

/// All that is known of a variable.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its name.
    pub name: String,
    /// Its value in interpolation; none if it is not set.
    pub value: Option<String>,
    /// Where it is looked for, in order: the first that sets it counts.
    pub candidates: Vec<Candidate>,
    /// Where the compose files use it.
    pub usages: Vec<Usage>,
    /// What helps, in sentences without a period.
    pub hints: Vec<String>,
}

/// A place that may set a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The file; none for the process environment, or what rcompose itself sets.
    pub file: Option<PathBuf>,
    /// Whether rcompose itself sets it.
    pub is_builtin: bool,
    /// Whether the file is there.
    pub is_there: bool,
    /// What it sets the variable to, and where.
    pub sets: Option<(String, Option<Span>)>,
    /// Whether this is what counts.
    pub counts: bool,
}

/// A use of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Where in its file's tree.
    pub path: NodePath,
    /// The expression.
    pub place: Span,
    /// Where the value comes from there, if that is not where it comes from elsewhere.
    pub other: Option<Span>,
}

/// Tells all about a variable; `definitions` are what the services' `env_file`s set, `at` is a place in words.
pub fn story(
    name: &str,
    loaded: &Loaded,
    sources: &SourceMap,
    os_env: &[(String, String)],
    definitions: &[Definition],
    at: &dyn Fn(Span) -> String,
) -> Story {
    let value = loaded.environment.get(name).map(str::to_owned);
    let candidates = candidates(name, loaded, sources, os_env);
    let usages = usages(name, loaded, sources);
    let mut hints = Vec::new();
    let counting = candidates.iter().find(|candidate| candidate.counts);
    let set_at = counting.and_then(|candidate| candidate.sets.as_ref()?.1);
    match (&value, set_at) {
        (None, _) => {
            let names = loaded.environment.iter().map(|(name, _)| name);
            if let Some(near) = nearest(name, names) {
                hints.push(format!("`{near}` is set: is that what is meant?"));
            }
        }
        (Some(value), Some(span)) => {
            let written = sources.text(span);
            let assigned = written
                .split_once(['=', ':'])
                .map_or("", |(_, value)| value.trim());
            if value.is_empty() {
                hints.push(format!("it is set to nothing at {}", at(span)));
            }
            if assigned.contains('$') && !assigned.starts_with('\'') && *value != assigned {
                hints.push(format!(
                    "the `$` in its value at {} was interpolated: put the value in single quotes if it is meant as it stands",
                    at(span)
                ));
            }
        }
        (Some(value), None) if value.is_empty() => {
            let mut below = candidates.iter().filter(|candidate| !candidate.counts);
            let hidden = below.find_map(|candidate| candidate.sets.as_ref()?.1);
            let hidden = hidden.map(|span| format!(", which hides {}", at(span)));
            let hidden = hidden.unwrap_or_default();
            hints.push(format!(
                "the environment sets it to nothing{hidden}: `unset {name}`"
            ));
        }
        (Some(_), None) => {}
    }
    let is_missing = value.as_deref().unwrap_or_default().is_empty();
    for definition in definitions.iter().filter(|definition| definition.name == name) {
        hints.push(if is_missing {
            definition.advice(&at(definition.span))
        } else {
            definition.difference(&at(definition.span))
        });
    }
    if usages.is_empty() {
        hints.push("no compose file uses it".to_owned());
    }
    Story {
        name: name.to_owned(),
        value,
        candidates,
        usages,
        hints,
    }
}

fn candidates(
    name: &str,
    loaded: &Loaded,
    sources: &SourceMap,
    os_env: &[(String, String)],
) -> Vec<Candidate> {
    let from_os = os_env.iter().find(|(key, _)| key == name);
    let mut all = vec![Candidate {
        file: None,
        is_builtin: false,
        is_there: true,
        sets: from_os.map(|(_, value)| (value.clone(), None)),
        counts: false,
    }];
    let lookup = |name: &str| loaded.environment.get(name).map(str::to_owned);
    let mut seen: Vec<&PathBuf> = Vec::new();
    for path in &loaded.env_files {
        if seen.contains(&path) {
            continue;
        }
        seen.push(path);
        let file = sources.files().find(|(_, file)| file.path == *path);
        let entries = file.map(|(id, file)| dotenv::parse(id, &file.text, &lookup, &mut Diagnostics::new()));
        let entry = entries.into_iter().flatten().rfind(|entry| entry.name == name);
        all.push(Candidate {
            file: Some(path.clone()),
            is_builtin: false,
            is_there: file.is_some(),
            sets: entry.map(|entry| (entry.value, Some(entry.span))),
            counts: false,
        });
    }
    match loaded.environment.variable(name) {
        Some(variable) if variable.origin == VariableOrigin::Builtin => all.insert(
            0,
            Candidate {
                file: None,
                is_builtin: true,
                is_there: true,
                sets: Some((variable.value.clone(), None)),
                counts: true,
            },
        ),
        Some(_) => {
            if let Some(first) = all.iter_mut().find(|candidate| candidate.sets.is_some()) {
                first.counts = true;
            }
        }
        None => {}
    }
    all
}

/// Every expression with the variable in the files that were loaded, in their order.
fn usages(name: &str, loaded: &Loaded, sources: &SourceMap) -> Vec<Usage> {
    let mut found: Vec<Usage> = Vec::new();
    for file in compose_files(loaded, sources) {
        for document in parsed(file, sources) {
            uses_below(&document, &NodePath::root(), name, sources, &mut found);
        }
    }
    let usual = loaded.environment.origin(name);
    let mut unusual = Vec::new();
    collect_origins(&loaded.root, name, &mut unusual);
    for usage in &mut found {
        let other = unusual
            .iter()
            .find(|(place, origin)| *place == usage.place && *origin != usual);
        if let Some((_, VariableOrigin::File(span))) = other {
            usage.other = Some(*span);
        }
    }
    found
}

fn parsed(file: FileId, sources: &SourceMap) -> Vec<Node> {
    let source = sources.file(file);
    let mut said = Diagnostics::new();
    if written::is_toml(&source.path) {
        toml::parse(file, &source.text, &mut said)
    } else {
        yaml::parse(file, &source.text, &mut said)
    }
}

fn uses_below(node: &Node, path: &NodePath, name: &str, sources: &SourceMap, found: &mut Vec<Usage>) {
    match &node.value {
        Value::String(text) if text.contains('$') => {
            // With every variable set, alternatives are looked at; with none, defaults are.
            let all_set = template::substitute(text, &|_| Some("x".to_owned()));
            let none_set = template::substitute(text, &|_| None);
            let uses = all_set.uses.into_iter().chain(none_set.uses);
            for one in uses.filter(|one| one.name == name) {
                let place = written::place(sources, node.span, text, one.start..one.end);
                if !found.iter().any(|usage| usage.place == place) {
                    found.push(Usage {
                        path: path.clone(),
                        place,
                        other: None,
                    });
                }
            }
        }
        Value::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                uses_below(item, &path.index(index), name, sources, found);
            }
        }
        Value::Map(mapping) => {
            for (key, node) in mapping.iter() {
                uses_below(node, &path.key(key), name, sources, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
}

fn collect_origins(node: &Node, name: &str, found: &mut Vec<(Span, VariableOrigin)>) {
    for step in node.steps() {
        if let Step::Interpolated {
            name: used,
            origin,
            span,
        } = step
            && used == name
        {
            found.push((*span, origin.clone()));
        }
    }
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| collect_origins(item, name, found)),
        Value::Map(mapping) => mapping
            .iter()
            .for_each(|(_, node)| collect_origins(node, name, found)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
}
