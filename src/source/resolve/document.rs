//! The text of a compose file comes in, the documents in it go out, from either language.
//! **Invariant:** a document is a mapping; what is none is said and counts as a broken file.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::node::Node;
use crate::source::span::{FileId, SourceMap};
use crate::source::{toml, written, yaml};

/// One document of a compose file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub path: PathBuf,
    /// The tree as written.
    pub node: Node,
}

/// How many documents one file may have: each is checked as a file of its own.
const MOST: usize = 10_000;

/// The documents of a file that was read, as they are written; what there is to say of them was said.
pub fn again(sources: &SourceMap, file: FileId) -> Vec<Document> {
    let source = sources.file(file);
    read(&source.path, file, &source.text, &mut Diagnostics::new()).0
}

/// The documents of a file that can be used, and whether all of it could be read; what is wrong is said.
pub(super) fn read(
    path: &Path,
    file: FileId,
    text: &str,
    diagnostics: &mut Diagnostics,
) -> (Vec<Document>, bool) {
    let mut said = Diagnostics::new();
    let nodes = if written::is_toml(path) {
        toml::parse(file, text, &mut said)
    } else {
        yaml::parse(file, text, &mut said)
    };
    let mut whole = !(nodes.is_empty() && said.has_errors());
    diagnostics.append(said);
    if let Some(surplus) = nodes.get(MOST) {
        let message = format!("the file has more than {MOST} documents");
        let error =
            Diagnostic::error("too-many-nodes", message).label(surplus.span, "the limit is passed here");
        diagnostics.push(error);
        return (Vec::new(), false);
    }
    let mut documents = Vec::new();
    let alone = nodes.len() == 1;
    for node in nodes {
        if node.is_null() && alone {
            // The whole file is empty, which matters only if the others are.
        } else if node.as_map().is_some() {
            let path = path.to_owned();
            documents.push(Document { path, node });
        } else {
            whole = false;
            let message = format!("a compose file is a mapping, this is {}", node.describe());
            let error = Diagnostic::error("not-a-mapping", message).at(node.span);
            diagnostics.push(error.help("begin with a top-level key such as `services:`"));
        }
    }
    (documents, whole)
}
