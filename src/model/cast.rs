//! In: a checked tree. Out: the same tree with every value in the one form that its shape is printed in.
//! **Invariant:** spans are kept; a value the schema refused is passed on as it is, so that nothing is lost.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod pairs;

pub(super) use self::pairs::sorted;
use self::pairs::{hosts, map, pairs, ssh, text_lists};
use super::command_line;
use super::schema::shape::{Object, Shape};
use super::schema::{is_all, truncated, whole};
use super::units;
use crate::source::implied::Implied;
use crate::source::node::{Mapping, Node, Value};

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
        Shape::Count | Shape::Natural | Shape::Tries => Some(integer(node)),
        Shape::Number | Shape::StrictNumber | Shape::StrictNatural => {
            Some(integer(node)).filter(|node| node.as_i64() != Some(0))
        }
        Shape::IntegerOrText => text(node),
        Shape::DeviceCount => Some(match node.as_str() {
            Some(text) if is_all(text) => replaced(node, Value::Int(-1)),
            _ => integer(node),
        })
        .filter(|node| node.as_i64() != Some(0)),
        Shape::Decimal => Some(decimal(node)).filter(|node| node.as_i64() != Some(0)),
        Shape::Bytes | Shape::WholeBytes | Shape::Size | Shape::BytesText => bytes(node),
        Shape::Duration => Some(duration(node)),
        Shape::Wait => Some(duration(node)).filter(|node| node.as_str() != Some("0s")),
        Shape::Mode => Some(mode(node)),
        Shape::Command => command(node),
        Shape::Texts | Shape::Set => texts(node),
        Shape::TextOrTexts | Shape::TextOrSet => match node.as_str() {
            Some(_) => Some(replaced(node, Value::Seq(vec![node.clone()]))),
            None => texts(node),
        },
        Shape::Probe => match node.as_str() {
            Some(_) => Some(replaced(
                node,
                Value::Seq(vec![
                    node.remade_text("CMD-SHELL").implied_by(Implied::ShellProbe),
                    node.clone(),
                ]),
            )),
            None => texts(node),
        },
        Shape::Pairs(nulls) => pairs(node, *nulls),
        Shape::Hosts => hosts(node),
        Shape::Ssh => ssh(node),
        Shape::TextLists => Some(text_lists(node)),
        Shape::TextMap | Shape::Options => map(node, &Shape::NumberOrText, true),
        Shape::Map(inner) => map(node, inner, false),
        Shape::List(inner) | Shape::SetOf(inner) => {
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
        Shape::OrText(_) | Shape::OrPort(_) | Shape::OrNames(_) => Some(node.clone()),
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
                    out.insert(key.name, entry.key_span, entry.node.remade(Value::Null));
                }
            }
            None if object.always.contains(&key.name) => {
                let unsaid = Node::null(node.span).implied_by(Implied::ImageDecides);
                out.insert(key.name, node.span, unsaid);
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
    node.remade(value)
}

/// A scalar as text: numbers lose the way they were written (`0x10` is `16`).
fn text(node: &Node) -> Option<Node> {
    let text = match &node.value {
        Value::Null => return None,
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        // Numbers between 63 and 64 bits are whole to the reference.
        Value::Float(value) => match node.scalar_text().map(|text| text.parse::<u64>()) {
            Some(Ok(whole)) => whole.to_string(),
            _ => go_number(*value),
        },
        Value::String(_) | Value::Seq(_) | Value::Map(_) => return Some(node.clone()),
    };
    Some(replaced(node, Value::String(text.into())))
}

/// A float as Go's `%v` prints it: the shortest digits, with an exponent from 1e6 up and below 1e-4.
fn go_number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
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
        Value::Float(value) => truncated(*value),
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
        Value::String(text) => text.to_string(),
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
        // The reference knows whole numbers and texts; what else the schema allows is read as nothing.
        Value::Float(_) => Some(0),
        Value::String(text) => units::parse_bytes(text).ok(),
        Value::Null | Value::Bool(_) | Value::Seq(_) | Value::Map(_) => None,
    };
    match value {
        Some(0) => None,
        Some(value) => Some(replaced(node, Value::String(value.to_string().into()))),
        None => Some(node.clone()),
    }
}

fn duration(node: &Node) -> Node {
    match node.as_str().map(units::parse_duration) {
        Some(Ok(duration)) => replaced(node, Value::String(units::print_duration(duration).into())),
        _ => node.clone(),
    }
}

fn mode(node: &Node) -> Node {
    let mode = match &node.value {
        Value::Int(value) => u32::try_from(*value).ok(),
        Value::String(text) => units::parse_mode(text).ok(),
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => None,
    };
    match mode {
        Some(mode) => replaced(node, Value::String(format!("0{mode:o}").into())),
        None => node.clone(),
    }
}

fn command(node: &Node) -> Option<Node> {
    match &node.value {
        Value::Null => None,
        Value::String(text) => Some(match command_line::split(text) {
            Ok(line) => {
                let words = line.words.into_iter().map(|word| node.remade_text(word));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        let table = [
            (1.0, "1"),
            (0.5, "0.5"),
            (1e21, "1e+21"),
            (1_000_000.0, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (999_999.5, "999999.5"),
            (1e20, "1e+20"),
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
