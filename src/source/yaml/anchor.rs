//! Anchors and aliases: values that are named come in, copies of them go out where aliases stand.
//! **Invariant:** what anchors name is bounded before it is copied, however deep they lie in each other.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use granit_parser::Span as ParserSpan;

use super::{ALIAS_LIMIT, Builder, NODE_LIMIT};
use crate::diagnostic::Diagnostic;
use crate::source::node::{Node, Step};

/// A node that aliases may name; `None` while it is still being read.
pub(super) struct Anchor {
    node: Option<Node>,
    size: usize,
}

impl Builder<'_> {
    pub(super) fn open_anchor(&mut self, id: usize) -> usize {
        if id > 0 {
            self.anchors.insert(id, Anchor { node: None, size: 0 });
        }
        self.nodes
    }

    pub(super) fn close_anchor(&mut self, id: usize, node: &Node, size: usize) {
        if id == 0 {
            return;
        }
        self.anchored += size;
        if self.anchored > NODE_LIMIT {
            return self.refuse(format!("anchors name more than {NODE_LIMIT} values"), node.span);
        }
        let node = Some(node.clone());
        self.anchors.insert(id, Anchor { node, size });
    }

    pub(super) fn alias(&mut self, id: usize, span: ParserSpan) -> Node {
        let place = self.span(span);
        match self.anchors.get(&id) {
            Some(Anchor {
                node: Some(node),
                size,
            }) => {
                let size = *size;
                self.nodes += size;
                self.aliased += size;
                if self.aliased + self.extending > ALIAS_LIMIT {
                    self.spares(place);
                    return Node::null(place);
                }
                let mut node = node.clone();
                node.record_below(&Step::Aliased(place));
                node
            }
            Some(Anchor { node: None, .. }) => {
                let name = self.text.get(place.start()..place.end()).unwrap_or("alias");
                let message = format!("`{name}` stands inside the value it names");
                self.diagnostics
                    .push(Diagnostic::error("anchor-cycle", message).at(place));
                Node::null(place)
            }
            None => Node::null(place),
        }
    }

    /// The place of an alias that names no anchor.
    pub(super) fn unknown(&mut self, name: &str, span: ParserSpan) -> Node {
        let place = self.span(span);
        // Nobody hears of a mistake after so many.
        self.over_limit |= self.diagnostics.is_full();
        let message = format!("no anchor `&{name}` is defined before this alias");
        let error = Diagnostic::error("unknown-anchor", message).label(place, "not defined");
        let near = self
            .diagnostics
            .nearest(name, self.names.iter().map(String::as_str));
        self.diagnostics.push(match near {
            Some(near) => error.help(format!("did you mean `*{near}`?")),
            None => error.help("an anchor counts only inside its file and must come before its alias"),
        });
        Node::null(place)
    }
}
