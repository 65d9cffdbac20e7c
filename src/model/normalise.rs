//! In: the merged and checked tree, with paths resolved. Out: the tree that `config` prints: every value in one form,
//! every name, default network and dependency that the files imply spelled out.
//! **Invariant:** normalising a normalised tree changes nothing.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod complete;
mod implied;
mod order;
mod print;
mod quirk;
mod raw;

#[cfg(test)]
mod tests;

use super::cast;
use super::checked::SERVICES;
use super::expand;
use super::schema::{FILE, SERVICE};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::implied::Implied;
use crate::source::node::{Entry, Mapping, Node, Value};
use crate::source::parallel;
use crate::source::span::Span;

pub(in crate::model) use self::implied::agree_on_replicas;
pub(in crate::model) use self::implied::clean;
pub use self::print::{View, escape_dollars, printed, printed_raw, yaml_text};

/// What the tree alone does not say.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The project's name, already decided.
    pub project: &'a str,
    /// What a build without context is built from.
    pub directory: &'a str,
    /// The project's environment, for variables that are named without a value.
    pub lookup: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// Whether names, networks and dependencies are spelled out (not with `config --no-normalize`).
    pub implied: bool,
    /// Whether variables were not put in, so that values cannot be cast (with `config --no-interpolate`).
    pub raw: bool,
    /// Whether variables without a value get theirs (not with `config --no-env-resolution`).
    pub environment: bool,
}

/// The canonical tree of a project.
pub fn normalise(root: &Node, context: Context<'_>) -> (Node, Diagnostics) {
    let mut findings = Diagnostics::new();
    let Some(written) = root.as_map() else {
        return (root.clone(), findings);
    };
    if let Some(version) = written.entry("version") {
        findings.push(
            Diagnostic::warning("obsolete-version", "`version` is obsolete and ignored")
                .at(version.key_span)
                .help("remove the line"),
        );
    }
    let all = written.entry(SERVICES).and_then(|section| section.node.as_map());
    let mut file = Mapping::new();
    for (key, entry) in written.entries() {
        let apart = key == SERVICES && all.is_some_and(|services| !services.is_empty());
        if !apart && !["version", "include"].contains(&key) {
            file.insert(key, entry.key_span, entry.node.clone());
        }
    }
    let mut root = root.remade(Value::Map(file));
    expand::resources(&mut root, &mut findings);
    let done = all.map(|services| parallel::each_of(services, |name, entry| service(name, entry, &context)));
    let mut services = Mapping::new();
    let mut default_user = None;
    for ((name, entry), done) in all
        .into_iter()
        .flat_map(Mapping::entries)
        .zip(done.into_iter().flatten())
    {
        findings.append(done.findings);
        default_user = default_user.or(done.default_user);
        services.insert(name, entry.key_span, done.node);
    }
    if let Some(file) = root.as_map_mut() {
        // Where the file begins to say something that counts.
        let mut keys = written
            .entries()
            .filter(|(key, _)| !["version", "include"].contains(key));
        let span = keys.next().map(|(_, entry)| entry.key_span);
        if let Some(span) = span.filter(|_| context.implied || !context.raw) {
            let key_span = file.key_span("name").unwrap_or(span);
            let written = file.get("name").filter(|name| !name.is_null());
            let name = written.map_or_else(|| Node::string("", key_span), Node::clone);
            let name = name.remade_text(context.project).implied_by(Implied::ProjectName);
            file.insert("name", key_span, name);
        }
        if let Some(user) = default_user {
            implied::default_network(file, user);
        }
        if context.implied {
            implied::names(file, context.project);
        }
    }
    if !context.raw {
        root = cast::object(root, &FILE);
        services.sort();
    }
    if let Some(file) = root.as_map_mut() {
        if let Some(section) = written.entry(SERVICES).filter(|_| !services.is_empty()) {
            let services = section.node.remade(Value::Map(services));
            file.insert(SERVICES, section.key_span, services);
        }
        if !context.raw {
            complete::file(file);
        }
    }
    (root, findings)
}

/// A service that was normalised.
struct Done {
    node: Node,
    findings: Diagnostics,
    /// Where it stands, if it is on the network `default`.
    default_user: Option<Span>,
}

/// Normalises one service.
fn service(name: &str, entry: &Entry, context: &Context<'_>) -> Done {
    let mut findings = Diagnostics::new();
    let mut node = entry.node.clone();
    let span = node.span;
    let mut default_user = None;
    if let Some(service) = node.as_map_mut() {
        expand::service(name, service, context.raw, &mut findings);
        implied::defaults(service, context.directory);
        if context.implied {
            default_user = implied::network(service, span);
            implied::service(service, span);
        }
    }
    if context.raw {
        node.as_map_mut().into_iter().for_each(raw::lengthen);
    } else {
        node = cast::object(node, &SERVICE);
        if let Some(service) = node.as_map_mut() {
            if context.environment {
                implied::environment(service, context.lookup);
            }
            if context.implied {
                implied::build_arguments(service, context.lookup);
            }
            complete::service(service);
        }
    }
    Done {
        node,
        findings,
        default_user,
    }
}
