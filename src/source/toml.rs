//! TOML text comes in, the same tree as from YAML goes out; and back. Tables are mappings, arrays lists, dates text.
//! What TOML lacks is a table with one key: `{ "!null" = true }` is nothing, `{ "!reset" = true }` and
//! `{ "!override" = value }` are YAML's tags. **Invariant:** every value keeps the bytes it was written at.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod explain;
mod write;

use std::ops::Range;

use toml_edit::{Array, Document, Item, Key, Table, TableLike, Value as Toml};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::comments::Comments;
use super::node::{Mapping, Node, Tag, Value};
use super::span::{FileId, Span};
use crate::diagnostic::{Diagnostic, Diagnostics};

const NULL: &str = "!null";
const RESET: &str = "!reset";
const OVERRIDE: &str = "!override";

/// How many levels of tables and arrays a file may have, as in YAML.
const DEEPEST: usize = 255;

/// How many brackets, keys and values a file may have: the parser needs half a kilobyte for each.
const MOST: usize = 500_000;

/// Where a file passes [`MOST`].
fn surplus(file: FileId, text: &str) -> Option<Span> {
    let counts = |kind: TokenKind| {
        !matches!(
            kind,
            TokenKind::Whitespace
                | TokenKind::Comment
                | TokenKind::Newline
                | TokenKind::Comma
                | TokenKind::Dot
                | TokenKind::Equals
                | TokenKind::RightSquareBracket
                | TokenKind::RightCurlyBracket
        )
    };
    let token = Source::new(text)
        .lex()
        .filter(|token| counts(token.kind()))
        .nth(MOST)?;
    let span = token.span();
    Some(Span::new(file, span.start(), span.end()))
}

/// Reads a file: one tree, or none and the reason in `diagnostics`.
pub fn parse(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Vec<Node> {
    if let Some(span) = surplus(file, text) {
        let message = format!("the file has more than {MOST} keys and values");
        diagnostics
            .push(Diagnostic::error("too-many-nodes", message).label(span, "the limit is passed here"));
        return Vec::new();
    }
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            diagnostics.append(explain::errors(file, text, &error));
            return Vec::new();
        }
    };
    let all = Span::new(file, 0, text.trim_end().len());
    let mut reader = Reader {
        file,
        text,
        depth: 0,
        said: Diagnostics::new(),
    };
    let root = Node::map(reader.table(document.as_table(), all), all);
    let broken = reader.said.has_errors();
    diagnostics.append(reader.said);
    if broken || root.as_map().is_some_and(Mapping::is_empty) {
        Vec::new()
    } else {
        vec![root]
    }
}

/// Where the comments of a file are.
pub fn comments(text: &str) -> Vec<Range<usize>> {
    let comments = Source::new(text)
        .lex()
        .filter(|token| token.kind() == TokenKind::Comment);
    comments
        .map(|token| token.span().start()..token.span().end())
        .collect()
}

/// The tree as TOML text, with the comments that stand at its keys and items.
pub fn write(node: &Node, comments: &mut Comments) -> String {
    write::document(node, comments)
}

struct Reader<'a> {
    file: FileId,
    text: &'a str,
    depth: usize,
    said: Diagnostics,
}

