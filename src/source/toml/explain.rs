//! What is wrong with a text that is not TOML: the parser's complaint comes in, findings that a person can act on go out.
//! **Invariant:** all mistakes of grammar are said at once; of a key that stands twice both places are shown.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::HashMap;

use toml_edit::TomlError;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};
use toml_parser::{Expected, ParseError, Source};

use super::DEEPEST;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::span::{FileId, Span};

const CODE: &str = "invalid-toml";

/// How many mistakes of one file are worth reading.
const MOST: usize = 20;

/// Explains why `text` could not be read; `error` is the first reason.
pub(super) fn errors(file: FileId, text: &str, error: &TomlError) -> Diagnostics {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut events = Vec::with_capacity(tokens.len());
    let mut faults: Vec<ParseError> = Vec::new();
    let deepest = u32::try_from(DEEPEST).unwrap_or(u32::MAX);
    parse_document(
        &tokens,
        &mut RecursionGuard::new(&mut events, deepest),
        &mut faults,
    );
    for event in &events {
        if event.kind() == EventKind::Scalar
            && let Some(raw) = source.get(event)
        {
            let _kind = raw.decode_scalar(&mut String::new(), &mut faults);
        }
    }
    faults.sort_by_key(|fault| fault.unexpected().or(fault.context()).map(|span| span.start()));
    let mut said = Diagnostics::new();
    // After a mistake the parser may stumble again over the same line.
    let (mut line_end, mut count) = (0, 0);
    for fault in &faults {
        let at = fault.unexpected().or(fault.context());
        let (start, end) = at.map_or((text.len(), text.len()), |span| (span.start(), span.end()));
        if count == MOST || (count > 0 && start < line_end) {
            continue;
        }
        count += 1;
        let rest = text.get(start..).unwrap_or_default();
        line_end = start + rest.find('\n').map_or(rest.len(), |at| at + 1);
        let expected = fault.expected().unwrap_or_default();
        said.push(grammar(file, text, fault.description(), expected, start..end));
    }
    if said.is_empty() {
        said.push(meaning(file, source, &events, error));
    }
    said
}

/// A mistake of grammar.
fn grammar(
    file: FileId,
    text: &str,
    description: &str,
    expected: &[Expected],
    at: std::ops::Range<usize>,
) -> Diagnostic {
    let words = expected.iter().map(|expected| match expected {
        Expected::Literal("\n") => "a line end".to_owned(),
        Expected::Literal(literal) => format!("`{literal}`"),
        Expected::Description(words) => (*words).to_owned(),
        _ => "something else".to_owned(),
    });
    let words: Vec<String> = words.collect();
    // The parser's own words for it name its stack, not the file.
    let mut message = if description.contains("recurs") {
        "too many levels of nesting".to_owned()
    } else {
        description.to_owned()
    };
    if !words.is_empty() {
        message = format!("{message}, expected {}", words.join(" or "));
    }
    let rest = text.get(at.start..).unwrap_or_default();
    let end = at
        .end
        .max(at.start + rest.chars().next().map_or(0, char::len_utf8));
    let diagnostic = Diagnostic::error(CODE, message).at(Span::new(file, at.start, end));
    let line_start = text
        .get(..at.start)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default().trim();
    let is_yaml = line.starts_with("- ") || line.ends_with(':') || line.contains(": ") && !line.contains('=');
    if is_yaml {
        diagnostic.help("this is YAML: TOML writes `key = \"value\"`, `[table]` and `[\"a\", \"list\"]`; `rcompose convert` turns one into the other")
    } else if description.starts_with("string values must be quoted") {
        diagnostic.help("put text in quotes")
    } else {
        diagnostic
    }
}

/// A mistake of meaning, e.g. a key that stands twice.
fn meaning(file: FileId, source: Source<'_>, events: &[Event], error: &TomlError) -> Diagnostic {
    let text = source.input();
    let range = error.span().unwrap_or(0..text.len().min(1));
    let here = Span::new(file, range.start, range.end);
    let message = error.message().lines().next().unwrap_or("not valid TOML");
    if message.contains("recurs") {
        return Diagnostic::error(CODE, "too many levels of nesting").at(here);
    }
    let written = text.get(range.clone()).unwrap_or_default();
    let Some(first) = first_place(source, events, range.start) else {
        return Diagnostic::error(CODE, message).at(here);
    };
    let first = Span::new(file, first.0, first.1);
    if message == "duplicate key" {
        return Diagnostic::error("duplicate-key", format!("the key `{written}` is given twice"))
            .label(here, "again here")
            .secondary(first, "first here")
            .help("remove one of them, or put the entries of both under one table");
    }
    Diagnostic::error(CODE, message)
        .at(here)
        .secondary(first, "first here")
}

/// Where the key whose repetition begins at `again` was first given.
fn first_place(source: Source<'_>, events: &[Event], again: usize) -> Option<(usize, usize)> {
    let mut seen: HashMap<Vec<String>, (usize, usize)> = HashMap::new();
    let (mut table, mut path) = (Vec::new(), Vec::new());
    let (mut in_value, mut open) = (false, 0_usize);
    for event in events {
        match event.kind() {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => path.clear(),
            EventKind::SimpleKey if !in_value => {
                let place = (event.span().start(), event.span().end());
                path.push(key(source, *event));
                if place.0 == again {
                    return seen.get(&path).copied();
                }
                seen.entry(path.clone()).or_insert(place);
            }
            EventKind::StdTableClose => table.clone_from(&path),
            EventKind::ArrayTableClose => {
                table.clone_from(&path);
                seen.retain(|known, _| known.len() <= table.len() || !known.starts_with(&table));
            }
            EventKind::KeyValSep => in_value = true,
            EventKind::InlineTableOpen | EventKind::ArrayOpen => open += 1,
            EventKind::InlineTableClose | EventKind::ArrayClose => open = open.saturating_sub(1),
            EventKind::Newline if open == 0 => {
                in_value = false;
                path.clone_from(&table);
            }
            EventKind::SimpleKey
            | EventKind::KeySep
            | EventKind::Scalar
            | EventKind::ValueSep
            | EventKind::Whitespace
            | EventKind::Comment
            | EventKind::Newline
            | EventKind::Error => {}
        }
    }
    None
}

/// A key without its quotes.
fn key(source: Source<'_>, event: Event) -> String {
    let mut key = String::new();
    if let Some(raw) = source.get(event) {
        raw.decode_key(&mut key, &mut ());
    }
    key
}
