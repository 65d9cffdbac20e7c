//! In: the arguments of an instruction. Out: its words: split at blanks outside quotes, as JSON, or as pairs of name and value.
//! **Invariant:** pure; quotes and escapes stay where the expansion has to see them.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::instruction::{KeyValue, Words};

/// A command line: a JSON list of strings, else a line for the shell.
pub(super) fn form(text: &str) -> Result<Words, String> {
    Ok(json_list(text)?.map_or_else(|| Words::Shell(text.to_owned()), Words::Exec))
}

/// A JSON list, when the text is one.
pub(super) fn json_list(text: &str) -> Result<Option<Vec<String>>, String> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(list) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        return Ok(None);
    };
    let strings = list.into_iter().map(|value| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| format!("`{value}` in a JSON list is no string; put it in double quotes"))
    });
    strings.collect::<Result<_, _>>().map(Some)
}

/// A JSON list, else what blanks separate.
pub(super) fn list(text: &str) -> Result<Vec<String>, String> {
    Ok(json_list(text)?.unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect()))
}

/// Splits at blanks outside quotes; quotes and escapes stay for the expansion.
pub(super) fn words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, blank) if blank.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), mark) if mark == escape => {
                // At the very end it is dropped.
                if let Some(next) = characters.next() {
                    word.extend([mark, next]);
                }
                continue;
            }
            _ => {}
        }
        word.push(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `NAME=value …`, or the old form `NAME the rest of the line`.
pub(super) fn key_values(text: &str, verb: &str, escape: char) -> Result<Vec<KeyValue>, String> {
    let words = words(text, escape);
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{verb} takes NAME=value"))?;
        return Ok(vec![KeyValue {
            name: name.to_owned(),
            value: value.trim_start().to_owned(),
        }]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(format!("{verb} has a value without a name: `{word}`")),
            Some((name, value)) => Ok(KeyValue {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            None => Err(format!(
                "{verb} takes NAME=value, `{word}` has no `=`; quote values that have blanks"
            )),
        })
        .collect()
}
