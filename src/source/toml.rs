//! TOML text comes in, the same tree as from YAML goes out; and back. Tables are mappings, arrays lists, dates text.
//! What TOML lacks is a table with one key: `{ "!null" = true }` is nothing, `{ "!reset" = true }` and
//! `{ "!override" = value }` are YAML's tags. **Invariant:** every value keeps the bytes it was written at.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::ops::Range;

use toml_edit::{Array, Document, DocumentMut, InlineTable, Item, Key, Table, TableLike, Value as Toml};

use super::node::{Mapping, Node, Tag, Value};
use super::span::{FileId, Span};
use crate::diagnostic::{Diagnostic, Diagnostics};

const NULL: &str = "!null";
const RESET: &str = "!reset";
const OVERRIDE: &str = "!override";

/// Reads a file: one tree, or none and the reason in `diagnostics`.
pub fn parse(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Vec<Node> {
    match Document::parse(text) {
        Ok(document) => {
            let all = Span::new(file, 0, text.trim_end().len());
            let root = Node::map(Reader { file, text }.table(document.as_table(), all), all);
            if root.as_map().is_some_and(Mapping::is_empty) {
                Vec::new()
            } else {
                vec![root]
            }
        }
        Err(error) => {
            let range = error.span().unwrap_or(0..0);
            let end = range.end.max((range.start + 1).min(text.len()));
            let message = error
                .message()
                .lines()
                .next()
                .unwrap_or("not valid TOML")
                .to_owned();
            let mut diagnostic =
                Diagnostic::error("invalid-toml", message).at(Span::new(file, range.start, end));
            if error.message().starts_with("duplicate key") {
                diagnostic =
                    diagnostic.help("remove one of them, or put the entries of both under one table");
            }
            diagnostics.push(diagnostic);
            Vec::new()
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    file: FileId,
    text: &'a str,
}

impl Reader<'_> {
    fn span(self, range: Option<Range<usize>>, otherwise: Span) -> Span {
        range.map_or(otherwise, |range| Span::new(self.file, range.start, range.end))
    }

    fn table(self, table: &dyn TableLike, around: Span) -> Mapping {
        let mut mapping = Mapping::new();
        for (name, item) in table.iter() {
            let key = self.span(table.key(name).and_then(Key::span), around);
            mapping.insert(name, key, self.item(item, key));
        }
        mapping
    }

    fn item(self, item: &Item, around: Span) -> Node {
        let span = self.span(item.span(), around);
        match item {
            Item::None => Node::null(span),
            Item::Value(value) => self.value(value, span),
            Item::Table(table) => tagged(Node::map(self.table(table, span), span)),
            Item::ArrayOfTables(tables) => {
                let table = |table: &Table| {
                    let span = self.span(table.span(), span);
                    Node::map(self.table(table, span), span)
                };
                Node::seq(tables.iter().map(table).collect(), span)
            }
        }
    }

    fn value(self, value: &Toml, around: Span) -> Node {
        let span = self.span(value.span(), around);
        let written = || self.text.get(span.start()..span.end()).unwrap_or_default();
        match value {
            Toml::String(text) => Node::string(text.value().as_str(), span),
            Toml::Integer(number) => Node::int(*number.value(), span),
            Toml::Float(number) => Node::new(Value::Float(*number.value()), span).with_raw(written()),
            Toml::Boolean(value) => Node::bool(*value.value(), span),
            Toml::Datetime(date) => Node::string(date.value().to_string(), span),
            Toml::Array(array) => Node::seq(array.iter().map(|item| self.value(item, span)).collect(), span),
            Toml::InlineTable(table) => tagged(Node::map(self.table(table, span), span)),
        }
    }
}

/// A table with one key that stands for something TOML lacks.
fn tagged(mut node: Node) -> Node {
    let span = node.span;
    let Some(mapping) = node.as_map_mut().filter(|mapping| mapping.len() == 1) else {
        return node;
    };
    if mapping.contains_key(NULL) {
        return Node::null(span);
    }
    if mapping.contains_key(RESET) {
        return Node {
            tag: Some(Tag::Reset),
            ..Node::null(span)
        };
    }
    match mapping.remove(OVERRIDE) {
        Some(entry) => Node {
            tag: Some(Tag::Override),
            ..entry.node
        },
        None => node,
    }
}

/// The tree as TOML text. Mappings become tables, those inside lists inline tables.
pub fn write(node: &Node) -> String {
    let mut document = DocumentMut::new();
    if let Value::Map(mapping) = &node.value {
        *document.as_table_mut() = to_table(mapping);
        document.set_implicit(false);
    }
    document.to_string()
}

fn to_table(mapping: &Mapping) -> Table {
    let mut table = Table::new();
    for (key, node) in mapping.iter() {
        let item = match &node.value {
            Value::Map(inner) if node.tag.is_none() && !inner.is_empty() => Item::Table(to_table(inner)),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Seq(_)
            | Value::Map(_) => Item::Value(to_value(node)),
        };
        table.insert(key, item);
    }
    let only_tables = mapping
        .iter()
        .all(|(_, node)| node.tag.is_none() && node.as_map().is_some_and(|map| !map.is_empty()));
    table.set_implicit(only_tables);
    table
}

fn to_value(node: &Node) -> Toml {
    let value = match &node.value {
        Value::Null => Toml::InlineTable(one(NULL, Toml::from(true))),
        Value::Bool(value) => Toml::from(*value),
        Value::Int(value) => Toml::from(*value),
        Value::Float(value) => Toml::from(*value),
        Value::String(text) => Toml::from(text.as_str()),
        Value::Seq(items) => Toml::Array(items.iter().map(to_value).collect::<Array>()),
        Value::Map(mapping) => Toml::InlineTable(
            mapping
                .iter()
                .map(|(key, node)| (key.to_owned(), to_value(node)))
                .collect::<InlineTable>(),
        ),
    };
    match node.tag {
        None => value,
        Some(Tag::Reset) => Toml::InlineTable(one(RESET, Toml::from(true))),
        Some(Tag::Override) => Toml::InlineTable(one(OVERRIDE, value)),
    }
}

fn one(key: &str, value: Toml) -> InlineTable {
    let mut table = InlineTable::new();
    table.insert(key, value);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::SourceMap;
    use crate::source::{emit, yaml};

    fn read(text: &str) -> (Option<Node>, Vec<String>, SourceMap) {
        let mut map = SourceMap::new();
        let file = map.add("compose.toml", text);
        let mut diagnostics = Diagnostics::new();
        let mut nodes = parse(file, text, &mut diagnostics);
        let said = diagnostics.iter().map(|finding| {
            let span = finding.span().expect("a place");
            format!(
                "{} {} {:?}: {}",
                finding.code,
                map.locate(span),
                map.text(span),
                finding.message
            )
        });
        let said = said.collect();
        (nodes.pop(), said, map)
    }

    #[test]
    fn toml_and_yaml_give_the_same_tree() {
        let toml = "name = \"a\"\n[services.web]\nimage = \"nginx\"\nports = [80, \"81:81\", { target = 82 }]\nmode = 0o755\ncpus = 1.50\nnothing = { \"!null\" = true }\n[[services.web.develop.watch]]\npath = \".\"\n[services.web.environment]\nA = 1\nB = true\n";
        let yaml = "name: a\nservices:\n  web:\n    image: nginx\n    ports: [80, '81:81', {target: 82}]\n    mode: 0o755\n    cpus: 1.50\n    nothing:\n    develop: {watch: [{path: '.'}]}\n    environment: {A: 1, B: true}\n";
        let (node, said, map) = read(toml);
        assert_eq!(said, Vec::<String>::new());
        let node = node.expect("a tree");
        let mut other = SourceMap::new();
        let file = other.add("a.yaml", yaml);
        assert_eq!(node, yaml::parse(file, yaml, &mut Diagnostics::new()).remove(0));
        let web = node.get("services").and_then(|s| s.get("web")).expect("web");
        let image = web.get("image").expect("image");
        assert_eq!(
            (map.text(image.span), map.locate(image.span).as_str()),
            ("\"nginx\"", "compose.toml:3:9")
        );
        assert_eq!(
            map.text(web.as_map().and_then(|web| web.key_span("image")).expect("a key")),
            "image"
        );
        assert_eq!(
            web.get("cpus")
                .and_then(|cpus| cpus.scalar_text().map(String::from)),
            Some("1.50".into())
        );
        let (again, said, _) = read(&write(&node));
        assert_eq!(said, Vec::<String>::new());
        assert_eq!(again.expect("a tree"), node, "{}", write(&node));
    }

    #[test]
    fn tags_have_a_form() {
        let (node, _, _) =
            read("a = { \"!reset\" = true }\nb = { \"!override\" = [1] }\n[c]\n\"!override\" = { d = 1 }\n");
        let node = node.expect("a tree");
        assert_eq!(
            emit::yaml(&node),
            "a: !reset null\nb: !override\n  - 1\nc: !override\n  d: 1\n"
        );
        assert_eq!(read(&write(&node)).0, Some(node));
    }

    #[test]
    fn errors_have_a_place() {
        insta::assert_snapshot!(read("a = 1\na = 2\n").1.join("\n"), @r#"invalid-toml compose.toml:2:1 "a": duplicate key"#);
        insta::assert_snapshot!(read("[services]\nweb = {image: 1}\n").1.join("\n"), @r#"invalid-toml compose.toml:2:15 "1": missing assignment between key-value pairs, expected `=`"#);
        insta::assert_snapshot!(read("a = \n").1.join("\n"), @r#"invalid-toml compose.toml:1:5 "\n": string values must be quoted, expected literal string"#);
    }
}
