//! In: nothing. Out: every kind of finding with what it means, an example and the fix; the book's list of them is made from it.
//! **Invariant:** a code is never renamed or given another meaning; a finding without a row here fails the tests.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod composition;
mod file;
mod host;
mod key;
mod meaning;
mod reference;
mod running;
mod value;
mod yaml;

use std::fmt::Write as _;

use super::Severity;

/// A kind of finding.
#[derive(Debug)]
pub struct Code {
    /// Its stable name.
    pub name: &'static str,
    /// How bad it is; of two, that depends on what would be lost.
    pub severities: &'static [Severity],
    /// What it means, in one or two sentences.
    pub meaning: &'static str,
    /// What has it.
    pub example: Example,
    /// What to do about it.
    pub fix: &'static str,
}

/// What has a finding.
#[derive(Debug)]
pub enum Example {
    /// The files of a project, with their names.
    Files(&'static [(&'static str, &'static str)]),
    /// What no file shows by itself.
    Situation(&'static str),
}

const ERROR: &[Severity] = &[Severity::Error];
const WARNING: &[Severity] = &[Severity::Warning];
const NOTE: &[Severity] = &[Severity::Note];
const EITHER: &[Severity] = &[Severity::Error, Severity::Warning];

/// Groups of codes with their titles, in the order in which files are read.
pub const GROUPS: [(&str, &[Code]); 9] = [
    ("Files and variables", file::CODES),
    ("YAML and TOML", yaml::CODES),
    ("Several files", composition::CODES),
    ("Keys", key::CODES),
    ("Values", value::CODES),
    ("References and contradictions", reference::CODES),
    ("Valid, but hardly meant", meaning::CODES),
    ("What this host cannot do", host::CODES),
    ("Only while running", running::CODES),
];

/// All codes.
pub fn all() -> impl Iterator<Item = &'static Code> {
    GROUPS.iter().flat_map(|(_, codes)| codes.iter())
}

/// The code of a name.
pub fn find(name: &str) -> Option<&'static Code> {
    all().find(|code| code.name == name)
}

impl Code {
    /// `error`, `warning`, `note`, or `error or warning`.
    pub fn severity(&self) -> String {
        let words: Vec<&str> = self.severities.iter().map(|severity| severity.word()).collect();
        words.join(" or ")
    }

    /// What a person reads about it, as Markdown.
    pub fn explanation(&self) -> String {
        let mut text = format!(
            "### {}\n\n{}. {}\n\n",
            self.name,
            capital(&self.severity()),
            self.meaning
        );
        match self.example {
            Example::Files(files) => {
                for (name, content) in files {
                    let language = match name.rsplit_once('.') {
                        Some((_, "toml")) => "toml",
                        Some((_, "yaml" | "yml")) => "yaml",
                        Some(_) | None => "sh",
                    };
                    // Writing to a String cannot fail.
                    write!(text, "```{language}\n# {name}\n{content}").unwrap_or_default();
                    text.push_str(if content.is_empty() || content.ends_with('\n') {
                        "```\n\n"
                    } else {
                        "\n```\n\n"
                    });
                }
            }
            Example::Situation(situation) => {
                write!(text, "When: {situation}.\n\n").unwrap_or_default();
            }
        }
        writeln!(text, "Fix: {}", self.fix).unwrap_or_default();
        text
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
