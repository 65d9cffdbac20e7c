//! What a volume, config, secret, network, port or device may say by itself.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::IpAddr;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::model::fields::Fields;
use crate::model::snippet;
use crate::source::node::Node;

/// What configs and secrets say of their source, as it was written: an empty text is a source, too.
pub(super) fn sources(file: &Fields<'_>, findings: &mut Diagnostics) {
    for (section, title, keys) in [
        ("configs", "config", ["file", "environment", "content"].as_slice()),
        ("secrets", "secret", ["file", "environment"].as_slice()),
    ] {
        for (name, object) in file.members(section) {
            source(&object, title, name, keys, findings);
        }
    }
}

pub(super) fn check(file: &Fields<'_>, findings: &mut Diagnostics) {
    for (name, volume) in file.members("volumes") {
        external(&volume, "volume", name, findings);
    }
    for (name, network) in file
        .members("networks")
        .filter(|(_, network)| network.flag("external"))
    {
        ignored_by_external(&network, "network", name, findings);
    }
    for (section, title) in [("configs", "config"), ("secrets", "secret")] {
        for (name, object) in file.members(section) {
            ignored_by_external(&object, title, name, findings);
        }
    }
}

/// What is made elsewhere can only be named; what else is said of a network, config or secret is ignored.
fn ignored_by_external(resource: &Fields<'_>, title: &str, name: &str, findings: &mut Diagnostics) {
    if !resource.flag("external") {
        return;
    }
    for (key, span) in resource.keys() {
        // An empty `ipam` is what normalisation adds.
        let ipam = resource
            .child("ipam")
            .is_some_and(|ipam| ipam.keys().next().is_some());
        let may_stand = match key {
            "name" | "external" | "attachable" => true,
            "ipam" => !ipam,
            key => key.starts_with("x-"),
        };
        if !may_stand {
            findings.push(
                Diagnostic::warning(
                    "ignored-key",
                    format!("the {title} `{name}` is external, its `{key}` is ignored"),
                )
                .label(span, "what is made elsewhere has its own")
                .secondary(resource.find_key("external").unwrap_or(span), "external here"),
            );
        }
    }
}

/// Of a volume that is made elsewhere, nothing else may be said.
fn external(resource: &Fields<'_>, title: &str, name: &str, findings: &mut Diagnostics) {
    if !resource.flag("external") {
        return;
    }
    for (key, span) in resource.keys() {
        if !matches!(key, "name" | "external" | "ipam") && !key.starts_with("x-") {
            findings.push(
                Diagnostic::error(
                    "conflicting-keys",
                    format!("the {title} `{name}` is external and has `{key}`"),
                )
                .label(span, "what is made elsewhere has its own")
                .secondary(resource.find_key("external").unwrap_or(span), "external here")
                .help(format!("remove `{key}` or `external`")),
            );
        }
    }
}

fn source(object: &Fields<'_>, title: &str, name: &str, sources: &[&str], findings: &mut Diagnostics) {
    let given: Vec<&str> = sources.iter().copied().filter(|key| object.has(key)).collect();
    match given[..] {
        [] if !object.has("external") && !object.has("driver") => findings.push(
            Diagnostic::error(
                "no-source",
                format!("the {title} `{name}` does not say where it comes from"),
            )
            .at(object.span())
            .help(format!(
                "give it one of {}:\n{}",
                sources.join(", "),
                file_snippet(object, name)
            )),
        ),
        [first, second, ..] => findings.push(
            Diagnostic::error(
                "conflicting-keys",
                format!("the {title} `{name}` has both `{first}` and `{second}`"),
            )
            .label(object.value_span(second), "again here")
            .secondary(object.value_span(first), "first here")
            .help("keep one of the two"),
        ),
        _ => {}
    }
}

fn file_snippet(object: &Fields<'_>, name: &str) -> String {
    let file = Node::string(format!("./{name}.txt"), object.span());
    snippet::yaml(&object.path().key("file"), file)
}

