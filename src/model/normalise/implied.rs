//! What a file means without saying it (Compose Specification; the order and details are compose-go's `Normalize`):
//! a cast tree comes in, the same tree with defaults, names, networks and dependencies goes out.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::model::cast::sorted;
use crate::model::units;
use crate::source::implied::Implied;
use crate::source::node::{Mapping, Node, Value};
use crate::source::span::Span;

/// The mappings of a list, with their places.
pub(super) fn each_item(list: Option<&mut Node>, mut change: impl FnMut(&mut Mapping, Span)) {
    for item in list.and_then(Node::as_seq_mut).into_iter().flatten() {
        let span = item.span;
        if let Some(item) = item.as_map_mut() {
            change(item, span);
        }
    }
}

/// What a service reserves of one kind.
pub(super) fn reserved<'a>(service: &'a mut Mapping, kind: &str) -> Option<&'a mut Node> {
    service
        .get_mut("deploy")
        .and_then(|deploy| deploy.as_map_mut()?.get_mut("resources"))
        .and_then(|resources| resources.as_map_mut()?.get_mut("reservations"))
        .and_then(|reservations| reservations.as_map_mut()?.get_mut(kind))
}

/// Puts a value under a key that is not there; keys are put in order again when printed.
pub(super) fn default(mapping: &mut Mapping, key: &str, span: Span, value: Node) {
    if !mapping.contains_key(key) {
        mapping.insert(key, span, value);
    }
}

/// Defaults of a service that hold whatever is normalised: of ports, secrets, environment files, devices and builds.
pub(super) fn defaults(service: &mut Mapping, directory: &str) {
    if let Some(build) = service.get_mut("build") {
        let span = build.span;
        if let Some(build) = build.as_map_mut() {
            let context = Node::string(directory, span).implied_by(Implied::BuildContext);
            default(build, "context", span, context);
        }
    }
    without_empty_servers(service);
    each_item(service.get_mut("ports"), |port, span| {
        default(
            port,
            "mode",
            span,
            Node::string("ingress", span).implied_by(Implied::PortMode),
        );
        default(
            port,
            "protocol",
            span,
            Node::string("tcp", span).implied_by(Implied::PortProtocol),
        );
    });
    each_item(service.get_mut("secrets"), |secret, span| {
        if let Some(source) = secret.get("source").and_then(Node::as_str) {
            let target = format!("/run/secrets/{source}");
            default(
                secret,
                "target",
                span,
                Node::string(target, span).implied_by(Implied::SecretTarget),
            );
        }
    });
    each_item(service.get_mut("env_file"), |file, span| {
        let required = Node::bool(true, span).implied_by(Implied::RequiredFile);
        default(file, "required", span, required);
    });
    each_item(service.get_mut("gpus"), device_request);
    each_item(reserved(service, "devices"), device_request);
}

/// Name servers that a variable left empty are none.
fn without_empty_servers(service: &mut Mapping) {
    let Some(dns) = service.get_mut("dns") else { return };
    let empty = |node: &Node| node.is_null() || node.as_str() == Some("");
    if let Some(items) = dns.as_seq_mut() {
        items.retain(|item| !empty(item));
    }
    if empty(dns) || dns.as_seq().is_some_and(<[Node]>::is_empty) {
        service.remove("dns");
    }
}

/// A service with `scale` and a `deploy` section has that many replicas in both.
pub(in crate::model) fn agree_on_replicas(root: &mut Node) {
    let services = root.as_map_mut().and_then(|file| file.get_mut("services"));
    let services = services.and_then(Node::as_map_mut);
    for service in services.into_iter().flat_map(Mapping::values_mut) {
        let span = service.span;
        if let Some(service) = service.as_map_mut()
            && let Some(scale) = service.get("scale").cloned()
            && let Some(deploy) = service.get_mut("deploy").and_then(Node::as_map_mut)
        {
            default(deploy, "replicas", span, scale.implied_by(Implied::Replicas));
        }
    }
}

/// A request without count and ids is for every device.
fn device_request(request: &mut Mapping, span: Span) {
    if !request.contains_key("device_ids") {
        default(
            request,
            "count",
            span,
            Node::int(-1, span).implied_by(Implied::EveryDevice),
        );
    }
}

/// Gives variables named without a value the project's value; a variable that is not set stays without.
pub(super) fn environment(service: &mut Mapping, lookup: &dyn Fn(&str) -> Option<String>) {
    if let Some(environment) = service.get_mut("environment").and_then(Node::as_map_mut) {
        resolve(environment, lookup);
    }
}

fn resolve(pairs: &mut Mapping, lookup: &dyn Fn(&str) -> Option<String>) {
    for (name, node) in pairs.iter_mut() {
        if node.is_null()
            && let Some(value) = lookup(name)
        {
            *node = node.remade_text(value).implied_by(Implied::FromEnvironment);
        }
    }
}

pub(super) fn build_of(service: &mut Mapping) -> Option<&mut Mapping> {
    service.get_mut("build").and_then(Node::as_map_mut)
}

/// Arguments of builds like variables, but one that is not set is left out.
pub(super) fn build_arguments(service: &mut Mapping, lookup: &dyn Fn(&str) -> Option<String>) {
    if let Some(arguments) = build_of(service)
        .and_then(|build| build.get_mut("args"))
        .and_then(Node::as_map_mut)
    {
        resolve(arguments, lookup);
        arguments.retain(|_, entry| !entry.node.is_null());
    }
    if let Some(build) = build_of(service)
        && build
            .get("args")
            .and_then(Node::as_map)
            .is_some_and(Mapping::is_empty)
    {
        build.remove("args");
    }
}

