//! In: what follows an instruction's name. Out: its `--name=value` words, and what is behind them.
//! **Invariant:** a flag that is not known, is given twice or lacks its value is an error that names it; none is dropped.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::parse::suggestion;

/// Flags of an instruction, in order, not yet asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Flags {
    found: Vec<(String, Option<String>)>,
    known: Vec<&'static str>,
}

/// `--name=value` words at the front; `--` alone ends them.
pub(super) fn flags(text: &str) -> (Flags, &str) {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (word, behind) = word(rest);
        rest = behind.trim_start();
        let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) else {
            break;
        };
        found.push(match flag.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (flag.to_owned(), None),
        });
    }
    let known = Vec::new();
    (Flags { found, known }, rest)
}

/// The first word, its quotes and backslashes gone, and what is behind it.
fn word(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match (quote, character) {
            (None, blank) if blank.is_whitespace() => return (word, &text[index..]),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (_, '\\') => word.extend(characters.next().map(|(_, next)| next)),
            (_, other) => word.push(other),
        }
    }
    (word, "")
}

impl Flags {
    /// All values of a flag that may be repeated.
    pub(super) fn all(&mut self, name: &'static str) -> Result<Vec<String>, String> {
        self.known.push(name);
        let (of_name, others) = self.found.drain(..).partition(|(found, _)| found == name);
        self.found = others;
        let of_name: Vec<(String, Option<String>)> = of_name;
        let values = of_name
            .into_iter()
            .map(|(_, value)| value.ok_or_else(|| format!("--{name} needs a value: --{name}=…")));
        values.collect()
    }

    /// The value of a flag given once.
    pub(super) fn value(&mut self, name: &'static str) -> Result<Option<String>, String> {
        let mut values = self.all(name)?;
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(format!("--{name} is given twice")),
        }
    }

    /// A flag that is there, `=true` or `=false`; none is absent.
    pub(super) fn truth(&mut self, name: &'static str) -> Result<Option<bool>, String> {
        for (found, value) in &mut self.found {
            if found == name && value.is_none() {
                *value = Some("true".to_owned());
            }
        }
        let value = self.value(name)?;
        value
            .map(|value| match value.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(format!("--{name}={value} is neither true nor false")),
            })
            .transpose()
    }

    /// Nothing may be left.
    pub(super) fn finish(&self, verb: &str) -> Result<(), String> {
        match self.found.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!(
                "{verb} has no flag --{name}{}",
                suggestion(name, &self.known)
            )),
        }
    }
}
