//! Where a part of a scalar's text was written: the scalar and a range of its text come in, the bytes of the file go out.
//! Escapes, folded lines and indentation make text and file differ, but in white space alone once escapes are read:
//! the n-th character that is no white space is the same in both. **Invariant:** the place is inside the scalar.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::ops::Range;
use std::path::Path;

use super::span::{SourceMap, Span};

/// Whether a file of this name is read as TOML, not as YAML.
pub fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// The bytes of `text[part]` in the file, where `text` is what the scalar at `scalar` was read as. A part that cannot be
/// found, or is nothing but white space, is the whole scalar.
pub fn place(sources: &SourceMap, scalar: Span, text: &str, part: Range<usize>) -> Span {
    let source = sources.text(scalar);
    let found = if source == text {
        Some(part)
    } else {
        let form = Form::of(source, is_toml(sources.path(scalar.file)));
        let inside = source.len().checked_sub(form.skipped);
        let bare = inside.and_then(|end| source.get(form.skipped..end));
        let shows = text.get(part.clone()).is_some_and(|part| !part.trim().is_empty());
        if bare == Some(text) && shows {
            Some(part.start + form.skipped..part.end + form.skipped)
        } else {
            find(source, form, text, part)
        }
    };
    found.map_or(scalar, |found| {
        Span::new(
            scalar.file,
            scalar.start() + found.start,
            scalar.start() + found.end,
        )
    })
}

/// How a scalar stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    /// Bytes before its text.
    skipped: usize,
    /// Whether a backslash begins an escape.
    escapes: bool,
    /// Whether two single quotes are one.
    doubled: bool,
}

impl Form {
    fn of(source: &str, toml: bool) -> Self {
        let form = |skipped, escapes, doubled| Self {
            skipped,
            escapes,
            doubled,
        };
        match source.as_bytes() {
            [b'"', b'"', b'"', ..] if toml => form(3, true, false),
            [b'\'', b'\'', b'\'', ..] if toml => form(3, false, false),
            [b'"', ..] => form(1, true, false),
            [b'\'', ..] => form(1, false, !toml),
            [b'|' | b'>', ..] if !toml => form(source.find('\n').unwrap_or(0), false, false),
            _ => form(0, false, false),
        }
    }
}

fn find(source: &str, form: Form, text: &str, part: Range<usize>) -> Option<Range<usize>> {
    let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let first = solid(text.get(..part.start)?);
    let count = solid(text.get(part)?);
    let mut written = Written {
        rest: source.get(form.skipped..)?,
        at: form.skipped,
        form,
    };
    let start = written.nth(first)?;
    let end = match count {
        0 => return None,
        1 => start.clone(),
        more => written.nth(more - 2)?,
    };
    Some(start.start..end.end)
}

/// The bytes of each character of a scalar's text that is no white space.
struct Written<'a> {
    rest: &'a str,
    at: usize,
    form: Form,
}

impl Iterator for Written<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let first = self.rest.chars().next()?;
            let (length, solid) = match first {
                '\\' if self.form.escapes => escape(self.rest),
                '\'' if self.form.doubled && self.rest.starts_with("''") => (2, true),
                other => (other.len_utf8(), !other.is_whitespace()),
            };
            let start = self.at;
            self.rest = self.rest.get(length..).unwrap_or_default();
            self.at += length;
            if solid {
                return Some(start..self.at);
            }
        }
    }
}

/// The length of the escape at the head of `rest`, and whether it stands for something else than white space.
/// The letters are those of YAML (§5.7), which include those of TOML.
fn escape(rest: &str) -> (usize, bool) {
    let Some(letter) = rest.chars().nth(1) else {
        return (1, true);
    };
    let digits = match letter {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    let length = 1 + letter.len_utf8() + digits;
    let solid = if digits > 0 {
        let code = rest
            .get(2..length)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        !code.and_then(char::from_u32).is_some_and(char::is_whitespace)
    } else {
        !(letter.is_whitespace() || "tnvfrNLP_".contains(letter))
    };
    (length, solid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::source::{toml, yaml};

    /// What is pointed at in the file for each `${…}` of the value of `k`.
    fn pointed(name: &str, source: &str) -> Vec<String> {
        let mut map = SourceMap::new();
        let file = map.add(name, source);
        let mut said = Diagnostics::new();
        let nodes = if is_toml(Path::new(name)) {
            toml::parse(file, source, &mut said)
        } else {
            yaml::parse(file, source, &mut said)
        };
        assert!(said.is_empty(), "{said:?}");
        let node = nodes[0].get("k").expect("k");
        let text = node.as_str().expect("text");
        let ends = text.match_indices('}').map(|(end, _)| end + 1);
        let parts = text.match_indices("${").map(|(start, _)| start).zip(ends);
        parts
            .map(|(start, end)| {
                let span = place(&map, node.span, text, start..end);
                let locate = map.locate(span);
                format!("{} {}", &locate[name.len() + 1..], map.text(span))
            })
            .collect()
    }

    #[test]
    fn a_caret_is_right_behind_escapes() {
        assert_eq!(
            pointed("a.toml", "k = \"\\u00e9\\\\\\\"\\t${A} é\\U0001F600\\n${A}\"\n"),
            ["1:18 ${A}", "1:36 ${A}"]
        );
        assert_eq!(pointed("a.toml", "k = '\\u00e9 ${A}'\n"), ["1:13 ${A}"]);
        assert_eq!(pointed("a.toml", "k = '''\nit''s ${A}'''\n"), ["2:7 ${A}"]);
        assert_eq!(
            pointed(
                "a.toml",
                "k = \"\"\"\r\na \\\r\n\r\n   ${A} \\x41\r\n${B:-\\\"}\"\"\"\r\n"
            ),
            ["4:4 ${A}", "5:1 ${B:-\\\"}"]
        );
        assert_eq!(
            pointed("a.yaml", "k: \"\\x41\\u00e9 \\N${A}\\\n    ${B}\"\n"),
            ["1:18 ${A}", "2:5 ${B}"]
        );
        assert_eq!(
            pointed("a.yaml", "k: 'it''s ${A}\n\n  ''''${B}'\n"),
            ["1:11 ${A}", "3:7 ${B}"]
        );
    }

    #[test]
    fn a_caret_is_right_in_folded_and_indented_lines() {
        assert_eq!(
            pointed("a.yaml", "k: one\n  ${A}\n\n  ${A} x\n"),
            ["2:3 ${A}", "4:3 ${A}"]
        );
        assert_eq!(
            pointed("a.yaml", "k: |-  # ${A}\n    one ${A}\n      ${A}\n"),
            ["2:9 ${A}", "3:7 ${A}"]
        );
        assert_eq!(
            pointed("a.yaml", "k: >2+\n    one ${A:-b c}\n  ${A}\n"),
            ["2:9 ${A:-b c}", "3:3 ${A}"]
        );
    }

    #[test]
    fn what_cannot_be_found_is_the_whole_scalar() {
        let mut map = SourceMap::new();
        let span = Span::new(map.add("a.yaml", "k: \"a  b\""), 3, 9);
        assert_eq!(place(&map, span, "a  b", 1..3), span);
        assert_eq!(place(&map, span, "another text", 8..12), span);
        assert_eq!(place(&map, span, "a  b", 3..9), span);
    }
}
