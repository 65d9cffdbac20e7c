//! Keys of one service that exclude each other or must agree.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::fields::Fields;
use crate::model::snippet;
use crate::source::node::Node;
use crate::source::span::Span;

pub(super) fn check(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    network_mode(name, service, findings);
    build(name, service, findings);
    limits(name, service, findings);
    scale(name, service, findings);
    healthcheck(name, service, findings);
    watch(name, service, findings);
    mounts(name, service, findings);
}

fn network_mode(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let networks = service
        .child("networks")
        .filter(|networks| networks.keys().next().is_some());
    if let (Some(mode), Some(networks)) = (service.find_key("network_mode"), networks) {
        findings.push(
            Diagnostic::error(
                "conflicting-keys",
                format!("the service `{name}` has both `network_mode` and `networks`"),
            )
            .label(mode, "the mode is set here")
            .secondary(networks.span(), "networks are listed here")
            .help("keep one of the two"),
        );
    }
}

fn build(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let Some(build) = service.child("build") else {
        return;
    };
    if let (Some(file), Some(inline)) = (build.find_key("dockerfile"), build.find_key("dockerfile_inline")) {
        findings.push(
            Diagnostic::error(
                "conflicting-keys",
                format!("the build of `{name}` has both `dockerfile` and `dockerfile_inline`"),
            )
            .label(inline, "written here")
            .secondary(file, "named here")
            .help("keep one of the two"),
        );
    }
    let platforms = build.texts("platforms");
    if let Some(platform) = service.text("platform")
        && !platforms.is_empty()
        && !platforms.iter().any(|built| built == platform)
    {
        findings.push(
            Diagnostic::error(
                "conflicting-keys",
                format!("the service `{name}` runs on `{platform}`, for which it is not built"),
            )
            .label(service.value_span("platform"), "runs on this platform")
            .secondary(build.value_span("platforms"), "is built for these")
            .help(format!("add `{platform}` to `build.platforms`")),
        );
    }
}

/// The legacy limits and those of `deploy` must say the same.
fn limits(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let Some(deploy) = service.child("deploy") else {
        return;
    };
    let resources = deploy.child("resources");
    let limits = resources.as_ref().and_then(|resources| resources.child("limits"));
    let reservations = resources
        .as_ref()
        .and_then(|resources| resources.child("reservations"));
    let pairs = [
        ("cpus", limits.as_ref(), "limits", "cpus"),
        ("mem_limit", limits.as_ref(), "limits", "memory"),
        ("pids_limit", limits.as_ref(), "limits", "pids"),
        ("mem_reservation", reservations.as_ref(), "reservations", "memory"),
    ];
    for (legacy, parent, section, key) in pairs {
        let (Some(parent), Some(left)) = (parent, service.get(legacy)) else {
            continue;
        };
        // Limits without this key say 0 for it, which is not what the legacy key says (compose-go).
        let right = match parent.get(key) {
            Some(right) if right == left => continue,
            Some(right) => right.span,
            None if section == "limits" => parent.span(),
            None => continue,
        };
        findings.push(
            Diagnostic::error(
                "conflicting-keys",
                format!(
                    "the service `{name}` has different values for `{legacy}` and `deploy.resources.{section}.{key}`"
                ),
            )
            .label(left.span, "one value here")
            .secondary(right, "another here")
            .help(format!("keep only `deploy.resources.{section}.{key}`")),
        );
    }
    if let (Some(left), Some(right)) = (service.get("scale"), deploy.get("replicas"))
        && left != right
    {
        findings.push(
            Diagnostic::error(
                "conflicting-keys",
                format!("the service `{name}` has different values for `scale` and `deploy.replicas`"),
            )
            .label(left.span, "one value here")
            .secondary(right.span, "another here")
            .help("keep only `deploy.replicas`"),
        );
    }
}

