//! A file's tree and its comments come in, YAML as people write it goes out: block style, quotes only where needed.
//! **Invariant:** it reads back as the same tree, and every comment is in it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::scalar;
use crate::source::comments::{Around, Comments, Place};
use crate::source::node::{Entry, Mapping, Node, Tag, Value};

/// A file's tree as YAML text, with the comments that stand at its keys and items. A file without keys is empty.
pub fn yaml_with_comments(node: &Node, comments: &mut Comments) -> String {
    let mut printer = Printer {
        out: String::new(),
        comments,
    };
    if let Value::Map(mapping) = &node.value {
        printer.mapping(mapping, 0);
    }
    let rest = printer.comments.rest();
    printer.lines(&rest, 0);
    printer.out
}

struct Printer<'a> {
    out: String,
    comments: &'a mut Comments,
}

impl Printer<'_> {
    fn mapping(&mut self, mapping: &Mapping, indent: usize) {
        for (position, (key, entry)) in mapping.entries().enumerate() {
            let around = self.comments.take(Place::key(entry.key_span));
            self.before(&around, indent, position == 0 && indent > 0);
            self.indent(indent);
            self.pair(key, entry, indent, around.after.as_deref());
            self.lines(&around.below, indent);
        }
    }

    fn pair(&mut self, key: &str, entry: &Entry, indent: usize, comment: Option<&str>) {
        scalar::push_key(&mut self.out, key, indent);
        self.value(&entry.node, indent + 2, comment);
    }

    fn sequence(&mut self, items: &[Node], indent: usize) {
        for (position, item) in items.iter().enumerate() {
            let around = self.comments.take(Place::item(item.span));
            self.before(&around, indent, position == 0);
            let mapping = item
                .as_map()
                .filter(|mapping| !mapping.is_empty() && item.tag.is_none());
            if let Some(mapping) = mapping {
                self.lines(around.after.as_slice(), indent);
                self.item_mapping(mapping, indent);
            } else {
                self.indent(indent);
                self.out.push('-');
                self.value(item, indent + 2, around.after.as_deref());
            }
            self.lines(&around.below, indent);
        }
    }

    /// `- key: value` and the other keys below; what is said above the first key goes above the dash.
    fn item_mapping(&mut self, mapping: &Mapping, indent: usize) {
        for (position, (key, entry)) in mapping.entries().enumerate() {
            let around = self.comments.take(Place::key(entry.key_span));
            if position == 0 {
                self.lines(&around.before, indent);
                self.indent(indent);
                self.out.push_str("- ");
            } else {
                self.lines(&around.before, indent + 2);
                self.indent(indent + 2);
            }
            self.pair(key, entry, indent + 2, around.after.as_deref());
            self.lines(&around.below, indent + 2);
        }
    }

    /// What follows `key:` or `-`, to the end of its last line.
    fn value(&mut self, node: &Node, indent: usize, comment: Option<&str>) {
        match node.tag {
            Some(Tag::Reset) => self.out.push_str(" !reset"),
            Some(Tag::Override) => self.out.push_str(" !override"),
            None => {}
        }
        let text = match &node.value {
            Value::Map(mapping) if !mapping.is_empty() => {
                self.end_line("", comment);
                return self.mapping(mapping, indent);
            }
            Value::Seq(items) if !items.is_empty() => {
                self.end_line("", comment);
                return self.sequence(items, indent);
            }
            Value::Map(_) => "{}".to_owned(),
            Value::Seq(_) => "[]".to_owned(),
            Value::Null if node.tag.is_none() => String::new(),
            Value::Null => "null".to_owned(),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                node.scalar_text().unwrap_or_default().into_owned()
            }
            Value::String(text) => scalar::value(text, indent).into_owned(),
        };
        match text.split_once('\n') {
            Some((head, block)) => {
                self.end_line(head, comment);
                self.out.push_str(block);
                self.out.push('\n');
            }
            None => self.end_line(&text, comment),
        }
    }

    /// What stands above; a blank line does not come between a key and the `first` thing below it.
    fn before(&mut self, around: &Around, indent: usize, first: bool) {
        let blank = around.before.iter().take_while(|line| line.is_empty()).count();
        self.lines(&around.before[if first { blank } else { 0 }..], indent);
    }

    fn end_line(&mut self, text: &str, comment: Option<&str>) {
        for part in [Some(text).filter(|text| !text.is_empty()), comment]
            .into_iter()
            .flatten()
        {
            self.out.push(' ');
            self.out.push_str(part);
        }
        self.out.push('\n');
    }

    fn indent(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn lines(&mut self, lines: &[String], indent: usize) {
        for line in lines {
            if line.is_empty() {
                if !self.out.is_empty() && !self.out.ends_with("\n\n") {
                    self.out.push('\n');
                }
            } else {
                self.indent(indent);
                self.out.push_str(line);
                self.out.push('\n');
            }
        }
    }
}
