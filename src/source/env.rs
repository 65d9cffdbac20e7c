//! Variables and where they came from: the process environment and environment files come in, an
//! [`Environment`] goes out. **Invariant:** a variable that is set is never replaced by a source read later.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::dotenv::{self, EnvEntry};
use super::node::VariableOrigin;
use super::span::{FileId, SourceMap, Span};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// A variable's value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The value.
    pub value: String,
    /// Where it was set.
    pub origin: VariableOrigin,
}

/// The variables that interpolation sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, Variable>,
}

impl Environment {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The variables of a process; of a name given twice the first counts.
    pub fn from_os(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut environment = Self::new();
        for (name, value) in variables {
            environment.fill(&name, &value, VariableOrigin::Os);
        }
        environment
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|variable| variable.value.as_str())
    }

    /// A variable with its origin.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.get(name)
    }

    /// Where a variable came from, `Unset` if it is not set.
    pub fn origin(&self, name: &str) -> VariableOrigin {
        self.variables
            .get(name)
            .map_or(VariableOrigin::Unset, |variable| variable.origin.clone())
    }

    /// Sets a variable whatever it was.
    pub fn set(&mut self, name: &str, value: &str, origin: VariableOrigin) {
        self.variables.insert(
            name.to_owned(),
            Variable {
                value: value.to_owned(),
                origin,
            },
        );
    }

    /// Sets a variable that is not set yet.
    pub fn fill(&mut self, name: &str, value: &str, origin: VariableOrigin) {
        if !self.variables.contains_key(name) {
            self.set(name, value, origin);
        }
    }

    /// Adds what environment files gave, in order: of a name given in several the last counts, but what was
    /// set before them stays.
    pub fn fill_from_files(&mut self, entries: &[EnvEntry]) {
        for entry in entries.iter().rev() {
            self.fill(&entry.name, &entry.value, VariableOrigin::File(entry.span));
        }
    }

    /// All variables in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.variables
            .iter()
            .map(|(name, variable)| (name.as_str(), variable))
    }
}

/// How an environment file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvFormat {
    /// Compose's own: quotes, comments and interpolation.
    #[default]
    Dotenv,
    /// `docker run --env-file`: everything after `=` is the value.
    Raw,
}

/// Reads an environment file into `sources` and parses it; `lookup` gives the variables it may refer to. What is
/// wrong inside the file goes to `diagnostics`.
///
/// # Errors
/// The file cannot be read, or is a directory.
pub fn read_env_file(
    path: &Path,
    format: EnvFormat,
    lookup: &dyn Fn(&str) -> Option<String>,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> io::Result<Vec<EnvEntry>> {
    let bytes = super::input::read(path)?;
    Ok(parse_env_bytes(path, bytes, format, lookup, sources, diagnostics))
}

/// Parses the bytes of an environment file.
pub(super) fn parse_env_bytes(
    path: &Path,
    bytes: Vec<u8>,
    format: EnvFormat,
    lookup: &dyn Fn(&str) -> Option<String>,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Vec<EnvEntry> {
    let (text, fault) = decode_text(bytes);
    let file = sources.add(path, text);
    if let Some(why) = fault {
        diagnostics.push(not_utf8(path, file, why));
        return Vec::new();
    }
    let text = &sources.file(file).text;
    match format {
        EnvFormat::Dotenv => dotenv::parse(file, text, lookup, diagnostics),
        EnvFormat::Raw => dotenv::parse_raw(file, text, lookup, diagnostics),
    }
}

/// Why a file's bytes are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotText {
    /// The first byte that is not UTF-8 is this one; it stands as U+FFFD in the text.
    Byte(usize),
    /// It is UTF-16, as some editors of Windows write it.
    Utf16,
}

/// A file's bytes as text without a byte order mark, and why they are none.
pub(super) fn decode_text(bytes: Vec<u8>) -> (String, Option<NotText>) {
    if is_utf16(&bytes) {
        return (String::from_utf8_lossy(&bytes).into_owned(), Some(NotText::Utf16));
    }
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            (text, None)
        }
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some(NotText::Byte(offset)))
        }
    }
}

/// Whether it begins with the mark of UTF-16, or with one character of it that ASCII has too.
fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [first, second, ..] => (*first == 0) != (*second == 0) && bytes.len().is_multiple_of(2),
        _ => false,
    }
}

pub(super) fn not_utf8(path: &Path, file: FileId, why: NotText) -> Diagnostic {
    let path = path.display();
    match why {
        NotText::Byte(at) => Diagnostic::error("not-utf-8", format!("{path} is not valid UTF-8"))
            .at(Span::new(file, at, at + 1))
            .help("save the file as UTF-8"),
        NotText::Utf16 => Diagnostic::error("not-utf-8", format!("{path} is UTF-16, not UTF-8"))
            .at(Span::new(file, 0, 1))
            .help(format!(
                "save it as UTF-8, or convert it: `iconv -f UTF-16 -t UTF-8 {path} > utf8.txt`"
            )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_sources_win_and_later_files_win_among_files() {
        let mut sources = SourceMap::new();
        let file = sources.add(".env", "");
        let entry = |name: &str, value: &str, at| EnvEntry {
            name: name.into(),
            value: value.into(),
            span: Span::new(file, at, at),
        };
        let mut environment = Environment::from_os([("A".to_owned(), "os".to_owned())]);
        environment.fill_from_files(&[
            entry("A", "file", 1),
            entry("B", "first", 2),
            entry("B", "last", 3),
        ]);
        assert_eq!(environment.get("A"), Some("os"));
        assert_eq!(environment.get("B"), Some("last"));
        assert_eq!(
            environment.origin("B"),
            VariableOrigin::File(Span::new(file, 3, 3))
        );
        assert_eq!(environment.origin("C"), VariableOrigin::Unset);
    }

    #[test]
    fn byte_order_marks_and_bad_bytes_are_seen() {
        assert_eq!(decode_text(b"\xef\xbb\xbfA=1".to_vec()), ("A=1".to_owned(), None));
        assert_eq!(decode_text(b"A=\xff".to_vec()).1, Some(NotText::Byte(2)));
        for utf16 in [&b"\xff\xfeA\0"[..], b"\xfe\xff\0A", b"A\0=\0", b"\0A\0="] {
            assert_eq!(decode_text(utf16.to_vec()).1, Some(NotText::Utf16), "{utf16:?}");
        }
        assert_eq!(decode_text(b"A".to_vec()).1, None);
    }
}
