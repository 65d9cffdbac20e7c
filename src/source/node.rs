//! The one tree both languages are read into: values with the bytes they were written at.
//! **Invariant:** mappings keep the order of the file; a node always knows where it came from.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::borrow::Cow;
use std::sync::Arc;

pub use super::history::{History, Step, VariableOrigin};
use super::implied::Implied;
pub use super::mapping::{Entry, Mapping};
use super::path::{NodePath, Segment};
use super::span::Span;

/// What a merge does with a node that carries one of Compose's own tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `!reset`: what was accumulated at this path is removed, the node itself too.
    Reset,
    /// `!override`: the node replaces what was accumulated instead of being merged into it.
    Override,
}

/// How a scalar was written, which decides what it may mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Bare: `true` is a boolean and `1` a number.
    #[default]
    Plain,
    /// In quotes, or a block scalar: always text.
    Quoted,
}

/// Text of a tree: a short one lies in the node itself, a long one is shared by its clones.
pub type Text = smol_str::SmolStr;

/// A value without its place.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: `null`, `~` or an empty value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(Text),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping.
    Map(Mapping),
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// The bytes it was written at (without its tag).
    pub span: Span,
    /// `!reset` or `!override`.
    pub tag: Option<Tag>,
    /// How the scalar was written; `Plain` for collections.
    pub style: Style,
    /// The rule that put it there, if no file says it.
    pub implied: Option<Implied>,
    /// See [`Node::steps`]. Most nodes have none: a tree of a million nodes should not pay for those that do.
    pub history: Option<Arc<History>>,
}

/// Nodes are equal when their values and tags are, wherever they were written.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.tag == other.tag
    }
}

impl Node {
    /// A node without style, tag or history.
    pub fn new(value: Value, span: Span) -> Self {
        Self {
            value,
            span,
            tag: None,
            style: Style::Plain,
            implied: None,
            history: None,
        }
    }

    /// A text node, as if it had been quoted.
    pub fn string(text: impl Into<Text>, span: Span) -> Self {
        Self {
            style: Style::Quoted,
            ..Self::new(Value::String(text.into()), span)
        }
    }

    /// `null`.
    pub fn null(span: Span) -> Self {
        Self::new(Value::Null, span)
    }

    /// A boolean.
    pub fn bool(value: bool, span: Span) -> Self {
        Self::new(Value::Bool(value), span)
    }

    /// A whole number.
    pub fn int(value: i64, span: Span) -> Self {
        Self::new(Value::Int(value), span)
    }

    /// A list.
    pub fn seq(items: Vec<Self>, span: Span) -> Self {
        Self::new(Value::Seq(items), span)
    }

    /// A mapping.
    pub fn map(mapping: Mapping, span: Span) -> Self {
        Self::new(Value::Map(mapping), span)
    }

    /// The node as one that a rule put there.
    #[must_use]
    pub fn implied_by(self, rule: Implied) -> Self {
        Self {
            implied: Some(rule),
            ..self
        }
    }

    /// This node with another value: same place, same history, no tag.
    #[must_use]
    pub fn turned_into(mut self, value: Value) -> Self {
        self.value = value;
        self.tag = None;
        self.forget_spelling();
        self
    }

    /// Another value made of this one: same place, same history, no tag.
    #[must_use]
    pub fn remade(&self, value: Value) -> Self {
        Self {
            tag: None,
            ..self.with_value(value)
        }
    }

    /// Text made of this node: same place, same history, no tag.
    #[must_use]
    pub fn remade_text(&self, text: impl Into<Text>) -> Self {
        Self {
            style: Style::Quoted,
            ..self.remade(Value::String(text.into()))
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Whether it is neither list nor mapping.
    pub fn is_scalar(&self) -> bool {
        !matches!(self.value, Value::Seq(_) | Value::Map(_))
    }

    /// Another value at the same place, with the same history.
    #[must_use]
    pub fn with_value(&self, value: Value) -> Self {
        Self {
            value,
            span: self.span,
            tag: self.tag,
            style: self.style,
            implied: self.implied,
            history: None,
        }
        .with_steps_of(self)
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = &self.value {
            Some(text)
        } else {
            None
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self.value {
            Some(value)
        } else {
            None
        }
    }

    /// The whole number, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Int(value) = self.value {
            Some(value)
        } else {
            None
        }
    }

    /// The items, if it is a list.
    pub fn as_seq(&self) -> Option<&[Self]> {
        if let Value::Seq(items) = &self.value {
            Some(items)
        } else {
            None
        }
    }

    /// The items, if it is a list.
    pub fn as_seq_mut(&mut self) -> Option<&mut Vec<Self>> {
        if let Value::Seq(items) = &mut self.value {
            Some(items)
        } else {
            None
        }
    }

    /// The mapping, if it is one.
    pub fn as_map(&self) -> Option<&Mapping> {
        if let Value::Map(mapping) = &self.value {
            Some(mapping)
        } else {
            None
        }
    }

    /// The mapping, if it is one.
    pub fn as_map_mut(&mut self) -> Option<&mut Mapping> {
        if let Value::Map(mapping) = &mut self.value {
            Some(mapping)
        } else {
            None
        }
    }

    /// A scalar as it was written: `0755` stays `0755`, text is itself, `null` written as nothing is empty.
    /// `None` for lists and mappings.
    pub fn scalar_text(&self) -> Option<Cow<'_, str>> {
        let raw = self.history.as_ref().and_then(|history| history.raw());
        if let (Some(raw), false) = (raw, matches!(self.value, Value::String(_))) {
            return Some(Cow::Borrowed(raw));
        }
        match &self.value {
            Value::Null => Some(Cow::Borrowed("")),
            Value::Bool(value) => Some(Cow::Owned(value.to_string())),
            Value::Int(value) => Some(Cow::Owned(value.to_string())),
            Value::Float(value) => Some(Cow::Owned(value.to_string())),
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Seq(_) | Value::Map(_) => None,
        }
    }

