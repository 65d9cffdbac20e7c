//! In: the tables and the words about their keys. Out: every key by its path (`services.*.ports[].target`) with its fate,
//! and the book's page of them. **Invariant:** what is below a key that is left out shares its fate.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Write;

use super::FILE;
use super::fate::Fate;
use super::shape::{Object, Shape};

/// One sentence about each key, by the title of its object.
const WORDS: &str = include_str!("about.txt");

/// A key of the Compose language.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its path: `*` is a name of the user's, `[]` an item of a list.
    pub path: String,
    /// One sentence on what it is for.
    pub about: &'static str,
    /// What becomes of it here, in a word or two.
    pub fate: &'static str,
    /// The limits, the reason or the way out; may be empty.
    pub remark: &'static str,
    /// It is told about at its line and has no effect.
    pub left_out: bool,
    /// A key above it was left out already.
    pub inherited: bool,
}

/// Every key of the language, in the order of the tables.
pub fn keys() -> Vec<Listed> {
    let mut found = Vec::new();
    object(&FILE, "", None, &mut found);
    found
}

fn object(object: &Object, path: &str, above: Option<Fate>, found: &mut Vec<Listed>) {
    for key in object.keys.all() {
        let path = if path.is_empty() {
            key.name.to_owned()
        } else {
            format!("{path}.{}", key.name)
        };
        let fate = above.unwrap_or(key.fate);
        found.push(Listed {
            path: path.clone(),
            about: about(object.title, key.name),
            fate: fate.word(),
            remark: fate.remark(),
            left_out: fate.is_left_out(),
            inherited: above.is_some(),
        });
        below(&key.shape, &path, fate.is_left_out().then_some(fate), found);
    }
}

fn below(shape: &Shape, path: &str, above: Option<Fate>, found: &mut Vec<Listed>) {
    if let Shape::Object(inner) = shape {
        object(inner, path, above, found);
    } else if let Shape::Map(inner) = shape {
        below(inner, &format!("{path}.*"), above, found);
    } else if let Shape::List(inner) = shape {
        below(inner, &format!("{path}[]"), above, found);
    } else if let Shape::OrText(inner)
    | Shape::OrPort(inner)
    | Shape::OrNames(inner)
    | Shape::OrInteger(inner)
    | Shape::OrNull(inner) = shape
    {
        below(inner, path, above, found);
    } else if matches!(shape, Shape::External) {
        let fate = above.unwrap_or(Fate::Limited("obsolete: `name` stands beside `external`"));
        found.push(Listed {
            path: format!("{path}.name"),
            about: "Name of what exists already.",
            fate: fate.word(),
            remark: fate.remark(),
            left_out: fate.is_left_out(),
            inherited: above.is_some(),
        });
    }
}

/// The sentence about a key of an object; empty when there is none, which a test forbids.
pub(super) fn about(title: &str, key: &str) -> &'static str {
    let section = WORDS.split("\n[").find_map(|section| {
        section
            .trim_start_matches('[')
            .strip_prefix(title)?
            .strip_prefix("]\n")
    });
    let mut lines = section.unwrap_or_default().lines();
    lines
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        .unwrap_or_default()
}

/// The page of the book: a table for each part of the language. Keys below one that is left out are not listed.
pub fn page() -> String {
    const PARTS: [(&str, &str); 13] = [
        ("services.*.build", "Builds"),
        ("services.*.deploy", "Deploy"),
        ("services.*.develop", "Develop"),
        ("services.*.networks.*", "Networks of a service"),
        ("services.*.ports[]", "Ports"),
        ("services.*.volumes[]", "Volumes of a service"),
        ("services.*", "Services"),
        ("networks.*", "Networks"),
        ("volumes.*", "Volumes"),
        ("secrets.*", "Secrets"),
        ("configs.*", "Configs"),
        ("include[]", "Include"),
        ("", "The file"),
    ];
    let part = |listed: &Listed| {
        let is_below = |prefix: &str| {
            listed
                .path
                .strip_prefix(prefix)
                .is_some_and(|rest| prefix.is_empty() || rest.starts_with('.'))
        };
        PARTS.iter().position(|(prefix, _)| is_below(prefix))
    };
    let keys: Vec<Listed> = keys().into_iter().filter(|listed| !listed.inherited).collect();
    let mut page = include_str!("page_head.md").to_owned();
    // Writing to a string cannot fail.
    for place in [12, 11, 6, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10] {
        let (prefix, title) = PARTS[place];
        write!(page, "\n## {title}\n\n").unwrap_or_default();
        if !prefix.is_empty() {
            write!(page, "Below `{prefix}`:\n\n").unwrap_or_default();
        }
        page.push_str("| key | fate | remark |\n|---|---|---|\n");
        for listed in keys.iter().filter(|listed| part(listed) == Some(place)) {
            let key = listed
                .path
                .strip_prefix(prefix)
                .unwrap_or(&listed.path)
                .trim_start_matches('.');
            writeln!(page, "| `{key}` | {} | {} |", listed.fate, listed.remark).unwrap_or_default();
        }
    }
    page
}
