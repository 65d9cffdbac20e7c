//! In: the normalised tree. Out: what makes it no consistent project: names that lead nowhere, keys that exclude each
//! other, numbers that disagree. **Invariant:** both ends of a contradiction are pointed at.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod doubtful;
mod exclusive;
mod improvable;
mod reference;
mod resource;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::cycle::cycles;
use super::fields::Fields;
use super::profile;
use super::snippet;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::node::Node;
use crate::source::span::Span;

/// Checks of the merged tree, before it is brought to its canonical form: what configs and secrets are made of.
pub fn sources(root: &Node) -> Diagnostics {
    let mut findings = Diagnostics::new();
    resource::sources(&Fields::of(root), &mut findings);
    findings
}

/// Checks each part by itself: what a volume, config, secret, network or port may say.
pub fn parts(root: &Node) -> Diagnostics {
    let mut findings = Diagnostics::new();
    let file = Fields::of(root);
    resource::check(&file, &mut findings);
    for (_, service) in file.members("services") {
        resource::service(&service, &mut findings);
    }
    findings
}

/// Checks the parts against each other, for the services that are on.
pub fn consistency(root: &Node, enabled: &BTreeSet<String>) -> Diagnostics {
    let mut findings = Diagnostics::new();
    let file = Fields::of(root);
    for (name, service) in file
        .members("services")
        .filter(|(name, _)| enabled.contains(*name))
    {
        service_image(name, &service, &mut findings);
        reference::check(&file, name, &service, enabled, &mut findings);
        exclusive::check(name, &service, &mut findings);
    }
    findings.append(cycles(&dependencies(&file, enabled)));
    findings.append(cycles(&contexts(&file)));
    exclusive::container_names(&file, enabled, &mut findings);
    resource::secrets(&file, &mut findings);
    findings
}

/// Who waits for whom among the services that are on, implied dependencies included.
fn dependencies<'a>(file: &Fields<'a>, enabled: &BTreeSet<String>) -> IndexMap<(&'a str, &'a str), Span> {
    let on = |name: &str| enabled.contains(name);
    let services = file.members("services").filter(|(name, _)| on(name));
    services
        .flat_map(|(name, service)| {
            let others = service.members("depends_on").filter(|(other, _)| on(other));
            others.map(move |(other, dependency)| ((name, other), dependency.span()))
        })
        .collect()
}

/// Whose build takes the image of whom as a context.
fn contexts<'a>(file: &Fields<'a>) -> IndexMap<(&'a str, &'a str), Span> {
    let services: Vec<_> = file.members("services").collect();
    let mut edges = IndexMap::new();
    for (name, service) in &services {
        let Some(build) = service.child("build") else {
            continue;
        };
        let Some(contexts) = build.child("additional_contexts") else {
            continue;
        };
        for (key, place) in build.pairs("additional_contexts") {
            let other = place.strip_prefix("service:");
            let other = services.iter().find(|(known, _)| Some(*known) == other);
            if let Some((other, _)) = other {
                edges.insert((*name, *other), contexts.value_span(&key));
            }
        }
    }
    edges
}

/// Warns about what is valid but hardly meant.
pub fn doubts(root: &Node, enabled: &BTreeSet<String>) -> Diagnostics {
    let mut findings = Diagnostics::new();
    let file = Fields::of(root);
    doubtful::check(&file, enabled, &mut findings);
    doubtful::unused(&file, &profile::used_resources(root, |_| true), &mut findings);
    findings
}

/// Notes on what could be better.
pub fn notes(root: &Node) -> Diagnostics {
    let mut findings = Diagnostics::new();
    improvable::check(&Fields::of(root), &mut findings);
    findings
}

fn service_image(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let named = ["image", "build", "provider"]
        .iter()
        .any(|key| service.find_key(key).is_some());
    // What could not be extended was reported.
    if !service.is_mapping() || named || service.has("extends") {
        return;
    }
    findings.push(
        Diagnostic::error(
            "no-image",
            format!("the service `{name}` has neither `image` nor `build`"),
        )
        .at(service.span())
        .help(format!(
            "say what it runs:\n{}",
            snippet::yaml(&service.path().key("image"), Node::string("…", service.span()))
        )),
    );
}
