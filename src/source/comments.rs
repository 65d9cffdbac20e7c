//! The comments of a file beside its tree: the tree and the places of comments come in; out goes, for each key and list
//! item, what stands before, after and below it. Blank lines that set keys apart count as comments without words.
//! **Invariant:** every comment belongs to one key or item, or to the end of the file; none is lost.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::ops::Range;

use super::node::{Node, Value};
use super::span::{FileId, Span};

/// A key or a list item, by the offset of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    start: usize,
    is_key: bool,
}

impl Place {
    /// A mapping's key.
    pub fn key(span: Span) -> Self {
        Self {
            start: span.start(),
            is_key: true,
        }
    }

    /// An item of a list.
    pub fn item(span: Span) -> Self {
        Self {
            start: span.start(),
            is_key: false,
        }
    }
}

/// The comments around one key or item, each with its `#`; an empty one is a blank line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// On lines of their own, above.
    pub before: Vec<String>,
    /// Behind it, on the same line.
    pub after: Option<String>,
    /// On lines of their own, below, where nothing else follows in the same block.
    pub below: Vec<String>,
}

/// The comments of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    around: BTreeMap<Place, Around>,
    end: Vec<String>,
}

impl Comments {
    /// No comments, for a tree that is not one file's.
    pub fn none() -> Self {
        Self::default()
    }

    /// The comments of `text`, which are at `places` in order, for the tree that was read from it.
    pub fn of(root: &Node, text: &str, places: &[Range<usize>]) -> Self {
        let mut page = Page::new(root, text);
        for place in places {
            page.attach(place.clone());
        }
        page.blank_lines();
        page.comments
    }

    /// What is around a key or item; it is there once.
    pub fn take(&mut self, place: Place) -> Around {
        self.around.remove(&place).unwrap_or_default()
    }

    /// Whether a comment belongs to a key or item below `node`.
    pub fn are_within(&self, node: &Node) -> bool {
        let has_words = |place: Place| {
            self.around.get(&place).is_some_and(|around| {
                let mut lines = around.before.iter().chain(&around.below);
                around.after.is_some() || lines.any(|line| !line.is_empty())
            })
        };
        !self.around.is_empty()
            && match &node.value {
                Value::Map(mapping) => mapping
                    .entries()
                    .any(|(_, entry)| has_words(Place::key(entry.key_span)) || self.are_within(&entry.node)),
                Value::Seq(items) => items
                    .iter()
                    .any(|item| has_words(Place::item(item.span)) || self.are_within(item)),
                Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => false,
            }
    }

    /// What is left in the order of the file: the comments at its end, and any that found no place.
    pub fn rest(&mut self) -> Vec<String> {
        let around = std::mem::take(&mut self.around).into_values();
        let left =
            around.flat_map(|around| around.before.into_iter().chain(around.after).chain(around.below));
        let mut rest: Vec<String> = left.filter(|line| !line.is_empty()).collect();
        rest.append(&mut self.end);
        rest
    }
}

/// A key or item and how far it reaches.
struct Anchor {
    place: Place,
    /// The end of a key, the start of an item.
    name_end: usize,
    value_end: usize,
}

/// A file while its comments are given out.
struct Page<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    /// In the order of the file, an item before its first key.
    anchors: Vec<Anchor>,
    comments: Comments,
}

