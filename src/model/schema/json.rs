//! In: the tables. Out: the JSON Schema (draft-07) of a Compose file for editors, in YAML and in TOML.
//! **Invariant:** it accepts what `validate` accepts with variables not put in; the few differences are in the book.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::FILE;
use super::fate::Fate;
use super::listing::about;
use super::shape::{Key, Object, Shape};

/// A text with a variable in it may become anything.
const VARIABLE: &str = r"\$";
const NUMBER: &str = r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?";
const WHOLE: &str = "^[+-]?[0-9]+$";
const NAME: &str = "^[a-zA-Z0-9._-]+$";
/// What YAML says by a tag and TOML by a table with one key.
const TAG: &str = "#/definitions/tag";

/// The schema of a whole file.
pub fn json_schema() -> Value {
    let mut definitions = BTreeMap::new();
    let mut file = object(&FILE, &mut definitions);
    let mut root = Map::new();
    root.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    root.insert("title".into(), "Compose file, as rcompose reads it".into());
    if let Some(file) = file.as_object_mut() {
        file.remove("title");
        root.append(file);
    }
    definitions.insert(
        "tag".to_owned(),
        json!({
            "description": "In TOML, what YAML says by a tag: nothing at all, or a value that replaces those of earlier files.",
            "type": "object",
            "patternProperties": { "^!(null|reset|override)$": true },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        }),
    );
    root.insert("definitions".into(), json!(definitions));
    Value::Object(root)
}

type Definitions = BTreeMap<String, Value>;

