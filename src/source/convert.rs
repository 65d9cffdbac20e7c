//! One compose file's text comes in, the same file in the other language goes out: same tree, same order, same comments.
//! Nothing is interpolated, included or merged. **Invariant:** what the other language cannot say is said to the user,
//! never dropped: aliases are written out with a warning, several documents are refused.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::Path;

use super::comments::Comments;
use super::node::{Mapping, Node, Value};
use super::span::{FileId, SourceMap, Span};
use super::{emit, env, toml, yaml};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// What a compose file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// YAML 1.2.
    Yaml,
    /// TOML 1.0.
    Toml,
}

impl Language {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Yaml => Self::Toml,
            Self::Toml => Self::Yaml,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "YAML",
            Self::Toml => "TOML",
        }
    }
}

/// The file at `path`, which holds `bytes` in `language`, in the other language; without that the reason is among what
/// is said.
pub fn convert(path: &Path, bytes: Vec<u8>, language: Language) -> (Option<String>, Diagnostics, SourceMap) {
    let (mut sources, mut said) = (SourceMap::new(), Diagnostics::new());
    let (text, fault) = env::decode_text(bytes);
    let file = sources.add(path, text);
    if let Some(why) = fault {
        said.push(env::not_utf8(path, file, why));
        return (None, said, sources);
    }
    let text = &sources.file(file).text;
    let converted = match language {
        Language::Yaml => yaml_to_toml(file, text, &mut said),
        Language::Toml => toml_to_yaml(file, text, &mut said),
    };
    (converted, said, sources)
}

fn toml_to_yaml(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let mut said = Diagnostics::new();
    let root = toml::parse(file, text, &mut said).pop();
    let broken = said.has_errors();
    diagnostics.append(said);
    let root = mapping_root(root, file, text);
    let mut comments = Comments::of(&root, text, &toml::comments(text));
    (!broken).then(|| emit::yaml_with_comments(&root, &mut comments))
}

fn yaml_to_toml(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let mut said = Diagnostics::new();
    let mut documents = yaml::parse(file, text, &mut said);
    if let [_, second, ..] = &documents[..] {
        let message = format!(
            "the file has {} documents, TOML has no form for that",
            documents.len()
        );
        let error =
            Diagnostic::error("several-documents", message).label(second.span, "the second begins here");
        said.push(error.help("write each into a file of its own and name them with `-f`, in this order"));
    }
    let root = mapping_root(documents.pop(), file, text);
    if root.as_map().is_none() {
        let message = format!("a compose file is a mapping, this is {}", root.describe());
        said.push(Diagnostic::error("not-a-mapping", message).at(root.span));
    }
    let remarks = yaml::remarks(text);
    if let [first, rest @ ..] = &remarks.aliases[..] {
        let (count, verb) = match rest.len() {
            0 => ("one alias".to_owned(), "is"),
            more => (format!("{} aliases", more + 1), "are"),
        };
        let message = format!("TOML has no anchors: {count} {verb} written out in full");
        let place = Span::new(file, first.start, first.end);
        said.push(Diagnostic::warning("aliases-written-out", message).label(place, "the first"));
    }
    let broken = said.has_errors();
    diagnostics.append(said);
    if broken {
        return None;
    }
    let mut comments = Comments::of(&root, text, &remarks.comments);
    let mut root = root;
    empty_settings(&mut root);
    Some(toml::write(&root, &mut comments))
}

/// A file without values is an empty mapping.
fn mapping_root(root: Option<Node>, file: FileId, text: &str) -> Node {
    root.unwrap_or_else(|| Node::map(Mapping::new(), Span::new(file, 0, text.len())))
}

/// `data:` without settings, as most people write a volume, is `data = {}` in TOML: at the top level both mean the same.
fn empty_settings(root: &mut Node) {
    let Some(root) = root.as_map_mut() else { return };
    for section in ["networks", "volumes"] {
        let Some(section) = root.get_mut(section).and_then(Node::as_map_mut) else {
            continue;
        };
        for node in section
            .values_mut()
            .filter(|node| node.is_null() && node.tag.is_none())
        {
            node.value = Value::Map(Mapping::new());
        }
    }
}

#[cfg(test)]
mod tests;
