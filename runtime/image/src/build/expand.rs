//! In: a raw word of a Dockerfile and the variables in scope. Out: the word with quotes removed and variables replaced.
//! Forms: `$N ${N} ${N:-w} ${N-w} ${N:+w} ${N+w} ${N:?w} ${N?w} ${N#p} ${N##p} ${N%p} ${N%%p} ${N/p/r} ${N//p/r}` (Dockerfile
//! reference, environment replacement). Single quotes keep `$`; the escape character protects the next one.
//! **Invariant:** values that came from variables are not expanded again.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Where variables come from.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands one word.
pub fn expand(word: &str, escape: char, lookup: Lookup<'_>) -> Result<String, String> {
    let characters: Vec<char> = word.chars().collect();
    let mut expander = Expander {
        characters: &characters,
        at: 0,
        escape,
        lookup,
        keep_quotes: false,
    };
    expander.until(None)
}

/// Expands variables but leaves quotes and escapes as they are: what an ONBUILD, a shell line or a heredoc wants.
pub fn expand_only(text: &str, escape: char, lookup: Lookup<'_>) -> Result<String, String> {
    let characters: Vec<char> = text.chars().collect();
    let mut expander = Expander {
        characters: &characters,
        at: 0,
        escape,
        lookup,
        keep_quotes: true,
    };
    expander.until(None)
}

struct Expander<'a> {
    characters: &'a [char],
    at: usize,
    escape: char,
    lookup: Lookup<'a>,
    keep_quotes: bool,
}

impl Expander<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.characters.get(self.at).copied();
        self.at += usize::from(character.is_some());
        character
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn until(&mut self, stop: Option<char>) -> Result<String, String> {
        let mut text = String::new();
        while let Some(character) = self.peek() {
            if Some(character) == stop {
                return Ok(text);
            }
            self.at += 1;
            match character {
                '\'' if !self.keep_quotes => loop {
                    match self.next() {
                        Some('\'') => break,
                        Some(inner) => text.push(inner),
                        None => return Err("a single quote is not closed".to_owned()),
                    }
                },
                '"' if !self.keep_quotes => self.double_quoted(&mut text)?,
                '$' => text.push_str(&self.variable()?),
                escape if escape == self.escape => {
                    if self.keep_quotes && self.peek() != Some('$') {
                        text.push(escape);
                    }
                    text.extend(self.next());
                }
                other => text.push(other),
            }
        }
        if stop.is_some() {
            Err("`${` is not closed".to_owned())
        } else {
            Ok(text)
        }
    }

    fn double_quoted(&mut self, text: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('$') => text.push_str(&self.variable()?),
                Some(escape) if escape == self.escape => match self.next() {
                    // Inside double quotes the escape protects only these, as in a shell.
                    Some(next) if next == '"' || next == '$' || next == escape => text.push(next),
                    Some(next) => text.extend([escape, next]),
                    None => return Err("a double quote is not closed".to_owned()),
                },
                Some(inner) => text.push(inner),
                None => return Err("a double quote is not closed".to_owned()),
            }
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(character) = self.peek() {
            let fits = character == '_'
                || character.is_ascii_alphabetic()
                || (!name.is_empty() && character.is_ascii_digit());
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
            return Ok(if name.is_empty() {
                "$".to_owned()
            } else {
                (self.lookup)(&name).unwrap_or_default()
            });
        }
        self.at += 1;
        let name = self.name();
        if name.is_empty() {
            return Err("`${` needs a name".to_owned());
        }
        let value = (self.lookup)(&name);
        let operator = self.next().ok_or("`${` is not closed")?;
        match operator {
            '}' => Ok(value.unwrap_or_default()),
            ':' => {
                let operator = self.next().ok_or("`${` is not closed")?;
                self.conditional(&name, operator, value.filter(|value| !value.is_empty()))
            }
            '-' | '+' | '?' => self.conditional(&name, operator, value),
            '#' | '%' => {
                let greedy = self.peek() == Some(operator);
                self.at += usize::from(greedy);
                let pattern = self.operand()?;
                Ok(trim(
                    &value.unwrap_or_default(),
                    &pattern,
                    operator == '#',
                    greedy,
                ))
            }
            '/' => {
                let all = self.peek() == Some('/');
                self.at += usize::from(all);
                let pattern = self.until(Some('/'))?;
                self.at += 1;
                let replacement = self.operand()?;
                Ok(replace(&value.unwrap_or_default(), &pattern, &replacement, all))
            }
            other => Err(format!("`${{{name}{other}` is no form of expansion")),
        }
    }

    fn operand(&mut self) -> Result<String, String> {
        let word = self.until(Some('}'))?;
        self.at += 1;
        Ok(word)
    }

    fn conditional(&mut self, name: &str, operator: char, value: Option<String>) -> Result<String, String> {
        let word = self.operand()?;
        match operator {
            '-' => Ok(value.unwrap_or(word)),
            '+' => Ok(value.map(|_| word).unwrap_or_default()),
            '?' => {
                value.ok_or_else(|| format!("{name}: {}", if word.is_empty() { "is not set" } else { &word }))
            }
            other => Err(format!("`${{{name}:{other}` is no form of expansion")),
        }
    }
}

