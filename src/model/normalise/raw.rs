//! In: a service without its variables put in, expanded. Out: the same with the rest of what the reference writes long when
//! it prints such a tree. **Invariant:** what may still turn out to be something else stays as it is written.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::implied::{build_of, each_item, reserved};
use crate::source::canonical;
use crate::source::implied::Implied;
use crate::source::node::{Mapping, Node, Value};
use crate::source::span::Span;

/// Writes long what casting would, had the variables been put in (compose-go's canonical form).
pub(super) fn lengthen(service: &mut Mapping) {
    for key in ["dns", "label_file"] {
        listed(service.get_mut(key));
    }
    let rules = service
        .get_mut("develop")
        .and_then(|develop| develop.as_map_mut()?.get_mut("watch"));
    each_item(rules, |rule, _| {
        for key in ["ignore", "include"] {
            listed(rule.get_mut(key));
        }
    });
    each_item(service.get_mut("gpus"), every_device);
    each_item(reserved(service, "devices"), every_device);
    let Some(build) = build_of(service) else { return };
    for key in ["provenance", "sbom"] {
        if let Some(attestation) = build.get_mut(key)
            && let Some(wanted) = attestation.as_bool()
        {
            *attestation = attestation.remade_text(wanted.to_string());
        }
    }
    for key in ["additional_contexts", "ssh"] {
        if let Some(pairs) = build.get_mut(key)
            && let Some(mapping) = pairs.as_seq().and_then(canonical::pairs_to_mapping)
        {
            *pairs = pairs.remade(Value::Map(mapping));
        }
    }
}

/// One text as a list of it.
fn listed(node: Option<&mut Node>) {
    if let Some(node) = node
        && node.as_str().is_some()
    {
        *node = node.remade(Value::Seq(vec![node.clone()]));
    }
}

/// A request that does not count is for `all`.
fn every_device(request: &mut Mapping, _: Span) {
    if let Some(count) = request.get_mut("count")
        && count.implied == Some(Implied::EveryDevice)
    {
        *count = count.remade_text("all").implied_by(Implied::EveryDevice);
    }
}
