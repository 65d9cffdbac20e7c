//! In: the tree that is about to be printed. Out: the same tree with the few values that the reference prints in a way
//! of its own (its types have no names for the fields, or no field).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::print::View;
use crate::source::node::{Mapping, Node, Value};

/// Device rates in JSON, limits of nothing, and the options of address management, which are not printed.
pub(super) fn apply(root: &mut Node, view: View) {
    for service in members(root, "services") {
        members(service, "ulimits").for_each(|limit| ulimit(limit, view));
        if let Some(build) = child(service, "build") {
            members(build, "ulimits").for_each(|limit| ulimit(limit, view));
        }
        if let (View::Json, Some(blkio)) = (view, child(service, "blkio_config")) {
            for devices in blkio.as_map_mut().into_iter().flat_map(Mapping::values_mut) {
                devices.as_seq_mut().into_iter().flatten().for_each(capitalised);
            }
        }
    }
    for network in members(root, "networks") {
        if let Some(ipam) = child(network, "ipam").and_then(Node::as_map_mut) {
            ipam.remove("options");
        }
    }
}

/// Numbers and booleans as they are read, not as they are written: `0o17` is 15.
pub(super) fn plain_numbers(root: &mut Node) {
    root.walk_mut(&mut |node| {
        if matches!(node.value, Value::Int(_) | Value::Float(_) | Value::Bool(_)) {
            node.forget_spelling();
        }
    });
}

fn child<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    node.as_map_mut()?.get_mut(key)
}

fn members<'a>(node: &'a mut Node, key: &str) -> impl Iterator<Item = &'a mut Node> {
    let mapping = child(node, key).and_then(Node::as_map_mut);
    mapping.into_iter().flat_map(Mapping::values_mut)
}

/// A single 0 counts as soft and hard 0, which YAML always has both of and JSON only when they are not 0.
fn ulimit(limit: &mut Node, view: View) {
    let span = limit.span;
    let nothing = limit.remade(Value::Int(0));
    if limit.as_i64() == Some(0) {
        *limit = limit.remade(Value::Map(Mapping::new()));
    }
    let Some(limits) = limit.as_map_mut().filter(|_| view == View::Yaml) else {
        return;
    };
    let [soft, hard] = ["soft", "hard"].map(|key| {
        let entry = limits.remove(key).map(|entry| entry.node);
        entry.unwrap_or_else(|| nothing.clone())
    });
    let mut both = Mapping::new();
    both.insert("soft", span, soft);
    both.insert("hard", span, hard);
    *limits = both;
}

/// `path` as `Path`.
fn capitalised(device: &mut Node) {
    let Some(mapping) = device.as_map_mut() else {
        return;
    };
    let entries = std::mem::take(mapping).into_entries();
    *mapping = entries.fold(Mapping::new(), |mut mapping, (key, entry)| {
        let name = match &*key {
            "path" => "Path",
            "rate" => "Rate",
            "weight" => "Weight",
            other => other,
        };
        mapping.insert(name, entry.key_span, entry.node);
        mapping
    });
}
