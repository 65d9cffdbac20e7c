//! In: the normalised tree. Out: the tree as `config` writes it in one of its formats, `$` doubled so that the text
//! can be read again.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{order, quirk};
use crate::model::checked::{Part, Parts, SERVICES};
use crate::model::schema::FILE;
use crate::source::emit;
use crate::source::node::{Mapping, Node, Value};
use crate::source::span::Span;

/// The two shapes the reference prints a project in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everything that was said, extensions included.
    Yaml,
    /// Extensions of the top level only, and no models; sections that are never absent in the reference are there.
    Json,
}

/// The tree as one of the formats shows it.
pub fn printed(mut root: Node, view: View) -> Node {
    short_environment_files(&mut root);
    match view {
        View::Yaml => without_empty_structures(&mut root),
        View::Json => {
            if let Some(file) = root.as_map_mut() {
                file.remove("models");
                extension_networks(file);
            }
            without_inner_extensions(&mut root, 0, "");
        }
    }
    order::file(&mut root, view);
    quirk::apply(&mut root, view);
    quirk::plain_numbers(&mut root);
    root
}

/// The YAML text of a tree in parts. Each service is copied, written and given back before the next: of a large project a
/// second tree costs more time than all of its text.
pub fn yaml_text(parts: Parts<'_>) -> String {
    let mut services: Vec<Part<'_>> = parts.services().collect();
    let compare = order::compare(View::Yaml);
    services.sort_by(|left, right| compare(left.name, right.name));
    let place = parts.rest.span;
    let Value::Map(rest) = parts.rest.value else {
        return shown_text(parts.rest);
    };
    let (mut before, mut after) = (Mapping::new(), Mapping::new());
    let rank = |key: &str| FILE.rank(key).unwrap_or(usize::MAX);
    for (key, entry) in rest.into_entries() {
        if key == SERVICES && !services.is_empty() {
            continue;
        }
        let side = if rank(&key) < rank(SERVICES) {
            &mut before
        } else {
            &mut after
        };
        side.insert(key, entry.key_span, entry.node);
    }
    let section = format!("{SERVICES}:\n");
    let mut text = mapping_text(before, place);
    if !services.is_empty() {
        text.push_str(&section);
    }
    for service in services {
        let entry = service.copied();
        let mut alone = Mapping::new();
        alone.insert(service.name, entry.key_span, entry.node);
        let mut file = Mapping::new();
        file.insert(SERVICES, place, Node::map(alone, place));
        let written = mapping_text(file, place);
        text.push_str(written.strip_prefix(&section).unwrap_or(&written));
    }
    text.push_str(&mapping_text(after, place));
    text
}

fn mapping_text(mapping: Mapping, place: Span) -> String {
    if mapping.is_empty() {
        String::new()
    } else {
        shown_text(Node::map(mapping, place))
    }
}

fn shown_text(tree: Node) -> String {
    let mut shown = printed(tree, View::Yaml);
    escape_dollars(&mut shown);
    emit::yaml(&shown)
}

/// A tree without variables put in, which the reference prints as it stands, with every mapping sorted.
pub fn printed_raw(root: &Node, view: View) -> Node {
    let mut root = root.clone();
    order::deep(&mut root, view);
    quirk::plain_numbers(&mut root);
    root
}

/// An `env_file` of which only the path is said is printed as that path.
fn short_environment_files(root: &mut Node) {
    let services = root.as_map_mut().and_then(|file| file.get_mut("services"));
    for service in services
        .and_then(Node::as_map_mut)
        .into_iter()
        .flat_map(Mapping::values_mut)
    {
        let files = service
            .as_map_mut()
            .and_then(|service| service.get_mut("env_file"));
        for file in files.and_then(Node::as_seq_mut).into_iter().flatten() {
            let path = file
                .as_map()
                .filter(|file| file.len() == 1)
                .and_then(|file| file.get("path"));
            if let Some(path) = path.cloned() {
                *file = path;
            }
        }
    }
}

