//! Checks of lists and of mappings whose keys are the user's.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::borrow::Cow;
use std::collections::HashMap;

use super::shape::Shape;
use super::{Check, is_name};
use crate::diagnostic::Diagnostic;
use crate::model::snippet;
use crate::source::node::{Node, Value};
use crate::source::path::Trail;

impl Check {
    pub(super) fn texts(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        let Some(items) = node.as_seq() else {
            return self.wrong_type(node, shape, path);
        };
        for (index, item) in items.iter().enumerate() {
            self.check(item, &Shape::Text, &path.index(index));
        }
    }

    pub(super) fn set(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        self.texts(node, shape, path);
        self.repetition(node.as_seq().unwrap_or_default(), path);
    }

    pub(super) fn repetition(&mut self, items: &[Node], path: &Trail<'_>) {
        let mut seen: HashMap<Cow<'_, str>, &Node> = HashMap::with_capacity(items.len());
        for item in items {
            let Some(text) = item.scalar_text() else { continue };
            match seen.get(&text) {
                Some(first) if first.value == item.value => self.findings.push(
                    Diagnostic::error("duplicate-item", format!("{path} lists `{text}` twice"))
                        .label(item.span, "again here")
                        .secondary(first.span, "first here")
                        .help("remove one of the two"),
                ),
                Some(_) => {}
                None => {
                    seen.insert(text, item);
                }
            }
        }
    }

    pub(super) fn pairs(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        match &node.value {
            Value::Map(mapping) => {
                for (name, value) in mapping.iter() {
                    if !value.is_scalar() {
                        self.wrong_type(value, &Shape::NumberOrText, &path.key(name));
                    }
                }
            }
            Value::Seq(_) => self.set(node, shape, path),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {
                self.wrong_type(node, shape, path);
            }
        }
    }

    pub(super) fn text_lists(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        let Some(mapping) = node.as_map() else {
            return self.wrong_type(node, shape, path);
        };
        for (name, value) in mapping.iter() {
            let single = std::slice::from_ref(value);
            for item in value.as_seq().unwrap_or(single) {
                if !item.is_scalar() || item.is_null() {
                    self.wrong_type(item, &Shape::NumberOrText, &path.key(name));
                }
            }
        }
    }

    pub(super) fn hosts(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        match &node.value {
            Value::Map(mapping) => {
                for (name, value) in mapping.iter() {
                    if value.as_str().is_none() {
                        self.texts(value, &Shape::TextOrTexts, &path.key(name));
                    }
                }
            }
            Value::Seq(_) => self.set(node, shape, path),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {
                self.wrong_type(node, shape, path);
            }
        }
    }

    pub(super) fn map(&mut self, node: &Node, inner: &Shape, shape: &Shape, path: &Trail<'_>) {
        let Some(mapping) = node.as_map() else {
            return self.wrong_type(node, shape, path);
        };
        // The specification leaves the names of networks, models and ulimits open.
        let open = matches!(path.last_key(), Some("models" | "ulimits")) || path.matches("networks");
        let named =
            !open && !matches!(inner, Shape::Text | Shape::NumberOrText) && !matches!(shape, Shape::Options);
        for (name, entry) in mapping.entries() {
            if named && !is_name(name) {
                self.findings.push(
                    Diagnostic::error(
                        "bad-name",
                        format!(
                            "{path}: `{name}` is not a name: letters, digits, `.`, `_` and `-` are allowed"
                        ),
                    )
                    .at(entry.key_span),
                );
            }
            let path = path.key(name);
            if path.matches("services.*") && entry.node.is_null() {
                self.findings.push(
                    Diagnostic::error("empty-service", format!("{path} is empty"))
                        .at(entry.key_span)
                        .help(format!(
                            "give it at least an image:\n{}",
                            snippet::yaml(&path.path().key("image"), Node::string("…", entry.key_span))
                        )),
                );
            } else {
                self.check(&entry.node, inner, &path);
            }
        }
    }

    pub(super) fn external(&mut self, node: &Node, shape: &Shape, path: &Trail<'_>) {
        let Some(mapping) = node.as_map() else {
            return self.flag(node, shape, path);
        };
        for (name, entry) in mapping.entries() {
            if name == "name" {
                self.check(&entry.node, &Shape::Text, &path.key(name));
            } else if !name.starts_with("x-") {
                let message = format!("{path} has no key `{name}`");
                // The specification closes the mapping for networks and volumes only.
                let open = path.matches("configs.*.external") || path.matches("secrets.*.external");
                let finding = if open {
                    Diagnostic::warning("unknown-key", message)
                } else {
                    Diagnostic::error("unknown-key", message)
                };
                self.findings.push(finding.at(entry.key_span));
            }
        }
    }
}
