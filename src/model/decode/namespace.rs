//! In: `network_mode:`, `ipc:`, `pid:` and `uts:` of a service. Out: whose namespace it runs in.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::fields::Fields;
use crate::model::service::{NamespaceMode, NamespaceRef, NetworkMode};

/// `service:NAME` or `container:NAME`.
pub(super) fn reference(text: &str) -> Option<NamespaceRef> {
    match text.split_once(':')? {
        ("service", name) => Some(NamespaceRef::Service(name.into())),
        ("container", name) => Some(NamespaceRef::Container(name.to_owned())),
        _ => None,
    }
}

/// None for `bridge` and `default`, which are networks like any other here.
pub(super) fn network_mode(service: &Fields<'_>, findings: &mut Diagnostics) -> Option<NetworkMode> {
    let text = service.text("network_mode")?;
    match text {
        "none" => return Some(NetworkMode::None),
        "host" => return Some(NetworkMode::Host),
        "bridge" | "default" => return None,
        _ => {}
    }
    if let Some(reference) = reference(text) {
        return Some(NetworkMode::Join(reference));
    }
    findings.push(refuse(
        service,
        "network_mode",
        text,
        "the modes are `none`, `host`, `bridge`, `service:NAME` and `container:NAME`; networks are listed under `networks:`",
    ));
    None
}

/// `ipc:` or `pid:`.
pub(super) fn mode(service: &Fields<'_>, key: &str, findings: &mut Diagnostics) -> Option<NamespaceMode> {
    let text = service.text(key)?;
    match text {
        "host" => return Some(NamespaceMode::Host),
        // Every namespace can be joined by a container of the project here, so `shareable` needs nothing.
        "private" | "shareable" | "none" => return Some(NamespaceMode::Private),
        _ => {}
    }
    if let Some(reference) = reference(text) {
        return Some(NamespaceMode::Join(reference));
    }
    findings.push(refuse(
        service,
        key,
        text,
        "write `host`, `service:NAME` or `container:NAME`",
    ));
    None
}

/// `uts: host`; nothing else can be said.
pub(super) fn is_host(service: &Fields<'_>, key: &str, findings: &mut Diagnostics) -> bool {
    let Some(text) = service.text(key) else {
        return false;
    };
    if text != "host" {
        findings.push(refuse(service, key, text, "write `host`, or leave the key out"));
    }
    text == "host"
}

fn refuse(service: &Fields<'_>, key: &str, text: &str, help: &str) -> Diagnostic {
    Diagnostic::error(
        "unknown-value",
        format!("{}: `{text}` is not known", service.path().key(key)),
    )
    .at(service.value_span(key))
    .help(help)
}
