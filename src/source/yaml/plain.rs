//! The plain part of YAML, which nearly every compose file keeps to: text comes in, its one document goes out.
//! At the first thing that is not surely part of it the reader gives up, and the whole text is the full parser's; so
//! there are no diagnostics here. **Invariant:** what is read is what the full parser reads, to the last byte.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::borrow::Cow;

use super::{ALIAS_LIMIT, MERGE_KEY, NODE_LIMIT, plain_node, scalar};
use crate::source::node::{Entry, Mapping, Node, Style, Text, Value};
use crate::source::span::{FileId, Span};

/// Deeper files are left to the full parser, which has a limit of its own.
const DEEPEST: usize = 64;

/// From its first byte to its colon; the full parser looks 1,024 bytes ahead.
const LONGEST_KEY: usize = 1000;

/// What the full parser takes a value for that is not written.
const NOTHING: &str = "~";

/// Reads a text of printable ASCII that holds one mapping without anchors, tags, block scalars and values on several
/// lines; `None` for any other.
pub(super) fn read(file: FileId, text: &str) -> Option<Node> {
    // Without a way out in between, the compiler looks at many bytes at once.
    let is_ascii = text
        .bytes()
        .fold(true, |so_far, byte| so_far & matches!(byte, b'\n' | b' '..=b'~'));
    if !is_ascii {
        return None;
    }
    let mut reader = Reader {
        file,
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 0,
        nodes: 0,
        extended: false,
        entries: Vec::new(),
        items: Vec::new(),
    };
    reader.gap()?;
    let root = if reader.byte() == Some(b'{') {
        let root = reader.flow(0)?;
        reader.next_line()?;
        root
    } else {
        let column = reader.column()?;
        let key = reader.scalar(Within::Block)?;
        reader.mapping(key, column, 0)?
    };
    // What extensions hold is not counted for itself: a file this small is below the limit whatever they hold.
    let countable = !reader.extended || reader.nodes <= ALIAS_LIMIT;
    (reader.column().is_none() && countable).then_some(root)
}

/// Where a scalar stands, which decides where it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Block,
    Flow,
}

/// A scalar that may be a key or a value.
struct Scalar<'a> {
    text: Cow<'a, str>,
    style: Style,
    span: Span,
}

impl Scalar<'_> {
    fn into_node(self) -> Node {
        match self.style {
            Style::Plain => plain_node(&self.text, self.span),
            Style::Quoted => Node::string(self.text, self.span),
        }
    }

    /// The name it is as a key; none for a merge, a number, a boolean or nothing.
    fn into_name(self) -> Option<Text> {
        match (self.style, scalar::resolve(&self.text)) {
            (Style::Quoted, _) => Some(self.text.into()),
            (Style::Plain, Value::String(name)) => (name != MERGE_KEY).then_some(name),
            (Style::Plain, _) => None,
        }
    }
}

struct Reader<'a> {
    file: FileId,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Where the line begins that was entered last.
    line: usize,
    nodes: usize,
    /// Whether a key begins with `x-`.
    extended: bool,
    /// What was read of the mappings that are open, the innermost last: each takes what is its own when it ends, in one piece.
    entries: Vec<(Text, Entry)>,
    /// The same of the lists.
    items: Vec<Node>,
}

impl<'a> Reader<'a> {
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn following(&self) -> Option<u8> {
        self.bytes.get(self.at + 1).copied()
    }

    fn span(&self, start: usize) -> Span {
        Span::new(self.file, start, self.at)
    }

    fn count(&mut self) -> Option<()> {
        self.nodes += 1;
        (self.nodes <= NODE_LIMIT).then_some(())
    }

    fn blanks(&mut self) {
        while self.byte() == Some(b' ') {
            self.at += 1;
        }
    }