fn scale(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let deploy = service.child("deploy");
    let scale = service.get("scale").map(|node| (node, "scale"));
    let replicas = deploy.as_ref().and_then(|deploy| deploy.get("replicas"));
    let Some((node, key)) = scale.or(replicas.map(|node| (node, "deploy.replicas"))) else {
        return;
    };
    let count = node.as_i64().unwrap_or(1);
    if count < 0 {
        findings.push(
            Diagnostic::error(
                "out-of-range",
                format!("services.{name}.{key} must be 0 or more, not {count}"),
            )
            .at(node.span),
        );
    }
    if let Some(container_name) = service.find_key("container_name").filter(|_| count > 1) {
        findings.push(
            Diagnostic::error(
                "conflicting-keys",
                format!("the service `{name}` has one `container_name` for {count} containers"),
            )
            .label(container_name, "a container's name is unique")
            .secondary(node.span, format!("{count} containers are asked for"))
            .help("remove `container_name`"),
        );
    }
}

/// A container's name is unique in a project.
pub(super) fn container_names(file: &Fields<'_>, enabled: &BTreeSet<String>, findings: &mut Diagnostics) {
    let mut taken: BTreeMap<&str, (&str, Span)> = BTreeMap::new();
    for (name, service) in file
        .members("services")
        .filter(|(name, _)| enabled.contains(*name))
    {
        let Some(container) = service.text("container_name") else {
            continue;
        };
        let span = service.value_span("container_name");
        if let Some((other, first)) = taken.insert(container, (name, span)) {
            findings.push(
                Diagnostic::error(
                    "conflicting-keys",
                    format!("the services `{other}` and `{name}` have the same `container_name`"),
                )
                .label(span, "again here")
                .secondary(first, "first here")
                .help("a container's name is unique; give one of them another, or none"),
            );
        }
    }
}

fn healthcheck(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let Some(health) = service.child("healthcheck") else {
        return;
    };
    let test = health.texts("test");
    let Some(first) = test
        .first()
        .filter(|first| !["CMD", "CMD-SHELL", "NONE"].contains(&first.as_str()))
    else {
        return;
    };
    let words = ["CMD"].into_iter().chain(test.iter().map(String::as_str));
    let at = health.value_span("test");
    let prefixed = Node::seq(words.map(|word| Node::string(word, at)).collect(), at);
    let shown = snippet::yaml(&health.path().key("test"), prefixed);
    findings.push(
        Diagnostic::error(
            "healthcheck-test",
            format!("the healthcheck of `{name}` begins with `{first}`, not with CMD, CMD-SHELL or NONE"),
        )
        .at(at)
        .help(format!("begin with CMD:\n{shown}")),
    );
}

fn watch(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let Some(develop) = service.child("develop") else {
        return;
    };
    for rule in develop.items("watch") {
        let action = rule.text("action").unwrap_or_default();
        if !rule.has("target") && !["rebuild", "restart"].contains(&action) {
            findings.push(
                Diagnostic::error(
                    "missing-key",
                    format!("a watch rule of `{name}` with `{action}` has no `target`"),
                )
                .at(rule.span())
                .help("say where the files go in the container: `target: /app`"),
            );
        }
    }
}

/// Two mounts on one path, whether volume or tmpfs.
fn mounts(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let mut taken: BTreeMap<String, Span> = BTreeMap::new();
    let tmpfs = service
        .spanned_texts("tmpfs")
        .map(|(text, span)| (text.split(':').next().unwrap_or(text).to_owned(), span));
    let volumes = service
        .items("volumes")
        .filter_map(|volume| Some((volume.owned("target")?, volume.span())));
    for (target, span) in tmpfs.chain(volumes) {
        if let Some(first) = taken.insert(target.clone(), span) {
            findings.push(
                Diagnostic::error(
                    "duplicate-mount",
                    format!("the service `{name}` mounts two things at `{target}`"),
                )
                .label(span, "again here")
                .secondary(first, "first here")
                .help("give one of them another path"),
            );
        }
    }
}
