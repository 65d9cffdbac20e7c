//! In: a merged tree that the schema found nothing wrong with. Out: the same tree with every short form written long.
//! **Invariant:** what cannot be read is reported at the item and left out; every other item is still read.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod port;
mod volume;

#[cfg(test)]
mod tests;

pub(super) use self::port::range;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::implied::Implied;
use crate::source::longhand;
use crate::source::node::{Mapping, Node, Value};
use crate::source::path::Trail;

/// Writes the short forms of a whole file long; with `raw`, an entry that holds a variable may stay as it is.
pub(super) fn expand(root: &mut Node, raw: bool, findings: &mut Diagnostics) {
    let services = root.as_map_mut().and_then(|file| file.get_mut("services"));
    for (name, node) in services
        .and_then(Node::as_map_mut)
        .into_iter()
        .flat_map(Mapping::iter_mut)
    {
        if let Some(service) = node.as_map_mut() {
            self::service(name, service, raw, findings);
        }
    }
    resources(root, findings);
}

/// The same for everything but services.
pub(super) fn resources(root: &mut Node, findings: &mut Diagnostics) {
    let Some(file) = root.as_map_mut() else { return };
    let top = Trail::root();
    for section in ["networks", "volumes", "configs", "secrets"] {
        let Some(resources) = file.get_mut(section).and_then(Node::as_map_mut) else {
            continue;
        };
        for (name, resource) in resources.iter_mut() {
            if let Some(resource) = resource.as_map_mut() {
                expand_external(resource, &top.key(section).key(name), findings);
            }
        }
    }
}

/// The same for one service.
pub(super) fn service(name: &str, service: &mut Mapping, raw: bool, findings: &mut Diagnostics) {
    let top = Trail::root();
    expand_service(service, &top.key("services").key(name), raw, findings);
}

fn expand_service(service: &mut Mapping, path: &Trail<'_>, raw: bool, findings: &mut Diagnostics) {
    if let Some(build) = service.get_mut("build") {
        if build.as_str().is_some() {
            wrap(build, "context");
        }
        if let Some(build) = build.as_map_mut() {
            if let Some(secrets) = build.get_mut("secrets") {
                each(secrets, |item| wrap(item, "source"));
            }
            let path = path.key("build");
            if let Some(hosts) = build.get("extra_hosts") {
                check_hosts(hosts, &path.key("extra_hosts"), findings);
            }
            if let Some(contexts) = build.get("additional_contexts") {
                check_values(contexts, &path.key("additional_contexts"), &[], findings);
            }
            if let Some(keys) = build.get("ssh") {
                check_values(keys, &path.key("ssh"), &["default"], findings);
            }
        }
    }
    if let Some(dependencies) = service.get_mut("depends_on") {
        expand_dependencies(dependencies);
    }
    for key in ["networks", "models"] {
        if let Some(names) = service.get_mut(key) {
            name_keys(names, |item| item.remade(Value::Null));
        }
    }
    if let Some(files) = service.get_mut("env_file") {
        if files.as_str().is_some() {
            *files = files.remade(Value::Seq(vec![files.clone()]));
        }
        each(files, |item| wrap(item, "path"));
    }
    for key in ["configs", "secrets"] {
        if let Some(mounts) = service.get_mut(key) {
            each(mounts, |item| wrap(item, "source"));
        }
    }
    if let Some(ports) = service.get_mut("ports") {
        expand_list(
            ports,
            raw,
            |item, at| match port::expand(item, &path.key("ports").index(at)) {
                // What is no port yet is only looked at when variables were put in (compose-go).
                Err(_) if raw && item.is_scalar() => Ok(vec![item.clone()]),
                expanded => expanded,
            },
            findings,
        );
    }
    if let Some(volumes) = service.get_mut("volumes") {
        for (at, item) in volumes.as_seq().unwrap_or_default().iter().enumerate() {
            volume::warn(item, &path.key("volumes").index(at), findings);
        }
        expand_list(
            volumes,
            raw,
            |item, at| volume::expand(item, &path.key("volumes").index(at)).map(|item| vec![item]),
            findings,
        );
    }
    if let Some(devices) = service.get_mut("devices") {
        expand_list(
            devices,
            raw,
            |item, at| expand_device(item, &path.key("devices").index(at)).map(|item| vec![item]),
            findings,
        );
    }
    if let Some(gpus) = service.get_mut("gpus") {
        expand_gpus(gpus, &path.key("gpus"), findings);
    }
    if let Some(hosts) = service.get("extra_hosts") {
        check_hosts(hosts, &path.key("extra_hosts"), findings);
    }
    if let Some(environment) = service.get("environment") {
        check_environment(environment, &path.key("environment"), findings);
    }
}

