//! In: findings and the texts they point into. Out: one JSON object a line for each, for editors and scripts.
//! **Invariant:** fields are only ever added; places are counted from 1, in characters, with byte offsets beside them.

use serde_json::{Value as Json, json};

use super::snippet;
use crate::diagnostic::{Diagnostic, Diagnostics, Label};
use crate::source::span::{SourceFile, SourceMap, Span};

/// Findings as JSON Lines; nothing for none.
pub fn json_lines(findings: &Diagnostics, sources: &SourceMap) -> String {
    let mut lines = String::new();
    for finding in findings {
        lines.push_str(&object(finding, sources).to_string());
        lines.push('\n');
    }
    lines
}

fn object(finding: &Diagnostic, sources: &SourceMap) -> Json {
    let place = finding.span();
    json!({
        "code": finding.code,
        "severity": finding.severity.word(),
        "message": finding.message,
        "file": place.map(|span| sources.path(span.file).display().to_string()),
        "range": place.map(|span| range(span, sources)),
        "labels": finding.labels.iter().map(|label| self::label(label, sources)).collect::<Vec<_>>(),
        "help": finding.advice().map(|(words, _)| words),
        "snippet": snippet(finding, sources),
        "fix": place.and_then(|span| fix(finding, span, sources)),
    })
}

fn label(label: &Label, sources: &SourceMap) -> Json {
    json!({
        "file": sources.path(label.span.file).display().to_string(),
        "range": range(label.span, sources),
        "text": label.text,
        "primary": label.primary,
    })
}

fn range(span: Span, sources: &SourceMap) -> Json {
    let file = sources.file(span.file);
    json!({ "start": position(span.start(), file), "end": position(span.end(), file) })
}

fn position(offset: usize, file: &SourceFile) -> Json {
    let place = file.position(offset);
    json!({ "line": place.line, "column": place.column, "offset": offset })
}

/// The text to put in place of the range: what was quoted stays quoted.
fn fix(finding: &Diagnostic, span: Span, sources: &SourceMap) -> Option<Json> {
    let word = finding.replacement.as_deref()?;
    let quote = sources
        .text(span)
        .chars()
        .next()
        .filter(|first| ['"', '\''].contains(first));
    let text = quote.map_or_else(|| word.to_owned(), |quote| format!("{quote}{word}{quote}"));
    Some(json!({ "range": range(span, sources), "text": text }))
}
