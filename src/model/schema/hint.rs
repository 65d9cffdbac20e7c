//! In: what was written in the wrong place or form. Out: the words that say what was probably meant.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::shape::{Object, Shape};
use super::{FILE, SERVICE};
use crate::diagnostic::nearest;
use crate::source::node::{Node, Value};

/// What other tools and older versions call a key of a service.
const SERVICE_SYNONYMS: [(&str, &str); 33] = [
    ("args", "build.args"),
    ("autostart", "restart"),
    ("cap", "cap_add"),
    ("cmd", "command"),
    ("cpu", "cpus"),
    ("cpu_limit", "cpus"),
    ("depends", "depends_on"),
    ("devs", "devices"),
    ("env", "environment"),
    ("env_files", "env_file"),
    ("envfile", "env_file"),
    ("envs", "environment"),
    ("health", "healthcheck"),
    ("health_check", "healthcheck"),
    ("host", "hostname"),
    ("hosts", "extra_hosts"),
    ("label", "labels"),
    ("liveness", "healthcheck"),
    ("log_driver", "logging.driver"),
    ("log_opt", "logging.options"),
    ("memory", "mem_limit"),
    ("memory_limit", "mem_limit"),
    ("mounts", "volumes"),
    ("name", "container_name"),
    ("net", "network_mode"),
    ("network", "networks"),
    ("pull", "pull_policy"),
    ("readonly", "read_only"),
    ("requires", "depends_on"),
    ("restart_policy", "restart"),
    ("stop_timeout", "stop_grace_period"),
    ("volume_driver", "volumes.<name>.driver at the top level"),
    ("workdir", "working_dir"),
];

/// What people write for the words of the specification.
const WORD_SYNONYMS: [(&str, &str); 9] = [
    ("running", "service_started"),
    ("up", "service_started"),
    ("done", "service_completed_successfully"),
    ("exited", "service_completed_successfully"),
    ("success", "service_completed_successfully"),
    ("finished", "service_completed_successfully"),
    ("copy", "sync"),
    ("build", "rebuild"),
    ("ramfs", "tmpfs"),
];

/// Where an unknown key probably belongs, or what it was meant to be.
pub(super) fn unknown_key(name: &str, object: &'static Object) -> Option<String> {
    if std::ptr::eq(object, &raw const SERVICE)
        && let Some((_, meant)) = SERVICE_SYNONYMS.iter().find(|(word, _)| *word == name)
    {
        return Some(format!("did you mean `{meant}`?"));
    }
    for key in object.keys {
        if inner_object(&key.shape).is_some_and(|inner| inner.shape(name).is_some()) {
            return Some(format!("`{name}` belongs under `{}:`", key.name));
        }
    }
    if std::ptr::eq(object, &raw const FILE) && SERVICE.shape(name).is_some() {
        return Some(format!("`{name}` belongs to a service, under `services:`"));
    }
    if FILE.shape(name).is_some() {
        return Some(format!(
            "`{name}` belongs at the top of the file; check the indentation"
        ));
    }
    if SERVICE.shape(name).is_some() {
        return Some(format!("`{name}` belongs to the service; check the indentation"));
    }
    if let Some(meant) = nearest(name, object.keys.iter().map(|key| key.name)) {
        return Some(format!("did you mean `{meant}`?"));
    }
    object
        .extensible
        .then(|| "keys of your own must begin with `x-`".to_owned())
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
    let synonym = WORD_SYNONYMS
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

/// How to write a value of a wrong type.
pub(super) fn wrong_type(node: &Node, shape: &Shape) -> Option<String> {
    match (&node.value, shape) {
        (
            Value::Bool(_) | Value::Int(_) | Value::Float(_),
            Shape::Text | Shape::TextOrNull | Shape::Texts,
        ) => node.scalar_text().map(|text| format!("quote it: `\"{text}\"`")),
        (Value::Int(_), Shape::Duration) => node.scalar_text().map(|text| format!("give a unit: `{text}s`")),
        (Value::Int(_) | Value::Float(_), Shape::BytesText) => {
            node.scalar_text().map(|text| format!("quote it: `\"{text}\"`"))
        }
        (Value::String(text), Shape::Texts | Shape::Set | Shape::List(_) | Shape::OrNames(_)) => {
            Some(format!("write a list:\n- {text}"))
        }
        (Value::Map(_), Shape::Texts | Shape::TextOrTexts) => {
            Some("a text with `: ` in it must be quoted".to_owned())
        }
        (Value::Map(mapping), Shape::Text) if mapping.len() == 1 => {
            Some("a text with `: ` in it must be quoted".to_owned())
        }
        (Value::Null, _) => Some("give it a value or remove the key".to_owned()),
        _ => None,
    }
}
