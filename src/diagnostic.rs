//! What is said about a user's file: in come findings from every pure stage, out goes a list that a renderer
//! (not known here) prints. **Invariant:** codes are stable and no stage stops at its first finding.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod code;

use std::collections::BTreeMap;

use crate::source::span::Span;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is fine; it could be better. Only `check` says so.
    Note,
    /// The file is used, but the user should know.
    Warning,
    /// The file cannot be used.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place in a file with a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The bytes pointed at.
    pub span: Span,
    /// What is said of them; may be empty.
    pub text: String,
    /// Whether this is where the finding is, rather than a place that explains it.
    pub primary: bool,
}

/// One finding: what is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable kebab-case name of the kind of finding, e.g. `unknown-key`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// One sentence without a trailing period.
    pub message: String,
    /// The places concerned, in the order they were added.
    pub labels: Vec<Label>,
    /// What to do about it, where that is known: one line, and perhaps YAML below it.
    pub help: Option<String>,
    /// The text to write in place of the reported one, quotes aside.
    pub replacement: Option<Box<str>>,
}

impl Diagnostic {
    /// A finding that makes the file unusable.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message.into())
    }

    /// A finding that does not.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message.into())
    }

    /// A finding that only says what could be better.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Note, message.into())
    }

    fn new(code: &'static str, severity: Severity, message: String) -> Self {
        debug_assert!(
            code::find(code).is_some(),
            "`{code}` has no row in diagnostic/code"
        );
        Self {
            code,
            severity,
            message,
            labels: Vec::new(),
            help: None,
            replacement: None,
        }
    }

    /// Points at where the finding is, without words.
    #[must_use]
    pub fn at(self, span: Span) -> Self {
        self.label(span, "")
    }

    /// Points at where the finding is, with words.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
            primary: true,
        });
        self
    }

    /// Points at a place that explains the finding, e.g. the first of two definitions.
    #[must_use]
    pub fn secondary(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
            primary: false,
        });
        self
    }

    /// Says what to do about it; what follows the first line is YAML that shows it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The help in words, and the YAML that shows it; a renderer may show that as TOML.
    pub fn advice(&self) -> Option<(&str, Option<&str>)> {
        let help = self.help.as_deref()?;
        Some(match help.split_once('\n') {
            Some((words, yaml)) => (words, Some(yaml)),
            None => (help, None),
        })
    }

    /// Proposes a word in place of the reported one.
    #[must_use]
    pub fn did_you_mean(mut self, word: &str) -> Self {
        self.replacement = Some(word.into());
        self.help(format!("did you mean `{word}`?"))
    }

    /// The place to report: the first primary label, else the first label.
    pub fn span(&self) -> Option<Span> {
        let primary = self.labels.iter().find(|label| label.primary);
        primary.or(self.labels.first()).map(|label| label.span)
    }
}

/// How many errors are kept, and how many other findings: nobody reads more, and a file of 16 MB can have millions.
const MOST: usize = 100_000;

/// How many findings of a kind are kept about one place: a range of ports can stand for sixty thousand.
const ALIKE: usize = 100;

/// The findings of one or several stages, in the order they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// Where in the list findings of a kind about a place are: a hundred thousand are not compared with each other.
    known: BTreeMap<(Option<Span>, &'static str), Vec<usize>>,
    /// How many of the list are errors.
    errors: usize,
}

/// How many findings get a hint: looking for what was meant takes longer than finding what is wrong.
const HINTED: usize = 500;

