//! Where in a tree a node is: `services.web.ports[0]`.
//! **Invariant:** printing a path gives what `config --explain` and messages show.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;

use super::node::Text;

/// One step down a tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// Into a mapping.
    Key(Text),
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
        self.then(Segment::Key(key.into()))
    }

    /// The path of a sequence's item.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    fn then(&self, segment: Segment) -> Self {
        let mut segments = Vec::with_capacity(self.0.len() + 1);
        segments.extend_from_slice(&self.0);
        segments.push(segment);
        Self(segments)
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

/// A path on the way down a tree: each step borrows the one before, so that a path nobody asks for costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Trail<'a>(Option<(&'a Trail<'a>, Part<'a>)>);

#[derive(Clone, Copy, Debug)]
enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Trail<'a> {
    /// The root.
    pub fn root() -> Self {
        Self(None)
    }

    /// The path of a mapping's value.
    #[must_use]
    pub fn key(&'a self, key: &'a str) -> Self {
        Self(Some((self, Part::Key(key))))
    }

    /// The path of a sequence's item.
    #[must_use]
    pub fn index(&'a self, index: usize) -> Self {
        Self(Some((self, Part::Index(index))))
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// The last mapping key on the way.
    pub fn last_key(&self) -> Option<&'a str> {
        match self.0? {
            (_, Part::Key(key)) => Some(key),
            (parent, Part::Index(_)) => parent.last_key(),
        }
    }

    /// See [`NodePath::matches`].
    pub fn matches(&self, pattern: &str) -> bool {
        let mut here = self;
        for wanted in pattern.rsplit('.') {
            let Some((parent, part)) = here.0 else {
                return false;
            };
            let fits = match part {
                Part::Key(key) => wanted == "*" || wanted == key,
                Part::Index(_) => wanted == "[]",
            };
            if !fits {
                return false;
            }
            here = parent;
        }
        here.is_root()
    }

    /// The path, to keep.
    pub fn path(&self) -> NodePath {
        let mut segments = Vec::new();
        let mut here = self;
        while let Some((parent, part)) = here.0 {
            segments.push(match part {
                Part::Key(key) => Segment::Key(key.into()),
                Part::Index(index) => Segment::Index(index),
            });
            here = parent;
        }
        segments.reverse();
        NodePath(segments)
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().fmt(f)
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
        let root = Trail::root();
        let (services, web, ports);
        services = root.key("services");
        web = services.key("web");
        ports = web.key("ports");
        let trail = ports.index(0);
        assert_eq!(trail.path(), path);
        assert_eq!(trail.to_string(), "services.web.ports[0]");
        assert_eq!(trail.last_key(), Some("ports"));
        for pattern in [
            "services.*.ports.[]",
            "services.*.ports",
            "*.ports.[]",
            "services.*.ports.[].target",
            "x.*.ports.[]",
        ] {
            assert_eq!(trail.matches(pattern), path.matches(pattern), "{pattern}");
        }
    }
}
