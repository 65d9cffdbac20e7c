//! A tree comes in, TOML as people write it goes out: tables for what is large, dotted keys and inline tables for what is
//! small, arrays of tables for long lists of mappings, multi-line strings for text with lines.
//! **Invariant:** it reads back as the same tree, in the same order but for plain top-level keys, which come first.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use toml_edit::{Key, Value as Toml};

use super::{NULL, OVERRIDE, RESET};
use crate::source::comments::{Comments, Place};
use crate::source::node::{Entry, Mapping, Node, Tag, Value};

/// How wide a line may be before a list or table is spread over several.
const WIDTH: usize = 80;

/// How many keys an inline table may have where there is a choice.
const INLINE_KEYS: usize = 4;

/// The sections whose entries are tables, however small.
const SECTIONS: [&str; 6] = ["services", "networks", "volumes", "configs", "secrets", "models"];

pub(super) fn document(node: &Node, comments: &mut Comments) -> String {
    let mut printer = Printer {
        out: String::new(),
        indent: "",
        comments,
    };
    if let Value::Map(mapping) = &node.value {
        printer.body(&mut Vec::new(), mapping);
    }
    let rest = printer.comments.rest();
    printer.lines(&rest);
    printer.out
}

type Entries<'n> = Vec<(&'n str, &'n Entry)>;

struct Printer<'a> {
    out: String,
    /// What each line begins with.
    indent: &'static str,
    comments: &'a mut Comments,
}

