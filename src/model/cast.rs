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
use crate::source::node::{Entry, Mapping, Node, Text, Value};

/// The node in canonical form; none when it says nothing (empty text, `false`, an empty list).
pub(super) fn cast(node: Node, shape: &Shape) -> Option<Node> {
    match shape {
        Shape::Text | Shape::TextOrNull | Shape::Word(_) => {
            let says_nothing = node.is_null() || node.as_str() == Some("");
            (!says_nothing).then_some(node)
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
            Some(text) if is_all(text) => node.turned_into(Value::Int(-1)),
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
            Some(_) => Some(node.remade(Value::Seq(vec![node.clone()]))),
            None => texts(node),
        },
        Shape::Probe => match node.as_str() {
            Some(_) => {
                let shell = node.remade_text("CMD-SHELL").implied_by(Implied::ShellProbe);
                Some(node.remade(Value::Seq(vec![shell, node.clone()])))
            }
            None => texts(node),
        },
        Shape::Pairs(nulls) => pairs(node, *nulls),
        Shape::Hosts => hosts(node),
        Shape::Ssh => ssh(node),
        Shape::TextLists => Some(text_lists(node)),
        Shape::TextMap | Shape::Options => map(node, &Shape::NumberOrText, true),
        Shape::Map(inner) => map(node, inner, false),
        Shape::List(inner) | Shape::SetOf(inner) => items(node, inner),
        Shape::Object(object) => Some(self::object(node, object)),
        Shape::OrText(inner) | Shape::OrPort(inner) | Shape::OrNames(inner) if !node.is_scalar() => {
            cast(node, inner)
        }
        Shape::OrText(_) | Shape::OrPort(_) | Shape::OrNames(_) => Some(node),
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
            Some(_) => Some(node),
            None => flag(node).filter(|node| node.as_bool() != Some(false)),
        },
    }
}

/// The items that say something; none when no item does.
fn items(mut node: Node, inner: &Shape) -> Option<Node> {
    let Some(items) = node.as_seq_mut() else {
        return Some(node);
    };
    let items: Vec<Node> = std::mem::take(items)
        .into_iter()
        .filter_map(|item| cast(item, inner))
        .collect();
    (!items.is_empty()).then(|| node.turned_into(Value::Seq(items)))
}

/// The object's keys in printing order, then its extensions in theirs.
pub(super) fn object(mut node: Node, object: &Object) -> Node {
    let Some(mapping) = node.as_map_mut() else {
        return node;
    };
    // An extension stands behind every key; what is neither was refused.
    let mut ranked: Vec<(usize, Text, Entry)> = std::mem::take(mapping)
        .into_entries()
        .filter_map(|(name, entry)| match object.rank(&name) {
            Some(rank) => Some((rank, name, entry)),
            None => name
                .starts_with("x-")
                .then_some((object.keys.all().len(), name, entry)),
        })
        .collect();
    for name in object.always {
        if let Some(rank) = object
            .rank(name)
            .filter(|rank| ranked.iter().all(|(known, ..)| known != rank))
        {
            let unsaid = Node::null(node.span).implied_by(Implied::ImageDecides);
            let entry = Entry::new(node.span, unsaid);
            ranked.push((rank, Text::new_static(name), entry));
        }
    }
    ranked.sort_by_key(|(rank, ..)| *rank);
    let entries = ranked.into_iter().filter_map(|(rank, name, mut entry)| {
        let Some(key) = object.keys.all().get(rank) else {
            return Some((name, entry));
        };
        let nothing = object
            .always
            .contains(&key.name)
            .then(|| entry.node.remade(Value::Null));
        entry.node = cast(entry.node, &key.shape).or(nothing)?;
        Some((name, entry))
    });
    let cast = Mapping::of_distinct(entries.collect());
    node.turned_into(Value::Map(cast))
}

/// A scalar as text: numbers lose the way they were written (`0x10` is `16`).
fn text(node: Node) -> Option<Node> {
    let text = match &node.value {
        Value::Null => return None,
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        // Numbers between 63 and 64 bits are whole to the reference.
        Value::Float(value) => match node.scalar_text().map(|text| text.parse::<u64>()) {
            Some(Ok(whole)) => whole.to_string(),
            _ => go_number(*value),
        },
        Value::String(_) | Value::Seq(_) | Value::Map(_) => return Some(node),
    };
    Some(node.turned_into(Value::String(text.into())))
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

fn flag(node: Node) -> Option<Node> {
    match &node.value {
        Value::Null => None,
        Value::String(text) => Some(match units::parse_bool(text) {
            Some((value, _)) => node.turned_into(Value::Bool(value)),
            None => node,
        }),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => Some(node),
    }
}

fn integer(node: Node) -> Node {
    let value = match &node.value {
        Value::Float(value) => truncated(*value),
        Value::String(text) => text.parse().ok(),
        Value::Int(value) => Some(*value),
        Value::Null | Value::Bool(_) | Value::Seq(_) | Value::Map(_) => None,
    };
    match value {
        Some(value) => node.turned_into(Value::Int(value)),
        None => node,
    }
}

/// Numbers the reference keeps in single precision; whole ones print without a point.
fn decimal(node: Node) -> Node {
    let text = match &node.value {
        Value::Int(_) => return integer(node),
        Value::Float(value) => value.to_string(),
        Value::String(text) => text.to_string(),
        Value::Null | Value::Bool(_) | Value::Seq(_) | Value::Map(_) => return node,
    };
    let shortest = text
        .parse::<f32>()
        .ok()
        .and_then(|value| value.to_string().parse::<f64>().ok());
    match shortest {
        Some(value) => node.turned_into(whole(value).map_or(Value::Float(value), Value::Int)),
        None => node,
    }
}

fn bytes(node: Node) -> Option<Node> {
    let value = match &node.value {
        Value::Int(value) => Some(*value),
        // The reference knows whole numbers and texts; what else the schema allows is read as nothing.
        Value::Float(_) => Some(0),
        Value::String(text) => units::parse_bytes(text).ok(),
        Value::Null | Value::Bool(_) | Value::Seq(_) | Value::Map(_) => None,
    };
    match value {
        Some(0) => None,
        Some(value) => Some(node.turned_into(Value::String(value.to_string().into()))),
        None => Some(node),
    }
}

fn duration(node: Node) -> Node {
    match node.as_str().map(units::parse_duration) {
        Some(Ok(duration)) => node.turned_into(Value::String(units::print_duration(duration).into())),
        _ => node,
    }
}

fn mode(node: Node) -> Node {
    let mode = match &node.value {
        Value::Int(value) => u32::try_from(*value).ok(),
        Value::String(text) => units::parse_mode(text).ok(),
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => None,
    };
    match mode {
        Some(mode) => node.turned_into(Value::String(format!("0{mode:o}").into())),
        None => node,
    }
}

fn command(node: Node) -> Option<Node> {
    match &node.value {
        Value::Null => None,
        Value::String(text) => Some(match command_line::split(text) {
            Ok(line) => {
                let words = line.words.into_iter().map(|word| node.remade_text(word));
                node.remade(Value::Seq(words.collect()))
            }
            Err(_) => node,
        }),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => Some(node),
    }
}

fn texts(node: Node) -> Option<Node> {
    let says_nothing = node.as_seq().is_some_and(<[Node]>::is_empty);
    (!says_nothing).then_some(node)
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
