//! In: findings and the texts they point into. Out: what a person reads about them: frames drawn by miette on a
//! terminal, plain lines elsewhere, JSON for editors. **Invariant:** each finding is shown with its `file:line:column`, if it has one.

mod json;

use std::borrow::Cow;
use std::fmt;

use miette::{GraphicalReportHandler, LabeledSpan, NamedSource, SourceCode};

use crate::diagnostic::{Diagnostic, Diagnostics, Label, Severity};
use crate::source::comments::Comments;
use crate::source::node::{Mapping, Node, Value};
use crate::source::span::{FileId, SourceMap, Span};
use crate::source::{toml, yaml};

pub use json::json_lines;

/// Writes all findings to standard error, framed if it is a terminal. `NO_COLOR` is miette's matter.
pub fn print(findings: &Diagnostics, sources: &SourceMap) {
    if !findings.is_empty() {
        super::print::err(&render(findings, sources));
    }
}

/// Findings as standard error wants them: framed if it is a terminal.
pub fn render(findings: &Diagnostics, sources: &SourceMap) -> String {
    if super::print::err_is_terminal() {
        framed(findings, sources)
    } else {
        plain(findings, sources)
    }
}

/// Findings as plain lines: `file:line:column: error[code]: message`, the line, a caret, help.
pub fn plain(findings: &Diagnostics, sources: &SourceMap) -> String {
    let mut out = String::new();
    for finding in shown(findings) {
        plain_finding(&mut out, finding, sources);
    }
    push_rest(&mut out, findings);
    out
}

/// How many places of one finding are shown: a circle may be of ten thousand.
const MOST_PLACES: usize = 20;

/// How many findings are shown.
const MOST: usize = 100;

/// All findings in order, or of more than anybody reads the first, errors before warnings.
fn shown(findings: &Diagnostics) -> impl Iterator<Item = &Diagnostic> {
    let all = findings.len() <= MOST;
    let of = move |severity| {
        findings
            .iter()
            .filter(move |finding| all || finding.severity == severity)
    };
    let warnings = of(Severity::Warning).filter(move |_| !all);
    of(Severity::Error).chain(warnings).take(MOST)
}

fn push_rest(out: &mut String, findings: &Diagnostics) {
    if findings.len() > MOST {
        push(out, &format!("… and {} more", findings.len() - MOST));
    }
}

fn plain_finding(out: &mut String, finding: &Diagnostic, sources: &SourceMap) {
    let place = finding
        .span()
        .map(|span| format!("{}: ", sources.locate(span)))
        .unwrap_or_default();
    let kind = finding.severity.word();
    push(
        out,
        &format!("{place}{kind}[{}]: {}", finding.code, finding.message),
    );
    let first = finding.span();
    for label in finding.labels.iter().take(MOST_PLACES) {
        if Some(label.span) != first {
            push(out, &format!("  {}: {}", sources.locate(label.span), label.text));
        }
        excerpt(out, label, Some(label.span) == first, sources);
    }
    for (at, line) in help(finding, sources)
        .iter()
        .flat_map(|help| help.lines())
        .enumerate()
    {
        let lead = if at == 0 { "  = help: " } else { "          " };
        push(out, &format!("{lead}{line}"));
    }
}

/// The help with its snippet, in the language of the file.
fn help(finding: &Diagnostic, sources: &SourceMap) -> Option<String> {
    let (words, _) = finding.advice()?;
    Some(match snippet(finding, sources) {
        Some(snippet) => format!("{words}\n{}", snippet.trim_end()),
        None => words.to_owned(),
    })
}

/// The snippet as TOML if the finding is in a TOML file.
fn snippet(finding: &Diagnostic, sources: &SourceMap) -> Option<String> {
    let (_, snippet) = finding.advice()?;
    let snippet = snippet?;
    let is_toml = |span: Span| {
        sources
            .path(span.file)
            .extension()
            .is_some_and(|extension| extension == "toml")
    };
    let written = finding
        .span()
        .filter(|span| is_toml(*span))
        .and_then(|_| in_toml(snippet));
    Some(written.unwrap_or_else(|| snippet.to_owned()))
}

/// YAML as TOML; none if it is no mapping.
fn in_toml(snippet: &str) -> Option<String> {
    let file = SourceMap::new().add("snippet", snippet);
    let mut node = yaml::parse(file, snippet, &mut Diagnostics::new())
        .into_iter()
        .next()?;
    node.as_map()?;
    // A key without a value is an empty table there.
    node.walk_mut(&mut |node: &mut Node| {
        if node.is_null() {
            node.value = Value::Map(Mapping::new());
        }
    });
    Some(toml::write(&node, &mut Comments::none()))
}

/// Characters of a line that are shown; of a longer one, those around what is pointed at.
const WIDTH: usize = 160;

