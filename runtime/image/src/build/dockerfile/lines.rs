//! In: the text of a Dockerfile. Out: parser directives and logical lines: continuations joined, comments gone, heredocs attached.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::DockerfileError;
use super::instruction::Heredoc;

/// What the first lines told the parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`, never fetched.
    pub syntax: Option<String>,
    /// `# escape=`, backslash by default.
    pub escape: char,
    /// `# check=`.
    pub check: Option<String>,
}

/// One instruction's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalLine {
    /// Joined text without the heredocs' bodies.
    pub text: String,
    /// Bodies of the heredocs it opens, in order.
    pub heredocs: Vec<Heredoc>,
    /// From 1.
    pub first: usize,
    /// From 1.
    pub last: usize,
    /// As written.
    pub source: String,
}

/// Splits the text.
pub(super) fn split(text: &str) -> Result<(Directives, Vec<LogicalLine>), DockerfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let physical: Vec<&str> = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .collect();
    let directives = directives(&physical)?;
    let mut lines = Vec::new();
    let mut at = 0;
    while at < physical.len() {
        let line = physical[at].trim_start();
        if line.is_empty() || line.starts_with('#') {
            at += 1;
            continue;
        }
        let first = at;
        let text = joined(&physical, &mut at, directives.escape);
        let words = heredoc_words(&text);
        let mut heredocs = Vec::new();
        for (name, quoted, strip_tabs) in words {
            let content = body(&physical, &mut at, &name, strip_tabs).ok_or_else(|| DockerfileError {
                line: first + 1,
                message: format!("heredoc `{name}` is not closed"),
            })?;
            heredocs.push(Heredoc {
                name,
                content,
                expand: !quoted,
                strip_tabs,
            });
        }
        lines.push(LogicalLine {
            text,
            heredocs,
            first: first + 1,
            last: at,
            source: physical[first..at].join("\n"),
        });
    }
    Ok((directives, lines))
}

/// Parser directives stand before everything else, one a line, each once (docs.docker.com, Dockerfile reference, parser directives).
fn directives(lines: &[&str]) -> Result<Directives, DockerfileError> {
    let mut found = Directives {
        syntax: None,
        escape: '\\',
        check: None,
    };
    for (index, line) in lines.iter().enumerate() {
        // A shebang line may come first.
        if index == 0 && line.starts_with("#!") {
            continue;
        }
        let Some((name, value)) = line
            .trim()
            .strip_prefix('#')
            .and_then(|rest| rest.split_once('='))
        else {
            break;
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "syntax" => found.syntax = Some(value.to_owned()),
            "check" => found.check = Some(value.to_owned()),
            "escape" => {
                found.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    other => {
                        let message = format!("escape `{other}` is neither a backslash nor a backtick");
                        return Err(DockerfileError {
                            line: index + 1,
                            message,
                        });
                    }
                }
            }
            _ => break,
        }
    }
    Ok(found)
}

/// Joins continued lines from `at` on; comment lines and empty lines inside are dropped, as BuildKit does.
fn joined(lines: &[&str], at: &mut usize, escape: char) -> String {
    let mut text = String::new();
    let mut first = true;
    while *at < lines.len() {
        let line = lines[*at];
        *at += 1;
        if !first && (line.trim_start().starts_with('#') || line.trim().is_empty()) {
            continue;
        }
        let line = if first { line.trim_start() } else { line };
        first = false;
        match continued(line, escape) {
            Some(begin) => text.push_str(begin),
            None => {
                text.push_str(line);
                break;
            }
        }
    }
    text.trim_end().to_owned()
}

/// The line without its continuation, when it has one.
fn continued(line: &str, escape: char) -> Option<&str> {
    let trimmed = line.trim_end();
    let begin = trimmed.strip_suffix(escape)?;
    // An escaped escape at the end is no continuation.
    (!begin.ends_with(escape)).then_some(begin)
}

/// Words `<<EOF`, `<<-EOF`, `<<"EOF"` outside quotes of an instruction that may have them: name, quoted, strip tabs.
fn heredoc_words(text: &str) -> Vec<(String, bool, bool)> {
    let verb = text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    if !matches!(verb.as_str(), "RUN" | "COPY" | "ADD") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        match quote {
            Some(open) => quote = (byte != open).then_some(open),
            None if byte == b'\\' => index += 1,
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if text[index..].starts_with("<<<") => index += 2,
            None if text[index..].starts_with("<<") => {
                let rest = &text[index + 2..];
                let (strip_tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
                let (quoted, name) = match rest.chars().next() {
                    Some(mark @ ('"' | '\'')) => (true, rest[1..].split(mark).next().unwrap_or_default()),
                    _ => (
                        false,
                        rest.split(|c: char| !(c.is_alphanumeric() || "_./-".contains(c)))
                            .next()
                            .unwrap_or_default(),
                    ),
                };
                if !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) {
                    found.push((name.to_owned(), quoted, strip_tabs));
                    index += 1 + usize::from(strip_tabs) + name.len() + 2 * usize::from(quoted);
                }
            }
            None => {}
        }
        index += 1;
    }
    found
}

/// Lines up to the closing word.
fn body(lines: &[&str], at: &mut usize, name: &str, strip_tabs: bool) -> Option<String> {
    let mut content = String::new();
    while *at < lines.len() {
        let line = if strip_tabs {
            lines[*at].trim_start_matches('\t')
        } else {
            lines[*at]
        };
        *at += 1;
        if line == name {
            return Some(content);
        }
        content.push_str(line);
        content.push('\n');
    }
    None
}
