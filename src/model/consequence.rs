//! In: the findings of two stages. Out: those of the later one that would stay if the earlier ones were mended.
//! **Invariant:** one mistake is told once; nothing is left out that is not named by what is told.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::node::{Mapping, Node};
use crate::source::span::Span;

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
    let spans: BTreeSet<Span> = causes.iter().map(|(_, span)| *span).collect();
    let values: Vec<Span> = causes
        .iter()
        .filter(|(cause, _)| cause.code == "wrong-type")
        .map(|(_, span)| *span)
        .collect();
    let follows =
        |finding: &Diagnostic| {
            finding.labels.iter().any(|label| {
                spans.contains(&label.span) || values.iter().any(|value| within(label.span, *value))
            }) || finding.code == "no-image" && has_lost_image(finding, &causes, root)
        };
    later.into_iter().filter(|finding| !follows(finding)).collect()
}

/// Whether the service that a `no-image` points at would have an image without a mistake in it.
fn has_lost_image(finding: &Diagnostic, causes: &[(&Diagnostic, Span)], root: &Node) -> bool {
    let services = root.get("services").and_then(Node::as_map);
    let entry = services
        .into_iter()
        .flat_map(Mapping::entries)
        .find(|(_, entry)| Some(entry.key_span) == finding.span());
    let Some((_, entry)) = entry else { return false };
    let image = [Some("image"), Some("build")];
    causes.iter().any(|(cause, span)| {
        let about = image.contains(&cause.replacement.as_deref()) || BASES.contains(&cause.code);
        let inside = cause
            .labels
            .iter()
            .any(|label| within(label.span, entry.node.span));
        let key = image
            .iter()
            .flatten()
            .any(|key| entry.node.get(key).is_some_and(|node| node.span == *span));
        (about && inside) || key
    })
}

fn within(inner: Span, outer: Span) -> bool {
    inner.file == outer.file && outer.start() <= inner.start() && inner.end() <= outer.end()
}
