//! Mappings in canonical form: a checked mapping or list comes in, sorted pairs or a sorted list go out.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{cast, text};
use crate::model::schema::shape::Shape;
use crate::source::implied::Implied;
use crate::source::node::{Mapping, Node, Text, Value};
use crate::source::span::Span;

/// A mapping from pairs sorted by name, as the reference prints every mapping; of equal names the last counts.
pub(in crate::model) fn sorted(pairs: impl IntoIterator<Item = (impl Into<Text>, Span, Node)>) -> Mapping {
    let mut mapping = Mapping::new();
    for (name, span, node) in pairs {
        mapping.insert(name, span, node);
    }
    mapping.sort();
    mapping
}

pub(super) fn pairs(mut node: Node, nulls: bool) -> Option<Node> {
    let absent = |named: &Node| {
        let nothing = if nulls {
            named.remade(Value::Null)
        } else {
            named.remade_text("")
        };
        nothing.implied_by(Implied::NoValue)
    };
    let pairs = match &mut node.value {
        Value::Map(mapping) => {
            let mut mapping = std::mem::take(mapping);
            for value in mapping.values_mut() {
                let written = std::mem::replace(value, Node::null(value.span));
                let nothing = absent(&written);
                *value = text(written).unwrap_or(nothing);
            }
            mapping.sort();
            mapping
        }
        Value::Seq(items) => {
            let texts = items.iter().filter_map(|item| Some((item, item.as_str()?)));
            sorted(texts.map(|(item, text)| match text.split_once('=') {
                Some((name, value)) => (name, item.span, item.remade(Value::String(value.into()))),
                None => (text, item.span, absent(item)),
            }))
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {
            return Some(node);
        }
    };
    (!pairs.is_empty()).then(|| node.turned_into(Value::Map(pairs)))
}

/// `host=address` sorted by host, addresses of one host in their order; brackets of IPv6 addresses are dropped.
pub(super) fn hosts(node: Node) -> Option<Node> {
    let mut found: Vec<(String, String, &Node)> = Vec::new();
    match &node.value {
        Value::Seq(items) => {
            for item in items {
                let text = item.as_str().unwrap_or_default();
                let pair = text.split_once('=').or_else(|| text.split_once(':'));
                if let Some((host, addresses)) = pair {
                    let each = addresses.split(',');
                    found.extend(each.map(|address| (host.to_owned(), address.to_owned(), item)));
                }
            }
        }
        Value::Map(mapping) => {
            for (host, value) in mapping.iter() {
                let single = value.as_str().map(|_| value);
                for address in single.into_iter().chain(value.as_seq().into_iter().flatten()) {
                    if let Some(text) = address.as_str() {
                        found.push((host.to_owned(), text.to_owned(), address));
                    }
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {
            return Some(node);
        }
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    let items: Vec<Node> = found
        .into_iter()
        .map(|(host, address, written)| {
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            written.remade_text(format!("{host}={}", bare.unwrap_or(&address)))
        })
        .collect();
    (!items.is_empty()).then(|| node.turned_into(Value::Seq(items)))
}

/// `default`, or `id=path`, sorted by id.
pub(super) fn ssh(node: Node) -> Option<Node> {
    let keys = pairs(node, true)?;
    let mapping = keys.as_map()?;
    let items = mapping.iter().map(|(id, value)| {
        let path = value.as_str().filter(|path| !path.is_empty());
        let text = path.map_or_else(|| id.to_owned(), |path| format!("{id}={path}"));
        value.remade_text(text)
    });
    let items = items.collect();
    Some(keys.turned_into(Value::Seq(items)))
}

pub(super) fn text_lists(mut node: Node) -> Node {
    let Some(mapping) = node.as_map_mut() else {
        return node;
    };
    let mut lists = std::mem::take(mapping);
    for value in lists.values_mut() {
        let single = std::slice::from_ref(value);
        let items = value.as_seq().unwrap_or(single).iter().cloned().filter_map(text);
        *value = value.remade(Value::Seq(items.collect()));
    }
    lists.sort();
    node.turned_into(Value::Map(lists))
}

/// Values sorted by name; an empty one stays as `null`, or as an empty text.
pub(super) fn map(mut node: Node, inner: &Shape, empty_text: bool) -> Option<Node> {
    let Some(mapping) = node.as_map_mut() else {
        return Some(node);
    };
    let mut values = std::mem::take(mapping);
    for value in values.values_mut() {
        let written = std::mem::replace(value, Node::null(value.span));
        let nothing = if empty_text || matches!(inner, Shape::Text) {
            written.remade_text("")
        } else {
            written.remade(Value::Null)
        };
        *value = cast(written, inner).unwrap_or(nothing);
    }
    values.sort();
    (!values.is_empty()).then(|| node.turned_into(Value::Map(values)))
}
