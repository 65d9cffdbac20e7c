//! In: the pattern of `${N#p}`, `${N%p}` or `${N/p/r}`. Out: the value without what it matches, or with it replaced.
//! `*` is any text, `?` any character, a backslash protects these and itself (POSIX shell patterns without brackets, as in BuildKit).
//! **Invariant:** pure, and linear in the value: patterns become regular expressions without backtracking.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use regex::Regex;

use super::expand::bounded;

/// A pattern, not yet tied to one end of a value.
pub(super) struct ShellPattern {
    /// Pieces of a regular expression, one a character of the pattern.
    pieces: Vec<String>,
}

impl ShellPattern {
    /// Reads a pattern; `longest`: a `*` takes as much as it can.
    pub(super) fn new(pattern: &str, longest: bool) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            pieces.push(match character {
                '*' => if longest { ".*" } else { ".*?" }.to_owned(),
                '?' => ".".to_owned(),
                // The escape of `}` and `/` is that of `${…}`, no part of the pattern.
                '\\' if matches!(characters.peek(), Some('}' | '/')) => continue,
                '\\' => match characters.next() {
                    Some(next @ ('*' | '?' | '\\')) => regex::escape(next.encode_utf8(&mut [0; 4])),
                    Some(other) => {
                        return Err(format!("`\\{other}` is no escape in the pattern `{pattern}`"));
                    }
                    None => return Err(format!("the pattern `{pattern}` ends in an escape")),
                },
                other => regex::escape(other.encode_utf8(&mut [0; 4])),
            });
        }
        Ok(Self { pieces })
    }

    pub(super) fn without_prefix(&self, value: &str) -> Result<String, String> {
        let anchored = regex(&format!("^{}", self.pieces.concat()))?;
        Ok(anchored
            .find(value)
            .map_or(value, |found| &value[found.end()..])
            .to_owned())
    }

    pub(super) fn without_suffix(&self, value: &str) -> Result<String, String> {
        // The shortest match at the end is the shortest at the beginning of the reversed text.
        let pieces = self.pieces.iter().rev().cloned().collect();
        let reversed: String = value.chars().rev().collect();
        Ok(Self { pieces }.without_prefix(&reversed)?.chars().rev().collect())
    }

    pub(super) fn replaced(&self, value: &str, replacement: &str, all: bool) -> Result<String, String> {
        let regex = regex(&self.pieces.concat())?;
        let mut result = String::new();
        let mut at = 0;
        for found in regex.find_iter(value).take(if all { usize::MAX } else { 1 }) {
            result.push_str(&value[at..found.start()]);
            result.push_str(replacement);
            bounded(&result)?;
            at = found.end();
        }
        result.push_str(&value[at..]);
        Ok(result)
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|_| "a pattern is too large".to_owned())
}
