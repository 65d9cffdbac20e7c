//! The entries of a YAML mapping: events come in, keys with their places and values go out, `<<` applied.
//! **Invariant:** every key is text and stands once; a key written in the mapping beats one merged into it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use granit_parser::{Event, ScalarStyle, Span as ParserSpan};

use super::{Builder, MERGE_KEY};
use crate::diagnostic::Diagnostic;
use crate::source::node::{Mapping, Node, Step, Text, Value};
use crate::source::span::Span;

/// A key of a mapping as written, before `<<` is applied.
enum Key {
    Name(Text),
    Merge,
    Bad,
}

impl Builder<'_> {
    /// Reads up to the mapping's end, whose place is given back.
    pub(super) fn mapping(&mut self) -> (Mapping, Option<ParserSpan>) {
        let mut mapping = Mapping::new();
        let mut merged: Vec<(Span, Node)> = Vec::new();
        let end = loop {
            let Some((event, span)) = self.next() else {
                break None;
            };
            if matches!(event, Event::MappingEnd) {
                break Some(span);
            }
            if let Event::Anchor(_, name) = event {
                self.names.push(name.into_owned());
                continue;
            }
            let key_span = self.span(span);
            let key = self.key(event, span);
            let before = self.nodes - self.aliased - self.extending;
            let Some(value) = self.value() else { break None };
            if matches!(&key, Key::Name(name) if name.starts_with("x-")) {
                self.extending += self.nodes - self.aliased - self.extending - before;
                self.spares(key_span);
            }
            match key {
                Key::Name(name) => self.insert(&mut mapping, name, key_span, value),
                Key::Merge => merged.push((key_span, value)),
                Key::Bad => {}
            }
        };
        for (key_span, source) in merged {
            self.merge_key(&mut mapping, key_span, source);
        }
        (mapping, end)
    }

    /// The next node that is not an anchor's name.
    fn value(&mut self) -> Option<Node> {
        loop {
            let (event, span) = self.next()?;
            if let Some(node) = self.child(event, span) {
                return Some(node);
            }
        }
    }

    fn insert(&mut self, mapping: &mut Mapping, name: Text, key_span: Span, value: Node) {
        if let Some(first) = mapping.key_span(&name) {
            self.diagnostics.push(
                Diagnostic::error("duplicate-key", format!("the key `{name}` is given twice"))
                    .label(key_span, "again here")
                    .secondary(first, "first here")
                    .help("remove one of them, or put the entries of both under one key"),
            );
            return;
        }
        mapping.insert(name, key_span, value);
    }

    fn key(&mut self, event: Event<'_>, span: ParserSpan) -> Key {
        let place = self.span(span);
        let quoted = matches!(&event, Event::Scalar(_, style, ..) if *style != ScalarStyle::Plain);
        let Some(node) = self.child(event, span) else {
            return Key::Bad;
        };
        match &node.value {
            Value::String(text) if text == MERGE_KEY && !quoted => Key::Merge,
            Value::String(text) => Key::Name(text.clone()),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                let text = node.scalar_text().unwrap_or_default();
                let error = Diagnostic::error(
                    "non-string-key",
                    format!("a key must be text, this is {}", node.describe()),
                )
                .at(place)
                .help(format!("put it in quotes: \"{text}\""));
                self.diagnostics.push(error);
                Key::Bad
            }
            Value::Seq(_) | Value::Map(_) => {
                let error = Diagnostic::error(
                    "non-string-key",
                    format!("a key must be text, this is {}", node.describe()),
                );
                self.diagnostics.push(error.at(place));
                Key::Bad
            }
        }
    }

    /// `<<`: keys that the mapping does not have yet are filled in; of several sources the first wins.
    fn merge_key(&mut self, mapping: &mut Mapping, key_span: Span, source: Node) {
        let span = source.span;
        if source.is_null() && self.diagnostics.speak_of(span) {
            return;
        }
        match source.value {
            Value::Map(source) => {
                for (key, entry) in source.into_entries() {
                    let (own, mut node) = (entry.key_span, entry.node);
                    if let Some(stronger) = mapping.get_mut(&key) {
                        stronger.record_replaced(&node);
                    } else {
                        node.record_below(&Step::MergedIn(key_span));
                        mapping.insert(key, own, node);
                    }
                }
            }
            Value::Seq(sources) if sources.iter().all(|source| source.as_map().is_some()) => {
                for source in sources {
                    self.merge_key(mapping, key_span, source);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Seq(_) => {
                self.diagnostics.push(
                    Diagnostic::error("invalid-merge-key", "`<<` needs a mapping or a list of mappings")
                        .at(key_span)
                        .secondary(span, "this is neither")
                        .help("write `<<: *name` where `&name` stands before a mapping"),
                );
            }
        }
    }
}
