//! In: the merged tree. Out: a finding for every key that is not of the Compose Specification and every value of a
//! wrong kind. **Invariant:** a tree without errors here can be read by `normalise` and `decode` without surprises.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod attached;
mod build;
mod collection;
mod date;
mod deploy;
pub(super) mod fate;
mod file;
mod hint;
mod json;
mod keys;
mod listing;
mod service;
pub(super) mod shape;
mod synonym;
mod value;

#[cfg(test)]
mod tests;

use self::shape::{Object, Shape};
use super::snippet;
use super::units::UnitError;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::node::{Mapping, Node, Value};
use crate::source::path::{NodePath, Trail};
use crate::source::span::Span;

pub(in crate::model) use self::file::{CONFIG, FILE, NETWORK, SECRET, VOLUME};
pub use self::json::json_schema;
pub use self::listing::{Listed, keys, page};
pub(in crate::model) use self::service::SERVICE;

/// Checks a whole merged file against the Compose Specification; short and long forms are both welcome.
/// With `raw`, variables have not been put in, and a value that holds one may become anything.
pub fn validate(root: &Node, raw: bool) -> Diagnostics {
    let mut check = Check {
        findings: Diagnostics::new(),
        raw,
    };
    check.object(root, &FILE, &Trail::root());
    date::refuse(root, &Trail::root(), &mut check.findings);
    check.findings
}

struct Check {
    findings: Diagnostics,
    raw: bool,
}

impl Check {
    fn wrong_type(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        let finding = Diagnostic::error(
            "wrong-type",
            format!("{path} must be {}, not {}", shape.expected(), node.describe()),
        )
        .label(node.span, format!("{} is expected here", shape.expected()));
        self.findings
            .push(hint::wrong_type(finding, node, shape, &path.path()));
    }

    fn unit(&mut self, node: &Node, path: &Trail<'_>, error: UnitError) {
        let finding = Diagnostic::error("bad-value", format!("{path}: {}", error.message)).at(node.span);
        self.findings.push(match error.suggestion {
            Some(suggestion) => hint::instead(finding, &suggestion, "try"),
            None => finding,
        });
    }

    fn check(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        if self.raw && node.as_str().is_some_and(|text| text.contains('$')) {
            return;
        }
        match shape {
            Shape::Text => self.expect(matches!(node.value, Value::String(_)), node, shape, path),
            Shape::TextOrNull => self.expect(
                matches!(node.value, Value::String(_) | Value::Null),
                node,
                shape,
                path,
            ),
            Shape::NumberOrText => self.expect(is_number_or_text(node), node, shape, path),
            Shape::Flag | Shape::Choice | Shape::OptOut => self.flag(node, shape, path),
            Shape::StrictFlag => self.expect(node.as_bool().is_some(), node, shape, path),
            Shape::FlagOrText => self.expect(
                matches!(node.value, Value::Bool(_) | Value::String(_)),
                node,
                shape,
                path,
            ),
            Shape::Integer(minimum, maximum) => self.integer(node, shape, path, *minimum, *maximum),
            Shape::Count => self.integer(node, shape, path, i64::MIN, i64::MAX),
            Shape::Natural => self.integer(node, shape, path, 0, i64::MAX),
            Shape::Tries => self.number(node, shape, path, 0),
            Shape::Number => self.number(node, shape, path, i64::MIN),
            Shape::StrictNumber => self.expect(is_number(node), node, shape, path),
            Shape::StrictNatural => match node.as_str() {
                Some(_) => self.wrong_type(node, shape, path),
                None => self.integer(node, shape, path, 0, i64::MAX),
            },
            Shape::IntegerOrText => self.expect(
                matches!(node.value, Value::Int(_) | Value::String(_)),
                node,
                shape,
                path,
            ),
            Shape::DeviceCount => {
                if !node.as_str().is_some_and(is_all) {
                    self.integer(node, shape, path, i64::MIN, i64::MAX);
                }
            }
            Shape::Decimal => self.decimal(node, shape, path),
            Shape::Bytes | Shape::WholeBytes | Shape::Size | Shape::BytesText => self.size(node, shape, path),
            Shape::Duration | Shape::Wait => self.duration(node, shape, path),
            Shape::Mode => self.mode(node, shape, path),
            Shape::Word(words) => self.word(node, words, shape, path),
            Shape::Command => self.command(node, shape, path),
            Shape::Texts => self.texts(node, shape, path),
            Shape::Set => self.set(node, shape, path),
            Shape::TextOrTexts | Shape::Probe => {
                if node.as_str().is_none() {
                    self.texts(node, shape, path);
                }
            }
            Shape::TextOrSet => {
                if node.as_str().is_none() {
                    self.set(node, shape, path);
                }
            }
            Shape::Pairs(_) | Shape::Ssh => self.pairs(node, shape, path),
            Shape::Hosts => self.hosts(node, shape, path),
            Shape::TextLists => self.text_lists(node, shape, path),
            Shape::TextMap => self.map(node, &Shape::NumberOrText, shape, path),
            Shape::Options => self.map(node, &Shape::OrNull(&Shape::NumberOrText), shape, path),
            Shape::Map(inner) => self.map(node, inner, shape, path),
            Shape::List(inner) | Shape::SetOf(inner) => match node.as_seq() {
                Some(items) => {
                    for (index, item) in items.iter().enumerate() {
                        self.check(item, inner, &path.index(index));
                    }
                    if let Shape::SetOf(_) = shape {
                        self.repetition(items, path);
                    }
                }
                None => self.wrong_type(node, shape, path),
            },
            Shape::Object(object) => self.object(node, object, path),
            Shape::OrText(inner) => self.alternative(node.as_str().is_some(), node, inner, shape, path),
            Shape::OrPort(inner) => self.alternative(is_number_or_text(node), node, inner, shape, path),
            Shape::OrInteger(inner) => {
                if node.as_map().is_some() {
                    self.check(node, inner, path);
                } else {
                    self.integer(node, shape, path, i64::MIN, i64::MAX);
                }
            }
            Shape::OrNames(inner) => {
                if node.as_seq().is_some() {
                    self.set(node, shape, path);
                } else {
                    self.alternative(false, node, inner, shape, path);
                }
            }
            Shape::OrNull(inner) => self.alternative(node.is_null(), node, inner, shape, path),
            Shape::External => self.external(node, shape, path),
        }
    }

