//! What is wrong with a text that is not YAML: the parser's complaint comes in, a finding that a person can act
//! on goes out. **Invariant:** the place blamed is the one to change, not the one where the parser gave up.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use granit_parser::{ErrorKind, ScanError};

use crate::diagnostic::Diagnostic;
use crate::source::span::{FileId, Span};

const CODE: &str = "invalid-yaml";

/// A line of the text with its place.
#[derive(Clone, Copy)]
struct Line<'a> {
    start: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn indent(self) -> &'a str {
        &self.text[..self.text.len() - self.text.trim_start().len()]
    }

    fn content(self) -> &'a str {
        self.text.trim()
    }

    fn span(self, file: FileId) -> Span {
        let start = self.start + self.indent().len();
        Span::new(file, start, start + self.content().len())
    }
}

/// Explains why `text` could not be parsed.
pub(super) fn syntax_error(file: FileId, text: &str, error: &ScanError) -> Diagnostic {
    let offset = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let lines = lines(text);
    let current = lines
        .partition_point(|line| line.start <= offset)
        .saturating_sub(1);
    if let Some(found) = tab_indent(file, &lines, current) {
        return found;
    }
    if let Some(found) = over_indent(file, &lines, current, error.kind()) {
        return found;
    }
    if let Some(found) = open_quote(file, &lines, current, error.kind()) {
        return found;
    }
    let offset = text.floor_char_boundary(offset);
    let at = Span::new(file, offset, text.ceil_char_boundary(offset + 1));
    let (message, help) = describe(error.kind());
    let mut diagnostic = Diagnostic::error(CODE, message).at(at);
    if let Some(help) = help {
        diagnostic = diagnostic.help(help);
    }
    diagnostic
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut start = 0;
    text.split_inclusive('\n')
        .map(|line| {
            let found = Line {
                start,
                text: line.trim_end_matches(['\n', '\r']),
            };
            start += line.len();
            found
        })
        .collect()
}

