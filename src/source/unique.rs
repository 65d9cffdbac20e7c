//! Lists whose items are told apart by a key: a merged tree comes in, of items with the same key the last one
//! takes the place of the first. **Invariant:** items without a key, valid or not, are all kept.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::HashMap;

use super::canonical;
use super::node::{Mapping, Node};
use super::parallel;
use super::touched::{self, Touched};

type Key = fn(&Node) -> Option<String>;

/// What tells the items of a service's list apart (compose-go's rules).
fn service_list(name: &str) -> Option<Key> {
    Some(match name {
        "annotations" | "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "environment"
        | "labels" | "links" | "profiles" | "sysctls" | "tmpfs" => canonical::pair_key,
        "expose" | "label_file" => canonical::text_key,
        "configs" => |item| canonical::file_object_key(item, ""),
        "secrets" => |item| canonical::file_object_key(item, "/run/secrets"),
        "devices" => canonical::device_key,
        "env_file" => canonical::env_file_key,
        "ports" => canonical::port_key,
        "volumes" => canonical::volume_key,
        _ => return None,
    })
}

/// Drops earlier items that a later one redefines, everywhere below the root of a project or, if it is given, in what
/// `touched` names.
pub fn enforce(root: &mut Node, touched: Option<&Touched>) {
    let services = root.as_map_mut().and_then(|file| file.get_mut("services"));
    match (touched, services.and_then(Node::as_map_mut)) {
        (None, Some(services)) => {
            parallel::each(services, |_, service| enforce_in_service(service));
        }
        _ => touched::each(root, "services", touched, &mut enforce_in_service),
    }
    for section in ["networks", "volumes"] {
        touched::each(root, section, touched, &mut |resource| {
            pair_lists(resource, &["labels"]);
        });
    }
}

fn enforce_in_service(service: &mut Node) {
    for (name, value) in service.as_map_mut().into_iter().flat_map(Mapping::iter_mut) {
        let pairs: &[&str] = match name {
            "build" => &["additional_contexts", "args", "labels", "tags"],
            "deploy" => &["labels"],
            "networks" => {
                for network in value.as_map_mut().into_iter().flat_map(Mapping::values_mut) {
                    pair_lists(network, &["aliases", "link_local_ips"]);
                }
                &[]
            }
            "ports" => {
                if let Some(ports) = several(value) {
                    *ports = canonical::expand_ports(std::mem::take(ports));
                }
                &[]
            }
            _ => &[],
        };
        pair_lists(value, pairs);
        if let (Some(key), Some(items)) = (service_list(name), several(value)) {
            unique(items, key);
        }
    }
}

/// The items of a list of two or more.
fn several(node: &mut Node) -> Option<&mut Vec<Node>> {
    node.as_seq_mut().filter(|items| items.len() > 1)
}

/// The lists of `K=V` under these keys of a mapping.
fn pair_lists(node: &mut Node, keys: &[&str]) {
    for key in keys {
        let list = node.as_map_mut().and_then(|mapping| mapping.get_mut(key));
        if let Some(items) = list.and_then(several) {
            unique(items, canonical::pair_key);
        }
    }
}

/// Of items with the same key the last one, where the first one stood.
fn unique(items: &mut Vec<Node>, key: Key) {
    let mut places = HashMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for mut item in std::mem::take(items) {
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
    *items = kept;
}
