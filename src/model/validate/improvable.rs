//! What is fine and could be better: notes, which only `check` gives.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::fields::Fields;

pub(super) fn check(file: &Fields<'_>, findings: &mut Diagnostics) {
    for (name, service) in file.members("services") {
        unpinned(name, &service, findings);
        health_unknown(file, name, &service, findings);
    }
}

/// An image whose content changes under the same name.
fn unpinned(name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    let Some(image) = service.text("image").filter(|_| !service.has("build")) else {
        return;
    };
    let last = image.rsplit('/').next().unwrap_or(image);
    let (repository, tag) = last.split_once(':').unwrap_or((last, ""));
    if image.contains(['@', '$']) || image.contains(char::is_whitespace) || !["", "latest"].contains(&tag) {
        return;
    }
    let what = if tag.is_empty() {
        "no tag, which means `latest`"
    } else {
        "the tag `latest`"
    };
    let without_tag = image.strip_suffix(":latest").unwrap_or(image);
    findings.push(
        Diagnostic::note(
            "unpinned-image",
            format!("the image `{image}` of `{name}` has {what}: what runs depends on the day"),
        )
        .at(service.value_span("image"))
        .help(format!(
            "name the version of {repository} you know to work: `{without_tag}:VERSION`"
        )),
    );
}

/// A wait for a health that nobody may ever tell.
fn health_unknown(file: &Fields<'_>, name: &str, service: &Fields<'_>, findings: &mut Diagnostics) {
    for (target, dependency) in service.members("depends_on") {
        let other = file.members("services").find(|(name, _)| *name == target);
        let Some((_, other)) = other.filter(|_| dependency.text("condition") == Some("service_healthy"))
        else {
            continue;
        };
        if other.has("healthcheck") || other.has("build") || other.has("provider") {
            continue;
        }
        findings.push(
            Diagnostic::note(
                "health-unknown",
                format!("`{name}` waits for the health of `{target}`, which has no `healthcheck`; its image may bring one, or may not"),
            )
            .label(dependency.value_span("condition"), "waits for health")
            .secondary(other.span(), "has no healthcheck")
            .help(format!(
                "give it one, or wait for `service_started`:\nservices:\n  {target}:\n    healthcheck:\n      test: [CMD-SHELL, \"…\"]\n      interval: 5s"
            )),
        );
    }
}
