//! Two short forms that no rule of merging knows: a tree comes in before another document is laid over it, with them
//! written long it goes out. **Invariant:** what is not valid stays, and is refused where the tree is checked.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::implied::Implied;
use super::node::{Mapping, Node, Value};
use super::touched::{self, Touched};

/// Writes `gpus: all` and `external: {name: x}` long, in what `touched` names if it is given (compose-go brings the tree to
/// its canonical form after each document).
pub fn write(root: &mut Node, touched: Option<&Touched>) {
    touched::each(root, "services", touched, &mut gpus);
    for section in ["networks", "volumes", "configs", "secrets"] {
        touched::each(root, section, touched, &mut external);
    }
}

fn gpus(service: &mut Node) {
    if let Some(gpus) = service.as_map_mut().and_then(|service| service.get_mut("gpus")) {
        every_device(gpus);
    }
}

/// `all` as one request for every device; anything else as it is.
pub fn every_device(gpus: &mut Node) {
    if gpus.as_str() == Some("all") {
        let count = gpus.remade(Value::Int(-1)).implied_by(Implied::EveryDevice);
        let mut request = Mapping::new();
        request.insert("count", gpus.span, count);
        *gpus = gpus.remade(Value::Seq(vec![gpus.remade(Value::Map(request))]));
    }
}

fn external(resource: &mut Node) {
    if let Some(resource) = resource.as_map_mut() {
        legacy_external(resource);
    }
}

/// `external: {name: x}` of a resource as `external: true` and, unless it has a name, `name: x`.
pub fn legacy_external(resource: &mut Mapping) {
    let Some(entry) = resource.entry("external").cloned() else {
        return;
    };
    let Some(legacy) = entry.node.as_map() else { return };
    if let Some(name) = legacy.entry("name").filter(|_| !resource.contains_key("name")) {
        resource.insert("name", name.key_span, name.node.clone());
    }
    let external = entry.node.remade(Value::Bool(true)).implied_by(Implied::External);
    resource.insert("external", entry.key_span, external);
}
