//! The order of keys in what is printed: a normalised tree comes in, the same tree ordered as the reference orders it
//! goes out. Keys of the format stand in the order of their tables, names and extensions are sorted.
//! **Invariant:** only the order changes.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Ordering;

use super::print::View;
use crate::model::schema::FILE;
use crate::model::schema::shape::{Object, Shape};
use crate::source::node::{Mapping, Node};

/// Orders a whole file.
pub(super) fn file(root: &mut Node, view: View) {
    object(root, &FILE, view);
    if view == View::Json {
        // The reference prints the top level from a mapping, and everything below from structures.
        sort(root, &compare(view));
    }
}

/// Sorts the keys of a mapping and of everything below.
pub(super) fn deep(node: &mut Node, view: View) {
    sort(node, &compare(view));
    if let Some(mapping) = node.as_map_mut() {
        mapping.values_mut().for_each(|value| deep(value, view));
    }
    for item in node.as_seq_mut().into_iter().flatten() {
        deep(item, view);
    }
}

/// Orders names as the keys of a mapping of names are.
pub(super) fn compare(view: View) -> impl Fn(&str, &str) -> Ordering {
    move |left, right| match view {
        View::Json => left.cmp(right),
        View::Yaml => natural(left, right),
    }
}

fn sort(node: &mut Node, compare: &impl Fn(&str, &str) -> Ordering) {
    if let Some(mapping) = node.as_map_mut() {
        mapping.sort_by(|left, right| compare(left, right));
    }
}

fn object(node: &mut Node, object: &Object, view: View) {
    let rank = |key: &str| object.rank(key).unwrap_or(object.keys.all().len());
    let compare = compare(view);
    let Some(mapping) = node.as_map_mut() else { return };
    mapping.sort_by(|left, right| rank(left).cmp(&rank(right)).then_with(|| compare(left, right)));
    for (key, value) in mapping.iter_mut() {
        match object.shape(key) {
            Some(shape) => shaped(value, shape, view),
            None => deep(value, view),
        }
    }
}

fn shaped(node: &mut Node, shape: &Shape, view: View) {
    match shape {
        Shape::Object(inner) => object(node, inner, view),
        Shape::List(inner) | Shape::SetOf(inner) => {
            for item in node.as_seq_mut().into_iter().flatten() {
                shaped(item, inner, view);
            }
        }
        Shape::Map(inner) => {
            sort(node, &compare(view));
            for value in node.as_map_mut().into_iter().flat_map(Mapping::values_mut) {
                shaped(value, inner, view);
            }
        }
        Shape::OrText(inner)
        | Shape::OrPort(inner)
        | Shape::OrNames(inner)
        | Shape::OrInteger(inner)
        | Shape::OrNull(inner) => shaped(node, inner, view),
        Shape::Text
        | Shape::TextOrNull
        | Shape::NumberOrText
        | Shape::Flag
        | Shape::Choice
        | Shape::OptOut
        | Shape::StrictFlag
        | Shape::FlagOrText
        | Shape::Integer(..)
        | Shape::Count
        | Shape::Natural
        | Shape::Tries
        | Shape::Number
        | Shape::StrictNumber
        | Shape::StrictNatural
        | Shape::IntegerOrText
        | Shape::DeviceCount
        | Shape::Decimal
        | Shape::Bytes
        | Shape::WholeBytes
        | Shape::Size
        | Shape::BytesText
        | Shape::Duration
        | Shape::Wait
        | Shape::Mode
        | Shape::Word(_)
        | Shape::Command
        | Shape::Texts
        | Shape::Set
        | Shape::TextOrTexts
        | Shape::TextOrSet
        | Shape::Probe
        | Shape::Pairs(_)
        | Shape::Ssh
        | Shape::TextLists
        | Shape::Hosts
        | Shape::TextMap
        | Shape::Options
        | Shape::External => deep(node, view),
    }
}

/// The order of go-yaml: runs of digits count as numbers, and letters come after everything else but digits before them.
fn natural(left: &str, right: &str) -> Ordering {
    let mut others = right.chars();
    let differing = left.char_indices().find_map(|(at, l)| match others.next() {
        Some(r) if r == l => None,
        r => Some((at, l, r)),
    });
    let (at, l, r) = match differing {
        Some((at, l, Some(r))) => (at, l, r),
        Some((_, _, None)) => return Ordering::Greater,
        None if others.next().is_some() => return Ordering::Less,
        None => return Ordering::Equal,
    };
    let common = &left[..at];
    let after_digit = common.ends_with(char::is_numeric);
    match (l.is_alphabetic(), r.is_alphabetic()) {
        (true, true) => return l.cmp(&r),
        (true, false) if after_digit => return Ordering::Less,
        (false, true) if after_digit => return Ordering::Greater,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // Zeros count when they stand behind another digit of the same number.
    let behind = common.bytes().rev().take_while(u8::is_ascii_digit);
    let inside = (l == '0' || r == '0') && behind.into_iter().any(|digit| digit != b'0');
    let number = |text: &str| {
        let digits = text.bytes().skip(at).take_while(u8::is_ascii_digit);
        digits.fold((u64::from(inside), 0_usize), |(value, length), digit| {
            (
                value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')),
                length + 1,
            )
        })
    };
    number(left).cmp(&number(right)).then_with(|| l.cmp(&r))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_as_people_count() {
        let sorted = [
            "1", "9x", "10x", "A", "A_B", "A1", "A2", "A10", "AA", "AB", "B2", "C", "C:D", "a b", "a-b",
            "a1", "a01", "a10", "a105", "a1050", "ab", "x1", "x1a", "x1-", "x01", "é",
        ];
        for (position, left) in sorted.iter().enumerate() {
            for right in &sorted[position + 1..] {
                assert_eq!(natural(left, right), Ordering::Less, "{left} {right}");
                assert_eq!(natural(right, left), Ordering::Greater, "{right} {left}");
            }
        }
    }
}
