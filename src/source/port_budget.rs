//! How many ports the ranges of a project may stand for: entries of `ports` come in, whether they still fit goes out.
//! **Invariant:** a few short lines of a file cannot become millions of ports.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::canonical;
use super::implied::Implied;
use super::node::Node;
use super::touched::{self, Touched};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Every port there is, twice: a range in a file and again in its override.
const MOST: usize = 2 * 65_535;

/// The ports that ranges stood for so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortBudget {
    spent: usize,
}

impl PortBudget {
    /// Whether the ports of an entry still fit; the first that does not is said.
    pub fn admits(&mut self, item: &Node, diagnostics: &mut Diagnostics) -> bool {
        let count = if item.implied == Some(Implied::PortOfRange) {
            1
        } else {
            item.as_str().map_or(0, canonical::ports_of_range)
        };
        let fitted = self.spent <= MOST;
        self.spent = self.spent.saturating_add(count);
        if count == 0 || self.spent <= MOST {
            return true;
        }
        if fitted {
            let written = item.as_str().unwrap_or_default();
            let error = Diagnostic::error(
                "too-many-ports",
                format!("with `{written}`, the ranges of `ports` stand for more than {MOST} ports"),
            );
            diagnostics.push(error.at(item.span).help(
                "publish the ports that something listens on: each port of a range is opened by itself",
            ));
        }
        false
    }
}

/// Drops the entries of `ports` whose ranges do not fit, in a whole project.
pub fn fit(root: &mut Node, diagnostics: &mut Diagnostics) {
    let mut budget = PortBudget::default();
    touched::each(root, "services", None, &mut |service| {
        if let Some(items) = ports(service) {
            items.retain(|item| budget.admits(item, diagnostics));
        }
    });
}

/// The same for what is written out when the tree is told apart: lists of two or more, in what `touched` names.
pub fn spend(
    root: &mut Node,
    touched: Option<&Touched>,
    budget: &mut PortBudget,
    diagnostics: &mut Diagnostics,
) {
    touched::each(root, "services", touched, &mut |service| {
        if let Some(items) = ports(service).filter(|items| items.len() > 1) {
            // A part of a range was counted with it.
            let counted = |item: &Node| item.implied == Some(Implied::PortOfRange);
            items.retain(|item| counted(item) || budget.admits(item, diagnostics));
        }
    });
}

fn ports(service: &mut Node) -> Option<&mut Vec<Node>> {
    service.as_map_mut()?.get_mut("ports")?.as_seq_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::{SourceMap, Span};

    #[test]
    fn only_ranges_count_and_the_first_too_many_is_said() {
        let here = Span::new(SourceMap::new().add("a", ""), 0, 0);
        let (mut budget, mut said) = (PortBudget::default(), Diagnostics::new());
        let mut admits = |text: &str| budget.admits(&Node::string(text, here), &mut said);
        assert!(admits("1-65535"));
        assert!(admits("1-65535:1-65535/udp"));
        assert!(admits("8000-9000:80"));
        assert!(!admits("1-2"));
        assert!(!admits("3-4"));
        assert!(admits("80"));
        assert_eq!(said.len(), 1);
    }
}