/// Doubles every `$` of the values, so that interpolation gives back what is meant.
pub fn escape_dollars(root: &mut Node) {
    root.walk_mut(&mut |node| match &mut node.value {
        Value::String(text) if text.contains('$') => *text = text.replace('$', "$$").into(),
        Value::String(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Seq(_)
        | Value::Map(_) => {}
    });
}

/// The mappings of a section, e.g. the services.
fn members<'a>(file: &'a mut Mapping, section: &str) -> impl Iterator<Item = &'a mut Mapping> + use<'a> {
    let section = file.get_mut(section).and_then(Node::as_map_mut);
    section
        .into_iter()
        .flat_map(Mapping::values_mut)
        .filter_map(Node::as_map_mut)
}

fn without_empty_structures(root: &mut Node) {
    let Some(file) = root.as_map_mut() else { return };
    let drop_empty = |mapping: &mut Mapping, key: &str| {
        let inner = mapping.get(key).and_then(Node::as_map);
        if inner.is_some_and(Mapping::is_empty) {
            mapping.remove(key);
        }
    };
    for network in members(file, "networks") {
        drop_empty(network, "ipam");
    }
    for service in members(file, "services") {
        for key in ["command", "entrypoint"] {
            if service.get(key).is_some_and(Node::is_null) {
                service.remove(key);
            }
        }
        if let Some(deploy) = service.get_mut("deploy").and_then(Node::as_map_mut) {
            drop_empty(deploy, "placement");
            drop_empty(deploy, "resources");
        }
        let rules = service
            .get_mut("develop")
            .and_then(|develop| develop.as_map_mut()?.get_mut("watch")?.as_seq_mut());
        for rule in rules.into_iter().flatten().filter_map(Node::as_map_mut) {
            let exec = rule.get("exec");
            if exec.is_some_and(|exec| exec.get("command").is_none_or(Node::is_null)) {
                rule.remove("exec");
            }
        }
    }
}

/// In networks, and there alone, the reference takes a name that begins with `x-` for an extension: it does not print
/// the network, and prints its use by a service as `#extensions`.
fn extension_networks(file: &mut Mapping) {
    if let Some(networks) = file.get_mut("networks").and_then(Node::as_map_mut) {
        networks.retain(|key, _| !key.starts_with("x-"));
        if networks.is_empty() {
            file.remove("networks");
        }
    }
    let services = file.get_mut("services").and_then(Node::as_map_mut);
    for service in services.into_iter().flat_map(Mapping::values_mut) {
        let networks = service
            .as_map_mut()
            .and_then(|service| service.get_mut("networks"));
        let Some(networks) = networks.and_then(Node::as_map_mut) else {
            continue;
        };
        let first = networks.entries().find(|(key, _)| key.starts_with("x-"));
        if let Some(span) = first.map(|(_, entry)| entry.key_span) {
            networks.retain(|key, _| !key.starts_with("x-"));
            networks.insert("#extensions", span, Node::map(Mapping::new(), span));
        }
    }
}

/// Whether the keys of the mapping at `depth` under `key` are the user's, where `x-` is a name like any other.
fn is_free_mapping(depth: usize, key: &str) -> bool {
    let section = matches!(
        key,
        "services" | "networks" | "volumes" | "configs" | "secrets" | "models"
    );
    depth == 1 && section
        || matches!(
            key,
            "environment"
                | "labels"
                | "annotations"
                | "args"
                | "sysctls"
                | "driver_opts"
                | "options"
                | "depends_on"
                | "networks"
                | "models"
                | "additional_contexts"
                | "aux_addresses"
                | "storage_opt"
                | "ulimits"
        )
}

/// `key` is the last key on the way to the node, empty for an item of a list.
fn without_inner_extensions(node: &mut Node, depth: usize, key: &str) {
    match &mut node.value {
        Value::Map(mapping) => {
            if depth > 0 && !is_free_mapping(depth, key) {
                mapping.retain(|key, _| !key.starts_with("x-"));
            }
            for (key, value) in mapping.iter_mut() {
                if depth > 0 || !key.starts_with("x-") {
                    without_inner_extensions(value, depth + 1, key);
                }
            }
        }
        Value::Seq(items) => {
            for item in items {
                without_inner_extensions(item, depth + 1, "");
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
}
