//! Which services, networks and other resources a document speaks of: laid over a tree it changes no others, so that many
//! documents are looked at once each. **Invariant:** what is not named by a document stays as the one before left it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use super::node::{Mapping, Node, Text, Value};

/// The keys that a document has below each of its sections.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    sections: BTreeMap<Text, Vec<Text>>,
}

impl Touched {
    /// What `document` speaks of.
    pub fn by(document: &Node) -> Self {
        let mut sections = BTreeMap::new();
        for (section, node) in document.as_map().into_iter().flat_map(Mapping::iter) {
            let names = node.as_map().into_iter().flat_map(Mapping::keys);
            sections.insert(section.into(), names.map(Text::from).collect());
        }
        Self { sections }
    }

    /// The names it has in a section.
    pub fn names(&self, section: &str) -> &[Text] {
        self.sections.get(section).map_or(&[], Vec::as_slice)
    }

    /// The part of `tree` that it speaks of.
    pub fn part_of(&self, tree: &Node) -> Node {
        let mut part = Mapping::new();
        for (section, names) in &self.sections {
            let Some(entry) = tree.as_map().and_then(|tree| tree.entry(section)) else {
                continue;
            };
            let node = match entry.node.as_map() {
                Some(resources) => entry.node.with_value(Value::Map(these(resources, names))),
                None => entry.node.clone(),
            };
            part.insert(section.clone(), entry.key_span, node);
        }
        tree.with_value(Value::Map(part))
    }
}

/// Changes the resources of a section, or if it is given those of them that `touched` names.
pub fn each(root: &mut Node, section: &str, touched: Option<&Touched>, change: &mut dyn FnMut(&mut Node)) {
    let resources = root.as_map_mut().and_then(|file| file.get_mut(section));
    let Some(resources) = resources.and_then(Node::as_map_mut) else {
        return;
    };
    match touched {
        Some(touched) => {
            for name in touched.names(section) {
                if let Some(resource) = resources.get_mut(name) {
                    change(resource);
                }
            }
        }
        None => resources.values_mut().for_each(change),
    }
}

/// The entries of a mapping with these names.
fn these(resources: &Mapping, names: &[Text]) -> Mapping {
    let mut some = Mapping::new();
    for name in names {
        if let Some(entry) = resources.entry(name) {
            some.insert(name.clone(), entry.key_span, entry.node.clone());
        }
    }
    some
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::source::span::SourceMap;
    use crate::source::{emit, yaml};

    #[test]
    fn the_part_has_what_is_named_and_nothing_else() {
        let mut sources = SourceMap::new();
        let mut read = |text: &str| {
            let file = sources.add("compose.yaml", text);
            yaml::parse(file, text, &mut Diagnostics::new()).remove(0)
        };
        let over = read("services: {b: {}, gone: {}}\nname: p\nnetworks:\n");
        let tree = read("services: {a: {image: x}, b: {image: y}}\nname: q\nvolumes: {v: {}}\n");
        let touched = Touched::by(&over);
        assert_eq!(touched.names("services"), ["b", "gone"]);
        assert_eq!(
            emit::yaml(&touched.part_of(&tree)),
            "name: q\nservices:\n  b:\n    image: \"y\"\n"
        );
    }
}
