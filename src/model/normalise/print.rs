//! In: the normalised tree. Out: the tree as `config` writes it in one of its formats, `$` doubled so that the text
//! can be read again.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{order, quirk};
use crate::source::node::{Mapping, Node, Value};
use crate::source::path::{NodePath, Segment};

/// The two shapes the reference prints a project in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everything that was said, extensions included.
    Yaml,
    /// Extensions of the top level only, and no models; sections that are never absent in the reference are there.
    Json,
}

/// The tree as one of the formats shows it.
pub fn printed(root: &Node, view: View) -> Node {
    let mut root = root.clone();
    short_environment_files(&mut root);
    match view {
        View::Yaml => without_empty_structures(&mut root, &NodePath::root()),
        View::Json => {
            if let Some(file) = root.as_map_mut() {
                file.remove("models");
                extension_networks(file);
            }
            without_inner_extensions(&mut root, &NodePath::root());
        }
    }
    order::file(&mut root, view);
    quirk::apply(&mut root, view);
    quirk::plain_numbers(&mut root);
    root
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

fn without_empty_structures(node: &mut Node, path: &NodePath) {
    match &mut node.value {
        Value::Map(mapping) => {
            for (key, value) in mapping.iter_mut() {
                without_empty_structures(value, &path.key(key));
            }
            mapping.retain(|key, entry| {
                let here = path.key(key);
                let empty = entry.node.as_map().is_some_and(Mapping::is_empty);
                let structure = here.matches("networks.*.ipam")
                    || here.matches("services.*.deploy.placement")
                    || here.matches("services.*.deploy.resources");
                let no_exec = here.matches("services.*.develop.watch.[].exec")
                    && entry.node.get("command").is_none_or(Node::is_null);
                let no_command = entry.node.is_null()
                    && (here.matches("services.*.command") || here.matches("services.*.entrypoint"));
                !(empty && structure || no_exec || no_command)
            });
        }
        Value::Seq(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                without_empty_structures(item, &path.index(index));
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
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

/// Mappings whose keys are the user's, where `x-` is a name like any other.
fn is_free_mapping(path: &[Segment]) -> bool {
    let keys: Vec<&str> = path
        .iter()
        .map(|segment| match segment {
            Segment::Key(key) => key.as_str(),
            Segment::Index(_) => "[]",
        })
        .collect();
    matches!(keys[..], [section] if matches!(section, "services" | "networks" | "volumes" | "configs" | "secrets" | "models"))
        || matches!(
            keys.last(),
            Some(
                &("environment"
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
                    | "ulimits")
            )
        )
}

fn without_inner_extensions(node: &mut Node, path: &NodePath) {
    let root = path.segments().is_empty();
    match &mut node.value {
        Value::Map(mapping) => {
            if !root && !is_free_mapping(path.segments()) {
                mapping.retain(|key, _| !key.starts_with("x-"));
            }
            for (key, value) in mapping.iter_mut() {
                if !(root && key.starts_with("x-")) {
                    without_inner_extensions(value, &path.key(key));
                }
            }
        }
        Value::Seq(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                without_inner_extensions(item, &path.index(index));
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
}
