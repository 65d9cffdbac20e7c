//! In: the normalised tree. Out: what makes it no consistent project: names that lead nowhere, keys that exclude each
//! other, numbers that disagree. **Invariant:** both ends of a contradiction are pointed at.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod doubtful;
mod exclusive;
mod reference;
mod resource;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::fields::Fields;
use super::profile;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::node::Node;
use crate::source::path::NodePath;

/// Checks each part by itself: what a volume, config, secret, network or port may say.
pub fn parts(root: &Node) -> Diagnostics {
    let mut findings = Diagnostics::new();
    let file = Fields::new(root, NodePath::root());
    resource::check(&file, &mut findings);
    for (_, service) in file.members("services") {
        resource::service(&service, &mut findings);
    }
    findings
}

/// Checks the parts against each other, for the services that are on.
pub fn consistency(root: &Node, enabled: &BTreeSet<String>) -> Diagnostics {
    let mut findings = Diagnostics::new();
    let file = Fields::new(root, NodePath::root());
    for (name, service) in file
        .members("services")
        .filter(|(name, _)| enabled.contains(*name))
    {
        service_image(name, &service, &mut findings);
        reference::check(&file, name, &service, enabled, &mut findings);
        exclusive::check(name, &service, &mut findings);
    }
    exclusive::container_names(&file, enabled, &mut findings);
    resource::secrets(&file, &mut findings);
    findings
}

/// Warns about what is valid but hardly meant.
pub fn doubts(root: &Node, enabled: &BTreeSet<String>) -> Diagnostics {
    let mut findings = Diagnostics::new();
    let file = Fields::new(root, NodePath::root());
    doubtful::check(&file, enabled, &mut findings);
    let everyone = file
        .members("services")
        .map(|(name, _)| name.to_owned())
        .collect();
    doubtful::unused(&file, &profile::used_resources(root, &everyone), &mut findings);
    findings
}

fn service_image(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    if !service.is_mapping() || service.has("image") || service.has("build") || service.has("provider") {
        return;
    }
    findings.push(
        Diagnostic::error(
            "no-image",
            format!("the service `{name}` has neither `image` nor `build`"),
        )
        .at(service.span())
        .help(format!("say what it runs:\n{name}:\n  image: …")),
    );
}
