//! Sections and keys that the reference prints even when nobody said them: a cast tree comes in, the same tree with them
//! goes out. **Invariant:** what was said stays as it was.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::implied::{default, each_item, reserved};
use crate::source::node::{Mapping, Node, Value};
use crate::source::span::Span;

/// Sections of a service that are printed as JSON even when they say nothing; YAML leaves them out.
pub(super) fn service(service: &mut Mapping) {
    if let Some(deploy) = service.get_mut("deploy") {
        let span = deploy.span;
        if let Some(deploy) = deploy.as_map_mut() {
            default(deploy, "resources", span, Node::map(Mapping::new(), span));
            default(deploy, "placement", span, Node::map(Mapping::new(), span));
        }
    }
    block_limits(service);
    let rules = service
        .get_mut("develop")
        .and_then(|develop| develop.as_map_mut()?.get_mut("watch"));
    each_item(rules, |rule, span| {
        let mut exec = Mapping::new();
        exec.insert("command", span, Node::null(span));
        default(rule, "exec", span, Node::map(exec, span));
    });
}

/// The same of everything but services.
pub(super) fn file(file: &mut Mapping) {
    let empty = |span: Span| Node::map(Mapping::new(), span);
    if let Some(span) = file.key_span("name") {
        default(file, "services", span, empty(span));
    }
    for section in ["networks", "volumes"] {
        let resources = file.get_mut(section).and_then(Node::as_map_mut);
        for resource in resources.into_iter().flat_map(Mapping::values_mut) {
            let span = resource.span;
            if resource.is_null() {
                resource.value = Value::Map(Mapping::new());
            }
            if let Some(network) = resource.as_map_mut().filter(|_| section == "networks") {
                default(network, "ipam", span, empty(span));
            }
        }
    }
}

/// Entries of `blkio_config` and generic resources have all their keys, said or not.
fn block_limits(service: &mut Mapping) {
    const RATES: [&str; 4] = [
        "device_read_bps",
        "device_read_iops",
        "device_write_bps",
        "device_write_iops",
    ];
    if let Some(blkio) = service.get_mut("blkio_config").and_then(Node::as_map_mut) {
        each_item(blkio.get_mut("weight_device"), |device, span| {
            complete(
                device,
                [("path", Node::string("", span)), ("weight", Node::int(0, span))],
                span,
            );
        });
        for key in RATES {
            each_item(blkio.get_mut(key), |device, span| {
                complete(
                    device,
                    [
                        ("path", Node::string("", span)),
                        ("rate", Node::string("0", span)),
                    ],
                    span,
                );
            });
        }
    }
    each_item(reserved(service, "generic_resources"), |resource, _| {
        let Some(spec) = resource.get_mut("discrete_resource_spec") else {
            return;
        };
        let span = spec.span;
        if let Some(spec) = spec.as_map_mut() {
            complete(
                spec,
                [("kind", Node::string("", span)), ("value", Node::int(0, span))],
                span,
            );
        }
    });
}

/// The keys in this order, with their defaults where they are absent, then the rest.
fn complete<const N: usize>(mapping: &mut Mapping, keys: [(&str, Node); N], span: Span) {
    let mut all = Mapping::new();
    for (key, absent) in keys {
        match mapping.remove(key) {
            Some(entry) => all.insert(key, entry.key_span, entry.node),
            None => all.insert(key, span, absent),
        };
    }
    for (key, entry) in std::mem::take(mapping).into_entries() {
        all.insert(key, entry.key_span, entry.node);
    }
    *mapping = all;
}