    /// Goes over blanks, comments and line ends; says whether a line, or the text, began or ended.
    fn gap(&mut self) -> Option<bool> {
        let mut crossed = self.at == 0;
        loop {
            self.blanks();
            match self.byte() {
                None => return Some(true),
                Some(b'\n') => {
                    self.at += 1;
                    self.line = self.at;
                    crossed = true;
                }
                Some(b'#') => {
                    if self.at > self.line && self.bytes[self.at - 1] != b' ' {
                        return None;
                    }
                    let rest = &self.bytes[self.at..];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                // A directive, or one of the marks between documents.
                Some(b'%' | b'.') if self.at == self.line => return None,
                Some(b'-') if self.at == self.line && self.following() != Some(b' ') => return None,
                Some(_) => return Some(crossed),
            }
        }
    }

    /// Goes to the first word of the next line that has one, if nothing else stands on this line.
    fn next_line(&mut self) -> Option<()> {
        self.gap()?.then_some(())
    }

    /// How far the word at hand, the first of its line, is indented; none at the end of the text.
    fn column(&self) -> Option<usize> {
        (self.at < self.bytes.len()).then_some(self.at - self.line)
    }

    fn on_item(&self) -> bool {
        self.byte() == Some(b'-') && self.following() == Some(b' ')
    }

    /// Whether the scalar before is a key.
    fn on_colon(&self) -> bool {
        self.byte() == Some(b':') && matches!(self.following(), None | Some(b' ' | b'\n'))
    }

    /// The key and the place of its colon, which is gone over.
    fn key(&mut self, key: Scalar<'_>) -> Option<(Text, usize)> {
        let colon = self.at;
        if !self.on_colon() || colon - key.span.start() > LONGEST_KEY {
            return None;
        }
        self.at += 1;
        let name = key.into_name()?;
        self.extended |= name.starts_with("x-");
        Some((name, colon))
    }

    /// The block mapping whose first key is at hand. A line that belongs to none of those that are open is left where
    /// it stands, and the text does not end with its root.
    fn mapping(&mut self, first: Scalar<'a>, column: usize, depth: usize) -> Option<Node> {
        self.descend(depth)?;
        let mut span = first.span;
        let mut key = first;
        let before = self.entries.len();
        loop {
            let key_span = key.span;
            let (name, colon) = self.key(key)?;
            let node = self.value(column, colon, depth + 1)?;
            span = span.to(node.span);
            self.entries.push((name, Entry::new(key_span, node)));
            match self.column() {
                Some(next) if next == column => key = self.scalar(Within::Block)?,
                _ => return Some(Node::map(self.entries_since(before)?, span)),
            }
        }
    }

    /// The mapping of the entries since there were so many; none when a key stands twice.
    fn entries_since(&mut self, before: usize) -> Option<Mapping> {
        Mapping::of_unique(self.entries.drain(before..).collect())
    }

    /// The value of a key of a block mapping: on its line, below it, or nothing.
    fn value(&mut self, column: usize, colon: usize, depth: usize) -> Option<Node> {
        self.blanks();
        match self.byte() {
            None | Some(b'\n' | b'#') => {}
            Some(_) => {
                let node = self.inline(Within::Block, depth)?;
                self.next_line()?;
                return Some(node);
            }
        }
        self.next_line()?;
        match self.column() {
            Some(below) if self.on_item() && below >= column => self.sequence(below, below == column, depth),
            Some(below) if below > column => {
                let key = self.scalar(Within::Block)?;
                self.mapping(key, below, depth)
            }
            _ => self.nothing(colon),
        }
    }

    /// A value that is not written, which stands at the colon before it.
    fn nothing(&mut self, colon: usize) -> Option<Node> {
        self.count()?;
        Some(plain_node(NOTHING, Span::new(self.file, colon, colon)))
    }

    /// The block sequence whose first dash is at hand. Of one that is not indented under its key, the full parser
    /// knows where its first item begins, not its first dash.
    fn sequence(&mut self, column: usize, indentless: bool, depth: usize) -> Option<Node> {
        self.descend(depth)?;
        let dash = self.at;
        let before = self.items.len();
        while self.on_item() && self.column() == Some(column) {
            self.at += 1;
            self.blanks();
            let item = self.item(depth + 1)?;
            self.items.push(item);
        }
        let items: Vec<Node> = self.items.drain(before..).collect();
        let (first, last) = (items.first()?.span, items.last()?.span);
        let start = if indentless { first.start() } else { dash };
        Some(Node::seq(items, Span::new(self.file, start, last.end())))
    }

    /// What stands behind a dash.
    fn item(&mut self, depth: usize) -> Option<Node> {
        let column = self.at - self.line;
        if !matches!(self.byte(), Some(b'[' | b'{')) {
            let scalar = self.scalar(Within::Block)?;
            if self.on_colon() {
                return self.mapping(scalar, column, depth);
            }
            self.next_line()?;
            return Some(scalar.into_node());
        }
        let node = self.flow(depth)?;
        self.next_line()?;
        Some(node)
    }

    /// A collection in brackets or a scalar.
    fn inline(&mut self, within: Within, depth: usize) -> Option<Node> {
        match self.byte() {
            Some(b'[' | b'{') => self.flow(depth),
            _ => Some(self.scalar(within)?.into_node()),
        }
    }

    /// The collection whose opening bracket is at hand.
    fn flow(&mut self, depth: usize) -> Option<Node> {
        self.descend(depth)?;
        let start = self.at;
        let is_mapping = self.byte() == Some(b'{');
        let close = if is_mapping { b'}' } else { b']' };
        self.at += 1;
        let (items, entries) = (self.items.len(), self.entries.len());
        loop {
            self.gap()?;
            if self.byte()? == close {
                break;
            }
            if is_mapping {
                let key = self.scalar(Within::Flow)?;
                let key_span = key.span;
                let (name, colon) = self.key(key)?;
                self.blanks();
                let node = match self.byte()? {
                    b',' | b'}' => self.nothing(colon)?,
                    _ => self.inline(Within::Flow, depth + 1)?,
                };
                self.entries.push((name, Entry::new(key_span, node)));
            } else {
                let item = self.inline(Within::Flow, depth + 1)?;
                self.items.push(item);
            }
            self.gap()?;
            match self.byte()? {
                b',' => self.at += 1,
                byte if byte == close => {}
                _ => return None,
            }
        }
        self.at += 1;
        let span = self.span(start);
        Some(if is_mapping {
            Node::map(self.entries_since(entries)?, span)
        } else {
            Node::seq(self.items.drain(items..).collect(), span)
        })
    }

    /// Counts a collection inside `depth` others.
    fn descend(&mut self, depth: usize) -> Option<()> {
        self.count()?;
        (depth < DEEPEST).then_some(())
    }
}

mod scalars;
#[cfg(test)]
mod tests;