    /// The value under a key, if it is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The node at a path below this one.
    pub fn find(&self, path: &NodePath) -> Option<&Self> {
        path.segments()
            .iter()
            .try_fold(self, |node, segment| match segment {
                Segment::Key(key) => node.get(key),
                Segment::Index(index) => node.as_seq()?.get(*index),
            })
    }

    /// What it is, with an article, for messages: `a list`, `the number 12`.
    pub fn describe(&self) -> Cow<'static, str> {
        match &self.value {
            Value::Null => Cow::Borrowed("nothing"),
            Value::Bool(value) => Cow::Owned(format!("the boolean {value}")),
            Value::Int(_) | Value::Float(_) => {
                Cow::Owned(format!("the number {}", self.scalar_text().unwrap_or_default()))
            }
            Value::String(_) => Cow::Borrowed("text"),
            Value::Seq(_) => Cow::Borrowed("a list"),
            Value::Map(_) => Cow::Borrowed("a mapping"),
        }
    }

    /// Whether it or a node below it carries a tag.
    pub fn has_tag(&self) -> bool {
        self.tag.is_some()
            || match &self.value {
                Value::Seq(items) => items.iter().any(Self::has_tag),
                Value::Map(mapping) => mapping.iter().any(|(_, node)| node.has_tag()),
                Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => false,
            }
    }

    /// Calls `visit` for this node and every node below it, parents first.
    pub fn walk_mut(&mut self, visit: &mut impl FnMut(&mut Self)) {
        visit(self);
        match &mut self.value {
            Value::Seq(items) => items.iter_mut().for_each(|item| item.walk_mut(visit)),
            Value::Map(mapping) => mapping.values_mut().for_each(|node| node.walk_mut(visit)),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::span::SourceMap;
    use super::*;

    #[test]
    fn equality_ignores_places_and_key_order() {
        let mut map = SourceMap::new();
        let (a, b) = (map.add("a", "xx"), map.add("b", "xx"));
        let (here, there) = (Span::new(a, 0, 1), Span::new(b, 1, 2));
        let mut left = Mapping::new();
        left.insert("k", here, Node::int(1, here));
        left.insert("l", here, Node::null(here));
        let mut right = Mapping::new();
        right.insert("l", there, Node::null(there));
        right.insert("k", there, Node::int(1, there));
        assert_eq!(Node::map(left.clone(), here), Node::map(right.clone(), there));
        right.insert("k", there, Node::int(2, there));
        assert_ne!(left, right);
    }

    #[test]
    fn a_node_is_small() {
        assert!(size_of::<Node>() <= 56, "{}", size_of::<Node>());
        assert!(size_of::<(Text, Entry)>() <= 96, "{}", size_of::<(Text, Entry)>());
    }

    #[test]
    fn scalars_remember_their_text_and_paths_find_them() {
        let mut map = SourceMap::new();
        let here = Span::new(map.add("a", ""), 0, 0);
        let mode = Node::int(493, here).with_raw("0755");
        assert_eq!(mode.scalar_text().as_deref(), Some("0755"));
        assert_eq!(mode.describe(), "the number 0755");
        let mut inner = Mapping::new();
        inner.insert("mode", here, Node::seq(vec![mode], here));
        let root = Node::map(inner, here);
        assert_eq!(
            root.find(&NodePath::root().key("mode").index(0))
                .and_then(Node::as_i64),
            Some(493)
        );
        assert!(root.find(&NodePath::root().key("mode").index(1)).is_none());
    }
}
