//! In: what was written in the wrong place or form. Out: the words that say what was probably meant.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::FILE;
use super::service::SERVICE;
use super::shape::{Object, Shape};
use super::synonym;
use crate::diagnostic::{Diagnostic, nearest};
use crate::model::snippet::{self, below};
use crate::model::units;
use crate::source::node::{Mapping, Node, Value};
use crate::source::path::NodePath;

/// Says where an unknown key probably belongs, or what it was meant to be.
pub(super) fn unknown_key(
    finding: Diagnostic,
    (name, value): (&str, &Node),
    object: &'static Object,
    path: &NodePath,
) -> Diagnostic {
    if let Some(meant) = synonym(name, object) {
        return meant_key(finding, meant, value, object, path);
    }
    for key in object.keys.all() {
        if inner_object(&key.shape).is_some_and(|inner| inner.shape(name).is_some()) {
            let place = path.key(key.name).key(name);
            let shown = snippet::yaml(&place, value.clone());
            return finding.help(format!("`{name}` belongs under `{}:`\n{shown}", key.name));
        }
    }
    if std::ptr::eq(object, &raw const FILE) && SERVICE.shape(name).is_some() {
        return finding.help(format!("`{name}` belongs to a service, under `services:`"));
    }
    if FILE.shape(name).is_some() {
        return finding.help(format!(
            "`{name}` belongs at the top of the file; check the indentation"
        ));
    }
    if SERVICE.shape(name).is_some() {
        return finding.help(format!("`{name}` belongs to the service; check the indentation"));
    }
    if let Some(meant) = nearest(name, object.keys.all().iter().map(|key| key.name)) {
        return meant_key(finding, meant, value, object, path);
    }
    if object.extensible {
        finding.help("keys of your own must begin with `x-`")
    } else {
        finding
    }
}

/// The dotted key that a word stands for; letter case, `-` and `_` do not count.
fn synonym(name: &str, object: &'static Object) -> Option<&'static str> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let name = plain(name);
    if let Some(key) = object.keys.all().iter().find(|key| plain(key.name) == name) {
        return Some(key.name);
    }
    if std::ptr::eq(object, &raw const SERVICE) {
        let found = synonym::SERVICE.iter().find(|(word, _)| *word == name);
        return found.map(|(_, meant)| *meant);
    }
    let found = synonym::ELSEWHERE
        .iter()
        .find(|(title, word, _)| *title == object.title && *word == name);
    found.map(|(.., meant)| *meant)
}

/// Proposes a key; if the value does not fit it as it is, shows how it would.
fn meant_key(
    finding: Diagnostic,
    meant: &str,
    value: &Node,
    object: &'static Object,
    path: &NodePath,
) -> Diagnostic {
    let place = below(path, meant);
    let Some(shape) = object.shape(meant) else {
        let shown = snippet::yaml(&place, value.clone());
        let parent = meant.split('.').next().unwrap_or(meant);
        let key = place.last_key().unwrap_or(meant);
        return finding.help(format!("it is `{key}`, under `{parent}:`\n{shown}"));
    };
    let mut finding = finding.did_you_mean(meant);
    if let Some(fitting) = fitting(value, shape) {
        let shown = snippet::yaml(&place, fitting);
        finding = finding.help(format!("did you mean `{meant}`?\n{shown}"));
    }
    finding
}

/// The object a shape holds directly, for keys written one level too high.
fn inner_object(shape: &Shape) -> Option<&'static Object> {
    if let Shape::Object(object) = shape {
        Some(object)
    } else if let Shape::OrText(inner) | Shape::OrNull(inner) = shape {
        inner_object(inner)
    } else {
        None
    }
}

/// The word that was meant among those allowed: `healthy` is `service_healthy`.
pub(super) fn word<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    let lower = text.to_lowercase();
    let synonym = synonym::WORDS
        .iter()
        .find(|(word, _)| *word == lower)
        .map(|(_, meant)| *meant);
    words
        .iter()
        .copied()
        .find(|word| Some(*word) == synonym)
        .or_else(|| words.iter().copied().find(|word| word.eq_ignore_ascii_case(text)))
        .or_else(|| {
            let mut parts = words.iter().copied().filter(|word| {
                lower.len() > 2
                    && word
                        .split(['_', '-', '+'])
                        .any(|part| part.starts_with(lower.as_str()))
                    || (lower.len() > 4 && word.contains(lower.as_str()))
            });
            parts.next().filter(|_| parts.next().is_none())
        })
        .or_else(|| nearest(text, words.iter().copied()))
}

/// A value in the form that a shape wants, where one can be made of it and it is not in that form already.
fn fitting(node: &Node, shape: &Shape) -> Option<Node> {
    let text = node.scalar_text().filter(|_| !node.is_null());
    let list = || {
        let text = text.as_deref()?;
        let text = text.strip_prefix('-').unwrap_or(text);
        Some(Node::seq(
            vec![Node::string(text.trim_matches('"'), node.span)],
            node.span,
        ))
    };
    let has_sign = text.as_deref().is_some_and(|text| text.contains('='));
    if let Shape::Texts | Shape::Set | Shape::List(_) | Shape::OrNames(_) = shape {
        list()
    } else if let Shape::Pairs(_) | Shape::Hosts = shape {
        list().filter(|_| has_sign)
    } else if let Shape::Map(_) = shape {
        names(node)
    } else if let Shape::Object(object) = shape {
        main_key(node, object)
    } else {
        None
    }
}