/// A service that names no network and has no network mode is on `default`. The place of one that is.
pub(super) fn network(service: &mut Mapping, span: Span) -> Option<Span> {
    if service.contains_key("provider") || service.contains_key("network_mode") {
        return None;
    }
    let named = service
        .get("networks")
        .and_then(Node::as_map)
        .is_some_and(|names| !names.is_empty());
    if !named {
        let mut names = Mapping::new();
        let nothing = Node::null(span).implied_by(Implied::DefaultNetwork);
        names.insert("default", span, nothing);
        service.insert("networks", span, Node::map(names, span));
    }
    let networks = service.get("networks")?;
    networks.get("default").map(|_| span)
}

/// The network `default`, for the service at this place.
pub(super) fn default_network(file: &mut Mapping, span: Span) {
    default(file, "networks", span, Node::map(Mapping::new(), span));
    if let Some(networks) = file.get_mut("networks").and_then(Node::as_map_mut) {
        let nothing = Node::null(span).implied_by(Implied::DefaultNetwork);
        default(networks, "default", span, nothing);
    }
}

/// Builds, pull policies, mount targets, and the dependencies that links and shared namespaces are.
pub(super) fn service(service: &mut Mapping, span: Span) {
    if let Some(policy) = service.get_mut("pull_policy")
        && policy.as_str() == Some("if_not_present")
    {
        policy.value = Value::String("missing".into());
    }
    let image = service.get("image").cloned();
    if let Some(build) = service.get_mut("build") {
        let span = build.span;
        if let Some(build) = build.as_map_mut()
            && !build.contains_key("dockerfile_inline")
        {
            let file = Node::string("Dockerfile", span).implied_by(Implied::Dockerfile);
            default(build, "dockerfile", span, file);
        }
    }
    each_item(service.get_mut("volumes"), |volume, _| {
        if let Some(target) = volume.get_mut("target")
            && let Value::String(text) = &mut target.value
        {
            *text = clean(text).into();
        }
    });
    each_item(service.get_mut("pre_start"), |container, span| {
        if let Some(image) = &image {
            default(
                container,
                "image",
                span,
                image.clone().implied_by(Implied::HookImage),
            );
        }
    });
    dependencies(service, span);
}

fn dependencies(service: &mut Mapping, span: Span) {
    let mut implied: Vec<(String, bool, Span)> = Vec::new();
    for link in service.get("links").and_then(Node::as_seq).unwrap_or_default() {
        if let Some(text) = link.as_str() {
            let name = text.split_once(':').map_or(text, |(name, _)| name);
            implied.push((name.to_owned(), true, link.span));
        }
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        if let Some(node) = service.get(key)
            && let Some(name) = node.as_str().and_then(|text| text.strip_prefix("service:"))
        {
            implied.push((name.to_owned(), true, node.span));
        }
    }
    for source in service
        .get("volumes_from")
        .and_then(Node::as_seq)
        .unwrap_or_default()
    {
        if let Some(text) = source.as_str().filter(|text| !text.starts_with("container:")) {
            let name = text.split_once(':').map_or(text, |(name, _)| name);
            implied.push((name.to_owned(), false, source.span));
        }
    }
    if implied.is_empty() {
        return;
    }
    default(service, "depends_on", span, Node::map(Mapping::new(), span));
    let Some(depends_on) = service.get_mut("depends_on").and_then(Node::as_map_mut) else {
        return;
    };
    for (name, restart, span) in implied {
        let mut dependency = Mapping::new();
        let linked = |node: Node| node.implied_by(Implied::ImpliedDependency);
        dependency.insert("condition", span, linked(Node::string("service_started", span)));
        dependency.insert("restart", span, linked(Node::bool(restart, span)));
        dependency.insert("required", span, linked(Node::bool(true, span)));
        default(depends_on, &name, span, Node::map(dependency, span));
    }
    let entries = std::mem::take(depends_on).into_entries();
    *depends_on = sorted(entries.map(|(name, entry)| (name, entry.key_span, entry.node)));
}

/// `<project>_<key>` for what is made here, the key itself for what is external.
pub(super) fn names(file: &mut Mapping, project: &str) {
    for section in ["networks", "volumes", "configs", "secrets"] {
        let Some(resources) = file.get_mut(section).and_then(Node::as_map_mut) else {
            continue;
        };
        for (key, resource) in resources.iter_mut() {
            let span = resource.span;
            if resource.is_null() {
                resource.value = Value::Map(Mapping::new());
            }
            let Some(resource) = resource.as_map_mut() else {
                continue;
            };
            if resource.contains_key("name") {
                continue;
            }
            let external = resource.get("external").is_some_and(is_true);
            let (name, rule) = if external {
                (key.to_owned(), Implied::ExternalName)
            } else {
                (format!("{project}_{key}"), Implied::ResourceName)
            };
            resource.insert("name", span, Node::string(name, span).implied_by(rule));
        }
    }
}

fn is_true(node: &Node) -> bool {
    let word = node.as_str().and_then(units::parse_bool);
    node.as_bool().or(word.map(|(value, _)| value)) == Some(true)
}

/// A path without `.`, `..`, doubled and trailing slashes, as Go's `path.Clean` leaves it.
pub(in crate::model) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
