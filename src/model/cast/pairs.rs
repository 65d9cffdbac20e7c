//! Mappings in canonical form: a checked mapping or list comes in, sorted pairs or a sorted list go out.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{cast, replaced, text};
use crate::model::schema::shape::Shape;
use crate::source::implied::Implied;
use crate::source::node::{Entry, Mapping, Node, Text, Value};
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

pub(super) fn pairs(node: &Node, nulls: bool) -> Option<Node> {
    let absent = |named: &Node| {
        let nothing = if nulls {
            named.remade(Value::Null)
        } else {
            named.remade_text("")
        };
        nothing.implied_by(Implied::NoValue)
    };
    let pairs: Vec<(Text, Span, Node)> = match &node.value {
        Value::Map(mapping) => mapping
            .entries()
            .map(|(name, Entry { key_span, node })| {
                (name.into(), *key_span, text(node).unwrap_or_else(|| absent(node)))
            })
            .collect(),
        Value::Seq(items) => items
            .iter()
            .filter_map(|item| item.as_str().map(|text| (item, text)))
            .map(|(item, text)| match text.split_once('=') {
                Some((name, value)) => (
                    name.into(),
                    item.span,
                    replaced(item, Value::String(value.into())),
                ),
                None => (text.into(), item.span, absent(item)),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {
            return Some(node.clone());
        }
    };
    (!pairs.is_empty()).then(|| replaced(node, Value::Map(sorted(pairs))))
}

/// `host=address` sorted by host, addresses of one host in their order; brackets of IPv6 addresses are dropped.
pub(super) fn hosts(node: &Node) -> Option<Node> {
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
            return Some(node.clone());
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
    (!items.is_empty()).then(|| replaced(node, Value::Seq(items)))
}

/// `default`, or `id=path`, sorted by id.
pub(super) fn ssh(node: &Node) -> Option<Node> {
    let keys = pairs(node, true)?;
    let mapping = keys.as_map()?;
    let items = mapping.iter().map(|(id, value)| {
        let path = value.as_str().filter(|path| !path.is_empty());
        let text = path.map_or_else(|| id.to_owned(), |path| format!("{id}={path}"));
        value.remade_text(text)
    });
    Some(replaced(node, Value::Seq(items.collect())))
}

pub(super) fn text_lists(node: &Node) -> Node {
    let Some(mapping) = node.as_map() else {
        return node.clone();
    };
    let lists = mapping.entries().map(|(name, entry)| {
        let value = &entry.node;
        let single = std::slice::from_ref(value);
        let items = value.as_seq().unwrap_or(single).iter().filter_map(text);
        (name, entry.key_span, value.remade(Value::Seq(items.collect())))
    });
    replaced(node, Value::Map(sorted(lists)))
}

/// Values sorted by name; an empty one stays as `null`, or as an empty text.
pub(super) fn map(node: &Node, inner: &Shape, empty_text: bool) -> Option<Node> {
    let Some(mapping) = node.as_map() else {
        return Some(node.clone());
    };
    let pairs = mapping.entries().map(|(name, entry)| {
        let value = cast(&entry.node, inner).unwrap_or_else(|| match empty_text {
            true => entry.node.remade_text(""),
            false if matches!(inner, Shape::Text) => entry.node.remade_text(""),
            false => entry.node.remade(Value::Null),
        });
        (name, entry.key_span, value)
    });
    (!mapping.is_empty()).then(|| replaced(node, Value::Map(sorted(pairs))))
}
