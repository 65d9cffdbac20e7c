//! Lists whose items are told apart by a key: a merged tree comes in, of items with the same key the last one
//! takes the place of the first. **Invariant:** items without a key, valid or not, are all kept.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::HashMap;

use super::canonical;
use super::node::{Node, Value};

const PORTS: &str = "services.*.ports";

type Key = fn(&Node) -> Option<String>;

/// The lists and what tells their items apart (compose-go's rules).
const LISTS: [(&str, Key); 29] = [
    ("services.*.annotations", canonical::pair_key),
    ("services.*.build.additional_contexts", canonical::pair_key),
    ("services.*.build.args", canonical::pair_key),
    ("services.*.build.labels", canonical::pair_key),
    ("services.*.build.tags", canonical::pair_key),
    ("services.*.cap_add", canonical::pair_key),
    ("services.*.cap_drop", canonical::pair_key),
    ("services.*.configs", |item| canonical::file_object_key(item, "")),
    ("services.*.deploy.labels", canonical::pair_key),
    ("services.*.devices", canonical::device_key),
    ("services.*.dns", canonical::pair_key),
    ("services.*.dns_opt", canonical::pair_key),
    ("services.*.dns_search", canonical::pair_key),
    ("services.*.env_file", canonical::env_file_key),
    ("services.*.environment", canonical::pair_key),
    ("services.*.expose", canonical::text_key),
    ("services.*.label_file", canonical::text_key),
    ("services.*.labels", canonical::pair_key),
    ("services.*.links", canonical::pair_key),
    ("services.*.networks.*.aliases", canonical::pair_key),
    ("services.*.networks.*.link_local_ips", canonical::pair_key),
    (PORTS, canonical::port_key),
    ("services.*.profiles", canonical::pair_key),
    ("services.*.secrets", |item| {
        canonical::file_object_key(item, "/run/secrets")
    }),
    ("services.*.sysctls", canonical::pair_key),
    ("services.*.tmpfs", canonical::pair_key),
    ("services.*.volumes", canonical::volume_key),
    ("networks.*.labels", canonical::pair_key),
    ("volumes.*.labels", canonical::pair_key),
];

/// Drops earlier items that a later one redefines, everywhere below the root of a project.
pub fn enforce(root: &mut Node) {
    for (pattern, key) in LISTS {
        walk(root, pattern, pattern == PORTS, key);
    }
}

/// Goes down to the lists at `pattern`, in which `*` is any key.
fn walk(node: &mut Node, pattern: &str, ports: bool, key: Key) {
    let (part, rest) = pattern.split_once('.').unwrap_or((pattern, ""));
    match &mut node.value {
        Value::Seq(items) if part.is_empty() && items.len() > 1 => {
            let mut all = std::mem::take(items);
            if ports {
                all = canonical::expand_ports(all);
            }
            *items = unique(all, key);
        }
        Value::Map(mapping) if part == "*" => {
            for value in mapping.values_mut() {
                walk(value, rest, ports, key);
            }
        }
        Value::Map(mapping) => {
            if let Some(value) = mapping.get_mut(part) {
                walk(value, rest, ports, key);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) | Value::Seq(_) => {
        }
    }
}

fn unique(items: Vec<Node>, key: Key) -> Vec<Node> {
    let mut places = HashMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for mut item in items {
        let Some(key) = key(&item) else {
            kept.push(item);
            continue;
        };
        if let Some(&place) = places.get(&key) {
            let earlier: &mut Node = &mut kept[place];
            item.record_replaced(earlier);
            *earlier = item;
        } else {
            places.insert(key, kept.len());
            kept.push(item);
        }
    }
    kept
}