/// The line of a label with carets under its bytes.
fn excerpt(out: &mut String, label: &Label, with_text: bool, sources: &SourceMap) {
    let file = sources.file(label.span.file);
    let position = file.position(label.span.start());
    let Some(line) = file.line(position.line) else {
        return;
    };
    let number = position.line.to_string();
    let before = position.column - 1;
    let characters: Vec<char> = line.chars().collect();
    let first = if characters.len() > WIDTH {
        before.saturating_sub(WIDTH / 3)
    } else {
        0
    };
    let shown = &characters[first.min(characters.len())..characters.len().min(first + WIDTH)];
    let cut = |cut: bool| if cut { "…" } else { "" };
    let (head, tail) = (cut(first > 0), cut(first + shown.len() < characters.len()));
    let visible: String = shown.iter().collect();
    let indent: String = head
        .chars()
        .chain(shown.iter().copied().take(before - first))
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let left = shown.len().saturating_sub(before - first);
    let written = sources.text(label.span).lines().next().unwrap_or_default();
    let carets = "^".repeat(written.trim_end().chars().count().clamp(1, left.max(1)));
    let text = if with_text && !label.text.is_empty() {
        format!(" {}", label.text)
    } else {
        String::new()
    };
    if line.is_empty() {
        return;
    }
    push(out, &format!("  {number} | {head}{visible}{tail}"));
    push(
        out,
        &format!("  {} | {indent}{carets}{text}", " ".repeat(number.len())),
    );
}

/// Characters of one line of a finding that are shown: names and values of a file may be any length.
const LONGEST: usize = 600;

fn cut(line: &str) -> Cow<'_, str> {
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => Cow::Owned(format!("{}…", &line[..at])),
        None => Cow::Borrowed(line),
    }
}

fn push(out: &mut String, line: &str) {
    out.push_str(cut(line.trim_end()).as_ref());
    out.push('\n');
}

/// Findings as miette draws them.
pub fn framed(findings: &Diagnostics, sources: &SourceMap) -> String {
    let handler = GraphicalReportHandler::new();
    let mut out = String::new();
    for finding in shown(findings) {
        let report = Report::new(finding, sources);
        // A frame that cannot be drawn must not cost the finding.
        if handler.render_report(&mut out, &report).is_err() {
            plain_finding(&mut out, finding, sources);
        }
        out.push('\n');
    }
    push_rest(&mut out, findings);
    out
}

/// A finding as miette wants it: all its labels are in one text, those in other files are reports of their own.
#[derive(Debug)]
struct Report {
    message: String,
    code: String,
    severity: miette::Severity,
    help: Option<String>,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    related: Vec<Report>,
}

impl Report {
    fn new(finding: &Diagnostic, sources: &SourceMap) -> Self {
        let main = finding.span().map(|span| span.file);
        let mut report = Self {
            message: cut(&finding.message).into_owned(),
            code: finding.code.to_owned(),
            severity: match finding.severity {
                Severity::Note => miette::Severity::Advice,
                Severity::Warning => miette::Severity::Warning,
                Severity::Error => miette::Severity::Error,
            },
            help: help(finding, sources),
            source: main.map(|file| named(file, sources)),
            labels: Vec::new(),
            related: Vec::new(),
        };
        for label in finding.labels.iter().take(MOST_PLACES) {
            if Some(label.span.file) == main {
                report.labels.push(labeled(label, finding.span(), sources));
            } else {
                report.related.push(Self {
                    message: label.text.clone(),
                    code: finding.code.to_owned(),
                    severity: miette::Severity::Advice,
                    help: None,
                    source: Some(named(label.span.file, sources)),
                    labels: vec![labeled(label, Some(label.span), sources)],
                    related: Vec::new(),
                });
            }
        }
        report
    }
}

fn named(file: FileId, sources: &SourceMap) -> NamedSource<String> {
    let source = sources.file(file);
    NamedSource::new(sources.shown(file).display().to_string(), source.text.clone())
}

/// Only the first line of a label is drawn: a whole section in a frame hides what is wrong with it.
fn labeled(label: &Label, main: Option<Span>, sources: &SourceMap) -> LabeledSpan {
    let text = (!label.text.is_empty()).then(|| label.text.clone());
    let written = sources.text(label.span).lines().next().unwrap_or_default();
    let range = label.span.start()..label.span.start() + written.trim_end().len();
    if Some(label.span) == main {
        LabeledSpan::new_primary_with_span(text, range)
    } else {
        LabeledSpan::new_with_span(text, range)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        let related = self
            .related
            .iter()
            .map(|report| report as &dyn miette::Diagnostic);
        Some(Box::new(related))
    }
}

#[cfg(test)]
mod tests;