/// Whether the shell pattern (`*`, `?`) matches the whole text.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        Some(('?', rest)) => text.split_first().is_some_and(|(_, tail)| matches(rest, tail)),
        Some(('\\', rest)) if !rest.is_empty() => text
            .split_first()
            .is_some_and(|(first, tail)| *first == rest[0] && matches(&rest[1..], tail)),
        Some((wanted, rest)) => text
            .split_first()
            .is_some_and(|(first, tail)| first == wanted && matches(rest, tail)),
    }
}

fn trim(value: &str, pattern: &str, prefix: bool, greedy: bool) -> String {
    let text: Vec<char> = value.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let lengths: Box<dyn Iterator<Item = usize>> = if greedy {
        Box::new((0..=text.len()).rev())
    } else {
        Box::new(0..=text.len())
    };
    for length in lengths {
        let (part, rest) = if prefix {
            (&text[..length], &text[length..])
        } else {
            (&text[text.len() - length..], &text[..text.len() - length])
        };
        if matches(&pattern, part) {
            return rest.iter().collect();
        }
    }
    value.to_owned()
}

fn replace(value: &str, pattern: &str, replacement: &str, all: bool) -> String {
    let text: Vec<char> = value.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let mut result = String::new();
    let mut at = 0;
    let mut done = false;
    while at < text.len() {
        let longest = if done {
            None
        } else {
            (at + 1..=text.len())
                .rev()
                .find(|end| matches(&pattern, &text[at..*end]))
        };
        match longest {
            Some(end) => {
                result.push_str(replacement);
                at = end;
                done = !all;
            }
            None => {
                result.push(text[at]);
                at += 1;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(word: &str) -> Result<String, String> {
        expand(word, '\\', &|name| match name {
            "V" => Some("value.tar.gz".to_owned()),
            "EMPTY" => Some(String::new()),
            "N1" => Some("one".to_owned()),
            _ => None,
        })
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
            ("${V:+r}", "r"),
            ("${X+r}", ""),
            ("${V#*.}", "tar.gz"),
            ("${V##*.}", "gz"),
            ("${V%.*}", "value.tar"),
            ("${V%%.*}", "value"),
            ("${V/a/A}", "vAlue.tar.gz"),
            ("${V//a/A}", "vAlue.tAr.gz"),
            ("'$V'", "$V"),
            ("\"$N1 \\\"x\\\" \\n\"", "one \"x\" \\n"),
            ("\\$V", "$V"),
            ("$", "$"),
            ("a$-b", "a$-b"),
            ("$N1.x", "one.x"),
        ];
        for (word, expected) in cases {
            assert_eq!(with(word).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(with("${X:?set X}"), Err("X: set X".to_owned()));
        assert!(
            with("${").is_err()
                && with("${V").is_err()
                && with("'a").is_err()
                && with("\"a").is_err()
                && with("${V=a}").is_err()
        );
    }

    #[test]
    fn quotes_stay_where_only_variables_are_expanded() {
        let text = expand_only("echo \"$A\" '$A' \\$A \\n", '\\', &|_| Some("x".to_owned()));
        assert_eq!(text.as_deref(), Ok("echo \"x\" 'x' $A \\n"));
    }
}
