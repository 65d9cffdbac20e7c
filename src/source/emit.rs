//! A tree as text again: a node comes in, YAML or JSON goes out.
//! **Invariant:** what is written reads back as the same values, in the same order.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod commented;
mod scalar;

use std::borrow::Cow;

use serde_json::{Map, Number, Value as Json};

use super::node::{Node, Tag, Value};

pub use commented::yaml_with_comments;

/// The tree as JSON; key order is kept, numbers that JSON lacks (`.inf`) become text.
pub fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Number((*value).into()),
        Value::Float(value) => {
            Number::from_f64(*value).map_or_else(|| Json::String(value.to_string()), Json::Number)
        }
        Value::String(text) => Json::String(text.to_string()),
        Value::Seq(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(mapping) => Json::Object(
            mapping
                .iter()
                .map(|(key, node)| (key.to_owned(), json(node)))
                .collect::<Map<_, _>>(),
        ),
    }
}

/// JSON text as `docker compose config --format json` prints it: two spaces, a newline at the end.
pub fn json_text(value: &Json) -> String {
    format!("{value:#}\n")
}

/// The tree as YAML text. Plain scalars keep the text they were written with, tags are kept.
pub fn yaml(node: &Node) -> String {
    let mut out = String::new();
    match &node.value {
        Value::Map(mapping) if !mapping.is_empty() => write_node(&mut out, node, 0, true),
        Value::Seq(items) if !items.is_empty() => write_node(&mut out, node, 0, true),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::String(_)
        | Value::Seq(_)
        | Value::Map(_) => {
            write_node(&mut out, node, 0, false);
        }
    }
    out
}

/// JSON data, e.g. a rendered project, as YAML text.
pub fn yaml_of_json(value: &Json) -> String {
    let mut out = String::new();
    write_json(&mut out, value, 0, true);
    out
}

/// Writes a value after `key:` or `-`. `fresh` says that nothing stands on the line yet.
fn write_node(out: &mut String, node: &Node, indent: usize, fresh: bool) {
    let tag = match node.tag {
        Some(Tag::Reset) => "!reset",
        Some(Tag::Override) => "!override",
        None => "",
    };
    if !tag.is_empty() {
        out.push_str(if fresh { "" } else { " " });
        out.push_str(tag);
    }
    let fresh = fresh && tag.is_empty();
    match &node.value {
        Value::Seq(items) if !items.is_empty() => {
            let entries = items.iter().map(|item| (None, item));
            write_entries(out, entries, indent, fresh, &|out, item, indent, fresh| {
                write_node(out, item, indent, fresh);
            });
        }
        Value::Map(mapping) if !mapping.is_empty() => {
            let entries = mapping.iter().map(|(key, item)| (Some(key), item));
            write_entries(out, entries, indent, fresh, &|out, item, indent, fresh| {
                write_node(out, item, indent, fresh);
            });
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::String(_)
        | Value::Seq(_)
        | Value::Map(_) => {
            let text = match &node.value {
                Value::Null => Cow::Borrowed("null"),
                Value::Bool(_) | Value::Int(_) | Value::Float(_) => node.scalar_text().unwrap_or_default(),
                Value::String(text) => scalar::value(text, indent),
                Value::Seq(_) => Cow::Borrowed("[]"),
                Value::Map(_) => Cow::Borrowed("{}"),
            };
            end_line(out, &text, fresh);
        }
    }
}

fn write_json(out: &mut String, value: &Json, indent: usize, fresh: bool) {
    match value {
        Json::Array(items) if !items.is_empty() => {
            let entries = items.iter().map(|item| (None, item));
            write_entries(out, entries, indent, fresh, &|out, item, indent, fresh| {
                write_json(out, item, indent, fresh);
            });
        }
        Json::Object(map) if !map.is_empty() => {
            let entries = map.iter().map(|(key, item)| (Some(key.as_str()), item));
            write_entries(out, entries, indent, fresh, &|out, item, indent, fresh| {
                write_json(out, item, indent, fresh);
            });
        }
        Json::String(text) => end_line(out, &scalar::value(text, indent), fresh),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            end_line(out, &value.to_string(), fresh);
        }
    }
}

