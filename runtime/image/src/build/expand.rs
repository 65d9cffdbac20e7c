//! In: a raw word of a Dockerfile and the variables in scope. Out: the word with quotes removed and variables replaced.
//! Forms: `$N ${N} ${N:-w} ${N-w} ${N:+w} ${N+w} ${N:?w} ${N?w} ${N#p} ${N##p} ${N%p} ${N%%p} ${N/p/r} ${N//p/r}` (Dockerfile
//! reference, environment replacement; what is not said there is as BuildKit's shell lexer has it).
//! **Invariant:** values that came from variables are not expanded again; time is linear in the text and the values, depth is bounded.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::shell_pattern::ShellPattern;

/// Where variables come from.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `${a:-${b:-…}}` may go this deep; nobody writes it, and the stack has an end.
const DEEPEST: usize = 100;
/// Bytes of a word at the most: forms within forms multiply, and no program takes a variable of this size (execve(2): 128 KiB).
const LONGEST: usize = 1 << 20;

/// Expands one word.
///
/// # Errors
/// A quote or brace without its end, a form that does not exist, or `${N:?message}` without a value.
pub fn expand(word: &str, escape: char, lookup: Lookup<'_>) -> Result<String, String> {
    Ok(Lexer::new(word, escape, lookup).until(None, false)?.text)
}

/// Expands a text and splits what comes out at blanks that are neither quoted nor escaped; values of variables are split too.
///
/// # Errors
/// As [`expand`].
pub fn expand_words(text: &str, escape: char, lookup: Lookup<'_>) -> Result<Vec<String>, String> {
    Ok(Lexer::new(text, escape, lookup).until(None, false)?.into_words())
}

/// Expands variables in the body of a heredoc: quotes stay, and only a backslash escapes.
///
/// # Errors
/// As [`expand`].
pub fn expand_heredoc(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let mut lexer = Lexer::new(text, '\\', lookup);
    lexer.quotes = Quotes::AreText;
    Ok(lexer.until(None, false)?.text)
}

/// Splits a line into words as [`expand_words`], but leaves variables as they are written; `raw` leaves quotes and escapes, too.
///
/// # Errors
/// As [`expand`].
pub(super) fn split_words(text: &str, raw_quotes: bool, raw_escapes: bool) -> Result<Vec<String>, String> {
    let nothing = |_: &str| None;
    let mut lexer = Lexer::new(text, '\\', &nothing);
    lexer.keep_unset = true;
    lexer.raw_escapes = raw_escapes;
    if raw_quotes {
        lexer.quotes = Quotes::Stay;
    }
    Ok(lexer.until(None, raw_escapes)?.into_words())
}

/// That a text has not grown out of all reason.
pub(super) fn bounded(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("an expansion has more than {LONGEST} bytes"));
    }
    Ok(())
}

/// What a quotation mark does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// It protects, and goes.
    Go,
    /// It protects, and stays.
    Stay,
    /// It is a character like others.
    AreText,
}

/// What has been read: as one text, and as words.
#[derive(Default)]
struct Read {
    text: String,
    words: Vec<String>,
    word: String,
}

impl Read {
    /// A character that parts words when it is a blank.
    fn plain(&mut self, character: char) {
        self.text.push(character);
        if character.is_whitespace() {
            self.end_word();
        } else {
            self.word.push(character);
        }
    }

    /// Something quoted or escaped: its blanks belong to the word.
    fn protected(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn into_words(mut self) -> Vec<String> {
        self.end_word();
        self.words
    }
}

struct Lexer<'a> {
    characters: Vec<char>,
    at: usize,
    depth: usize,
    escape: char,
    lookup: Lookup<'a>,
    quotes: Quotes,
    /// Escape characters stay; so in patterns, which have escapes of their own.
    raw_escapes: bool,
    /// Variables without a value stay as they are written.
    keep_unset: bool,
}

