//! In: a checked tree. Out: the same tree with every value in the one form that its shape is printed in.
//! **Invariant:** spans are kept; a value the schema refused is passed on as it is, so that nothing is lost.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use super::command_line;
use super::schema::shape::{Object, Shape};
use super::schema::whole;
use super::units;
use crate::source::node::{Entry, Mapping, Node, Value};
use crate::source::span::Span;

/// The node in canonical form; none when it says nothing (empty text, `false`, an empty list).
pub(super) fn cast(node: &Node, shape: &Shape) -> Option<Node> {
    match shape {
        Shape::Text | Shape::TextOrNull | Shape::Word(_) => {
            let says_nothing = node.is_null() || node.as_str() == Some("");
            (!says_nothing).then(|| node.clone())
        }
        Shape::NumberOrText | Shape::FlagOrText => text(node).filter(|text| text.as_str() != Some("")),
        Shape::Flag | Shape::StrictFlag => flag(node).filter(|node| node.as_bool() != Some(false)),
        Shape::Choice => flag(node),
        Shape::OptOut => flag(node).filter(|node| node.as_bool() != Some(true)),
        Shape::Integer(..) => Some(integer(node)).filter(|node| node.as_i64() != Some(0)),
        Shape::Count => Some(integer(node)),
        Shape::DeviceCount => Some(match node.as_str() {
            Some("all") => replaced(node, Value::Int(-1)),
            _ => integer(node),
        }),
        Shape::Decimal => Some(decimal(node)).filter(|node| node.as_i64() != Some(0)),
        Shape::Bytes | Shape::Size | Shape::BytesText => bytes(node),
        Shape::Duration => Some(duration(node)),
        Shape::Wait => Some(duration(node)).filter(|node| node.as_str() != Some("0s")),
        Shape::Microseconds => Some(microseconds(node)).filter(|node| node.as_i64() != Some(0)),
        Shape::Mode => Some(mode(node)),
        Shape::Command => command(node),
        Shape::Texts | Shape::Set => texts(node),
        Shape::TextOrTexts => match node.as_str() {
            Some(_) => Some(replaced(node, Value::Seq(vec![node.clone()]))),
            None => texts(node),
        },
        Shape::Probe => match node.as_str() {
            Some("") => None,
            Some(_) => Some(replaced(
                node,
                Value::Seq(vec![Node::string("CMD-SHELL", node.span), node.clone()]),
            )),
            None => texts(node),
        },
        Shape::Pairs(nulls) => pairs(node, *nulls),
        Shape::Hosts => hosts(node),
        Shape::Ssh => ssh(node),
        Shape::TextLists => Some(text_lists(node)),
        Shape::TextMap | Shape::Options => map(node, &Shape::NumberOrText, true),
        Shape::Map(inner) => map(node, inner, false),
        Shape::List(inner) => {
            let Some(items) = node.as_seq() else {
                return Some(node.clone());
            };
            let items: Vec<Node> = items.iter().filter_map(|item| cast(item, inner)).collect();
            (!items.is_empty()).then(|| replaced(node, Value::Seq(items)))
        }
        Shape::Object(object) => Some(self::object(node, object)),
        Shape::OrText(inner) | Shape::OrPort(inner) | Shape::OrNames(inner) if !node.is_scalar() => {
            cast(node, inner)
        }
        Shape::Any | Shape::OrText(_) | Shape::OrPort(_) | Shape::OrNames(_) => Some(node.clone()),
        Shape::OrInteger(inner) => match node.as_map() {
            Some(_) => cast(node, inner),
            None => Some(integer(node)),
        },
        Shape::OrNull(inner) => {
            if node.is_null() {
                None
            } else {
                cast(node, inner)
            }
        }
        Shape::External => match node.as_map() {
            Some(_) => Some(node.clone()),
            None => flag(node).filter(|node| node.as_bool() != Some(false)),
        },
    }
}

/// The object's keys in printing order, then its extensions in theirs.
pub(super) fn object(node: &Node, object: &Object) -> Node {
    let Some(mapping) = node.as_map() else {
        return node.clone();
    };
    let mut out = Mapping::new();
    for key in object.keys {
        match mapping.entry(key.name) {
            Some(entry) => {
                if let Some(value) = cast(&entry.node, &key.shape) {
                    out.insert(key.name, entry.key_span, value);
                } else if object.always.contains(&key.name) {
                    out.insert(key.name, entry.key_span, Node::null(entry.node.span));
                }
            }
            None if object.always.contains(&key.name) => {
                out.insert(key.name, node.span, Node::null(node.span));
            }
            None => {}
        }
    }
    for (name, entry) in mapping
        .entries()
        .filter(|(name, _)| name.starts_with("x-") && object.shape(name).is_none())
    {
        out.insert(name, entry.key_span, entry.node.clone());
    }
    replaced(node, Value::Map(out))
}

