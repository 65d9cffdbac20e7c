//! In: a merged tree. Out: an error at every bare date, which YAML reads as a point in time where Compose wants text.
//! **Invariant:** extensions may hold anything.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::node::{Node, Style, Value};
use crate::source::path::Trail;
use crate::source::yaml;

/// Reports the dates of a tree; what a variable was put into is text.
pub(super) fn refuse(node: &Node, path: &Trail<'_>, findings: &mut Diagnostics) {
    match &node.value {
        Value::String(text)
            if node.style == Style::Plain
                && text.starts_with(|c: char| c.is_ascii_digit())
                && yaml::is_date(text)
                && !node.is_interpolated() =>
        {
            findings.push(
                Diagnostic::error("wrong-type", format!("{path} must be text, not the date {text}"))
                    .at(node.span)
                    .help(format!("put it in quotes: \"{text}\"")),
            );
        }
        Value::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse(item, &path.index(index), findings);
            }
        }
        Value::Map(mapping) => {
            for (key, value) in mapping.iter().filter(|(key, _)| !key.starts_with("x-")) {
                refuse(value, &path.key(key), findings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
}