impl<'a> Lexer<'a> {
    fn new(text: &str, escape: char, lookup: Lookup<'a>) -> Self {
        Self {
            characters: text.chars().collect(),
            at: 0,
            depth: 0,
            escape,
            lookup,
            quotes: Quotes::Go,
            raw_escapes: false,
            keep_unset: false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.characters.get(self.at).copied();
        self.at += usize::from(character.is_some());
        character
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<Read, String> {
        let outer = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        self.depth += 1;
        let read = if self.depth > DEEPEST {
            Err(format!("expansions are nested more than {DEEPEST} deep"))
        } else {
            self.until_stop(stop)
        };
        self.depth -= 1;
        self.raw_escapes = outer;
        read
    }

    fn until_stop(&mut self, stop: Option<char>) -> Result<Read, String> {
        let mut read = Read::default();
        while let Some(character) = self.peek() {
            self.at += 1;
            if Some(character) == stop {
                return Ok(read);
            }
            match character {
                '$' => {
                    let value = self.variable()?;
                    value.chars().for_each(|character| read.plain(character));
                    bounded(&read.text)?;
                }
                '\'' if self.quotes != Quotes::AreText => read.protected(&self.single_quoted()?),
                '"' if self.quotes != Quotes::AreText => read.protected(&self.double_quoted()?),
                escape if escape == self.escape => {
                    if self.raw_escapes {
                        read.protected(escape.encode_utf8(&mut [0; 4]));
                    }
                    // At the very end it is dropped.
                    if let Some(next) = self.next() {
                        read.protected(next.encode_utf8(&mut [0; 4]));
                    }
                }
                other => read.plain(other),
            }
        }
        match stop {
            Some(stop) => Err(format!("`{stop}` is missing at the end of `${{`")),
            None => Ok(read),
        }
    }

    fn mark(&self, mark: char, text: &mut String) {
        if self.quotes == Quotes::Stay {
            text.push(mark);
        }
    }

    fn single_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        self.mark('\'', &mut text);
        loop {
            match self.next() {
                Some('\'') => {
                    self.mark('\'', &mut text);
                    return Ok(text);
                }
                Some(inner) => text.push(inner),
                None => return Err("a single quote is not closed".to_owned()),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        self.mark('"', &mut text);
        loop {
            match self.next() {
                Some('"') => {
                    self.mark('"', &mut text);
                    return Ok(text);
                }
                Some('$') => {
                    text.push_str(&self.variable()?);
                    bounded(&text)?;
                }
                Some(escape) if escape == self.escape => {
                    if self.raw_escapes {
                        text.push(escape);
                    }
                    // Inside double quotes the escape protects only these, as in a shell.
                    match self.peek() {
                        Some(next) if next == '"' || next == '$' || next == escape => {
                            self.at += 1;
                            text.push(next);
                        }
                        Some(_) => text.push(escape),
                        None => {}
                    }
                }
                Some(inner) => text.push(inner),
                None => return Err("a double quote is not closed".to_owned()),
            }
        }
    }

    /// A name: letters, digits and `_`; or digits alone; or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(character) = self.peek() {
            let digits_alone = name.starts_with(|first: char| first.is_numeric());
            if name.is_empty() && "@*#?-$!".contains(character) {
                self.at += 1;
                return character.to_string();
            }
            let fits =
                character.is_numeric() || !digits_alone && (character.is_alphabetic() || character == '_');
            if !fits {
                break;
            }
            name.push(character);
            self.at += 1;
        }
        name
    }

    /// After `$`.
    fn variable(&mut self) -> Result<String, String> {
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(self.value(&name, || format!("${name}")).unwrap_or_default());
        }
        self.at += 1;
        if matches!(self.peek(), None | Some('{' | '}' | ':')) {
            return Err("`${` needs a name and `}`".to_owned());
        }
        let name = self.name();
        let unclosed = || format!("`${{{name}` has no `}}`");
        let operator = self.next().ok_or_else(unclosed)?;
        match operator {
            '}' => Ok(self.value(&name, || format!("${{{name}}}")).unwrap_or_default()),
            ':' => {
                let operator = self.next().ok_or_else(unclosed)?;
                self.conditional(&name, operator, true)
            }
            '-' | '+' | '?' | '#' | '%' => self.conditional(&name, operator, false),
            '/' => self.replacement(&name),
            other => Err(format!("`${{{name}{other}` is no form of expansion")),
        }
    }

    /// The value; one that is not set is what was written where that has to stay.
    fn value(&self, name: &str, written: impl FnOnce() -> String) -> Option<String> {
        (self.lookup)(name).or_else(|| self.keep_unset.then(written))
    }

    /// `empty_counts`: with `:`, an empty value is as good as none.
    fn conditional(&mut self, name: &str, operator: char, empty_counts: bool) -> Result<String, String> {
        let colon = if empty_counts { ":" } else { "" };
        if !"-+?#%".contains(operator) {
            return Err(format!("`${{{name}{colon}{operator}` is no form of expansion"));
        }
        let pattern = matches!(operator, '#' | '%');
        let word = self.until(Some('}'), pattern)?.text;
        let value = (self.lookup)(name);
        if value.is_none() && self.keep_unset {
            return Ok(format!("${{{name}{colon}{operator}{word}}}"));
        }
        if pattern {
            let value = value.unwrap_or_default();
            let (word, longest) = match word.strip_prefix(operator) {
                Some(rest) => (rest, true),
                None => (word.as_str(), false),
            };
            return if operator == '#' {
                ShellPattern::new(word, longest)?.without_prefix(&value)
            } else {
                ShellPattern::new(word, longest)?.without_suffix(&value)
            };
        }
        let given = value.clone().filter(|value| !empty_counts || !value.is_empty());
        match operator {
            '-' => Ok(given.unwrap_or(word)),
            '+' => Ok(given.map(|_| word).unwrap_or_default()),
            _ => given.ok_or_else(|| {
                let why = match (word.as_str(), value) {
                    ("", None) => "is not set",
                    ("", Some(_)) => "is empty",
                    (word, _) => word,
                };
                format!("{name}: {why}")
            }),
        }
    }

