//! In: the keys of a mapping. Out: where each stands. **Invariant:** nothing but places is kept.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::source::node::Text;
use crate::source::span::Span;

/// Where the keys of a mapping stand; a service has a dozen, of which hardly one is ever asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeySpans(Vec<(Text, Span)>);

impl KeySpans {
    /// Where a key stands, if it is there.
    pub fn get(&self, key: &str) -> Option<Span> {
        let mut known = self.0.iter();
        known.find_map(|(name, span)| (name == key).then_some(*span))
    }
}

impl<'a> FromIterator<(&'a str, Span)> for KeySpans {
    fn from_iter<I: IntoIterator<Item = (&'a str, Span)>>(keys: I) -> Self {
        Self(keys.into_iter().map(|(key, span)| (key.into(), span)).collect())
    }
}