impl Diagnostics {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding; the very same finding is kept once, of more than [`MOST`] errors or others, and of more than
    /// [`ALIKE`] of a kind about one place, the first.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let is_error = diagnostic.severity == Severity::Error;
        let alike = if is_error {
            self.errors
        } else {
            self.list.len() - self.errors
        };
        if alike >= MOST {
            return;
        }
        let place = diagnostic.span();
        let known = self.known.entry((place, diagnostic.code)).or_default();
        let fits = place.is_none() || known.len() < ALIKE;
        if fits && !known.iter().any(|at| self.list[*at] == diagnostic) {
            known.push(self.list.len());
            self.list.push(diagnostic);
            self.errors += usize::from(is_error);
        }
    }

    /// Adds all findings of a later stage.
    pub fn append(&mut self, other: Self) {
        for diagnostic in other.list {
            self.push(diagnostic);
        }
    }

    /// Whether at least one finding is an error.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether a further error would not be kept.
    pub fn is_full(&self) -> bool {
        self.errors >= MOST
    }

    /// How many findings are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        let of = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
        self.list.iter().filter(of).count()
    }

    /// Whether there is no finding at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether a finding is about this very place.
    pub fn speak_of(&self, place: Span) -> bool {
        let mut findings = self.known.range((Some(place), "")..);
        findings.next().is_some_and(|((span, _), _)| *span == Some(place))
    }

    /// Whether one more finding should say what was probably meant.
    pub fn wants_hints(&self) -> bool {
        self.list.len() < HINTED
    }

    /// [`nearest`], for one more finding; none where hints are no longer wanted.
    pub fn nearest<'a>(&self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        if self.wants_hints() {
            nearest(name, candidates)
        } else {
            None
        }
    }

    /// The findings in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Orders the findings by file and position, those without a place first.
    pub fn sort(&mut self) {
        let mut list = std::mem::take(self).list;
        list.sort_by_key(Diagnostic::span);
        self.extend(list);
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, iter: I) {
        for diagnostic in iter {
            self.push(diagnostic);
        }
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        let mut all = Self::new();
        all.extend(iter);
        all
    }
}

/// How many candidates are compared letter by letter; where names are made by a program, there may be a million.
const COMPARED: usize = 2000;

/// The candidate nearest to a mistyped name, if any is near enough to be worth proposing: at most a third of
/// the name's letters differ (a swap of neighbours counts once; case does not count).
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = lowercase(name);
    let limit = match name.chars().count() {
        count @ 0..3 => count / 3,
        count => (count / 3).max(1),
    };
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        // As many letters as the one has more, are at least to be added: most need not be compared.
        .filter(|candidate| candidate.chars().count().abs_diff(name.chars().count()) <= limit)
        .take(COMPARED)
        .map(|candidate| (edit_distance(&letters, &lowercase(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn lowercase(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment distance.
fn edit_distance(left: &[char], right: &[char]) -> usize {
    let mut before = vec![0; right.len() + 1];
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    let mut row = before.clone();
    for (i, a) in left.iter().enumerate() {
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let mut cost = (previous[j] + usize::from(a != b))
                .min(previous[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            row[j + 1] = cost;
        }
        std::mem::swap(&mut before, &mut previous);
        std::mem::swap(&mut previous, &mut row);
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::SourceMap;

    #[test]
    fn nearest_proposes_typos_and_swaps_but_not_strangers() {
        let keys = ["ports", "profiles", "image", "database"];
        assert_eq!(nearest("prots", keys), Some("ports"));
        assert_eq!(nearest("databse", keys), Some("database"));
        assert_eq!(nearest("Image", keys), Some("image"));
        assert_eq!(nearest("healthcheck", keys), None);
        assert_eq!(nearest("B", ["A"]), None);
    }

    #[test]
    fn looking_for_what_was_meant_ends() {
        let names: Vec<String> = (0..COMPARED).map(|number| format!("x{number:04}")).collect();
        let names = || names.iter().map(String::as_str);
        assert_eq!(nearest("netwroks", names().chain(["networks"])), Some("networks"));
        assert_eq!(nearest("imaeg", names().skip(1).chain(["image"])), Some("image"));
        assert_eq!(nearest("imaeg", names().chain(["image"])), None);
        let mut all = Diagnostics::new();
        for number in 0..HINTED {
            assert_eq!(all.nearest("imag", ["image"]), Some("image"));
            all.push(Diagnostic::warning("unset-variable", number.to_string()));
        }
        assert_eq!(all.nearest("imag", ["image"]), None);
    }

    #[test]
    fn the_same_finding_is_kept_once() {
        let mut all = Diagnostics::new();
        all.push(Diagnostic::warning("unset-variable", "a"));
        all.push(Diagnostic::warning("unset-variable", "a"));
        all.push(Diagnostic::warning("unset-variable", "b"));
        assert_eq!(all.len(), 2);
        assert!(!all.has_errors());
        let here = Span::new(SourceMap::new().add("a", ""), 0, 0);
        for number in 0..2 * ALIKE {
            all.push(Diagnostic::warning("unset-variable", number.to_string()).at(here));
        }
        assert_eq!(all.len(), 2 + ALIKE);
    }
}