/// Another value at the same place, with the same history.
pub(super) fn replaced(node: &Node, value: Value) -> Node {
    Node {
        value,
        raw: None,
        tag: None,
        ..node.clone()
    }
}

/// A mapping from pairs sorted by name, as the reference prints every mapping.
pub(super) fn sorted(pairs: impl IntoIterator<Item = (String, Span, Node)>) -> Mapping {
    let sorted: BTreeMap<String, (Span, Node)> = pairs
        .into_iter()
        .map(|(name, span, node)| (name, (span, node)))
        .collect();
    let mut mapping = Mapping::new();
    for (name, (span, node)) in sorted {
        mapping.insert(name, span, node);
    }
    mapping
}

/// A scalar as text: numbers lose the way they were written (`0x10` is `16`).
fn text(node: &Node) -> Option<Node> {
    let text = match &node.value {
        Value::Null => return None,
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        // Numbers between 63 and 64 bits are whole to the reference.
        Value::Float(value) => match node.raw.as_deref().map(str::parse::<u64>) {
            Some(Ok(whole)) => whole.to_string(),
            _ => go_number(*value),
        },
        Value::String(_) | Value::Seq(_) | Value::Map(_) => return Some(node.clone()),
    };
    Some(replaced(node, Value::String(text)))
}

/// A float as Go's `%v` prints it: the shortest digits, with an exponent from 1e21 up and below 1e-4.
fn go_number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    value.to_string()
}

fn flag(node: &Node) -> Option<Node> {
    match &node.value {
        Value::Null => None,
        Value::String(text) => Some(match units::parse_bool(text) {
            Some((value, _)) => replaced(node, Value::Bool(value)),
            None => node.clone(),
        }),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => {
            Some(node.clone())
        }
    }
}

fn integer(node: &Node) -> Node {
    let value = match &node.value {
        Value::Float(value) => whole(*value),
        Value::String(text) => text.parse().ok(),
        Value::Int(value) => Some(*value),
        Value::Null | Value::Bool(_) | Value::Seq(_) | Value::Map(_) => None,
    };
    value.map_or_else(|| node.clone(), |value| replaced(node, Value::Int(value)))
}