/// A list of names as the mapping it should be.
fn names(node: &Node) -> Option<Node> {
    let mut mapping = Mapping::new();
    for item in node.as_seq()? {
        mapping.insert(item.as_str()?, item.span, Node::null(item.span));
    }
    (!mapping.is_empty()).then(|| Node::map(mapping, node.span))
}

/// A single value as the object whose main key it is.
fn main_key(node: &Node, object: &'static Object) -> Option<Node> {
    let key = match object.title {
        "a service" => "image",
        "a dependency" | "a restart_policy" => "condition",
        "a logging section" => "driver",
        "a healthcheck" => "test",
        "a provider" => "type",
        "a hook" | "an init container" => "command",
        "a watch rule" => "path",
        "a model" => "model",
        "a secret" | "a config" => "file",
        _ => return None,
    };
    let value = match (&node.value, object.title) {
        (Value::Null, "a dependency") => Node::string("service_started", node.span),
        (Value::String(text), "a dependency") => {
            Node::string(word(text, dependency_conditions())?, node.span)
        }
        (Value::Seq(_), "a healthcheck" | "a hook") | (Value::String(_), _) => node.clone(),
        _ => return None,
    };
    Some(snippet::single(key, value, node.span))
}

/// What a dependency may wait for.
fn dependency_conditions() -> &'static [&'static str] {
    &[
        "service_started",
        "service_healthy",
        "service_completed_successfully",
    ]
}

/// Says how to write a value of a wrong type.
pub(super) fn wrong_type(finding: Diagnostic, node: &Node, shape: &Shape, path: &NodePath) -> Diagnostic {
    let shown = |value: Node| snippet::yaml(path, value);
    if path.matches("services.*.restart")
        && let Value::Bool(always) = node.value
    {
        let (policy, what) = if always {
            (
                "always",
                "restarts it whenever it ends; `on-failure` only after an error",
            )
        } else {
            ("no", "never restarts it")
        };
        return finding.help(format!(
            "`{policy}` {what}\n{}",
            shown(Node::string(policy, node.span))
        ));
    }
    let text = node.as_str();
    if let Some(text) = text.filter(|_| matches!(shape, Shape::Object(_)))
        && let Some((key, value)) = glued(text, shape)
    {
        return finding.help(format!(
            "a space is missing after the colon\n{}",
            shown(snippet::single(key, Node::string(value, node.span), node.span))
        ));
    }
    if let Some(fitting) = fitting(node, shape) {
        let words = match (text, shape) {
            (Some(text), Shape::Texts | Shape::Set | Shape::List(_)) if text.starts_with("-\"") => {
                "a space is missing after the dash"
            }
            (_, Shape::Map(_)) => "write a mapping",
            (_, Shape::Object(_)) => "write it as",
            _ => "write a list",
        };
        return finding.help(format!("{words}:\n{}", shown(fitting)));
    }
    let pairs = [
        "environment",
        "labels",
        "args",
        "annotations",
        "sysctls",
        "extra_hosts",
    ];
    match (&node.value, shape) {
        (
            Value::Bool(_) | Value::Int(_) | Value::Float(_),
            Shape::Text | Shape::TextOrNull | Shape::Texts | Shape::BytesText,
        ) => match node.scalar_text() {
            Some(text) => finding.help(format!("quote it: `\"{text}\"`")),
            None => finding,
        },
        (Value::Int(_), Shape::Duration | Shape::Wait) => match node.scalar_text() {
            Some(text) => {
                let text = format!("{text}s");
                instead(finding, &text, "give a unit:")
            }
            None => finding,
        },
        (Value::String(text), Shape::Number) => match units::parse_duration(text) {
            Ok(time) => instead(
                finding,
                &time.as_micros().to_string(),
                "write the microseconds as a number:",
            ),
            Err(_) => finding,
        },
        (Value::Map(pair), Shape::Text)
            if pair.len() == 1 && path.last_key().is_some_and(|key| pairs.contains(&key)) =>
        {
            let parent = parent(path);
            finding.help(format!(
                "write `KEY=VALUE`, or leave out the dashes:\n{}",
                snippet::yaml(&parent, node.clone())
            ))
        }
        (Value::Map(_), Shape::Texts | Shape::Set | Shape::TextOrTexts | Shape::TextOrSet) => {
            finding.help("a text with `: ` in it must be quoted")
        }
        (Value::Map(mapping), Shape::Text) if mapping.len() == 1 => {
            finding.help("a text with `: ` in it must be quoted")
        }
        (Value::Null, _) => finding.help("give it a value or remove the key"),
        _ => finding,
    }
}

/// Proposes a text with a few words before it.
pub(super) fn instead(mut finding: Diagnostic, text: &str, words: &str) -> Diagnostic {
    finding.replacement = Some(text.into());
    finding.help(format!("{words} `{text}`"))
}

/// `image:nginx` as a key of the object and its value.
fn glued<'a>(text: &'a str, shape: &Shape) -> Option<(&'static str, &'a str)> {
    let Shape::Object(object) = shape else { return None };
    let (key, value) = text.split_once(':')?;
    let key = object.keys.all().iter().find(|known| known.name == key)?;
    Some((key.name, value))
}

/// The path of what an item or value is in.
fn parent(path: &NodePath) -> NodePath {
    let segments = path.segments();
    segments[..segments.len().saturating_sub(1)].iter().fold(
        NodePath::root(),
        |path, segment| match segment {
            crate::source::path::Segment::Key(key) => path.key(key),
            crate::source::path::Segment::Index(at) => path.index(*at),
        },
    )
}
