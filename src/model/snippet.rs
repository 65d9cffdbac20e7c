//! In: a place of a file and what should stand there. Out: YAML that says so from the top of the file.
//! **Invariant:** it is valid, whatever the names and values; nothing else of the file is in it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::source::emit;
use crate::source::node::{Mapping, Node};
use crate::source::path::{NodePath, Segment};
use crate::source::span::Span;

/// A value at a path, as YAML without a line feed at the end.
pub(super) fn yaml(path: &NodePath, value: Node) -> String {
    let span = value.span;
    let tree = path
        .segments()
        .iter()
        .rev()
        .fold(value, |inner, segment| match segment {
            Segment::Key(key) => single(key, inner, span),
            Segment::Index(_) => Node::seq(vec![inner], span),
        });
    emit::yaml(&tree).trim_end().to_owned()
}

/// A mapping with one key.
pub(super) fn single(key: &str, value: Node, span: Span) -> Node {
    let mut mapping = Mapping::new();
    mapping.insert(key, span, value);
    Node::map(mapping, span)
}

/// The path that a dotted one leads to from here; `[]` is an item of a list.
pub(super) fn below(path: &NodePath, dotted: &str) -> NodePath {
    dotted.split('.').fold(path.clone(), |path, part| match part {
        "[]" => path.index(0),
        key => path.key(key),
    })
}