impl<'a> Page<'a> {
    fn new(root: &Node, text: &'a str) -> Self {
        let mut found = BTreeMap::new();
        collect(root, root.span.file, &mut found);
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            line_starts: std::iter::once(0).chain(ends).collect(),
            anchors: found.into_values().collect(),
            comments: Comments::none(),
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset) - 1
    }

    fn line(&self, line: usize) -> &'a str {
        let start = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        let end = self.line_starts.get(line + 1).copied().unwrap_or(self.text.len());
        &self.text[start..end]
    }

    fn is_blank(&self, line: usize) -> bool {
        self.line(line).trim().is_empty()
    }

    fn is_comment(&self, line: usize) -> bool {
        self.line(line).trim_start().starts_with('#')
    }

    /// Whether a blank line stands above this one, with something above that.
    fn is_set_apart(&self, line: usize) -> bool {
        line > 0 && self.is_blank(line - 1) && !self.text[..self.line_starts[line]].trim().is_empty()
    }

    /// The first key or item at or after `offset`.
    fn next(&self, offset: usize) -> Option<usize> {
        let next = self.anchors.partition_point(|anchor| anchor.place.start < offset);
        (next < self.anchors.len()).then_some(next)
    }

    /// The key that `[a.b.c]`, `a.b.c = 1` or `- a: 1` is about.
    fn innermost(&self, mut at: usize) -> Place {
        while let Some(inner) = self.anchors.get(at + 1) {
            let between = self.text.get(self.anchors[at].name_end..inner.place.start);
            if !between.is_some_and(|between| between.chars().all(|c| ". \t['\"".contains(c))) {
                break;
            }
            at += 1;
        }
        self.anchors[at].place
    }

    fn attach(&mut self, at: Range<usize>) {
        let words: String = self.text[at.clone()]
            .trim_end()
            .chars()
            .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
            .collect();
        let line = self.line_of(at.start);
        let behind = !self.text[self.line_starts[line]..at.start].trim().is_empty();
        if behind && let Some((place, is_first)) = self.owner_of_line(line, at.start) {
            let around = self.comments.around.entry(place).or_default();
            if is_first && around.after.is_none() {
                around.after = Some(words);
            } else {
                around.below.push(words);
            }
            return;
        }
        let (lines, set_apart) = (self.target(line, &at), self.is_set_apart(line));
        let lines = match lines {
            Target::Before(place) => &mut self.comments.around.entry(place).or_default().before,
            Target::Below(place) => &mut self.comments.around.entry(place).or_default().below,
            Target::End => &mut self.comments.end,
        };
        if set_apart {
            lines.push(String::new());
        }
        lines.push(words);
    }

    /// Whom a comment behind something belongs to: who begins on its line, else who ends there.
    fn owner_of_line(&self, line: usize, before: usize) -> Option<(Place, bool)> {
        let start = self.line_starts[line];
        if let Some(first) = self
            .next(start)
            .filter(|first| self.anchors[*first].place.start < before)
        {
            return Some((self.innermost(first), true));
        }
        let ends_here = |anchor: &&Anchor| anchor.value_end > start && anchor.value_end <= before;
        let earlier = self
            .anchors
            .iter()
            .take_while(|anchor| anchor.place.start < start);
        let mut earlier = earlier;
        earlier.find(ends_here).map(|anchor| (anchor.place, false))
    }

    /// Whom a comment on a line of its own belongs to.
    fn target(&self, line: usize, at: &Range<usize>) -> Target {
        let next = self.next(at.start);
        let previous = next.unwrap_or(self.anchors.len()).checked_sub(1);
        let column = at.start - self.line_starts[line];
        let ended = previous.and_then(|previous| self.ended(previous, at.start, column));
        let (mut above, mut below) = (line, line + 1);
        while above > 0 && self.is_comment(above - 1) {
            above -= 1;
        }
        while self.is_comment(below) {
            below += 1;
        }
        let closes = self.line(below).trim_start().starts_with([']', '}']);
        let Some(next) = next else {
            return match ended {
                Some(previous) if column > 0 => Target::Below(previous.place),
                Some(_) | None => Target::End,
            };
        };
        let next_line = self.line(self.line_of(self.anchors[next].place.start));
        let indent = next_line.len() - next_line.trim_start().len();
        let opens_table = next_line.starts_with('[');
        let hangs = closes
            || if opens_table {
                self.is_blank(below) && !self.is_set_apart(above)
            } else {
                column > indent
            };
        match ended {
            Some(previous) if hangs => Target::Below(previous.place),
            Some(_) | None if opens_table && self.is_blank(below) => Target::Before(self.anchors[next].place),
            Some(_) | None if self.anchors[next].place.is_key => Target::Before(self.innermost(next)),
            Some(_) | None if opens_table => Target::Before(self.innermost(next)),
            Some(_) | None => Target::Before(self.anchors[next].place),
        }
    }

    /// The last key or item that is complete at `offset` and begins no deeper than `column`, else the last that is complete.
    fn ended(&self, last: usize, offset: usize, column: usize) -> Option<&Anchor> {
        let mut complete = self.anchors[..=last]
            .iter()
            .rev()
            .take_while(|anchor| anchor.value_end <= offset);
        let is_beside = |anchor: &&Anchor| {
            let line = self.line_of(anchor.place.start);
            let text = self.line(line);
            let indent = text.len() - text.trim_start().len();
            let start = anchor.place.start - self.line_starts[line];
            column >= if anchor.place.is_key { start } else { indent }
        };
        complete.clone().find(is_beside).or_else(|| complete.next())
    }

    /// Blank lines right above a key or item.
    fn blank_lines(&mut self) {
        let mut last = None;
        for at in 0..self.anchors.len() {
            let place = self.anchors[at].place;
            let line = self.line_of(place.start);
            if last.replace(line) != Some(line) && self.is_set_apart(line) {
                let before = &mut self.comments.around.entry(place).or_default().before;
                before.push(String::new());
            }
        }
    }
}

/// Where a comment on a line of its own goes.
enum Target {
    Before(Place),
    Below(Place),
    End,
}

/// Keys and items that were written in `file`, each once: an alias brings no new ones.
fn collect(node: &Node, file: FileId, found: &mut BTreeMap<Place, Anchor>) {
    let mut note = |place: Place, name_end: usize, node: &Node| {
        if node.span.file == file {
            found.entry(place).or_insert(Anchor {
                place,
                name_end,
                value_end: node.span.end().max(name_end),
            });
        }
    };
    match &node.value {
        Value::Map(mapping) => {
            for (_, entry) in mapping.entries() {
                note(Place::key(entry.key_span), entry.key_span.end(), &entry.node);
            }
            for (_, entry) in mapping.entries() {
                collect(&entry.node, file, found);
            }
        }
        Value::Seq(items) => {
            for item in items {
                note(Place::item(item.span), item.span.start(), item);
            }
            for item in items {
                collect(item, file, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
}
