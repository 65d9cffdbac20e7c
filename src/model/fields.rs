//! In: a mapping of the normalised tree. Out: its values by key, as plain Rust values.
//! **Invariant:** the schema was checked before, so a value of another kind is as good as absent.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::rc::Rc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::units;
use crate::source::node::{Mapping, Node, Value};
use crate::source::path::NodePath;
use crate::source::span::Span;

/// A mapping with the place it is at.
#[derive(Clone)]
pub(in crate::model) struct Fields<'a> {
    node: &'a Node,
    key_span: Span,
    way: Way<'a>,
}

/// The last steps from the root to a mapping, and the way before them: a path is only made for a finding.
#[derive(Clone, Default)]
struct Way<'a>(Option<Rc<(Way<'a>, Step<'a>)>>);

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Way<'a> {
    fn then(&self, step: Step<'a>) -> Self {
        Self(Some(Rc::new((self.clone(), step))))
    }

    fn path(&self) -> NodePath {
        match self.0.as_deref() {
            None => NodePath::root(),
            Some((before, Step::Key(key))) => before.path().key(key),
            Some((before, Step::Index(index))) => before.path().index(*index),
        }
    }
}

impl<'a> Fields<'a> {
    /// The mapping at the root of a tree.
    pub(in crate::model) fn of(root: &'a Node) -> Self {
        Self {
            node: root,
            key_span: root.span,
            way: Way::default(),
        }
    }

