//! Checks of single values: numbers, sizes, durations, words and commands.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::shape::{self, Shape};
use super::{Check, hint, is_number, is_whole, truncated, whole};
use crate::diagnostic::Diagnostic;
use crate::model::{command_line, units};
use crate::source::node::{Node, Value};
use crate::source::path::Trail;

impl Check {
    pub(super) fn flag(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        match &node.value {
            Value::Bool(_) => {}
            Value::String(text) => match units::parse_bool(text) {
                Some((_, false)) => {}
                Some((value, true)) => self.findings.push(
                    Diagnostic::warning("old-boolean", format!("{path}: `{text}` is read as {value}"))
                        .at(node.span)
                        .help(format!("write `{value}`")),
                ),
                None => self.findings.push(
                    Diagnostic::error("bad-value", format!("{path}: `{text}` is neither true nor false"))
                        .at(node.span)
                        .help("write `true` or `false`"),
                ),
            },
            Value::Null | Value::Int(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => {
                self.wrong_type(node, shape, path);
            }
        }
    }

    pub(super) fn integer(
        &mut self,
        node: &Node,
        shape: &Shape,
        path: &Trail<'_>,
        minimum: i64,
        maximum: i64,
    ) {
        let value = match &node.value {
            Value::Int(value) => Some(*value),
            Value::Float(value) => whole(*value),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Seq(_) | Value::Map(_) => None,
        };
        match value {
            None => self.wrong_type(node, shape, path),
            Some(value) if (minimum..=maximum).contains(&value) => {}
            Some(value) => {
                let range = match (minimum, maximum) {
                    (minimum, i64::MAX) => format!("{minimum} or more"),
                    (minimum, maximum) => format!("from {minimum} to {maximum}"),
                };
                self.findings.push(
                    Diagnostic::error("out-of-range", format!("{path} must be {range}, not {value}"))
                        .at(node.span),
                );
            }
        }
    }

    pub(super) fn decimal(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        let value = match &node.value {
            #[expect(clippy::cast_precision_loss, reason = "only the sign and finiteness matter")]
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Seq(_) | Value::Map(_) => None,
        };
        match value {
            Some(value) if value.is_finite() => {}
            _ => self.wrong_type(node, shape, path),
        }
    }

    /// A number, or a text of a whole one; only the whole part has to be at least `minimum`.
    pub(super) fn number(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>, minimum: i64) {
        match node.value {
            Value::Float(value) => {
                if let Some(value) = truncated(value) {
                    self.integer(&Node::int(value, node.span), shape, path, minimum, i64::MAX);
                } else {
                    self.wrong_type(node, shape, path);
                }
            }
            Value::Int(_)
            | Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Seq(_)
            | Value::Map(_) => {
                self.integer(node, shape, path, minimum, i64::MAX);
            }
        }
    }

    /// A size by its shape.
    pub(super) fn size(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        if let Shape::BytesText = shape {
            self.bytes(node, shape, path, |_| false);
        } else if let Shape::Bytes = shape {
            self.bytes(node, shape, path, is_number);
        } else {
            self.bytes(node, shape, path, is_whole);
        }
        if let Shape::Size = shape {
            self.not_negative(node, path);
        }
    }

    fn bytes(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>, is_allowed_number: fn(&Node) -> bool) {
        if let Some(text) = node.as_str() {
            if let Err(error) = units::parse_bytes(text) {
                self.unit(node, path, error);
            }
        } else if !is_allowed_number(node) {
            self.wrong_type(node, shape, path);
        } else if let Value::Float(value) = node.value {
            self.findings.push(
                Diagnostic::warning(
                    "ignored-key",
                    format!("{path}: a size written with a point has no effect"),
                )
                .at(node.span)
                .help(format!(
                    "write `{}`, or a size with a unit such as `64m`",
                    value.trunc()
                )),
            );
        }
    }

    fn not_negative(&mut self, node: &Node, path: &Trail<'_>) {
        if node.as_i64().is_some_and(|value| value < 0) || node.as_str() == Some("-1") {
            self.findings.push(
                Diagnostic::error("out-of-range", format!("{path} must not be negative")).at(node.span),
            );
        }
    }

    pub(super) fn duration(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        match node.as_str() {
            Some(text) => {
                if let Err(error) = units::parse_duration(text) {
                    self.unit(node, path, error);
                }
            }
            None => self.wrong_type(node, shape, path),
        }
    }

    pub(super) fn mode(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        match &node.value {
            Value::Int(_) => {}
            Value::String(text) => {
                if let Err(error) = units::parse_mode(text) {
                    self.unit(node, path, error);
                }
            }
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => {
                self.wrong_type(node, shape, path);
            }
        }
    }

    pub(super) fn word(&mut self, node: &Node, words: &[&str], shape: &Shape, path: &Trail<'_>) {
        let Some(text) = node.as_str() else {
            return self.wrong_type(node, shape, path);
        };
        if words.contains(&text) {
            return;
        }
        let mut finding = Diagnostic::error(
            "unknown-value",
            format!("{path} must be {}, not `{text}`", shape::one_of(words)),
        )
        .at(node.span);
        if let Some(meant) = hint::word(text, words) {
            finding = finding.did_you_mean(meant);
        }
        self.findings.push(finding);
    }

    pub(super) fn command(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        match &node.value {
            Value::Null => {}
            Value::String(text) => match command_line::split(text) {
                Err(reason) => self.findings.push(
                    Diagnostic::error("bad-value", format!("{path}: {reason}"))
                        .at(node.span)
                        .help("write the command as a list to avoid quoting"),
                ),
                Ok(line) => {
                    if let Some(rest) = line.ignored {
                        self.findings.push(
                            Diagnostic::warning(
                                "command-cut",
                                format!("{path}: `{rest}` is ignored, because no shell runs this command"),
                            )
                            .at(node.span)
                            .help("write `[\"sh\", \"-c\", \"…\"]` to have a shell run it"),
                        );
                    }
                }
            },
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Seq(_) | Value::Map(_) => {
                self.texts(node, shape, path);
            }
        }
    }
}