fn object(object: &'static Object, definitions: &mut Definitions) -> Value {
    let mut properties = Map::new();
    for key in object.keys.all() {
        let open = matches!(key.name, "models" | "ulimits")
            || (std::ptr::eq(object, &raw const FILE) && key.name == "networks");
        let mut alternatives = alternatives(&key.shape, open, definitions);
        alternatives.push(json!({ "$ref": TAG }));
        let property = json!({ "description": described(object, key), "anyOf": alternatives });
        properties.insert(key.name.to_owned(), property);
    }
    let mut schema = json!({
        "title": object.title,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if object.extensible {
        schema["patternProperties"] = json!({ "^x-": true });
    }
    if !object.required.is_empty() {
        schema["required"] = json!(object.required);
    }
    schema
}

/// What a key is for, and what becomes of it here.
fn described(object: &Object, key: &Key) -> String {
    let about = about(object.title, key.name);
    match key.fate {
        Fate::Honoured => about.to_owned(),
        Fate::Limited(remark) => format!("{about} Here: {remark}."),
        Fate::Ignored(remark) => format!("{about} It has no effect here: {remark}."),
        Fate::Refused(remark) => format!("{about} It cannot be honoured here: {remark}."),
        Fate::Windows(remark) => format!("{about} It is for Windows: {remark}."),
    }
}

/// A mapping's definition, made when it is met first.
fn reference(of: &'static Object, definitions: &mut Definitions) -> Value {
    let words = of.title.split_once(' ').map_or(of.title, |(_, words)| words);
    let name = words.replace(' ', "_");
    if !definitions.contains_key(&name) {
        // A definition may hold itself.
        definitions.insert(name.clone(), Value::Null);
        let schema = object(of, definitions);
        definitions.insert(name.clone(), schema);
    }
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// The forms a value may have. `open`: the specification leaves the names of the mapping open.
fn alternatives(shape: &Shape, open: bool, definitions: &mut Definitions) -> Vec<Value> {
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": text() });
    let set = || json!({ "type": "array", "items": text(), "uniqueItems": true });
    let or_variable = |schema: Value| vec![schema, json!({ "type": "string", "pattern": VARIABLE })];
    let scalar = json!({ "type": ["string", "number", "boolean", "null"] });
    match shape {
        Shape::Text => vec![text()],
        Shape::TextOrNull => vec![json!({ "type": ["string", "null"] })],
        Shape::NumberOrText => vec![json!({ "type": ["number", "string"] })],
        Shape::FlagOrText => vec![json!({ "type": ["boolean", "string"] })],
        Shape::Flag | Shape::Choice | Shape::OptOut => vec![flag()],
        Shape::StrictFlag => or_variable(json!({ "type": "boolean" })),
        Shape::Integer(minimum, maximum) => vec![integer(WHOLE, *minimum, *maximum)],
        Shape::Count => vec![integer(WHOLE, i64::MIN, i64::MAX)],
        Shape::Natural => vec![integer(WHOLE, 0, i64::MAX)],
        Shape::Tries => {
            vec![json!({ "type": ["number", "string"], "pattern": pattern(WHOLE), "minimum": 0 })]
        }
        Shape::Number => vec![texted("number", WHOLE)],
        Shape::StrictNumber => or_variable(json!({ "type": "number" })),
        Shape::StrictNatural => or_variable(json!({ "type": "integer", "minimum": 0 })),
        Shape::IntegerOrText => vec![json!({ "type": ["integer", "string"] })],
        Shape::DeviceCount => vec![integer("^([+-]?[0-9]+|[aA][lL][lL])$", i64::MIN, i64::MAX)],
        Shape::Decimal => vec![texted("number", &format!("^[+-]?{NUMBER}$"))],
        Shape::Bytes => vec![texted("number", &format!("^(-1|{})$", size()))],
        Shape::WholeBytes => vec![texted("integer", &format!("^(-1|{})$", size()))],
        Shape::Size => vec![integer(&format!("^{}$", size()), 0, i64::MAX)],
        Shape::BytesText => {
            vec![json!({ "type": "string", "pattern": pattern(&format!("^(-1|{})$", size())) })]
        }
        Shape::Duration | Shape::Wait => vec![json!({ "type": "string", "pattern": pattern(&duration()) })],
        Shape::Mode => vec![texted("integer", "^(0[oO])?[0-7]+$")],
        Shape::Word(words) => or_variable(json!({ "enum": words })),
        Shape::Command => vec![json!({ "type": ["string", "null"] }), texts()],
        Shape::Texts => vec![texts()],
        Shape::Set => vec![set()],
        Shape::TextOrTexts | Shape::Probe => vec![text(), texts()],
        Shape::TextOrSet => vec![text(), set()],
        Shape::Pairs(_) | Shape::Ssh => {
            vec![mapping(&json!({ "anyOf": [scalar, { "$ref": TAG }] })), set()]
        }
        Shape::Hosts => vec![mapping(&json!({ "anyOf": [text(), texts()] })), set()],
        Shape::TextLists => {
            let one = json!({ "type": ["string", "number", "boolean"] });
            vec![mapping(
                &json!({ "anyOf": [one, { "type": "array", "items": one }] }),
            )]
        }
        Shape::TextMap => vec![mapping(&json!({ "type": ["number", "string"] }))],
        Shape::Options => vec![mapping(&json!({ "type": ["number", "string", "null"] }))],
        Shape::Map(inner) => {
            let mut values = alternatives(inner, false, definitions);
            values.push(json!({ "$ref": TAG }));
            let mut schema = mapping(&one_or_any(values));
            if !open && !matches!(inner, Shape::Text | Shape::NumberOrText) {
                schema["propertyNames"] = json!({ "pattern": NAME });
            }
            vec![schema]
        }
        Shape::List(inner) => {
            let items = one_or_any(alternatives(inner, false, definitions));
            vec![json!({ "type": "array", "items": items })]
        }
        Shape::SetOf(inner) => {
            let items = one_or_any(alternatives(inner, false, definitions));
            vec![json!({ "type": "array", "items": items, "uniqueItems": true })]
        }
        Shape::Object(object) => vec![reference(object, definitions)],
        Shape::OrText(inner) => with(text(), inner, open, definitions),
        Shape::OrPort(inner) => with(json!({ "type": ["number", "string"] }), inner, open, definitions),
        Shape::OrNames(inner) => with(set(), inner, open, definitions),
        Shape::OrInteger(inner) => with(texted("integer", WHOLE), inner, open, definitions),
        Shape::OrNull(inner) => with(json!({ "type": "null" }), inner, open, definitions),
        Shape::External => vec![
            flag(),
            json!({
                "type": "object",
                "properties": { "name": text() },
                "patternProperties": { "^x-": true },
                "additionalProperties": false,
            }),
        ],
    }
}

/// A short form before the long ones.
fn with(short: Value, inner: &Shape, open: bool, definitions: &mut Definitions) -> Vec<Value> {
    let mut all = vec![short];
    all.extend(alternatives(inner, open, definitions));
    all
}

fn one_or_any(mut alternatives: Vec<Value>) -> Value {
    if alternatives.len() == 1 {
        alternatives.remove(0)
    } else {
        json!({ "anyOf": alternatives })
    }
}

fn mapping(values: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

/// The pattern, or a variable.
fn pattern(of: &str) -> String {
    format!("{of}|{VARIABLE}")
}

/// A kind of number, or a text that looks like one.
fn texted(kind: &str, text: &str) -> Value {
    json!({ "type": [kind, "string"], "pattern": pattern(text) })
}

fn flag() -> Value {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n"].map(any_case);
    texted("boolean", &format!("^({})$", words.join("|")))
}

/// A word whatever the case of its letters.
fn any_case(word: &str) -> String {
    let letter = |letter: char| format!("[{letter}{}]", letter.to_ascii_uppercase());
    word.chars().map(letter).collect()
}

/// Whole numbers from `minimum` to `maximum`, or a text of one, of a word.
fn integer(text: &str, minimum: i64, maximum: i64) -> Value {
    let mut schema = texted("integer", text);
    if minimum > i64::MIN {
        schema["minimum"] = json!(minimum);
    }
    if maximum < i64::MAX {
        schema["maximum"] = json!(maximum);
    }
    schema
}

/// A size as text.
fn size() -> String {
    format!(r"\+?{NUMBER} *([bB]|[kKmMgGtTpP]([iI]?[bB])?)?")
}

fn duration() -> String {
    r"^\+?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w))+)$".to_owned()
}