    /// The mapping itself.
    pub(in crate::model) fn node(&self) -> &'a Node {
        self.node
    }

    fn mapping(&self) -> Option<&'a Mapping> {
        self.node.as_map()
    }

    /// Where the mapping is, for messages.
    pub(in crate::model) fn path(&self) -> NodePath {
        self.way.path()
    }

    /// Where the mapping's own key stands, or the mapping itself in a list.
    pub(in crate::model) fn span(&self) -> Span {
        self.key_span
    }

    /// Whether there is a mapping at all; an empty place has no fields.
    pub(in crate::model) fn is_mapping(&self) -> bool {
        self.node.as_map().is_some()
    }

    /// Where the value of a key stands, else the mapping.
    pub(in crate::model) fn value_span(&self, key: &str) -> Span {
        self.get(key).map_or(self.key_span, |node| node.span)
    }

    /// Where a key stands, if it is there.
    pub(in crate::model) fn find_key(&self, key: &str) -> Option<Span> {
        self.mapping()?.key_span(key)
    }

    pub(in crate::model) fn get(&self, key: &str) -> Option<&'a Node> {
        self.mapping()?.get(key)
    }

    pub(in crate::model) fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|node| !node.is_null())
    }

    /// Keys with their spans.
    pub(in crate::model) fn keys(&self) -> impl Iterator<Item = (&'a str, Span)> + use<'a> {
        let entries = self.mapping().into_iter().flat_map(Mapping::entries);
        entries.map(|(key, entry)| (key, entry.key_span))
    }

    /// The mapping under a key.
    pub(in crate::model) fn child(&self, key: &'static str) -> Option<Self> {
        let entry = self.mapping()?.entry(key)?;
        entry.node.as_map()?;
        Some(Self {
            node: &entry.node,
            key_span: entry.key_span,
            way: self.way.then(Step::Key(key)),
        })
    }

    /// The members of the mapping under a key, a `null` one as an empty mapping.
    pub(in crate::model) fn members(
        &self,
        key: &'static str,
    ) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let mapping = self.get(key).and_then(Node::as_map);
        let below = mapping.map(|mapping| (mapping, self.way.then(Step::Key(key))));
        below.into_iter().flat_map(|(mapping, way)| {
            mapping.entries().map(move |(name, entry)| {
                let fields = Self {
                    node: &entry.node,
                    key_span: entry.key_span,
                    way: way.then(Step::Key(name)),
                };
                (name, fields)
            })
        })
    }

    /// One member of the mapping under a key, a `null` one as an empty mapping.
    pub(in crate::model) fn member(&self, key: &'static str, name: &'a str) -> Option<Self> {
        let entry = self.get(key)?.as_map()?.entry(name)?;
        Some(Self {
            node: &entry.node,
            key_span: entry.key_span,
            way: self.way.then(Step::Key(key)).then(Step::Key(name)),
        })
    }

    /// The mappings of the list under a key.
    pub(in crate::model) fn items(&self, key: &'static str) -> impl Iterator<Item = Self> + use<'a> {
        let list = self.get(key).and_then(Node::as_seq);
        let below = list.map(|items| (items, self.way.then(Step::Key(key))));
        below.into_iter().flat_map(|(items, way)| {
            items.iter().enumerate().map(move |(at, node)| Self {
                node,
                key_span: node.span,
                way: way.then(Step::Index(at)),
            })
        })
    }

    pub(in crate::model) fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    pub(in crate::model) fn owned(&self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    pub(in crate::model) fn choice(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    pub(in crate::model) fn flag(&self, key: &str) -> bool {
        self.choice(key) == Some(true)
    }

    pub(in crate::model) fn integer(&self, key: &str) -> Option<i64> {
        self.get(key)?.as_i64()
    }

    /// A whole number of any width; one that does not fit is the widest that does.
    pub(in crate::model) fn number<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        T::try_from(self.integer(key)?).ok()
    }

    pub(in crate::model) fn decimal(&self, key: &str) -> Option<f64> {
        match self.get(key)?.value {
            Value::Float(value) => Some(value),
            #[expect(clippy::cast_precision_loss, reason = "processors and ratios are small")]
            Value::Int(value) => Some(value as f64),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Seq(_) | Value::Map(_) => None,
        }
    }

    /// Bytes, printed as text by normalisation; may be -1.
    pub(in crate::model) fn signed_bytes(&self, key: &str) -> Option<i64> {
        self.text(key)?.parse().ok()
    }

    /// Bytes that are not negative.
    pub(in crate::model) fn bytes(&self, key: &str) -> Option<u64> {
        u64::try_from(self.signed_bytes(key)?).ok()
    }

    pub(in crate::model) fn duration(&self, key: &str) -> Option<Duration> {
        units::parse_duration(self.text(key)?).ok()
    }

    /// Texts of a list with their places.
    pub(in crate::model) fn spanned_texts(
        &self,
        key: &str,
    ) -> impl Iterator<Item = (&'a str, Span)> + use<'a> {
        let items = self.get(key).and_then(Node::as_seq).unwrap_or_default();
        items.iter().filter_map(|item| Some((item.as_str()?, item.span)))
    }

    pub(in crate::model) fn texts(&self, key: &str) -> Vec<String> {
        self.spanned_texts(key).map(|(text, _)| text.to_owned()).collect()
    }

    /// A list that may be absent, which differs from an empty one (`command`).
    pub(in crate::model) fn optional_texts(&self, key: &str) -> Option<Vec<String>> {
        self.get(key)?.as_seq()?;
        Some(self.texts(key))
    }

    /// A mapping of texts; `null` is empty.
    pub(in crate::model) fn pairs(&self, key: &str) -> IndexMap<String, String> {
        let pairs = self.nullable_pairs(key).into_iter();
        pairs
            .map(|(name, value)| (name, value.unwrap_or_default()))
            .collect()
    }

    /// A mapping of texts that may be `null`.
    pub(in crate::model) fn nullable_pairs(&self, key: &str) -> IndexMap<String, Option<String>> {
        let entries = self
            .get(key)
            .and_then(Node::as_map)
            .into_iter()
            .flat_map(Mapping::iter);
        entries
            .map(|(name, node)| {
                let value = node.scalar_text().filter(|_| !node.is_null());
                (name.to_owned(), value.map(std::borrow::Cow::into_owned))
            })
            .collect()
    }

    /// `host=address` pairs of a list.
    pub(in crate::model) fn hosts(&self, key: &str) -> Vec<(String, String)> {
        self.spanned_texts(key)
            .filter_map(|(text, _)| text.split_once('='))
            .map(|(host, address)| (host.to_owned(), address.to_owned()))
            .collect()
    }
}
