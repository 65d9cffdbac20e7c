//! Keys with their values and places: pairs come in, in the order of the file they go out.
//! **Invariant:** a key stands once; however many there are, one is found in next to no time.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Ordering;
use std::collections::HashMap;

use super::node::{Node, Text};
use super::span::Span;

/// A mapping's value with the place of its key.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The bytes of the key.
    pub key_span: Span,
    /// What tells its key from most others.
    mark: Mark,
    /// The value.
    pub node: Node,
}

impl Entry {
    /// An entry that is in no mapping yet.
    pub fn new(key_span: Span, node: Node) -> Self {
        Self {
            key_span,
            mark: Mark::default(),
            node,
        }
    }
}

/// Length and three bytes of a key, which fit where an [`Entry`] would have a gap: keys that differ in it need not be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark([u8; 4]);

impl Mark {
    fn of(key: &str) -> Self {
        let bytes = key.as_bytes();
        let at = |at: usize| bytes.get(at).copied().unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "any bits of it will do")]
        Self([
            bytes.len() as u8,
            at(0),
            at(bytes.len() / 2),
            at(bytes.len().wrapping_sub(1)),
        ])
    }
}

/// From how many keys on a mapping has an index; fewer are found sooner by looking at each.
const INDEXED: usize = 24;

/// Keys and values in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    entries: Vec<(Text, Entry)>,
    /// Where each key is, when there are many.
    #[expect(
        clippy::box_collection,
        reason = "few mappings have one; the others pay 8 bytes, not 48"
    )]
    index: Option<Box<HashMap<Text, usize>>>,
}

/// Mappings are equal when they hold equal values under the same keys, in any order.
impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, node)| other.get(key) == Some(node))
    }
}

impl Mapping {
    /// An empty mapping.
    pub fn new() -> Self {
        Self::default()
    }

    /// The mapping of these entries, whose keys differ.
    pub fn of_distinct(mut entries: Vec<(Text, Entry)>) -> Self {
        for (key, entry) in &mut entries {
            entry.mark = Mark::of(key);
        }
        let mut mapping = Self { entries, index: None };
        mapping.reindex();
        mapping
    }

    /// The mapping of these entries; none when a key stands twice.
    pub(super) fn of_unique(entries: Vec<(Text, Entry)>) -> Option<Self> {
        let mapping = Self::of_distinct(entries);
        let keys = mapping.index.as_ref().map_or_else(
            || {
                let all = mapping.entries.iter().enumerate();
                let first = |(at, (key, _)): &(usize, &(Text, Entry))| mapping.position(key) == Some(*at);
                all.filter(first).count()
            },
            |index| index.len(),
        );
        (keys == mapping.len()).then_some(mapping)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => {
                let mark = Mark::of(key);
                let mut all = self.entries.iter();
                all.position(|(name, entry)| entry.mark == mark && name == key)
            }
        }
    }

    fn reindex(&mut self) {
        self.index = (self.entries.len() >= INDEXED).then(|| {
            let places = self.entries.iter().enumerate();
            Box::new(places.map(|(at, (key, _))| (key.clone(), at)).collect())
        });
    }

    /// Whether the key is there.
    pub fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The value of a key.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let at = self.position(key)?;
        Some(&mut self.entries[at].1.node)
    }

    /// The value of a key with the key's place.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.position(key).map(|at| &self.entries[at].1)
    }

    /// Where a key was written.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.entry(key).map(|entry| entry.key_span)
    }

    /// Sets a key, in place if it is there, else at the end; gives back what was there.
    pub fn insert(&mut self, key: impl Into<Text>, key_span: Span, node: Node) -> Option<Entry> {
        let key: Text = key.into();
        let entry = Entry {
            key_span,
            mark: Mark::of(&key),
            node,
        };
        if let Some(at) = self.position(&key) {
            return Some(std::mem::replace(&mut self.entries[at].1, entry));
        }
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.entries.len());
        }
        self.entries.push((key, entry));
        if self.entries.len() == INDEXED {
            self.reindex();
        }
        None
    }

    /// Takes a key out; the order of the others stays.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let (_, entry) = self.entries.remove(self.position(key)?);
        self.reindex();
        Some(entry)
    }

    /// Keeps the keys that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain_mut(|(key, entry)| keep(key, entry));
        if self.entries.len() != before {
            self.reindex();
        }
    }

    /// Orders the keys by their bytes.
    pub fn sort(&mut self) {
        self.sort_by(Text::cmp);
    }

    /// Orders the keys; equal ones stay in their order.
    pub fn sort_by(&mut self, mut compare: impl FnMut(&Text, &Text) -> Ordering) {
        if self
            .entries
            .is_sorted_by(|(left, _), (right, _)| compare(left, right).is_le())
        {
            return;
        }
        self.entries.sort_by(|(left, _), (right, _)| compare(left, right));
        if let Some(index) = &mut self.index {
            for (at, (key, _)) in self.entries.iter().enumerate() {
                if let Some(place) = index.get_mut(key) {
                    *place = at;
                }
            }
        }
    }

    /// Keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Node)> {
        self.entries
            .iter()
            .map(|(key, entry)| (key.as_str(), &entry.node))
    }

    /// Keys and values in order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Node)> {
        self.entries
            .iter_mut()
            .map(|(key, entry)| (key.as_str(), &mut entry.node))
    }

    /// Keys with their places and values, in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// Values in order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.entries.iter_mut().map(|(_, entry)| &mut entry.node)
    }

    /// The entries as a slice, so that it can be divided; a key that is changed is not found any more.
    pub(crate) fn slots(&mut self) -> &mut [(Text, Entry)] {
        &mut self.entries
    }

    /// Takes the mapping apart, in order.
    pub fn into_entries(self) -> impl Iterator<Item = (Text, Entry)> {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::super::span::SourceMap;
    use super::*;

    #[test]
    fn small_and_large_mappings_behave_alike() {
        let here = Span::new(SourceMap::new().add("a", ""), 0, 0);
        let count = i64::try_from(2 * INDEXED).expect("small");
        let mut mapping = Mapping::new();
        for number in 0..count {
            assert!(
                mapping
                    .insert(format!("k{number}"), here, Node::int(number, here))
                    .is_none()
            );
            assert_eq!(mapping.get(&format!("k{number}")), Some(&Node::int(number, here)));
        }
        assert!(mapping.insert("k3", here, Node::int(-3, here)).is_some());
        assert_eq!(mapping.keys().nth(3), Some("k3"));
        for number in (0..count).step_by(2) {
            assert!(mapping.remove(&format!("k{number}")).is_some());
            assert!(mapping.remove(&format!("k{number}")).is_none());
            let last = format!("k{}", count - 1);
            assert_eq!(mapping.get(&last), Some(&Node::int(count - 1, here)));
        }
        mapping.sort();
        assert_eq!(
            (mapping.keys().next(), mapping.get("k3")),
            (Some("k1"), Some(&Node::int(-3, here)))
        );
        mapping.retain(|key, _| key != "k5");
        assert_eq!((mapping.len(), mapping.get("k5")), (INDEXED - 1, None));
        assert_eq!(mapping.get("k3"), Some(&Node::int(-3, here)));
        assert_eq!(mapping.keys().take(3).collect::<Vec<_>>(), ["k1", "k11", "k13"]);
    }
}