/// Numbers the reference keeps in single precision; whole ones print without a point.
fn decimal(node: &Node) -> Node {
    let text = match &node.value {
        Value::Int(_) => return integer(node),
        Value::Float(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Seq(_) | Value::Map(_) => return node.clone(),
    };
    let shortest = text
        .parse::<f32>()
        .ok()
        .and_then(|value| value.to_string().parse::<f64>().ok());
    match shortest {
        Some(value) => replaced(node, whole(value).map_or(Value::Float(value), Value::Int)),
        None => node.clone(),
    }
}

fn bytes(node: &Node) -> Option<Node> {
    let value = match &node.value {
        Value::Int(value) => Some(*value),
        Value::Float(value) => whole(*value),
        Value::String(text) => units::parse_bytes(text).ok(),
        Value::Null | Value::Bool(_) | Value::Seq(_) | Value::Map(_) => None,
    };
    match value {
        Some(0) => None,
        Some(value) => Some(replaced(node, Value::String(value.to_string()))),
        None => Some(node.clone()),
    }
}

fn duration(node: &Node) -> Node {
    match node.as_str().map(units::parse_duration) {
        Some(Ok(duration)) => replaced(node, Value::String(units::print_duration(duration))),
        _ => node.clone(),
    }
}

fn microseconds(node: &Node) -> Node {
    match node.as_str() {
        Some(text) if text.parse::<i64>().is_err() => match units::parse_duration(text) {
            Ok(duration) => replaced(
                node,
                Value::Int(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
            ),
            Err(_) => node.clone(),
        },
        _ => integer(node),
    }
}

fn mode(node: &Node) -> Node {
    let mode = match &node.value {
        Value::Int(value) => u32::try_from(*value).ok(),
        Value::String(text) => units::parse_mode(text).ok(),
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => None,
    };
    match mode {
        Some(mode) => replaced(node, Value::String(format!("0{mode:o}"))),
        None => node.clone(),
    }
}

fn command(node: &Node) -> Option<Node> {
    match &node.value {
        Value::Null => None,
        Value::String(text) => Some(match command_line::split(text) {
            Ok(line) => {
                let words = line.words.into_iter().map(|word| Node::string(word, node.span));
                replaced(node, Value::Seq(words.collect()))
            }
            Err(_) => node.clone(),
        }),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => {
            Some(node.clone())
        }
    }
}

fn texts(node: &Node) -> Option<Node> {
    match node.as_seq() {
        Some([]) => None,
        _ => Some(node.clone()),
    }
}

fn pairs(node: &Node, nulls: bool) -> Option<Node> {
    let absent = |span: Span| {
        if nulls {
            Node::null(span)
        } else {
            Node::string("", span)
        }
    };
    let pairs: Vec<(String, Span, Node)> = match &node.value {
        Value::Map(mapping) => mapping
            .entries()
            .map(|(name, Entry { key_span, node })| {
                (
                    name.to_owned(),
                    *key_span,
                    text(node).unwrap_or_else(|| absent(node.span)),
                )
            })
            .collect(),
        Value::Seq(items) => items
            .iter()
            .filter_map(|item| item.as_str().map(|text| (item, text)))
            .map(|(item, text)| match text.split_once('=') {
                Some((name, value)) => (
                    name.to_owned(),
                    item.span,
                    replaced(item, Value::String(value.to_owned())),
                ),
                None => (text.to_owned(), item.span, absent(item.span)),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {
            return Some(node.clone());
        }
    };
    (!pairs.is_empty()).then(|| replaced(node, Value::Map(sorted(pairs))))
}

/// `host=address` sorted by host, addresses of one host in their order; brackets of IPv6 addresses are dropped.
fn hosts(node: &Node) -> Option<Node> {
    let mut found: Vec<(String, String, Span)> = Vec::new();
    match &node.value {
        Value::Seq(items) => {
            for item in items {
                let text = item.as_str().unwrap_or_default();
                let pair = text.split_once('=').or_else(|| text.split_once(':'));
                if let Some((host, addresses)) = pair {
                    let each = addresses.split(',');
                    found.extend(each.map(|address| (host.to_owned(), address.to_owned(), item.span)));
                }
            }
        }
        Value::Map(mapping) => {
            for (host, value) in mapping.iter() {
                let single = value.as_str().map(|_| value);
                for address in single.into_iter().chain(value.as_seq().into_iter().flatten()) {
                    if let Some(text) = address.as_str() {
                        found.push((host.to_owned(), text.to_owned(), address.span));
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
        .map(|(host, address, span)| {
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            Node::string(format!("{host}={}", bare.unwrap_or(&address)), span)
        })
        .collect();
    (!items.is_empty()).then(|| replaced(node, Value::Seq(items)))
}

/// `default`, or `id=path`, sorted by id.
fn ssh(node: &Node) -> Option<Node> {
    let keys = pairs(node, true)?;
    let mapping = keys.as_map()?;
    let items = mapping.iter().map(|(id, path)| {
        let path = path.as_str().filter(|path| !path.is_empty());
        let text = path.map_or_else(|| id.to_owned(), |path| format!("{id}={path}"));
        Node::string(text, node.span)
    });
    Some(replaced(node, Value::Seq(items.collect())))
}

fn text_lists(node: &Node) -> Node {
    let Some(mapping) = node.as_map() else {
        return node.clone();
    };
    let lists = mapping.entries().map(|(name, entry)| {
        let value = &entry.node;
        let single = std::slice::from_ref(value);
        let items = value.as_seq().unwrap_or(single).iter().filter_map(text);
        (
            name.to_owned(),
            entry.key_span,
            Node::seq(items.collect(), value.span),
        )
    });
    replaced(node, Value::Map(sorted(lists)))
}

/// Values sorted by name; an empty one stays as `null`, or as an empty text.
fn map(node: &Node, inner: &Shape, empty_text: bool) -> Option<Node> {
    let Some(mapping) = node.as_map() else {
        return Some(node.clone());
    };
    let pairs: Vec<(String, Span, Node)> = mapping
        .entries()
        .map(|(name, entry)| {
            let value = cast(&entry.node, inner).unwrap_or_else(|| match empty_text {
                true => Node::string("", entry.node.span),
                false if matches!(inner, Shape::Text) => Node::string("", entry.node.span),
                false => Node::null(entry.node.span),
            });
            (name.to_owned(), entry.key_span, value)
        })
        .collect();
    (!pairs.is_empty()).then(|| replaced(node, Value::Map(sorted(pairs))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        let table = [
            (1.0, "1"),
            (0.5, "0.5"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (0.00001, "1e-05"),
            (0.0001, "0.0001"),
            (-2.5, "-2.5"),
            (0.0, "0"),
            (f64::INFINITY, "+Inf"),
        ];
        for (value, text) in table {
            assert_eq!(go_number(value), text);
        }
    }
}
