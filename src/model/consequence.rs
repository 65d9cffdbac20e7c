//! In: the findings of two stages. Out: those of the later one that would stay if the earlier ones were mended.
//! **Invariant:** one mistake is told once; nothing is left out that is not named by what is told.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::node::{Mapping, Node};
use crate::source::span::{FileId, Span};

/// What cannot be extended may have brought an image.
const BASES: [&str; 4] = [
    "extends-cycle",
    "invalid-extends",
    "unknown-service",
    "unreadable-file",
];

/// The findings of a later stage that do not follow from errors of an earlier one.
pub(super) fn independent(later: Diagnostics, earlier: &Diagnostics, root: &Node) -> Diagnostics {
    let causes: Vec<(&Diagnostic, Span)> = earlier
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .filter_map(|finding| Some((finding, finding.span()?)))
        .collect();
    if causes.is_empty() {
        return later;
    }
    // There may be as many findings as causes, and a hundred thousand of both: none is compared with all others.
    let places: BTreeSet<Span> = causes.iter().map(|(_, span)| *span).collect();
    let wrong = causes.iter().filter(|(cause, _)| cause.code == "wrong-type");
    let values = Covered::by(wrong.map(|(_, span)| *span));
    let images = Images::lost_to(&causes, root);
    let follows = |finding: &Diagnostic| {
        let mut labels = finding.labels.iter().map(|label| label.span);
        labels.any(|span| places.contains(&span) || values.hold(span))
            || finding.code == "no-image" && images.has_lost(finding, &places)
    };
    later.into_iter().filter(|finding| !follows(finding)).collect()
}

/// Bytes that some spans cover.
struct Covered {
    /// Where each span begins, and the furthest end of those of its file that begin there or before.
    reach: Vec<(FileId, usize, usize)>,
}

impl Covered {
    fn by(spans: impl Iterator<Item = Span>) -> Self {
        let sorted: BTreeSet<Span> = spans.collect();
        let mut reach: Vec<(FileId, usize, usize)> = Vec::new();
        for span in sorted {
            let before = reach.last().filter(|(file, ..)| *file == span.file);
            let end = before.map_or(0, |(_, _, end)| *end).max(span.end());
            reach.push((span.file, span.start(), end));
        }
        Self { reach }
    }

    /// Whether one of the spans has all of this one.
    fn hold(&self, inner: Span) -> bool {
        let place = (inner.file, inner.start());
        let after = self
            .reach
            .partition_point(|(file, start, _)| (*file, *start) <= place);
        let last = self.reach[..after].last();
        last.is_some_and(|(file, _, end)| *file == inner.file && inner.end() <= *end)
    }
}

/// The services, and what might have brought them an image.
struct Images<'a> {
    /// By their names' places.
    services: BTreeMap<Span, &'a Node>,
    bases: BTreeSet<Span>,
}

impl<'a> Images<'a> {
    fn lost_to(causes: &[(&Diagnostic, Span)], root: &'a Node) -> Self {
        let services = root.get("services").and_then(Node::as_map);
        let entries = services.into_iter().flat_map(Mapping::entries);
        let is_base = |cause: &Diagnostic| {
            matches!(cause.replacement.as_deref(), Some("image" | "build")) || BASES.contains(&cause.code)
        };
        let bases = causes.iter().filter(|(cause, _)| is_base(cause));
        Self {
            services: entries
                .rev()
                .map(|(_, entry)| (entry.key_span, &entry.node))
                .collect(),
            bases: bases
                .flat_map(|(cause, _)| cause.labels.iter().map(|label| label.span))
                .collect(),
        }
    }

    /// Whether the service that a `no-image` points at would have an image without a mistake in it.
    fn has_lost(&self, finding: &Diagnostic, mistakes: &BTreeSet<Span>) -> bool {
        let Some(service) = finding.span().and_then(|span| self.services.get(&span)) else {
            return false;
        };
        let all = service.span;
        let mut below = self
            .bases
            .range(Span::new(all.file, all.start(), all.start())..)
            .take_while(|span| span.file == all.file && span.start() <= all.end());
        let mut keys = ["image", "build"].iter().filter_map(|key| service.get(key));
        below.any(|span| span.end() <= all.end()) || keys.any(|node| mistakes.contains(&node.span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::SourceMap;

    #[test]
    fn a_span_is_held_by_one_that_begins_before_and_ends_behind_it() {
        let mut sources = SourceMap::new();
        let (one, two) = (sources.add("one", ""), sources.add("two", ""));
        let spans = [(one, 2, 10), (one, 4, 6), (one, 12, 14), (two, 1, 3)];
        let covered = Covered::by(
            spans
                .into_iter()
                .map(|(file, start, end)| Span::new(file, start, end)),
        );
        for file in [one, two] {
            for start in 0..16 {
                for end in start..16 {
                    let inner = Span::new(file, start, end);
                    let holds = spans
                        .iter()
                        .any(|(of, from, to)| *of == file && *from <= start && end <= *to);
                    assert_eq!(covered.hold(inner), holds, "{inner:?}");
                }
            }
        }
    }
}
