//! In: the text of an instruction, or one of its words. Out: the here-documents it opens, their bodies still empty.
//! **Invariant:** only RUN, COPY and ADD, also behind ONBUILD, open any, and never in JSON form.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::flags::flags;
use super::instruction::Heredoc;
use super::words::json_list;
use crate::build::expand::split_words;

/// The heredocs that a line opens, in order.
pub(super) fn opened(text: &str) -> Result<Vec<Heredoc>, String> {
    let mut rest = text.trim();
    loop {
        let (verb, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = behind.trim_start();
        match verb.to_ascii_uppercase().as_str() {
            "ONBUILD" => {}
            "RUN" | "COPY" | "ADD" if rest.contains("<<") => break,
            _ => return Ok(Vec::new()),
        }
    }
    let (_, arguments) = flags(rest);
    if matches!(json_list(arguments), Ok(Some(_))) {
        return Ok(Vec::new());
    }
    // A line whose quotes do not match is the shell's to judge.
    let words = split_words(text, true, true).unwrap_or_default();
    words
        .iter()
        .filter_map(|word| heredoc(word).transpose())
        .collect()
}

/// Whether a line is nothing but a heredoc.
pub fn is_heredoc(line: &str) -> bool {
    heredoc(line.trim()).is_ok_and(|found| found.is_some())
}

/// The heredoc that a whole word opens: `<<EOF`, `3<<-"END"`. A quoted word keeps its document from being expanded.
pub(super) fn heredoc(word: &str) -> Result<Option<Heredoc>, String> {
    let Some(rest) = word
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .strip_prefix("<<")
    else {
        return Ok(None);
    };
    let (strip_tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let plain = split_words(rest, false, false)?;
    let raw = split_words(rest, true, false)?;
    let ([name], [raw]) = (plain.as_slice(), raw.as_slice()) else {
        return Ok(None);
    };
    let marks = |text: &str| text.matches(['"', '\'']).count();
    Ok(Some(Heredoc {
        name: name.clone(),
        content: String::new(),
        expand: marks(name) == marks(raw),
        strip_tabs,
    }))
}