fn end_line(out: &mut String, text: &str, fresh: bool) {
    out.push_str(if fresh { "" } else { " " });
    out.push_str(text);
    out.push('\n');
}

fn indent_by(out: &mut String, spaces: usize) {
    const SPACES: &str = "                                ";
    match SPACES.get(..spaces) {
        Some(spaces) => out.push_str(spaces),
        None => out.extend(std::iter::repeat_n(' ', spaces)),
    }
}

type Writer<'a, T> = &'a dyn Fn(&mut String, &T, usize, bool);

/// Block entries at `indent`; a first entry on a fresh line continues that line.
fn write_entries<'a, T: 'a>(
    out: &mut String,
    entries: impl Iterator<Item = (Option<&'a str>, &'a T)>,
    indent: usize,
    fresh: bool,
    write: Writer<'_, T>,
) {
    if !fresh {
        out.push('\n');
    }
    for (position, (key, item)) in entries.enumerate() {
        if position > 0 || !fresh {
            indent_by(out, indent);
        }
        if let Some(key) = key {
            scalar::push_key(out, key, indent);
            write(out, item, indent + 2, false);
        } else {
            out.push_str("- ");
            write(out, item, indent + 2, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::source::node::Mapping;
    use crate::source::span::SourceMap;
    use crate::source::yaml;

    fn parse(text: &str) -> Node {
        let mut sources = SourceMap::new();
        let file = sources.add("a.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let mut documents = yaml::parse(file, text, &mut diagnostics);
        assert!(diagnostics.is_empty(), "{text:?}: {diagnostics:?}");
        documents.remove(0)
    }

    #[test]
    fn a_file_reads_back_as_itself() {
        let text = "name: a\nservices:\n  web:\n    command:\n      - sh\n      - -c\n      - |\n        echo 1\n        echo 2\n    environment:\n      A: \"1\"\n      B: \"yes\"\n      C: null\n    list:\n      - a: 1\n        b:\n          - x\n      - []\n    mode: 0755\n    ports: !override\n      - 8080:80\n    labels: !reset null\n";
        let node = parse(text);
        assert_eq!(yaml(&node), text);
        assert_eq!(parse(&yaml(&node)), node);
    }

    #[test]
    fn what_has_no_usual_form_reads_back() {
        for text in ["\n\n\t\tb\n", " \n\ta", "\n\ta\n b\n", "\nd: 'x'\n"] {
            let alone = Node::string(text, parse("a").span);
            assert_eq!(parse(&yaml(&alone)), alone, "{}", yaml(&alone));
            let mut mapping = Mapping::new();
            let place = parse("a").span;
            mapping.insert("k".repeat(1100), place, Node::string(text, place));
            let node = Node::map(mapping, place);
            assert_eq!(parse(&yaml(&node)), node, "{}", yaml(&node));
        }
    }

    #[test]
    fn json_keeps_order_and_ends_with_a_newline() {
        assert_eq!(
            json_text(&json(&parse("b: 1\na: [x, 1.5, null]\n"))),
            "{\n  \"b\": 1,\n  \"a\": [\n    \"x\",\n    1.5,\n    null\n  ]\n}\n"
        );
        assert_eq!(
            yaml_of_json(&json(&parse("b: {}\na: [x, {c: 'no'}]\n"))),
            "b: {}\na:\n  - x\n  - c: \"no\"\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_the_same_text(text in "\\PC*|[ \\n:#-'\"a\\t]{0,12}|[0-9xeE.:+_-]{0,8}") {
            let mut node = parse("k: x\nl: [y]\n");
            let map = node.as_map_mut().expect("a mapping");
            map.get_mut("k").expect("k").value = Value::String(text.as_str().into());
            map.get_mut("l").and_then(Node::as_seq_mut).expect("l")[0].value = Value::String(text.as_str().into());
            let back = parse(&yaml(&node));
            prop_assert_eq!(back.get("k").and_then(Node::as_str), Some(text.as_str()));
            prop_assert_eq!(back.get("l").and_then(|l| l.as_seq()).and_then(|l| l[0].as_str()), Some(text.as_str()));
            let back = parse(&yaml_of_json(&json(&node)));
            prop_assert_eq!(back.get("k").and_then(Node::as_str), Some(text.as_str()));
        }
    }
}