/// A text as a mapping with that text under `key`.
fn wrap(node: &mut Node, key: &str) {
    if node.as_str().is_some() {
        let mut mapping = Mapping::new();
        mapping.insert(key, node.span, node.clone());
        *node = node.remade(Value::Map(mapping));
    }
}

fn each(list: &mut Node, change: impl FnMut(&mut Node)) {
    list.as_seq_mut().into_iter().flatten().for_each(change);
}

/// Replaces each item by what it stands for, and leaves out those that are refused.
fn expand_list(
    list: &mut Node,
    raw: bool,
    expand: impl Fn(&Node, usize) -> Result<Vec<Node>, Diagnostic>,
    findings: &mut Diagnostics,
) {
    let Some(items) = list.as_seq_mut() else { return };
    let mut expanded = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        match expand(item, at) {
            Ok(nodes) => expanded.extend(nodes),
            Err(_) if raw && item.as_str().is_some_and(|text| text.contains('$')) => {
                expanded.push(item.clone());
            }
            Err(finding) => findings.push(finding),
        }
    }
    *items = expanded;
}

/// A list of names as a mapping from each name to what `value` makes.
fn name_keys(node: &mut Node, value: impl Fn(&Node) -> Node) {
    if let Some(items) = node.as_seq() {
        let mut mapping = Mapping::new();
        for item in items {
            if let Some(name) = item.as_str() {
                mapping.insert(name, item.span, value(item));
            }
        }
        node.value = Value::Map(mapping);
    }
}

/// A dependency that is only named waits for the start and is required.
fn expand_dependencies(node: &mut Node) {
    name_keys(node, |item| {
        let mut dependency = Mapping::new();
        let condition = item.remade_text("service_started");
        dependency.insert(
            "condition",
            item.span,
            condition.implied_by(Implied::StartedCondition),
        );
        let required = item.remade(Value::Bool(true));
        dependency.insert(
            "required",
            item.span,
            required.implied_by(Implied::RequiredDependency),
        );
        item.remade(Value::Map(dependency))
    });
    if let Some(dependencies) = node.as_map_mut() {
        for dependency in dependencies.values_mut() {
            let span = dependency.span;
            if let Some(dependency) = dependency.as_map_mut()
                && !dependency.contains_key("required")
            {
                let required = Node::bool(true, span).implied_by(Implied::RequiredDependency);
                dependency.insert("required", span, required);
            }
        }
    }
}

fn expand_device(item: &Node, path: &Trail<'_>) -> Result<Node, Diagnostic> {
    let Some(text) = item.as_str() else {
        return with_target(item, path, "target: /dev/…");
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, target] => (source, target, "rwm"),
        [source, target, permissions] => (source, target, permissions),
        _ => {
            return Err(Diagnostic::error("bad-device", format!("{path}: `{text}` has too many colons"))
                .at(item.span)
                .help("write `HOST:CONTAINER:rwm`, or the long form with `source`, `target` and `permissions`"));
        }
    };
    let mut device = Mapping::new();
    device.insert("source", item.span, item.remade_text(source));
    let target = if target.is_empty() { source } else { target };
    device.insert("target", item.span, item.remade_text(target));
    let mut allowed = item.remade_text(permissions);
    if parts.len() < 3 {
        allowed = allowed.implied_by(Implied::DevicePermissions);
    }
    device.insert("permissions", item.span, allowed);
    Ok(item.remade(Value::Map(device)))
}

