//! Work on a large project by all processors: pieces of work come in, their results go out in the order of the pieces.
//! **Invariant:** the results are those of one thread, which is all that little work gets.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::sync::OnceLock;

use rayon::prelude::*;

use super::node::{Entry, Mapping, Node, Text};

/// From how many services on a second thread is worth its start.
const LARGE: usize = 64;

/// Whether a project has that many services.
pub fn is_large(root: &Node) -> bool {
    let services = root.get("services").and_then(Node::as_map);
    services.is_some_and(|services| services.len() >= LARGE)
}

/// Whether threads could be started: where memory or their number is short, rayon would end the process.
fn has_threads() -> bool {
    static STARTED: OnceLock<bool> = OnceLock::new();
    *STARTED.get_or_init(|| rayon::ThreadPoolBuilder::new().build_global().is_ok())
}

/// The results of both, of a large project found at the same time.
pub fn beside<A: Send, B: Send>(
    large: bool,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    if large && has_threads() {
        rayon::join(first, second)
    } else {
        (first(), second())
    }
}

/// What `work` gives for each value of a mapping, in the order of the mapping.
pub fn each<T: Send>(mapping: &mut Mapping, work: impl Fn(&str, &mut Node) -> T + Sync) -> Vec<T> {
    let work = |(name, entry): &mut (Text, Entry)| work(name, &mut entry.node);
    let entries = mapping.slots();
    if entries.len() < LARGE || !has_threads() {
        return entries.iter_mut().map(work).collect();
    }
    entries.par_iter_mut().with_min_len(LARGE).map(work).collect()
}

/// The same for values that stay as they are.
pub fn each_of<'a, T: Send>(mapping: &'a Mapping, work: impl Fn(&'a str, &'a Entry) -> T + Sync) -> Vec<T> {
    let entries: Vec<(&str, &Entry)> = mapping.entries().collect();
    let work = |(name, entry)| work(name, entry);
    if entries.len() < LARGE || !has_threads() {
        return entries.into_iter().map(work).collect();
    }
    entries.into_par_iter().with_min_len(LARGE).map(work).collect()
}

#[cfg(test)]
mod tests {
    use super::super::span::{SourceMap, Span};
    use super::*;

    #[test]
    fn results_come_in_order_whoever_finds_them() {
        let here = Span::new(SourceMap::new().add("a", ""), 0, 0);
        for count in [0, 3, 1000] {
            let mut mapping = Mapping::new();
            for number in 0..count {
                mapping.insert(format!("k{number}"), here, Node::int(number, here));
            }
            let number = |node: &Node| node.as_i64().expect("a number");
            let doubled = each(&mut mapping, |name, node| {
                let before = number(node);
                *node = Node::int(2 * before, here);
                format!("{name}={before}")
            });
            let expected: Vec<String> = (0..count).map(|number| format!("k{number}={number}")).collect();
            assert_eq!(doubled, expected);
            let numbers = each_of(&mapping, |_, entry| number(&entry.node));
            assert_eq!(numbers, (0..count).map(|number| 2 * number).collect::<Vec<_>>());
        }
        assert_eq!(beside(true, || 1, || 2), beside(false, || 1, || 2));
    }
}
