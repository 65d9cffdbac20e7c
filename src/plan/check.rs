//! In: an intent and what is there. Out: diagnostics of what cannot be done at all, before anything is.
//! **Invariant:** a plan made after a clean check fails only for reasons that observing could not tell.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::intent::{Intent, Up};
use super::observed::Observed;
use super::up::selection;
use super::wanted::{Wanted, networks_of, volumes_of};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::graph::Graph;
use crate::model::ServiceName;
use crate::model::service::PullPolicy;

/// What makes an intent impossible.
pub fn check(wanted: &Wanted, graph: &Graph, observed: &Observed, intent: &Intent) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    for name in services_of(intent) {
        diagnostics.extend(unknown_service(wanted, observed, name));
    }
    if let Intent::Up(up) = intent {
        check_up(wanted, graph, observed, up, &mut diagnostics);
    }
    diagnostics
}

fn services_of(intent: &Intent) -> Vec<&ServiceName> {
    match intent {
        Intent::Up(up) => up.services.iter().chain(up.scale.keys()).collect(),
        Intent::Down(down) => down.services.iter().collect(),
        Intent::Remove(remove) => remove.services.iter().collect(),
        Intent::Stop { services, .. }
        | Intent::Start { services, .. }
        | Intent::Restart { services, .. }
        | Intent::Kill { services, .. }
        | Intent::Pause { services }
        | Intent::Unpause { services } => services.iter().collect(),
    }
}

fn unknown_service(wanted: &Wanted, observed: &Observed, name: &ServiceName) -> Option<Diagnostic> {
    if wanted.services.contains_key(name)
        || observed
            .containers
            .iter()
            .any(|state| state.service == name.as_str())
    {
        return None;
    }
    if wanted.disabled.contains(name) {
        let message = format!("service {name} is switched off by its profiles");
        return Some(
            Diagnostic::error("disabled-service", message).help("enable one of them with `--profile`"),
        );
    }
    let mut diagnostic = Diagnostic::error("unknown-service", format!("no such service: {name}"));
    if let Some(near) = nearest(name.as_str(), wanted.services.keys().map(ServiceName::as_str)) {
        diagnostic = diagnostic.help(format!("did you mean {near}?"));
    }
    Some(diagnostic)
}

fn check_up(wanted: &Wanted, graph: &Graph, observed: &Observed, up: &Up, diagnostics: &mut Diagnostics) {
    for name in selection(wanted, graph, up) {
        let service = &wanted.services[&name];
        let scale = up.scale.get(&name).copied().unwrap_or(service.scale);
        if service.fixed_name && scale > 1 {
            let message = format!("service {name} has a container_name, so it cannot have {scale} replicas");
            diagnostics.push(at(
                Diagnostic::error("scaled-container-name", message),
                service.span,
            ));
        }
        let image = &service.image;
        let policy = up.images.pull.as_ref().unwrap_or(&image.policy);
        let comes = image.buildable && !up.images.no_build
            || *policy != PullPolicy::Never && (image.named || !image.buildable);
        if !comes && !image.reference.starts_with('@') && !observed.images.contains_key(&image.reference) {
            let message = format!(
                "image {} of service {name} is not in the local store",
                image.reference
            );
            let help =
                "it may be neither pulled nor built here: see `pull_policy`, `--pull` and `--no-build`";
            diagnostics.push(at(Diagnostic::error("image-missing", message), image.span).help(help));
        }
        let Some(template) = &service.template else {
            continue;
        };
        for network in networks_of(template) {
            if let Some(outside) = wanted
                .networks
                .get(network)
                .filter(|network| network.request.is_none())
                && !observed.networks.contains_key(network)
            {
                let message = format!("external network {network} does not exist");
                diagnostics.push(Diagnostic::error("external-missing", message).at(outside.span));
            }
        }
        for volume in volumes_of(template) {
            if let Some(outside) = wanted
                .volumes
                .get(volume)
                .filter(|volume| volume.request.is_none())
                && !observed.volumes.contains_key(volume)
            {
                let message = format!("external volume {volume} does not exist");
                diagnostics.push(at(Diagnostic::error("external-missing", message), outside.span));
            }
        }
    }
}

fn at(diagnostic: Diagnostic, span: Option<crate::source::span::Span>) -> Diagnostic {
    match span {
        Some(span) => diagnostic.at(span),
        None => diagnostic,
    }
}