impl Reader<'_> {
    fn span(&self, range: Option<Range<usize>>, otherwise: Span) -> Span {
        range.map_or(otherwise, |range| Span::new(self.file, range.start, range.end))
    }

    fn table(&mut self, table: &dyn TableLike, around: Span) -> Mapping {
        let mut mapping = Mapping::new();
        if self.enter(around) {
            for (name, item) in table.iter() {
                let key = self.span(table.key(name).and_then(Key::span), around);
                mapping.insert(name, key, self.item(item, key));
            }
            self.depth -= 1;
        }
        mapping
    }

    fn list(&mut self, array: &Array, around: Span) -> Vec<Node> {
        if !self.enter(around) {
            return Vec::new();
        }
        let items = array.iter().map(|item| self.value(item, around)).collect();
        self.depth -= 1;
        items
    }

    /// One level deeper, unless that is too deep: then the file is refused, once.
    fn enter(&mut self, span: Span) -> bool {
        if self.depth == DEEPEST {
            if !self.said.has_errors() {
                let message = format!("more than {DEEPEST} levels of nesting");
                self.said
                    .push(Diagnostic::error("invalid-toml", message).at(span));
            }
            return false;
        }
        self.depth += 1;
        true
    }

    fn item(&mut self, item: &Item, around: Span) -> Node {
        let span = self.span(item.span(), around);
        match item {
            Item::None => Node::null(span),
            Item::Value(value) => self.value(value, span),
            Item::Table(table) => self.mapping(table, span),
            Item::ArrayOfTables(tables) => {
                let table = |table: &Table| {
                    let span = self.span(table.span(), span);
                    self.mapping(table, span)
                };
                Node::seq(tables.iter().map(table).collect(), span)
            }
        }
    }

    fn mapping(&mut self, table: &dyn TableLike, span: Span) -> Node {
        let node = Node::map(self.table(table, span), span);
        self.tagged(node)
    }

    fn value(&mut self, value: &Toml, around: Span) -> Node {
        let span = self.span(value.span(), around);
        let written = self.text.get(span.start()..span.end()).unwrap_or_default();
        match value {
            Toml::String(text) => Node::string(text.value().as_str(), span),
            Toml::Integer(number) => Node::int(*number.value(), span).with_raw(&yaml_number(written)),
            Toml::Float(number) => {
                Node::new(Value::Float(*number.value()), span).with_raw(&yaml_number(written))
            }
            Toml::Boolean(value) => Node::bool(*value.value(), span),
            Toml::Datetime(_) => {
                let message = format!("Compose has no dates, `{written}` is read as text");
                let warning = Diagnostic::warning("date-as-text", message).at(span);
                self.said
                    .push(warning.help(format!("put it in quotes: \"{written}\"")));
                Node::string(written, span)
            }
            Toml::Array(array) => Node::seq(self.list(array, span), span),
            Toml::InlineTable(table) => self.mapping(table, span),
        }
    }

    /// A table with one key that stands for something TOML lacks.
    fn tagged(&mut self, mut node: Node) -> Node {
        let span = node.span;
        let Some(mapping) = node.as_map_mut() else {
            return node;
        };
        let Some(tag) = [NULL, RESET, OVERRIDE]
            .into_iter()
            .find(|tag| mapping.contains_key(tag))
        else {
            return node;
        };
        let place = mapping.key_span(tag).unwrap_or(span);
        let others = mapping.entries().filter(|(key, _)| *key != tag);
        let other = others.map(|(_, entry)| entry.key_span).next();
        if let Some(other) = other {
            let message = format!("`{tag}` stands for the whole table and goes with no other key");
            let error = Diagnostic::error("invalid-tag", message).label(other, "another key");
            let error = error.secondary(place, "the tag");
            self.said
                .push(error.help("move the keys into the value of `\"!override\"`, or remove the tag"));
            return node;
        }
        let Some(entry) = mapping.remove(tag) else {
            return node;
        };
        let value = entry.node;
        match tag {
            OVERRIDE => Node {
                tag: Some(Tag::Override),
                ..value
            },
            RESET if value.as_bool() == Some(true) => Node {
                tag: Some(Tag::Reset),
                ..Node::null(span)
            },
            // `!reset []` of YAML: what is reset does not matter, but the tree stays the same.
            RESET if matches!(&value.value, Value::Seq(_) | Value::Map(_)) => Node {
                tag: Some(Tag::Reset),
                ..value
            },
            NULL if value.as_bool() == Some(true) => Node::null(span),
            tag => {
                let message = format!("`{tag}` is switched on by `true`, this is {}", value.describe());
                let error = Diagnostic::error("invalid-tag", message).at(value.span);
                self.said
                    .push(error.help(format!("write `{{ \"{tag}\" = true }}`")));
                Node::null(span)
            }
        }
    }
}

/// A number of TOML in a form that YAML reads as the same number.
fn yaml_number(written: &str) -> String {
    let digits = written.replace('_', "");
    let unsigned = digits.trim_start_matches('+');
    match unsigned {
        "inf" => ".inf".to_owned(),
        "-inf" => "-.inf".to_owned(),
        "nan" | "-nan" => ".nan".to_owned(),
        _ => unsigned.to_owned(),
    }
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
        let (again, said, _) = read(&write(&node, &mut Comments::none()));
        assert_eq!(said, Vec::<String>::new());
        assert_eq!(
            again.expect("a tree"),
            node,
            "{}",
            write(&node, &mut Comments::none())
        );
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
        assert_eq!(read(&write(&node, &mut Comments::none())).0, Some(node));
    }

    #[test]
    fn errors_have_a_place() {
        insta::assert_snapshot!(read("a = 1\na = 2\n").1.join("\n"), @r#"duplicate-key compose.toml:2:1 "a": the key `a` is given twice"#);
        insta::assert_snapshot!(read("[services]\nweb = {image: 1}\n").1.join("\n"), @r#"invalid-toml compose.toml:2:15 "1": missing assignment between key-value pairs, expected `=`"#);
        insta::assert_snapshot!(read("a = \n").1.join("\n"), @r#"invalid-toml compose.toml:1:5 "\n": string values must be quoted, expected literal string"#);
    }
}