    /// `${N/p/r}` and `${N//p/r}`, after the first slash.
    fn replacement(&mut self, name: &str) -> Result<String, String> {
        let all = self.peek() == Some('/');
        self.at += usize::from(all);
        let pattern = self.until(Some('/'), true)?.text;
        let replacement = self.until(Some('}'), true)?.text;
        let Some(value) = (self.lookup)(name) else {
            return Ok(if self.keep_unset {
                format!("${{{name}/{pattern}/{replacement}}}")
            } else {
                String::new()
            });
        };
        ShellPattern::new(&pattern, true)?.replaced(&value, &replacement, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        match name {
            "V" => Some("value.tar.gz".to_owned()),
            "EMPTY" => Some(String::new()),
            "N1" => Some("one".to_owned()),
            "P" => Some("a/b/a.c".to_owned()),
            "STAR" => Some("*a?b*".to_owned()),
            "WORDS" => Some("1000 1001/udp".to_owned()),
            _ => None,
        }
    }

    fn with(word: &str) -> Result<String, String> {
        expand(word, '\\', &value)
    }

    #[test]
    fn every_form() {
        let cases = [
            ("a$V", "avalue.tar.gz"),
            ("${V}b", "value.tar.gzb"),
            ("${X:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${X:-${N1}}", "one"),
            ("${X:-\"a b\"}", "a b"),
            ("${V:+r}", "r"),
            ("${X+r}", ""),
            ("${EMPTY?fine}", ""),
            ("${V#*.}", "tar.gz"),
            ("${V##*.}", "gz"),
            ("${V%.*}", "value.tar"),
            ("${V%%.*}", "value"),
            ("${V#nope}", "value.tar.gz"),
            ("${V/a/A}", "vAlue.tar.gz"),
            ("${V//a/A}", "vAlue.tAr.gz"),
            ("${P//\\//-}", "a-b-a.c"),
            ("${P/a*/X}", "X"),
            ("${STAR#\\*}", "a?b*"),
            ("${STAR//\\?/Q}", "*aQb*"),
            ("'$V'", "$V"),
            ("\"$N1 \\\"x\\\" \\n\"", "one \"x\" \\n"),
            ("\\$V", "$V"),
            ("a\\", "a"),
            ("$", "$"),
            ("a$-b", "ab"),
            ("$1x$@", "x"),
            ("$N1.x", "one.x"),
        ];
        for (word, expected) in cases {
            assert_eq!(with(word).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(with("${X:?set X}"), Err("X: set X".to_owned()));
        assert_eq!(with("${EMPTY:?}"), Err("EMPTY: is empty".to_owned()));
        for wrong in [
            "${",
            "${V",
            "${}",
            "${:x}",
            "'a",
            "\"a",
            "${V=a}",
            "${V^}",
            "${V:=a}",
            "${V/a}",
            "${V/a/b",
            "${V/\\q/b}",
        ] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
        let deep = "${X:-".repeat(200) + &"}".repeat(200);
        assert!(with(&deep).is_err_and(|error| error.contains("deep")));
        let large = "${V//?/".repeat(12) + "x" + &"}".repeat(12);
        assert!(with(&large).is_err_and(|error| error.contains("bytes")));
    }

    #[test]
    fn a_heredoc_keeps_its_quotes_and_a_value_makes_words() {
        let text = expand_heredoc("echo \"$A\" '$A' \\$A \\n", &|_| Some("x".to_owned()));
        assert_eq!(text.as_deref(), Ok("echo \"x\" 'x' $A n"));
        let words = expand_words("80 $WORDS '9 9' a\\ b", '\\', &value);
        assert_eq!(
            words,
            Ok(["80", "1000", "1001/udp", "9 9", "a b"]
                .map(str::to_owned)
                .to_vec())
        );
        let raw = split_words("cat <<'a b' $X \\y", true, true);
        assert_eq!(
            raw,
            Ok(["cat", "<<'a b'", "$X", "\\y"].map(str::to_owned).to_vec())
        );
    }
}
