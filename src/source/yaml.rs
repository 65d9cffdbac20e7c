//! YAML text comes in, one tree per document goes out, aliases and `<<` already expanded.
//! Plain files have a reader of their own, all others are granit's (byte spans, nesting capped at 255), which only this
//! room knows.
//! **Invariant:** a file cannot make more than [`NODE_LIMIT`] and [`ALIAS_LIMIT`] nodes.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's list of events is open"
)]

mod anchor;
mod explain;
mod mapping;
mod plain;
mod remarks;
mod scalar;

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span as ParserSpan, StructureStyle, options};

use self::anchor::Anchor;
pub use self::remarks::{Remarks, remarks};
use self::scalar::ScalarTag;
use super::node::{Node, Style, Tag, Value};
use super::span::{FileId, Span};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// How many values the aliases and extensions (`x-`) of one file may hold: compose-go's limit for the whole file,
/// which ten thousand services would pass.
const ALIAS_LIMIT: usize = 100_000;

/// How many values one file may write out: thirty thousand services.
const NODE_LIMIT: usize = 1_000_000;

/// The key that pulls another mapping's entries in (YAML 1.1, `tag:yaml.org,2002:merge`).
const MERGE_KEY: &str = "<<";

/// Reads all documents of a file; an empty one is null. Documents that cannot be read are left out and said so in
/// `diagnostics`.
pub fn parse(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Vec<Node> {
    match parse_plain(file, text) {
        Some(document) => vec![document],
        None => parse_fully(file, text, diagnostics),
    }
}

/// Reads a file that keeps to the plain part of YAML; `None` for any other. What [`parse_fully`] reads, several times
/// faster.
pub fn parse_plain(file: FileId, text: &str) -> Option<Node> {
    plain::read(file, text)
}

/// Like [`parse`], whatever the file looks like.
pub fn parse_fully(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Vec<Node> {
    let options = options! { emit_unresolved_aliases: true, emit_anchor_events: true, emit_comments: false };
    let mut failure = None;
    let mut events = Parser::new_from_str_with_options(text, options)
        .map_while(|event| event.map_err(|error| failure = Some(error)).ok());
    let mut said = Diagnostics::new();
    let mut builder = Builder {
        file,
        text,
        events: &mut events,
        anchors: HashMap::new(),
        names: Vec::new(),
        anchored: 0,
        nodes: 0,
        aliased: 0,
        extending: 0,
        over_limit: false,
        diagnostics: &mut said,
    };
    let documents = builder.stream();
    let over_limit = builder.over_limit;
    if let Some(error) = failure {
        // What was said before speaks of a file that is half read.
        diagnostics.push(explain::syntax_error(file, text, &error));
        return Vec::new();
    }
    diagnostics.append(said);
    if over_limit { Vec::new() } else { documents }
}

/// Whether a bare scalar with this text is read as a number, boolean or nothing.
pub fn is_typed(text: &str) -> bool {
    scalar::typed(text).is_some()
}

/// Whether plain text is a date, which YAML 1.1 and the reference do not take for text.
pub fn is_date(text: &str) -> bool {
    scalar::is_date(text)
}

/// The node of a plain scalar without a tag.
fn plain_node(text: &str, span: Span) -> Node {
    match scalar::resolve(text) {
        value @ Value::String(_) => Node::new(value, span),
        value => Node::new(value, span).with_raw(text),
    }
}

struct Builder<'a> {
    file: FileId,
    text: &'a str,
    events: &'a mut dyn Iterator<Item = (Event<'a>, ParserSpan)>,
    anchors: HashMap<usize, Anchor>,
    names: Vec<String>,
    /// All nodes that anchors name, those in several as often.
    anchored: usize,
    /// All nodes read so far, how many of them aliases brought in, and how many others stand in extensions.
    nodes: usize,
    aliased: usize,
    extending: usize,
    over_limit: bool,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Builder<'a> {
    /// The next event; none after the limit was passed.
    fn next(&mut self) -> Option<(Event<'a>, ParserSpan)> {
        if self.over_limit { None } else { self.events.next() }
    }

    fn stream(&mut self) -> Vec<Node> {
        let mut documents = Vec::new();
        while let Some((event, span)) = self.next() {
            match event {
                Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                    documents.push(self.node(event, span));
                }
                Event::Alias(_) | Event::UnresolvedAlias(_) => {
                    let span = self.span(span);
                    self.diagnostics
                        .push(Diagnostic::error("unknown-anchor", "a document cannot be an alias").at(span));
                }
                Event::DocumentStart(..) => {
                    self.anchors.clear();
                    self.names.clear();
                }
                _ => {}
            }
        }
        documents
    }

    fn span(&self, span: ParserSpan) -> Span {
        let at = |offset: Option<usize>| offset.unwrap_or(self.text.len()).min(self.text.len());
        let start = at(span.start.byte_offset());
        let end = at(span.end.byte_offset()).max(start);
        let written = self.text.get(start..end).unwrap_or("");
        Span::new(self.file, start, start + written.trim_end().len())
    }

    /// Counts a node; past a limit the file is refused once, and nothing more is read.
    fn count(&mut self, nodes: usize, span: Span) -> bool {
        self.nodes += nodes;
        if self.nodes - self.aliased > NODE_LIMIT {
            self.refuse(format!("the file has more than {NODE_LIMIT} values"), span);
        }
        !self.over_limit
    }

    /// Whether aliases and extensions hold no more than they may.
    fn spares(&mut self, place: Span) -> bool {
        if self.aliased + self.extending > ALIAS_LIMIT {
            let message = format!("aliases and extensions hold more than {ALIAS_LIMIT} values");
            self.refuse(message, place);
        }
        !self.over_limit
    }

    fn refuse(&mut self, message: String, span: Span) {
        if !self.over_limit {
            self.over_limit = true;
            self.diagnostics
                .push(Diagnostic::error("too-many-nodes", message).label(span, "the limit is passed here"));
        }
    }

    /// The node that `event` begins; consumes its children.
    fn node(&mut self, event: Event<'_>, span: ParserSpan) -> Node {
        let place = self.span(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.open_anchor(anchor);
                let tag_text = tag.as_deref().map(granit_parser::Tag::original);
                let style = if style == ScalarStyle::Plain {
                    Style::Plain
                } else {
                    Style::Quoted
                };
                let node = self.scalar(&text, style, tag_text.as_deref(), place, span.tag_span());
                self.close_anchor(anchor, &node, 1);
                node
            }
            Event::SequenceStart(style, anchor, tag) => {
                let before = self.open_anchor(anchor);
                let tag_text = tag.as_deref().map(granit_parser::Tag::original);
                let mut items = Vec::new();
                let end = loop {
                    match self.next() {
                        Some((Event::SequenceEnd, end)) => break Some(end),
                        Some((event, span)) => {
                            if let Some(item) = self.child(event, span) {
                                items.push(item);
                            }
                        }
                        None => break None,
                    }
                };
                let last = items.last().map(|item: &Node| item.span);
                let mut node = Node::seq(items, self.enclose(place, style, last, end));
                node.tag = self.collection_tag(tag_text.as_deref(), place, span.tag_span());
                self.count(1, place);
                self.close_anchor(anchor, &node, self.nodes - before);
                node
            }
            Event::MappingStart(style, anchor, tag) => {
                let before = self.open_anchor(anchor);
                let tag_text = tag.as_deref().map(granit_parser::Tag::original);
                let (mapping, end) = self.mapping();
                let last = mapping
                    .entries()
                    .map(|(_, entry)| entry.key_span.to(entry.node.span))
                    .max_by_key(|span| span.end());
                let mut node = Node::map(mapping, self.enclose(place, style, last, end));
                node.tag = self.collection_tag(tag_text.as_deref(), place, span.tag_span());
                self.count(1, place);
                self.close_anchor(anchor, &node, self.nodes - before);
                node
            }
            _ => Node::null(place),
        }
    }

    /// The bytes of a collection: between its brackets, or from its first to its last child.
    fn enclose(
        &self,
        start: Span,
        style: StructureStyle,
        last: Option<Span>,
        end: Option<ParserSpan>,
    ) -> Span {
        if style == StructureStyle::Flow {
            return end.map_or(start, |end| start.to(self.span(end)));
        }
        // A child that an alias brought in was written elsewhere.
        last.filter(|last| last.start() >= start.start())
            .map_or(start, |last| start.to(last))
    }

    /// A node inside a collection: like [`Builder::node`], but aliases are followed and anchor names noted.
    fn child(&mut self, event: Event<'_>, span: ParserSpan) -> Option<Node> {
        match event {
            Event::Alias(id) => Some(self.alias(id, span)),
            Event::UnresolvedAlias(name) => Some(self.unknown(&name, span)),
            Event::Anchor(_, name) => {
                self.names.push(name.into_owned());
                None
            }
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                Some(self.node(event, span))
            }
            _ => None,
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: Style,
        tag: Option<&str>,
        span: Span,
        at: Option<ParserSpan>,
    ) -> Node {
        self.count(1, span);
        let mut node = match tag.and_then(scalar::core_tag) {
            Some(ScalarTag::Text) => Node::string(text, span),
            Some(kind) => {
                let value = scalar::resolve_as(text, kind).unwrap_or_else(|| {
                    let message = format!("`{text}` is not {}", kind.describe());
                    self.diagnostics
                        .push(Diagnostic::error("invalid-tag", message).at(span));
                    Value::Null
                });
                Node::new(value, span).with_raw(text)
            }
            None if style == Style::Plain => plain_node(text, span),
            None => Node::string(text, span),
        };
        node.tag = self.collection_tag(tag, span, at);
        node
    }

    /// Compose's own tags; any other is ignored with a warning, as YAML's own collection tags are silently.
    fn collection_tag(&mut self, tag: Option<&str>, span: Span, at: Option<ParserSpan>) -> Option<Tag> {
        match tag? {
            "!reset" => Some(Tag::Reset),
            "!override" => Some(Tag::Override),
            tag if tag == "!" || tag.starts_with("!!") || tag.starts_with("!<tag:yaml.org,2002:") => None,
            tag => {
                let place = at.map_or(span, |at| self.span(at));
                let warning = Diagnostic::warning(
                    "unknown-tag",
                    format!("the tag `{tag}` means nothing here and is ignored"),
                )
                .at(place)
                .help("Compose knows `!reset` and `!override`");
                self.diagnostics.push(warning);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
