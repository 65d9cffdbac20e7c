//! In: who waits for whom, each with its place. Out: a finding for every circle of them.
//! **Invariant:** a circle is told once, by a shortest way around it, with the place of every edge.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::VecDeque;

use indexmap::{IndexMap, IndexSet};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::span::Span;

/// Finds every circle among `(who waits, for whom)`.
pub fn cycles(edges: &IndexMap<(&str, &str), Span>) -> Diagnostics {
    let mut edges = edges.clone();
    edges.sort_unstable_by_key(|_, span| *span);
    let edges = &edges;
    let mut graph: DiGraph<&str, ()> = DiGraph::new();
    let mut nodes: IndexMap<&str, NodeIndex> = IndexMap::new();
    let names = edges
        .keys()
        .map(|(from, _)| from)
        .chain(edges.keys().map(|(_, to)| to));
    for name in names {
        nodes.entry(*name).or_insert_with(|| graph.add_node(*name));
    }
    for (from, to) in edges.keys() {
        graph.add_edge(nodes[from], nodes[to], ());
    }
    let mut findings = Diagnostics::new();
    for component in tarjan_scc(&graph) {
        if let Some(around) = shortest(&graph, &component) {
            let names: Vec<&str> = around.iter().map(|node| graph[*node]).collect();
            findings.push(finding(&names, edges));
        }
    }
    findings.sort();
    findings
}

fn finding(names: &[&str], edges: &IndexMap<(&str, &str), Span>) -> Diagnostic {
    let arrows: Vec<&str> = names.iter().chain(names.first()).copied().collect();
    let message = match names {
        [name] => format!("the service `{name}` waits for itself"),
        _ => format!("services wait for each other: {}", arrows.join(" -> ")),
    };
    let mut finding = Diagnostic::error("dependency-cycle", message);
    for (position, edge) in arrows.windows(2).enumerate() {
        let Some(span) = edges.get(&(edge[0], edge[1])) else {
            continue;
        };
        let text = match names {
            [_] => String::new(),
            _ => format!("{} waits for {}", edge[0], edge[1]),
        };
        finding = if position == 0 {
            finding.label(*span, text)
        } else {
            finding.secondary(*span, text)
        };
    }
    finding.help(match names {
        [_] => "remove this dependency",
        _ => "remove one of these dependencies",
    })
}

/// A shortest circle through the component's first node in file order; none when the component is a lone node.
fn shortest(graph: &DiGraph<&str, ()>, component: &[NodeIndex]) -> Option<Vec<NodeIndex>> {
    let start = *component.iter().min()?;
    let inside: IndexSet<NodeIndex> = component.iter().copied().collect();
    let mut came_from: IndexMap<NodeIndex, NodeIndex> = IndexMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.neighbors(node).filter(|next| inside.contains(next)) {
            if next == start {
                let mut path = vec![node];
                while let Some(before) = path.last().and_then(|last| came_from.get(last)) {
                    path.push(*before);
                }
                path.reverse();
                return Some(path);
            }
            if !came_from.contains_key(&next) {
                came_from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::SourceMap;

    #[test]
    fn every_cycle_is_named_with_all_its_edges() {
        let file = SourceMap::new().add("compose.yaml", "x".repeat(100));
        let edges = [
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "b"),
            ("d", "d"),
            ("e", "a"),
        ];
        let spans = edges
            .iter()
            .enumerate()
            .map(|(at, edge)| (*edge, Span::new(file, at, at + 1)));
        let found = cycles(&spans.collect());
        let said: Vec<_> = found
            .iter()
            .map(|finding| (finding.message.as_str(), finding.labels.len()))
            .collect();
        assert_eq!(
            said,
            [
                ("services wait for each other: a -> b -> c -> a", 3),
                ("the service `d` waits for itself", 1)
            ]
        );
    }
}