    fn expect(&mut self, fits: bool, node: &Node, shape: &Shape, path: &Trail<'_>) {
        if !fits {
            self.wrong_type(node, shape, path);
        }
    }

    /// Checks the long form, unless the short one fits; a scalar in place of both is told about both.
    fn alternative(&mut self, short_fits: bool, node: &Node, long: &Shape, shape: &Shape, path: &Trail<'_>) {
        if short_fits {
            return;
        }
        let collection = if let Shape::List(_) = long {
            node.as_seq().is_some()
        } else if let Shape::Map(_) | Shape::Object(_) = long {
            node.as_map().is_some()
        } else {
            true
        };
        if collection {
            self.check(node, long, path);
        } else {
            self.wrong_type(node, shape, path);
        }
    }

    fn object(&mut self, node: &Node, object: &'static Object, path: &Trail<'_>) {
        let Some(mapping) = node.as_map() else {
            return self.wrong_type(node, &Shape::Object(object), path);
        };
        for (name, entry) in mapping.entries() {
            if object.extensible && name.starts_with("x-") {
                continue;
            }
            match object.shape(name) {
                Some(shape) => self.check(&entry.node, shape, &path.key(name)),
                None => self.unknown_key(name, entry.key_span, &entry.node, object, path),
            }
        }
        for required in object.required {
            let misspelt = self.findings.iter().any(|finding| {
                let inside = |span: Span| mapping.entries().any(|(_, entry)| entry.key_span == span);
                finding.replacement.as_deref() == Some(required) && finding.span().is_some_and(inside)
            });
            if !mapping.contains_key(required) && !misspelt {
                self.findings.push(
                    Diagnostic::error("missing-key", format!("{path} has no `{required}`"))
                        .label(node.span, format!("`{required}:` is missing")),
                );
            }
        }
    }

    fn unknown_key(
        &mut self,
        name: &str,
        span: Span,
        value: &Node,
        object: &'static Object,
        path: &Trail<'_>,
    ) {
        if path.is_root() && value.as_map().is_some_and(looks_like_a_service) {
            self.findings.push(
                Diagnostic::error(
                    "service-at-root",
                    format!("`{name}` looks like a service, but stands at the top of the file"),
                )
                .at(span)
                .help(format!(
                    "put services under `services:`\n{}",
                    snippet::yaml(&NodePath::root().key("services").key(name), value.clone())
                )),
            );
            return;
        }
        let place = if path.is_root() {
            object.title.to_owned()
        } else {
            format!("{path} ({})", object.title)
        };
        let message = format!("`{name}` is not a key of {place}");
        // The specification leaves the mapping of a GPU request open; what is unknown is dropped.
        let finding = if std::ptr::eq(object, &raw const deploy::GPU) {
            Diagnostic::warning("unknown-key", message).at(span)
        } else {
            Diagnostic::error("unknown-key", message).at(span)
        };
        let hinted = if self.findings.wants_hints() {
            hint::unknown_key(finding, (name, value), object, &path.path())
        } else {
            finding
        };
        self.findings.push(hinted);
    }
}

/// Whether a mapping at the root is a service of a file of version 1.
fn looks_like_a_service(mapping: &Mapping) -> bool {
    mapping.contains_key("image") || mapping.contains_key("build")
}

fn is_number_or_text(node: &Node) -> bool {
    matches!(node.value, Value::Int(_) | Value::Float(_) | Value::String(_))
}

fn is_number(node: &Node) -> bool {
    matches!(node.value, Value::Int(_) | Value::Float(_))
}

/// Whether a number has no fraction, however it is written.
fn is_whole(node: &Node) -> bool {
    match node.value {
        Value::Int(_) => true,
        Value::Float(value) => whole(value).is_some(),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Seq(_) | Value::Map(_) => false,
    }
}

/// Whether a text stands for every device.
pub(super) fn is_all(text: &str) -> bool {
    text.eq_ignore_ascii_case("all")
}

/// Whether a text may name a service, network, volume, config, secret or ulimit.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// The whole part of a number, as far as it fits.
pub(super) fn truncated(value: f64) -> Option<i64> {
    whole(value.trunc())
}

/// The whole number a float is.
pub(super) fn whole(value: f64) -> Option<i64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    (value.fract() == 0.0 && value.abs() <= LIMIT).then_some(value as i64)
}
