//! Names that a service refers to: other services, networks, volumes, configs, secrets and models.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::model::fields::Fields;
use crate::model::snippet;
use crate::source::node::{Mapping, Node};
use crate::source::path::NodePath;
use crate::source::span::Span;

pub(super) fn check(
    file: &Fields<'_>,
    name: &str,
    service: &Fields<'_>,
    enabled: &BTreeSet<String>,
    findings: &mut Diagnostics,
) {
    for (target, dependency) in service.members("depends_on") {
        let required = dependency.choice("required") != Some(false);
        let wanted = Wanted {
            from: name,
            target,
            span: dependency.span(),
            verb: "depends on",
        };
        self::service(file, &wanted, enabled, required, findings);
    }
    for key in ["network_mode", "ipc", "pid"] {
        // An entry of depends_on was implied by each of these, and reported there.
        let target = service.text(key).and_then(|mode| mode.strip_prefix("service:"));
        let Some(target) =
            target.filter(|target| service.child("depends_on").is_none_or(|on| !on.has(target)))
        else {
            continue;
        };
        let wanted = Wanted {
            from: name,
            target,
            span: service.value_span(key),
            verb: "shares a namespace with",
        };
        self::service(file, &wanted, enabled, true, findings);
    }
    for (section, title) in [("networks", "network"), ("models", "model")] {
        for (target, used) in service.members(section) {
            resource(file, section, title, name, (target, used.span()), findings);
        }
    }
    for volume in service
        .items("volumes")
        .filter(|volume| volume.text("type") == Some("volume"))
    {
        if let Some(source) = volume.text("source") {
            resource(
                file,
                "volumes",
                "volume",
                name,
                (source, volume.value_span("source")),
                findings,
            );
        }
    }
    for (section, title) in [("configs", "config"), ("secrets", "secret")] {
        for used in service.items(section) {
            if let Some(source) = used.text("source") {
                resource(
                    file,
                    section,
                    title,
                    name,
                    (source, used.value_span("source")),
                    findings,
                );
            }
        }
    }
    if let Some(build) = service.child("build") {
        for used in build.items("secrets") {
            if let Some(source) = used.text("source") {
                resource(
                    file,
                    "secrets",
                    "secret",
                    name,
                    (source, used.value_span("source")),
                    findings,
                );
            }
        }
        if let Some(contexts) = build.child("additional_contexts") {
            for (key, target) in build.pairs("additional_contexts") {
                if let Some(target) = target.strip_prefix("service:") {
                    additional_context(file, name, target, contexts.value_span(&key), findings);
                }
            }
        }
    }
}

struct Wanted<'a> {
    from: &'a str,
    target: &'a str,
    span: Span,
    verb: &'static str,
}

fn service(
    file: &Fields<'_>,
    wanted: &Wanted<'_>,
    enabled: &BTreeSet<String>,
    required: bool,
    findings: &mut Diagnostics,
) {
    let Wanted {
        from,
        target,
        span,
        verb,
    } = *wanted;
    if enabled.contains(target) {
        return;
    }
    if let Some(other) = file.member("services", target) {
        if required {
            let profiles = other.texts("profiles");
            findings.push(
                Diagnostic::error(
                    "disabled-dependency",
                    format!("the service `{from}` {verb} `{target}`, whose profile is not enabled"),
                )
                .label(span, format!("needs `{target}`"))
                .secondary(
                    other.find_key("profiles").unwrap_or_else(|| other.span()),
                    format!("`{target}` is only on with {}", profiles.join(" or ")),
                )
                .help(format!(
                    "enable it with `--profile {}`, or write `required: false`",
                    profiles.first().map_or("…", String::as_str)
                )),
            );
        }
        return;
    }
    let mut finding = Diagnostic::error(
        "undefined-service",
        format!("the service `{from}` {verb} `{target}`, which is not defined"),
    )
    .at(span);
    let names = file
        .members("services")
        .map(|(name, _)| name)
        .filter(|name| *name != from);
    if !findings.wants_hints() {
        return findings.push(finding);
    }
    let names: Vec<&str> = names.collect();
    finding = match nearest(target, names.iter().copied()) {
        Some(near) => finding.did_you_mean(near),
        None if names.is_empty() || names.len() > 20 => {
            finding.help("define it under `services:`, or remove the entry")
        }
        None => finding.help(format!("the other services are {}", few(&names))),
    };
    findings.push(finding);
}

/// Names for a sentence, not all of them if there are many.
fn few(names: &[&str]) -> String {
    match names {
        [first @ .., _, _] if names.len() > 8 => {
            let shown = &first[..6];
            format!("{} and {} more", shown.join(", "), names.len() - shown.len())
        }
        _ => names.join(", "),
    }
}

fn resource(
    file: &Fields<'_>,
    section: &'static str,
    title: &str,
    service: &str,
    (target, span): (&str, Span),
    findings: &mut Diagnostics,
) {
    let defined = file.get(section);
    let is_list = defined.is_some_and(|defined| defined.as_seq().is_some());
    if is_list || defined.is_some_and(|defined| defined.get(target).is_some()) {
        return;
    }
    let place = NodePath::root().key(section).key(target);
    let text = |text: String| Node::string(text, span);
    let snippet = match section {
        "configs" | "secrets" => snippet::yaml(&place.key("file"), text(format!("./{target}"))),
        "models" => snippet::yaml(&place.key("model"), text("…".to_owned())),
        _ => snippet::yaml(&place, Node::map(Mapping::new(), span)),
    };
    let near = findings.nearest(target, file.members(section).map(|(name, _)| name));
    let help = match near {
        Some(near) => format!("did you mean `{near}`? Otherwise define it:\n{snippet}"),
        None => format!("define it at the top level:\n{snippet}"),
    };
    let code = match section {
        "networks" => "undefined-network",
        "volumes" => "undefined-volume",
        "configs" => "undefined-config",
        "secrets" => "undefined-secret",
        _ => "undefined-model",
    };
    findings.push(
        Diagnostic::error(
            code,
            format!("the service `{service}` uses the {title} `{target}`, which is not defined"),
        )
        .at(span)
        .help(help),
    );
}

fn additional_context(file: &Fields<'_>, name: &str, target: &str, span: Span, findings: &mut Diagnostics) {
    let reason = match file.member("services", target) {
        None => "is not defined",
        Some(other) if !other.has("build") => "has no `build`",
        Some(_) => return,
    };
    findings.push(
        Diagnostic::error(
            "undefined-service",
            format!("the build of `{name}` takes a context from the service `{target}`, which {reason}"),
        )
        .at(span),
    );
}