/// YAML forbids tabs as indentation; parsers notice at the line or one later.
fn tab_indent(file: FileId, lines: &[Line<'_>], current: usize) -> Option<Diagnostic> {
    let near = lines.get(current.saturating_sub(1)..(current + 2).min(lines.len()))?;
    let line = near
        .iter()
        .find(|line| line.indent().contains('\t') && !line.content().is_empty())?;
    let tab = line.start + line.indent().find('\t')?;
    let tabs = line.indent().bytes().filter(|byte| *byte == b'\t').count();
    Some(
        Diagnostic::error(CODE, "a tab is used for indentation")
            .label(Span::new(file, tab, tab + tabs), "tab")
            .help("YAML allows only spaces here: use two per level"),
    )
}

/// A value that begins with a quote which its own line does not close: the parser notices lines later.
fn open_quote(file: FileId, lines: &[Line<'_>], current: usize, kind: &ErrorKind) -> Option<Diagnostic> {
    if !matches!(
        kind,
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent
    ) {
        return None;
    }
    let above = lines.get(..=current.min(lines.len().checked_sub(1)?))?;
    let (at, quote) = above.iter().rev().find_map(|line| {
        let content = line.content();
        let value = content.split_once(": ").map_or(content, |(_, value)| value);
        let value = value.trim_start_matches("- ").trim_start();
        let quote = value.chars().next().filter(|first| ['"', '\''].contains(first))?;
        let start = line.start + line.text.len() - line.text.trim_start().len() + content.len() - value.len();
        (value.matches(quote).count() == 1).then_some((start, quote))
    })?;
    Some(
        Diagnostic::error(CODE, "the quote is never closed")
            .label(Span::new(file, at, at + 1), "opened here")
            .help(format!("add the closing {quote} at the end of the value")),
    )
}

/// `key: value` followed by a deeper `key:`: the deeper line is the one that is wrong.
fn over_indent(file: FileId, lines: &[Line<'_>], current: usize, kind: &ErrorKind) -> Option<Diagnostic> {
    if !matches!(
        kind,
        ErrorKind::MappingValueNotAllowed
            | ErrorKind::MappingKeyNotAllowed
            | ErrorKind::SimpleKeyExpected
            | ErrorKind::InvalidSimpleKey
    ) {
        return None;
    }
    let is_entry = |line: &Line<'_>| {
        let content = line.content();
        !content.starts_with('#') && (content.ends_with(':') || content.contains(": "))
    };
    let candidates = [current, current + 1];
    let (line, above) = candidates.iter().find_map(|at| {
        let line = lines.get(*at).filter(|line| is_entry(line))?;
        let above = lines[..*at]
            .iter()
            .rev()
            .find(|line| !line.content().is_empty() && !line.content().starts_with('#'))?;
        let deeper = line.indent().len() > above.indent().len();
        let has_value = above
            .content()
            .split_once(": ")
            .is_some_and(|(_, value)| !value.trim().is_empty());
        (deeper && has_value && is_entry(above)).then_some((line, above))
    })?;
    let key = line.content().split(':').next().unwrap_or_default();
    let parent = above
        .content()
        .split(':')
        .next()
        .unwrap_or_default()
        .trim_start_matches("- ");
    Some(
        Diagnostic::error(
            CODE,
            format!("`{key}` is indented under `{parent}`, which already has a value"),
        )
        .label(line.span(file), "indented too far")
        .secondary(above.span(file), "has its value on its own line")
        .help(format!(
            "align `{key}` with `{parent}`, or quote the value of `{parent}` if it goes on here"
        )),
    )
}

/// The parser's complaint in the words of somebody who writes Compose files.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's list of errors is open"
)]
fn describe(kind: &ErrorKind) -> (String, Option<&'static str>) {
    let quote =
        Some("text that begins with one of @ ` % & * ! | > { [ or contains `: ` or ` #` needs quotes");
    let (message, help) = match kind {
        ErrorKind::UnclosedFlowCollection { open } => {
            return (
                format!("`{open}` is never closed"),
                Some("add the closing bracket, or quote the text if it is not a list or mapping"),
            );
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return (format!("`{open}` is closed by `{close}`"), None);
        }
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            return (
                format!(
                    "the control character {} cannot stand here",
                    character.escape_unicode()
                ),
                Some("remove it; in double quotes it can be written as an escape such as `\\0`"),
            );
        }
        ErrorKind::UnexpectedCharacter { character } => {
            return (format!("the character `{character}` cannot begin a value"), quote);
        }
        ErrorKind::UnclosedQuotedScalar => ("the quote is never closed", Some("add the closing quote")),
        ErrorKind::UnknownQuotedScalarEscape => (
            "an escape that YAML does not know",
            Some("write `\\\\` for a backslash, or use single quotes"),
        ),
        ErrorKind::InvalidQuotedScalarIndent => (
            "a quoted text goes on at the left edge",
            Some("close the quote, or indent the lines it goes on over"),
        ),
        ErrorKind::InvalidColonPlacement => {
            ("a `key: value` inside an open `[`", Some("close the `[` above"))
        }
        ErrorKind::RecursionLimitExceeded => ("more than 255 levels of nesting", None),
        ErrorKind::MappingValueNotAllowed => ("a `key: value` is not allowed here", quote),
        ErrorKind::ExpectedFlowSequenceSeparator => ("`,` or `]` was expected here", quote),
        ErrorKind::ExpectedFlowMappingSeparator => ("`,` or `}` was expected here", quote),
        ErrorKind::ExpectedBlockMappingKey => (
            "a `key:` was expected here",
            Some("check that the line is aligned with its neighbours"),
        ),
        ErrorKind::ExpectedBlockSequenceEntry => (
            "a `- item` was expected here",
            Some("check that the line is aligned with its neighbours"),
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            "`:` was expected after this key",
            Some("a key is followed by a colon and a space"),
        ),
        _ => return (format!("not valid YAML: {kind}"), None),
    };
    (message.to_owned(), help)
}
