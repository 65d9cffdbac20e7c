//! In: the merged and checked tree, with paths resolved. Out: the tree that `config` prints: every value in one form,
//! every name, default network and dependency that the files imply spelled out.
//! **Invariant:** normalising a normalised tree changes nothing.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod complete;
mod implied;
mod order;
mod print;
mod quirk;

#[cfg(test)]
mod tests;

use super::cast;
use super::expand;
use super::schema::{FILE, SERVICE};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::implied::Implied;
use crate::source::node::{Mapping, Node};
use crate::source::parallel;
use crate::source::span::Span;

pub(in crate::model) use self::implied::agree_on_replicas;
pub(in crate::model) use self::implied::clean;
pub use self::print::{View, escape_dollars, printed, printed_raw};

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
    let mut root = root.clone();
    expand::resources(&mut root, &mut findings);
    let mut services = None;
    if let Some(file) = root.as_map_mut() {
        if let Some(version) = file.remove("version") {
            findings.push(
                Diagnostic::warning("obsolete-version", "`version` is obsolete and ignored")
                    .at(version.key_span)
                    .help("remove the line"),
            );
        }
        file.remove("include");
        let span = file.entries().next().map(|(_, entry)| entry.key_span);
        if let Some(span) = span.filter(|_| context.implied || !context.raw) {
            let key_span = file.key_span("name").unwrap_or(span);
            let written = file.get("name").filter(|name| !name.is_null());
            let name = written.map_or_else(|| Node::string("", key_span), Node::clone);
            let name = name.remade_text(context.project).implied_by(Implied::ProjectName);
            file.insert("name", key_span, name);
        }
        let mapping = file.get_mut("services").and_then(Node::as_map_mut);
        if let Some(mapping) = mapping.filter(|mapping| !mapping.is_empty()) {
            let done = parallel::each(mapping, |name, node| service(name, node, &context));
            let mut default_user = None;
            for (said, user) in done {
                findings.append(said);
                default_user = default_user.or(user);
            }
            if let Some(user) = default_user {
                implied::default_network(file, user);
            }
            if !context.raw {
                services = file.remove("services");
            }
        }
        if context.implied {
            implied::names(file, context.project);
        }
    }
    if context.raw {
        return (root, findings);
    }
    let mut root = cast::object(root, &FILE);
    if let Some(file) = root.as_map_mut() {
        if let Some(mut services) = services {
            services.node.as_map_mut().into_iter().for_each(Mapping::sort);
            file.insert("services", services.key_span, services.node);
        }
        complete::file(file);
    }
    (root, findings)
}

/// Normalises one service; gives where it stands if it is on the network `default`.
fn service(name: &str, node: &mut Node, context: &Context<'_>) -> (Diagnostics, Option<Span>) {
    let mut findings = Diagnostics::new();
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
        return (findings, default_user);
    }
    *node = cast::object(std::mem::replace(node, Node::null(span)), &SERVICE);
    if let Some(service) = node.as_map_mut() {
        if context.environment {
            implied::environment(service, context.lookup);
        }
        if context.implied {
            implied::build_arguments(service, context.lookup);
        }
        complete::service(service);
    }
    (findings, default_user)
}