/// A driver, or not being external, says nothing of where a secret's content is from: no project can be made of that.
pub(super) fn secrets(file: &Fields<'_>, findings: &mut Diagnostics) {
    for (name, secret) in file.members("secrets") {
        if !secret.flag("external") && !secret.has("file") && !secret.has("environment") {
            findings.push(
                Diagnostic::error(
                    "no-source",
                    format!("the secret `{name}` has neither `file` nor `environment`"),
                )
                .at(secret.span())
                .help(format!(
                    "give it one of the two:\n{}",
                    file_snippet(&secret, name)
                )),
            );
        }
    }
}

pub(super) fn service(service: &Fields<'_>, findings: &mut Diagnostics) {
    words(service, findings);
    for port in service.items("ports") {
        if let Some(ip) = port.text("host_ip").filter(|ip| ip.parse::<IpAddr>().is_err()) {
            findings.push(
                Diagnostic::error(
                    "bad-port",
                    format!("{}: `{ip}` is not an IP address", port.path()),
                )
                .at(port.value_span("host_ip")),
            );
        }
    }
    for volume in service.items("volumes") {
        if volume.text("type") == Some("bind") && !volume.has("source") {
            findings.push(
                Diagnostic::error(
                    "missing-key",
                    format!("{}: a bind mount has no source", volume.path()),
                )
                .at(volume.span())
                .help("say what is mounted: `source: ./data`"),
            );
        }
        if !volume.has("target") {
            findings.push(
                Diagnostic::error("missing-key", format!("{} has no `target`", volume.path()))
                    .at(volume.span())
                    .help("say where it is mounted in the container: `target: /data`"),
            );
        }
    }
    let reserved = service
        .child("deploy")
        .and_then(|deploy| deploy.child("resources"))
        .and_then(|resources| resources.child("reservations"));
    let devices = reserved.iter().flat_map(|reserved| reserved.items("devices"));
    for request in devices.chain(service.items("gpus")) {
        if let (Some(count), Some(ids)) = (request.find_key("count"), request.find_key("device_ids")) {
            findings.push(
                Diagnostic::error(
                    "conflicting-keys",
                    format!("{} has both `count` and `device_ids`", request.path()),
                )
                .label(ids, "devices are named here")
                .secondary(count, "and counted here")
                .help("keep one of the two"),
            );
        }
    }
    if let Some(develop) = service.child("develop") {
        for rule in develop.items("watch") {
            if rule.text("path").is_none_or(|path| path.trim().is_empty()) {
                findings.push(
                    Diagnostic::error("bad-value", format!("{} has an empty `path`", rule.path()))
                        .at(rule.span()),
                );
            }
        }
    }
}

/// Texts the schema holds to a pattern, which may stand anywhere in the text.
fn words(service: &Fields<'_>, findings: &mut Diagnostics) {
    const POLICIES: [&str; 8] = [
        "always",
        "never",
        "build",
        "if_not_present",
        "missing",
        "refresh",
        "daily",
        "weekly",
    ];
    if let Some(policy) = service.text("pull_policy") {
        let every = policy.split("every_").skip(1).any(begins_with_age);
        if !every && !POLICIES.iter().any(|known| policy.contains(known)) {
            let finding = Diagnostic::error(
                "unknown-value",
                format!(
                    "{}: `{policy}` is not a pull policy",
                    service.path().key("pull_policy")
                ),
            );
            let near = nearest(policy, POLICIES);
            findings.push(
                finding
                    .at(service.value_span("pull_policy"))
                    .help(near.map_or_else(
                        || format!("the policies are {} and every_<duration>", POLICIES.join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    )),
            );
        }
    }
    if let Some(name) = service.text("container_name") {
        let bytes = name.as_bytes();
        let fits = bytes.windows(2).any(|pair| {
            pair[0].is_ascii_alphanumeric() && (pair[1].is_ascii_alphanumeric() || b"_.-".contains(&pair[1]))
        });
        if !fits {
            findings.push(
                Diagnostic::error(
                    "bad-name",
                    format!(
                        "{}: `{name}` is no name of a container",
                        service.path().key("container_name")
                    ),
                )
                .at(service.value_span("container_name"))
                .help("use two or more letters, digits, `_`, `.` and `-`, beginning with a letter or digit"),
            );
        }
    }
}

/// Digits and one of the units of `every_…`.
fn begins_with_age(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < text.len() && rest.starts_with(['w', 'd', 'h', 'm', 's'])
}
