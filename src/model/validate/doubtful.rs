//! What Compose accepts in silence and people regret: each is a warning.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::fields::Fields;
use crate::source::span::Span;

pub(super) fn check(file: &Fields<'_>, enabled: &BTreeSet<String>, findings: &mut Diagnostics) {
    let services: Vec<(&str, Fields<'_>)> = file
        .members("services")
        .filter(|(name, _)| enabled.contains(*name))
        .collect();
    for (name, service) in &services {
        image(name, service, findings);
        dependencies(file, name, service, findings);
    }
    host_ports(&services, findings);
}

/// Resources of the top level that no service mentions, whichever profile it is in.
pub(super) fn unused(file: &Fields<'_>, used: &[(&'static str, BTreeSet<&str>)], findings: &mut Diagnostics) {
    for (section, used) in used {
        for (name, resource) in file.members(section) {
            let default = *section == "networks" && name == "default";
            if !default && !used.contains(name) {
                findings.push(
                    Diagnostic::warning(
                        "unused-resource",
                        format!("{section}.{name} is used by no service"),
                    )
                    .at(resource.span()),
                );
            }
        }
    }
}

/// A reference has one tag, and a name without capitals.
fn image(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let Some(image) = service.text("image") else {
        return;
    };
    let bare = image.split('@').next().unwrap_or(image);
    let last = bare.rsplit('/').next().unwrap_or(bare);
    let repository = bare
        .rsplit_once(':')
        .filter(|_| last.contains(':'))
        .map_or(bare, |(name, _)| name);
    let first = repository.split('/').next().unwrap_or_default();
    let has_registry = repository.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let path = if has_registry {
        repository.split_once('/').map_or("", |(_, path)| path)
    } else {
        repository
    };
    let reason = if last.matches(':').count() > 1 {
        "has two tags"
    } else if path.chars().any(|c| c.is_ascii_uppercase()) {
        "has capital letters, which no registry accepts"
    } else if bare.contains(char::is_whitespace) {
        "has a space in it"
    } else {
        return;
    };
    findings.push(
        Diagnostic::warning(
            "doubtful-image",
            format!("the image `{image}` of `{name}` {reason}"),
        )
        .at(service.value_span("image")),
    );
}

fn dependencies(file: &Fields<'_>, name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    for (target, dependency) in service.members("depends_on") {
        let Some(other) = file.member("services", target) else {
            continue;
        };
        let condition = dependency.text("condition");
        let span = dependency.value_span("condition");
        let scaled = other
            .child("deploy")
            .and_then(|deploy| deploy.integer("replicas"));
        if other.integer("scale").or(scaled) == Some(0) {
            findings.push(
                Diagnostic::warning(
                    "doubtful-dependency",
                    format!("`{name}` waits for `{target}`, which has no containers"),
                )
                .label(dependency.span(), "waits for it")
                .secondary(other.span(), "scaled to 0"),
            );
        }
        let restarts = other
            .text("restart")
            .is_some_and(|restart| ["always", "unless-stopped"].contains(&restart));
        if condition == Some("service_completed_successfully") && restarts {
            findings.push(
                Diagnostic::warning(
                    "doubtful-dependency",
                    format!("`{name}` waits for the end of `{target}`, which is restarted whenever it ends"),
                )
                .label(span, "waits for its end")
                .secondary(other.value_span("restart"), "restarted here")
                .help(format!("write `restart: on-failure` for `{target}`")),
            );
        }
        let health = other.child("healthcheck");
        if condition == Some("service_healthy")
            && health.as_ref().is_some_and(|health| health.flag("disable"))
        {
            findings.push(
                Diagnostic::warning(
                    "doubtful-dependency",
                    format!("`{name}` waits for the health of `{target}`, whose healthcheck is disabled"),
                )
                .label(span, "never becomes true")
                .secondary(other.value_span("healthcheck"), "disabled here"),
            );
        }
    }
}

/// A port of the host and who publishes it.
struct Published<'a> {
    address: &'a str,
    port: &'a str,
    protocol: &'a str,
    service: &'a str,
    span: Span,
}

impl Published<'_> {
    fn meets(&self, other: &Self) -> bool {
        let everywhere = self.address == EVERYWHERE || other.address == EVERYWHERE;
        let same = self.port == other.port && self.protocol == other.protocol;
        same && (everywhere || self.address == other.address)
    }
}

/// One port of the host published twice: on one address, or on all of them and on one.
fn host_ports(services: &[(&str, Fields<'_>)], findings: &mut Diagnostics) {
    let mut all: Vec<Published<'_>> = Vec::new();
    for (service, fields) in services {
        all.extend(fields.items("ports").filter_map(|port| {
            let fixed = |port: &&str| !port.contains('-') && *port != "0";
            Some(Published {
                address: port.text("host_ip").unwrap_or(EVERYWHERE),
                port: port.text("published").filter(fixed)?,
                protocol: port.text("protocol").unwrap_or_default(),
                service,
                span: port.span(),
            })
        }));
    }
    all.sort_by_key(|port| port.span);
    let mut by_port: BTreeMap<&str, Vec<&Published<'_>>> = BTreeMap::new();
    for port in &all {
        let earlier = by_port.entry(port.port).or_default();
        if let Some(first) = earlier.iter().find(|first| first.meets(port)) {
            let Published {
                port: number,
                service,
                ..
            } = port;
            let message = if first.service == *service {
                format!("`{service}` publishes port {number} of the host twice")
            } else {
                format!(
                    "port {number} of the host is published by `{}` and by `{service}`",
                    first.service
                )
            };
            findings.push(
                Diagnostic::warning("port-published-twice", message)
                    .label(port.span, "again here")
                    .secondary(first.span, "first here")
                    .help("only one of them can have it; choose another port of the host"),
            );
        }
        earlier.push(port);
    }
}

/// The address of a port that is published on all of the host's.
const EVERYWHERE: &str = "0.0.0.0";
