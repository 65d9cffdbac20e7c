//! Where in a tree a node is: `services.web.ports[0]`.
//! **Invariant:** printing a path gives what `config --explain` and messages show.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;

/// One step down a tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// Into a mapping.
    Key(String),
    /// Into a sequence, from 0.
    Index(usize),
}

/// The steps from the root to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodePath(Vec<Segment>);

impl NodePath {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of a mapping's value.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Key(key.to_owned()));
        path
    }

    /// The path of a sequence's item.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Index(index));
        path
    }

    /// The steps.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The last mapping key on the way.
    pub fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        })
    }

    /// Whether the path fits a dotted pattern: `*` is any one key, `[]` any index; a pattern without `[]` fits
    /// only paths without an index.
    pub fn matches(&self, pattern: &str) -> bool {
        let mut parts = pattern.split('.');
        let all = self.0.iter().all(|segment| match (segment, parts.next()) {
            (_, None) => false,
            (Segment::Key(key), Some(part)) => part == "*" || part == key,
            (Segment::Index(_), Some(part)) => part == "[]",
        });
        all && parts.next().is_none()
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_and_match() {
        let path = NodePath::root().key("services").key("web").key("ports").index(0);
        assert_eq!(path.to_string(), "services.web.ports[0]");
        assert!(path.matches("services.*.ports.[]"));
        assert!(!path.matches("services.*.ports"));
        assert!(!path.matches("services.*.ports.[].target"));
        assert_eq!(path.last_key(), Some("ports"));
    }
}