/// A long form that says where in the container it stands, as it is.
fn with_target(item: &Node, path: &Trail<'_>, example: &str) -> Result<Node, Diagnostic> {
    if item.as_map().is_none_or(|item| item.contains_key("target")) {
        return Ok(item.clone());
    }
    Err(
        Diagnostic::error("missing-key", format!("{path} has no `target`"))
            .at(item.span)
            .help(format!("say where it is in the container: `{example}`")),
    )
}

/// `gpus: all` is one request for every device.
fn expand_gpus(gpus: &mut Node, path: &Trail<'_>, findings: &mut Diagnostics) {
    let Some(text) = gpus.as_str() else { return };
    if text != "all" {
        findings.push(
            Diagnostic::error(
                "unknown-value",
                format!("{path} must be `all` or a list, not `{text}`"),
            )
            .at(gpus.span),
        );
    }
    longhand::every_device(gpus);
}

fn check_hosts(hosts: &Node, path: &Trail<'_>, findings: &mut Diagnostics) {
    for (at, item) in hosts.as_seq().unwrap_or_default().iter().enumerate() {
        if item.as_str().is_some_and(|text| !text.contains(['=', ':'])) {
            findings.push(
                Diagnostic::error("bad-host", format!("{} has no address", path.index(at)))
                    .at(item.span)
                    .help("write `name=address`, or `name=host-gateway` for the host itself"),
            );
        }
    }
}

/// Items of a `KEY=VALUE` list that lack their value, but for those that may stand `alone`.
fn check_values(list: &Node, path: &Trail<'_>, alone: &[&str], findings: &mut Diagnostics) {
    for (at, item) in list.as_seq().unwrap_or_default().iter().enumerate() {
        if let Some(text) = item
            .as_str()
            .filter(|text| !text.contains('=') && !alone.contains(text))
        {
            findings.push(
                Diagnostic::error("bad-value", format!("{}: `{text}` has no value", path.index(at)))
                    .at(item.span)
                    .help(format!("write `{text}=…`")),
            );
        }
    }
}

fn check_environment(environment: &Node, path: &Trail<'_>, findings: &mut Diagnostics) {
    for item in environment.as_seq().unwrap_or_default() {
        let name = item
            .as_str()
            .and_then(|text| text.split_once('='))
            .map(|(name, _)| name);
        if let Some(name) = name.filter(|name| name.ends_with(char::is_whitespace)) {
            findings.push(
                Diagnostic::error(
                    "bad-name",
                    format!("{path}: the variable `{name}` ends in a space"),
                )
                .at(item.span)
                .help(format!(
                    "write `{}=…` without a space before `=`",
                    name.trim_end()
                )),
            );
        }
    }
}

/// The legacy `external: {name: x}` is `external: true` and `name: x`.
fn expand_external(resource: &mut Mapping, path: &Trail<'_>, findings: &mut Diagnostics) {
    let Some(legacy) = resource.get("external").and_then(Node::as_map) else {
        return;
    };
    if let Some(name) = legacy.entry("name") {
        if let Some(other) = resource.get("name").filter(|other| **other != name.node) {
            findings.push(
                Diagnostic::error("conflicting-keys", format!("{path} has two names"))
                    .label(name.node.span, "one here")
                    .secondary(other.span, "another here")
                    .help("keep `name:` and write `external: true`"),
            );
        }
        findings.push(
            Diagnostic::warning("deprecated-key", format!("{path}: `external.name` is deprecated"))
                .at(name.key_span)
                .help(format!(
                    "write\nname: {}\nexternal: true",
                    name.node.as_str().unwrap_or_default()
                )),
        );
    }
    longhand::legacy_external(resource);
}