impl Printer<'_> {
    /// The entries of a table whose header is written: pairs first, then the tables below it.
    fn body(&mut self, path: &mut Vec<String>, mapping: &Mapping) {
        let (pairs, tables) = self.split(path, mapping);
        self.entries(path, &pairs, &tables);
    }

    fn entries(&mut self, path: &mut Vec<String>, pairs: &Entries<'_>, tables: &Entries<'_>) {
        for (key, entry) in pairs {
            self.pair("", key, entry);
        }
        for (key, entry) in tables {
            self.table(path, key, entry);
        }
    }

    /// What is written as pairs, and what under headers of its own. After the first header no pair can follow, so of
    /// the order of the file only the end can be headers; at the top level plain keys move before them.
    fn split<'n>(&self, path: &[String], mapping: &'n Mapping) -> (Entries<'n>, Entries<'n>) {
        let wants = |(key, entry): &(&str, &Entry)| self.wants_header(path, key, &entry.node);
        let mut entries: Entries<'n> = mapping.entries().collect();
        if path.is_empty() {
            return entries.into_iter().partition(|entry| !wants(entry));
        }
        let tail = entries
            .iter()
            .rposition(|(_, entry)| !can_be_header(&entry.node))
            .map_or(0, |last| last + 1);
        let first = entries[tail..].iter().position(wants);
        let tables = entries.split_off(first.map_or(entries.len(), |first| tail + first));
        (entries, tables)
    }

    fn wants_header(&self, path: &[String], key: &str, node: &Node) -> bool {
        if !can_be_header(node) {
            return false;
        }
        match &node.value {
            Value::Map(mapping) if mapping.is_empty() => false,
            Value::Map(_) => {
                let is_entry = path.len() == 1 && SECTIONS.contains(&path[0].as_str());
                let name = quoted(key).chars().count();
                path.is_empty() || is_entry || !(is_one_pair(node) || self.fits_inline(name, node))
            }
            Value::Seq(items) => items.iter().any(|item| {
                let line = inline(item);
                line.len() + 3 > WIDTH || line.contains('\n') || self.comments.are_within(item)
            }),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => false,
        }
    }

    /// Whether a mapping is short enough for `key = { … }`.
    fn fits_inline(&self, name: usize, node: &Node) -> bool {
        let Some(mapping) = node.as_map().filter(|_| node.tag.is_none()) else {
            return false;
        };
        let is_flat = |node: &Node| match &node.value {
            Value::Map(mapping) => mapping.is_empty(),
            Value::Seq(items) => items.iter().all(Node::is_scalar),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => true,
        };
        let text = inline(node);
        mapping.len() <= INLINE_KEYS
            && mapping.iter().all(|(_, node)| is_flat(node))
            && !text.contains('\n')
            && name + 3 + text.chars().count() <= WIDTH
            && !self.comments.are_within(node)
    }

    /// `key = value`; a mapping that is too long for that is several pairs with dotted keys.
    fn pair(&mut self, prefix: &str, key: &str, entry: &Entry) {
        let mut name = format!("{prefix}{}", quoted(key));
        let around = self.comments.take(Place::key(entry.key_span));
        self.lines(&around.before);
        let node = &entry.node;
        let dotted = node.as_map().filter(|mapping| {
            let is_plain = !mapping.is_empty() && node.tag != Some(Tag::Reset);
            is_plain && (is_one_pair(node) || !self.fits_inline(name.chars().count(), node))
        });
        if let Some(mapping) = dotted {
            self.lines(around.after.as_slice());
            if node.tag.is_some() {
                name = format!("{name}.{}", quoted(OVERRIDE));
            }
            name.push('.');
            for (key, entry) in mapping.entries() {
                self.pair(&name, key, entry);
            }
        } else {
            let value = self.value(node, name.chars().count() + 3);
            self.line(&format!("{name} = {value}"), around.after.as_deref());
        }
        self.lines(&around.below);
    }

    /// `[path.key]` or `[[path.key]]` and everything below.
    fn table(&mut self, path: &mut Vec<String>, key: &str, entry: &Entry) {
        let around = self.comments.take(Place::key(entry.key_span));
        let depth = path.len();
        path.push(quoted(key));
        match &entry.node.value {
            Value::Map(mapping) => {
                if entry.node.tag.is_some() {
                    path.push(quoted(OVERRIDE));
                }
                let (pairs, tables) = self.split(path, mapping);
                self.blank();
                self.lines(trimmed(&around.before));
                // A table that holds nothing but tables needs no header.
                if !pairs.is_empty() || tables.is_empty() || around.after.is_some() {
                    self.line(&format!("[{}]", path.join(".")), around.after.as_deref());
                }
                self.entries(path, &pairs, &tables);
            }
            Value::Seq(items) => {
                self.blank();
                self.lines(trimmed(&around.before));
                self.lines(around.after.as_slice());
                for (position, item) in items.iter().enumerate() {
                    let around = self.comments.take(Place::item(item.span));
                    if position > 0 {
                        self.blank();
                    }
                    self.lines(trimmed(&around.before));
                    self.line(&format!("[[{}]]", path.join(".")), around.after.as_deref());
                    if let Value::Map(mapping) = &item.value {
                        self.body(path, mapping);
                    }
                    self.lines(&around.below);
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
        }
        self.lines(&around.below);
        path.truncate(depth);
    }

    /// A value behind `name = `, which ends at `column`. A long list, or one with comments, gets a line for each item.
    fn value(&mut self, node: &Node, column: usize) -> String {
        let (before, items, after) = match (&node.value, node.tag) {
            (Value::Seq(items), None) => (String::new(), items, ""),
            (Value::Seq(items), Some(Tag::Override)) => (format!("{{ {} = ", quoted(OVERRIDE)), items, " }"),
            _ => return inline(node),
        };
        let text = inline(node);
        if !text.contains('\n') && column + text.chars().count() <= WIDTH && !self.comments.are_within(node) {
            return text;
        }
        let outer = std::mem::replace(&mut self.out, format!("{before}[\n"));
        let indent = std::mem::replace(&mut self.indent, "  ");
        for item in items {
            let around = self.comments.take(Place::item(item.span));
            let (above, below) = self.hoisted(item);
            self.lines(&around.before);
            self.lines(&above);
            self.line(&format!("{},", inline(item)), around.after.as_deref());
            self.lines(&below);
            self.lines(&around.below);
        }
        self.indent = indent;
        format!("{}]{after}", std::mem::replace(&mut self.out, outer))
    }

    /// The comments inside an item that is written on one line: those above or behind something, and those below.
    fn hoisted(&mut self, node: &Node) -> (Vec<String>, Vec<String>) {
        let (mut above, mut below) = (Vec::new(), Vec::new());
        let mut visit = |place: Place, node: &Node| {
            let around = self.comments.take(place);
            above.extend(around.before.into_iter().chain(around.after));
            let (inner_above, inner_below) = self.hoisted(node);
            above.extend(inner_above);
            below.extend(inner_below.into_iter().chain(around.below));
        };
        match &node.value {
            Value::Map(mapping) => mapping
                .entries()
                .for_each(|(_, entry)| visit(Place::key(entry.key_span), &entry.node)),
            Value::Seq(items) => items.iter().for_each(|item| visit(Place::item(item.span), item)),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
        }
        above.retain(|line| !line.is_empty());
        (above, below)
    }

    fn line(&mut self, text: &str, comment: Option<&str>) {
        self.out.push_str(self.indent);
        self.out.push_str(text);
        if let Some(comment) = comment {
            self.out.push(' ');
            self.out.push_str(comment);
        }
        self.out.push('\n');
    }

    fn lines(&mut self, lines: &[String]) {
        for line in lines {
            if line.is_empty() {
                self.blank();
            } else {
                self.line(line, None);
            }
        }
    }

    fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") && !self.out.ends_with("[\n") {
            self.out.push('\n');
        }
    }
}

