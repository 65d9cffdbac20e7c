//! In: the text of a Dockerfile. Out: parser directives and logical lines: continuations joined, comments gone, heredocs attached.
//! **Invariant:** pure; every line of the text belongs to at most one logical line, in order.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::DockerfileError;
use super::heredoc;
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
    let physical: Vec<&str> = text.split_inclusive('\n').collect();
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
        if text.trim().is_empty() {
            continue;
        }
        let wrong = |message| DockerfileError {
            line: first + 1,
            message,
        };
        let mut heredocs = heredoc::opened(&text).map_err(wrong)?;
        for heredoc in &mut heredocs {
            heredoc.content = body(&physical, &mut at, heredoc)
                .ok_or_else(|| wrong(format!("heredoc `{}` is not closed", heredoc.name)))?;
        }
        lines.push(LogicalLine {
            text,
            heredocs,
            first: first + 1,
            last: at,
            source: physical[first..at].concat().trim_end().to_owned(),
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
    let mut seen = Vec::new();
    // Behind a shebang only `# syntax=` is looked for.
    let shebang = usize::from(lines.first().is_some_and(|line| line.starts_with("#!")));
    for (index, line) in lines.iter().enumerate().skip(shebang) {
        let Some((name, value)) = line
            .trim()
            .strip_prefix('#')
            .and_then(|rest| rest.split_once('='))
        else {
            break;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if !matches!(name.as_str(), "syntax" | "check" | "escape") || value.is_empty() {
            break;
        }
        let wrong = |message| {
            let line = index + 1;
            Err(DockerfileError { line, message })
        };
        if seen.contains(&name) {
            return wrong(format!("the parser directive `{name}` is given twice"));
        }
        match name.as_str() {
            "syntax" => found.syntax = Some(value.to_owned()),
            "check" => found.check = Some(value.to_owned()),
            _ if shebang > 0 => break,
            _ => {
                found.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    other => {
                        return wrong(format!("escape `{other}` is neither a backslash nor a backtick"));
                    }
                }
            }
        }
        seen.push(name);
    }
    Ok(found)
}

/// Joins continued lines from `at` on; comment lines and empty lines inside are dropped, as BuildKit does.
fn joined(lines: &[&str], at: &mut usize, escape: char) -> String {
    let mut text = String::new();
    let mut first = true;
    while *at < lines.len() {
        let line = without_end(lines[*at]);
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
    text
}

fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}

/// The line without its continuation, when it has one.
fn continued(line: &str, escape: char) -> Option<&str> {
    let begin = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    // An escaped escape at the end is no continuation.
    (!begin.ends_with(escape)).then_some(begin)
}

/// Lines up to the closing word.
fn body(lines: &[&str], at: &mut usize, heredoc: &Heredoc) -> Option<String> {
    let mut content = String::new();
    while *at < lines.len() {
        let line = lines[*at];
        *at += 1;
        let end = without_end(line);
        let end = if heredoc.strip_tabs {
            end.trim_start_matches('\t')
        } else {
            end
        };
        if end == heredoc.name {
            return Some(content);
        }
        content.push_str(line);
    }
    None
}
