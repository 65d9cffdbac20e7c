//! In: a value and the bytes it was written at. Out: the part of those bytes that says it, as far as it can be told.
//! **Invariant:** the place is inside the bytes of the value; when in doubt it is all of them.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::borrow::Cow;

use crate::source::node::Node;
use crate::source::path::NodePath;
use crate::source::span::{SourceMap, Span};

/// Characters of a text that are shown.
const SHOWN: usize = 60;

/// How a value stands in its file.
pub(super) struct Written {
    /// The bytes that say it.
    pub(super) place: Span,
    /// What stands there, if it is not the value itself.
    pub(super) text: Option<String>,
    /// Whether the value itself stands there.
    pub(super) is_verbatim: bool,
    /// Whether it stands in single quotes.
    pub(super) is_literal: bool,
}

impl Written {
    pub(super) fn of(sources: &SourceMap, node: &Node, path: &NodePath) -> Self {
        let whole = sources.text(node.span);
        let nothing = node.is_null().then(Cow::default);
        let Some(value) = nothing.or_else(|| node.scalar_text()) else {
            return Self {
                place: node.span,
                text: None,
                is_verbatim: false,
                is_literal: false,
            };
        };
        let key = path.last_key().unwrap_or_default();
        let after = after_key(whole, key);
        let text = &whole[after..];
        let (text, quote) = unquoted(text);
        let from = node.span.start() + after + usize::from(quote.is_some());
        let at = |start: usize, end: usize| Span::new(node.span.file, from + start, from + end);
        let is_literal = quote == Some('\'');
        if text == value || (text.starts_with(['|', '>']) && quote.is_none()) {
            return Self {
                place: if quote.is_some() || after > 0 {
                    Span::new(node.span.file, node.span.start() + after, node.span.end())
                } else {
                    at(0, text.len())
                },
                text: None,
                is_verbatim: true,
                is_literal,
            };
        }
        let is_last = matches!(key, "target" | "container");
        let part = token(text, &value, is_last).map(|start| start..start + value.len());
        let is_verbatim = part.is_some();
        // A path that was made absolute is still what the short form begins with.
        let path = || text.find(':').filter(|_| key == "source").map(|end| 0..end);
        let rest = if after > 0 { text } else { whole };
        match part.or_else(path) {
            Some(part) => Self {
                place: at(part.start, part.end),
                text: Some(first_line(whole)),
                is_verbatim,
                is_literal,
            },
            None => Self {
                place: Span::new(node.span.file, node.span.start() + after, node.span.end()),
                text: Some(first_line(rest)).filter(|text| !text.is_empty()),
                is_verbatim,
                is_literal,
            },
        }
    }
}

/// Where the value of `KEY=value` begins, also in quotes; the beginning if this is no such pair.
fn after_key(text: &str, key: &str) -> usize {
    let quoted = usize::from(text.starts_with(['"', '\'']));
    let Some(rest) = text[quoted..].strip_prefix(key).filter(|_| !key.is_empty()) else {
        return 0;
    };
    let trimmed = rest.trim_start_matches([' ', '\t']);
    match trimmed.strip_prefix('=') {
        Some(value) => text.len() - value.trim_start_matches([' ', '\t']).len(),
        None => 0,
    }
}

/// A text without the quotes around it, and which they are.
fn unquoted(text: &str) -> (&str, Option<char>) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return (inner.strip_suffix(quote).unwrap_or(inner), Some(quote));
        }
    }
    // The second half of a pair in quotes.
    (text.strip_suffix(['"', '\'']).unwrap_or(text), None)
}

/// Where `value` stands in `text` between characters that separate the parts of a short form.
fn token(text: &str, value: &str, is_last: bool) -> Option<usize> {
    if value.is_empty() {
        return None;
    }
    let ends = |c: Option<char>| c.is_none_or(|c| matches!(c, ':' | '/' | ',' | '=' | '-' | '[' | ']' | ' '));
    let mut found = text.match_indices(value).filter(|(start, _)| {
        ends(text[..*start].chars().next_back()) && ends(text[start + value.len()..].chars().next())
    });
    let found = if is_last { found.last() } else { found.next() };
    found.map(|(start, _)| start)
}

/// The first line of a text, cut when it is long.
pub(super) fn first_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let line = lines.next().unwrap_or_default().trim_end();
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() || lines.next().is_some() {
        shown.push_str(" …");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_short_form_is_found() {
        assert_eq!(token("80:80", "80", false), Some(0));
        assert_eq!(token("80:80", "80", true), Some(3));
        assert_eq!(token("8080:80/tcp", "80", false), Some(5));
        assert_eq!(token("8080:80", "tcp", false), None);
        assert_eq!(after_key("DB=${DB}", "DB"), 3);
        assert_eq!(after_key("\"DB = x\"", "DB"), 6);
        assert_eq!(after_key("DBA=x", "DB"), 0);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(first_line("a\nb"), "a …");
        assert_eq!(first_line(&"x".repeat(99)).chars().count(), SHOWN + 2);
    }
}