/// Whether `[header]` or `[[header]]` can stand for it.
fn can_be_header(node: &Node) -> bool {
    match (&node.value, node.tag) {
        (Value::Map(_), None) => true,
        (Value::Map(mapping), Some(Tag::Override)) => !mapping.is_empty(),
        (Value::Seq(items), None) => !items.is_empty() && items.iter().all(is_table),
        _ => false,
    }
}

fn is_table(node: &Node) -> bool {
    node.tag.is_none() && node.as_map().is_some_and(|mapping| !mapping.is_empty())
}

/// Whether `a.b.c = value` says all there is.
fn is_one_pair(node: &Node) -> bool {
    let Some(mapping) = node.as_map().filter(|_| node.tag != Some(Tag::Reset)) else {
        return false;
    };
    let only = mapping.iter().next().filter(|_| mapping.len() == 1);
    only.is_some_and(|(_, only)| match &only.value {
        Value::Map(inner) => inner.is_empty() || is_one_pair(only),
        Value::Seq(_) => !can_be_header(only),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => true,
    })
}

/// Without the blank lines at its head.
fn trimmed(lines: &[String]) -> &[String] {
    let blank = lines.iter().take_while(|line| line.is_empty()).count();
    &lines[blank..]
}

fn quoted(key: &str) -> String {
    Key::new(key).display_repr().into_owned()
}

/// A value on one line, but for text that has lines.
fn inline(node: &Node) -> String {
    let plain = |node: &Node| match &node.value {
        Value::Null => format!("{{ {} = true }}", quoted(NULL)),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => whole_number(*value, &node.scalar_text().unwrap_or_default()),
        Value::Float(value) => number(*value, &node.scalar_text().unwrap_or_default()),
        Value::String(text) => Toml::from(text.as_str()).to_string(),
        Value::Seq(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(mapping) if mapping.is_empty() => "{}".to_owned(),
        Value::Map(mapping) => {
            let pair = |(key, node)| format!("{} = {}", quoted(key), inline(node));
            let pairs: Vec<String> = mapping.iter().map(pair).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    };
    match node.tag {
        None => plain(node),
        Some(Tag::Override) => format!("{{ {} = {} }}", quoted(OVERRIDE), plain(node)),
        Some(Tag::Reset) => {
            let what = if node.is_scalar() {
                "true".to_owned()
            } else {
                plain(node)
            };
            format!("{{ {} = {what} }}", quoted(RESET))
        }
    }
}

/// As it was written where TOML writes it so too; an octal number of YAML 1.1 (`0755`) as `0o755`.
fn whole_number(value: i64, written: &str) -> String {
    let read = written.parse::<Toml>().ok().and_then(|read| read.as_integer());
    if read == Some(value) {
        written.to_owned()
    } else if written.len() > 1 && written.starts_with('0') && value >= 0 {
        format!("0o{value:o}")
    } else {
        value.to_string()
    }
}

fn number(value: f64, written: &str) -> String {
    let read = written.parse::<Toml>().ok().and_then(|read| read.as_float());
    if read.is_some_and(|read| read.total_cmp(&value).is_eq()) {
        written.to_owned()
    } else {
        Toml::from(value).to_string()
    }
}
