//! Work on a large project by all processors: pieces of work come in, their results go out in the order of the pieces.
//! **Invariant:** without a second thread, or with little to do, the same results are found one after the other.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::panic::resume_unwind;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use super::node::{Entry, Mapping, Node, Text};

/// From how many services on a second thread is worth its start.
const LARGE: usize = 64;

/// Whether a project has that many services.
pub fn is_large(root: &Node) -> bool {
    let services = root.get("services").and_then(Node::as_map);
    services.is_some_and(|services| services.len() >= LARGE)
}

/// The results of both, of a large project found at the same time when there is a thread to be had.
pub fn beside<A: Send + Default, B>(
    large: bool,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> (A, B) {
    if !large {
        return (first(), second());
    }
    let waiting = Mutex::new(Some(first));
    let run = || {
        let first = waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.map(|first| first()).unwrap_or_default()
    };
    thread::scope(|scope| {
        let running = thread::Builder::new().spawn_scoped(scope, run);
        let second = second();
        let first = match running {
            Ok(running) => running.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => run(),
        };
        (first, second)
    })
}

/// What `work` gives for each value of a mapping, in the order of the mapping.
pub fn each<T: Send>(mapping: &mut Mapping, work: impl Fn(&str, &mut Node) -> T + Sync) -> Vec<T> {
    let work = |(name, entry): &mut (Text, Entry)| work(name, &mut entry.node);
    share(mapping.slots(), processors(), &work)
}

/// The same for values that stay as they are.
pub fn each_of<'a, T: Send>(mapping: &'a Mapping, work: impl Fn(&'a str, &'a Entry) -> T + Sync) -> Vec<T> {
    let mut entries: Vec<(&str, &Entry)> = mapping.entries().collect();
    share(&mut entries, processors(), &|(name, entry)| work(name, entry))
}

/// How many processors there are, as far as control groups allow; that takes reading five files.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

fn share<I: Send, T: Send>(
    items: &mut [I],
    processors: usize,
    work: &(impl Fn(&mut I) -> T + Sync),
) -> Vec<T> {
    if processors < 2 || items.len() < LARGE {
        return items.iter_mut().map(work).collect();
    }
    let (left, right) = items.split_at_mut(items.len() / 2);
    let (others, own) = (processors / 2, processors - processors / 2);
    let (mut all, rest) = beside(true, || share(left, others, work), || share(right, own, work));
    all.extend(rest);
    all
}

#[cfg(test)]
mod tests {
    use super::super::span::{SourceMap, Span};
    use super::*;

    #[test]
    fn results_come_in_order_whoever_finds_them() {
        let here = Span::new(SourceMap::new().add("a", ""), 0, 0);
        for (count, processors) in [(0, 8), (3, 8), (1000, 1), (1000, 2), (1001, 7)] {
            let mut mapping = Mapping::new();
            for number in 0..count {
                mapping.insert(format!("k{number}"), here, Node::int(number, here));
            }
            let doubled = share(mapping.slots(), processors, &|(name, Entry { node, .. })| {
                let number = node.as_i64().expect("a number");
                *node = Node::int(2 * number, here);
                format!("{name}={number}")
            });
            let expected: Vec<String> = (0..count).map(|number| format!("k{number}={number}")).collect();
            assert_eq!(doubled, expected);
            let last = format!("k{}", count - 1);
            assert_eq!(
                mapping.get(&last).and_then(Node::as_i64),
                (count > 0).then_some(2 * (count - 1))
            );
        }
    }
}
