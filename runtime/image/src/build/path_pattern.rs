//! In: a pattern over paths. Out: a regular expression for it: of COPY's sources as Go's filepath.Match has them,
//! of `.dockerignore` and `--exclude` as moby's patternmatcher has them (there `**` goes across slashes).
//! **Invariant:** pure; braces, `!` in brackets and other shells' marks mean themselves; matching is linear.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use regex::Regex;

/// How far `*` goes when there are two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stars {
    /// `**` is `*`.
    Within,
    /// `**` crosses slashes.
    Across,
}

/// The expression, or none for a malformed pattern.
pub(super) fn compiled(pattern: &str, stars: Stars) -> Option<Regex> {
    let mut text = "^".to_owned();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if stars == Stars::Across && characters.next_if_eq(&'*').is_some() => {
                let _slash = characters.next_if_eq(&'/');
                text.push_str(if characters.peek().is_none() {
                    ".*"
                } else {
                    "(?:.*/)?"
                });
            }
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '[' => text.push_str(&class(&mut characters)?),
            '\\' => match characters.next() {
                Some(escaped) => text.push_str(&regex::escape(escaped.encode_utf8(&mut [0; 4]))),
                None if stars == Stars::Across => text.push_str("\\\\"),
                None => return None,
            },
            other => text.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    text.push('$');
    Regex::new(&text).ok()
}

/// `[a-z]` and `[^a-z]`, from behind the opening bracket.
fn class(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut text = "[".to_owned();
    if characters.next_if_eq(&'^').is_some() {
        text.push('^');
    }
    let mut empty = true;
    loop {
        let character = characters.next()?;
        match character {
            ']' if !empty => break,
            ']' => return None,
            '-' if !empty && characters.peek() != Some(&']') => text.push('-'),
            '\\' => {
                let escaped = characters.next()?;
                text.push_str(&regex::escape(escaped.encode_utf8(&mut [0; 4])));
            }
            // `[` and the like would begin something of their own in a class.
            other => text.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
        empty = false;
    }
    text.push(']');
    // A class never matches a slash.
    Some(format!("(?:{text})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_mean_what_go_says() {
        let matches = |pattern: &str, path: &str, stars| {
            compiled(pattern, stars).is_some_and(|regex| regex.is_match(path))
        };
        for (pattern, path, within, across) in [
            ("*.txt", "a.txt", true, true),
            ("*.txt", "d/a.txt", false, false),
            ("d/**", "d/a/b", false, true),
            ("d/**", "d/a", true, true),
            ("**/b", "a/x/b", false, true),
            ("**/b", "b", false, true),
            ("a?c", "a/c", false, false),
            ("[ab].txt", "b.txt", true, true),
            ("[^a].txt", "a.txt", false, false),
            ("[!a].txt", "b.txt", false, false),
            ("{a,b}.txt", "a.txt", false, false),
            ("{a,b}.txt", "{a,b}.txt", true, true),
            ("[[]x]", "[x]", true, true),
            ("\\*.txt", "*.txt", true, true),
            ("\\*.txt", "a.txt", false, false),
            ("a.c", "abc", false, false),
        ] {
            assert_eq!(
                matches(pattern, path, Stars::Within),
                within,
                "{pattern} {path} within"
            );
            assert_eq!(
                matches(pattern, path, Stars::Across),
                across,
                "{pattern} {path} across"
            );
        }
        for wrong in ["[a", "[]", "[z-a]"] {
            assert!(compiled(wrong, Stars::Across).is_none(), "{wrong}");
        }
    }
}
