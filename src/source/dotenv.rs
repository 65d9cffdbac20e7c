//! The two grammars of environment files: a text and a look-up come in, names with values and places go out.
//! **Invariant:** a bad line is said and skipped, the lines after it still count.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::HashMap;

use super::span::{FileId, Span};
use super::template::{self, Fault};
use crate::diagnostic::{Diagnostic, Diagnostics};

const CODE: &str = "invalid-env-file";

/// How many variables one file may set: no process can be started with more.
const MOST: usize = 100_000;

/// What is said of a file with more than [`MOST`] variables, once; the rest of it is not read.
fn too_many(span: Span) -> Diagnostic {
    Diagnostic::error(CODE, format!("the file sets more than {MOST} variables"))
        .label(span, "the limit is passed here")
        .help("a program is started with 2 megabytes of variables at the most; give it a file instead")
}

/// A variable that an environment file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvEntry {
    /// The variable.
    pub name: String,
    /// Its value, quotes, escapes and variables already resolved.
    pub value: String,
    /// Where name and value were written.
    pub span: Span,
}

/// Reads Compose's dotenv grammar. `K` alone takes the value that `lookup` has, if any; `$VAR` sees `lookup`
/// first, then the names set above it.
pub fn parse(
    file: FileId,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    diagnostics: &mut Diagnostics,
) -> Vec<EnvEntry> {
    let mut reader = Reader {
        file,
        text,
        at: 0,
        lookup,
        entries: Vec::new(),
        latest: HashMap::new(),
        expanded: 0,
        diagnostics,
    };
    while reader.skip_blank() {
        if reader.entries.len() == MOST {
            let end = reader.rest().split('\n').next().unwrap_or_default().len();
            let span = reader.span(reader.at, reader.at + end);
            reader.diagnostics.push(too_many(span));
            break;
        }
        reader.statement();
    }
    reader.entries
}

/// Reads `docker run`'s grammar: no quotes, no comments after values, no variables.
pub fn parse_raw(
    file: FileId,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    diagnostics: &mut Diagnostics,
) -> Vec<EnvEntry> {
    let mut entries = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']).trim_start();
        let at = start + (line.trim_end_matches(['\n', '\r']).len() - content.len());
        start += line.len();
        let span = Span::new(file, at, at + content.len());
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let (name, value) = content
            .split_once('=')
            .map_or((content, None), |(name, value)| (name, Some(value)));
        if name.is_empty() {
            diagnostics.push(Diagnostic::error(CODE, "a variable without a name").at(span));
        } else if name.contains(char::is_whitespace) {
            diagnostics
                .push(Diagnostic::error(CODE, format!("the name `{name}` contains white space")).at(span));
        } else if entries.len() == MOST {
            diagnostics.push(too_many(span));
            break;
        } else if let Some(value) = value.map(str::to_owned).or_else(|| lookup(name)) {
            entries.push(EnvEntry {
                name: name.to_owned(),
                value,
                span,
            });
        }
    }
    entries
}

struct Reader<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    entries: Vec<EnvEntry>,
    /// Which entry set a variable last.
    latest: HashMap<&'a str, usize>,
    /// Bytes of the values that variables were put into.
    expanded: usize,
    diagnostics: &'a mut Diagnostics,
}

/// White space that does not end a line.
fn is_blank(c: char) -> bool {
    c != '\n' && c.is_whitespace()
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    fn fault(&mut self, start: usize, end: usize, message: String, help: &str) {
        let error = Diagnostic::error(CODE, message)
            .at(self.span(start, end))
            .help(help);
        self.diagnostics.push(error);
    }

    /// Goes to the next statement, past white space and comments; false at the end.
    fn skip_blank(&mut self) -> bool {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty();
            }
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn skip_blanks_in_line(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_blank).len();
    }

    /// `[export] NAME = value`, `NAME: value` or `NAME`.
    fn statement(&mut self) {
        let export = self
            .rest()
            .strip_prefix("export")
            .filter(|rest| rest.starts_with(is_blank));
        if export.is_some() {
            self.at += "export".len();
            self.skip_blanks_in_line();
        }
        let start = self.at;
        let line = self.rest().split('\n').next().unwrap_or_default();
        let is_name =
            |c: char| c.is_alphanumeric() || is_blank(c) || matches!(c, '_' | '.' | '-' | '[' | ']');
        let end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
        let name = line[..end].trim_end();
        let separator = line[end..].chars().next();
        if let Some(bad) = separator.filter(|c| !matches!(c, '=' | ':')) {
            let at = start + end;
            let message = format!("`{bad}` cannot stand in a variable's name");
            self.fault(
                at,
                at + bad.len_utf8(),
                message,
                "a line is `NAME=value`; text that goes on over lines needs quotes",
            );
            return self.skip_line();
        }
        if name.contains(is_blank) {
            let message = format!("the name `{name}` contains a space");
            self.fault(start, start + name.len(), message, "a line is `NAME=value`");
            return self.skip_line();
        }
        self.at = start + end;
        if separator.is_none() {
            if let Some(value) = (self.lookup)(name) {
                self.set(name, value, start, start + name.len());
            }
            return;
        }
        self.at += 1;
        self.skip_blanks_in_line();
        if let Some(value) = self.value() {
            let written = self.text[start..self.at].trim_end().len();
            self.set(name, value, start, start + written);
        }
    }

    fn set(&mut self, name: &'a str, value: String, start: usize, end: usize) {
        self.latest.insert(name, self.entries.len());
        let span = self.span(start, end);
        self.entries.push(EnvEntry {
            name: name.to_owned(),
            value,
            span,
        });
    }

    fn value(&mut self) -> Option<String> {
        if let Some(quote @ ('"' | '\'')) = self.rest().chars().next() {
            return self.quoted(quote);
        }
        let line = self.rest().split('\n').next().unwrap_or_default();
        let start = self.at;
        self.at += line.len();
        let value = line.split(" #").next().unwrap_or_default().trim_end();
        Some(self.expand(value, start))
    }

    /// A quoted value, which may go on over lines. An escaped quote is that quote; other escapes are only known
    /// between double quotes.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let start = self.at;
        let mut value = String::new();
        let mut escaped = false;
        for (offset, c) in self.rest().char_indices().skip(1) {
            if escaped && c != quote {
                value.push('\\');
            }
            if c == quote && !escaped {
                self.at += offset + 1;
                return Some(if quote == '"' {
                    self.expand(&unescape(&value), start + 1)
                } else {
                    value
                });
            }
            if c == '\\' && !escaped {
                escaped = true;
                continue;
            }
            escaped = false;
            value.push(c);
        }
        let message = format!("the quote {quote} is never closed");
        self.fault(
            start,
            start + 1,
            message,
            "close the quote, or put the value in the other kind of quotes",
        );
        self.skip_line();
        None
    }

    /// Puts variables into a value written from `start` on.
    fn expand(&mut self, value: &str, start: usize) -> String {
        if !value.contains('$') {
            return value.to_owned();
        }
        let found = template::substitute(value, &|name| {
            let above = || {
                let entry = self.entries.get(*self.latest.get(name)?)?;
                Some(entry.value.clone())
            };
            (self.lookup)(name).or_else(above)
        });
        let end = self.text[..self.at].trim_end().len().max(start);
        let place = |from: usize, to: usize| {
            let written = value.get(from..to).unwrap_or_default();
            let offset = self.text[start..end].find(written).map(|offset| start + offset);
            offset.map_or(Span::new(self.file, start, end), |at| {
                Span::new(self.file, at, at + written.len())
            })
        };
        for one in found.uses.iter().filter(|one| one.blank) {
            let message = format!(
                "the variable `{}` is not set, nothing is put in its place",
                one.name
            );
            self.diagnostics.push(
                Diagnostic::warning("unset-variable", message)
                    .label(place(one.start, one.end), "not set")
                    .help("put the value in single quotes if a literal `$` is meant"),
            );
        }
        for fault in found.faults {
            let (Fault::Invalid { start, end, .. }
            | Fault::Required { start, end, .. }
            | Fault::TooLong { start, end }) = fault;
            let diagnostic = match &fault {
                Fault::Invalid { .. } => {
                    Diagnostic::error("invalid-interpolation", "not a valid interpolation")
                        .help("put the value in single quotes if a literal `$` is meant")
                }
                Fault::Required { name, message, .. } => Diagnostic::error(
                    "required-variable",
                    format!("the variable `{name}` is required: {message}"),
                ),
                Fault::TooLong { .. } => template::too_long(),
            };
            self.diagnostics.push(diagnostic.at(place(start, end)));
        }
        self.expanded += found.text.len();
        if self.expanded > template::LONGEST {
            self.diagnostics
                .push(template::too_long().at(Span::new(self.file, start, end)));
            // One value more would double it again.
            self.at = self.text.len();
            return String::new();
        }
        found.text
    }
}

/// `\a \b \f \n \r \t \v \" \\`, octal `\0NNN`, and `\$` for a `$` that is no variable. Anything else stays.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (replacement, length) = match tail.chars().next() {
            Some('a') => ("\u{7}".to_owned(), 1),
            Some('b') => ("\u{8}".to_owned(), 1),
            Some('f') => ("\u{c}".to_owned(), 1),
            Some('n') => ("\n".to_owned(), 1),
            Some('r') => ("\r".to_owned(), 1),
            Some('t') => ("\t".to_owned(), 1),
            Some('v') => ("\u{b}".to_owned(), 1),
            Some('"') => ("\"".to_owned(), 1),
            Some('\\') => ("\\".to_owned(), 1),
            Some('$') => ("$$".to_owned(), 1),
            Some('0') => octal(tail),
            _ => ("\\".to_owned(), 0),
        };
        out.push_str(&replacement);
        rest = &tail[length..];
    }
    out.push_str(rest);
    out
}

/// `0NNN` with three octal digits is one byte; with fewer it is no escape and only loses its zero.
fn octal(tail: &str) -> (String, usize) {
    let digits = tail[1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
    let code = tail
        .get(1..4)
        .filter(|_| digits == 3)
        .and_then(|digits| u8::from_str_radix(digits, 8).ok());
    match code {
        Some(code) => (char::from(code).to_string(), 4),
        None => (format!("\\{}", &tail[1..=digits]), 1 + digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::SourceMap;

    fn read(text: &str) -> (Vec<(String, String)>, Vec<String>) {
        let mut sources = SourceMap::new();
        let file = sources.add(".env", text);
        let mut diagnostics = Diagnostics::new();
        let lookup = |name: &str| (name == "OS").then(|| "from-os".to_owned());
        let entries = parse(file, text, &lookup, &mut diagnostics);
        let said = diagnostics.iter().map(|finding| {
            let span = finding.span().expect("a place");
            format!(
                "{} {} `{}`: {}",
                finding.code,
                sources.locate(span),
                sources.text(span),
                finding.message
            )
        });
        (
            entries
                .into_iter()
                .map(|entry| (entry.name, entry.value))
                .collect(),
            said.collect(),
        )
    }

    fn value(text: &str) -> String {
        let (entries, said) = read(text);
        assert!(said.is_empty(), "{said:?}");
        entries.last().map(|(_, value)| value.clone()).expect("an entry")
    }

    #[test]
    fn names_and_values_are_read_as_compose_reads_them() {
        assert_eq!(value("A=1"), "1");
        assert_eq!(value("A: 1=2"), "1=2");
        assert_eq!(value("  export\tA = x y  # note"), "x y");
        assert_eq!(value("A=x#y"), "x#y");
        assert_eq!(value("A=\r\nB='q'\r\n"), "q");
        assert_eq!(value("A=\"l1\nl2\\n\\\"\" # c"), "l1\nl2\n\"");
        assert_eq!(value("A='it\\'s $OS \\n'"), "it's $OS \\n");
        assert_eq!(value("A=\"\\$OS $OS ${B:-b}\""), "$OS from-os b");
        assert_eq!(value("B=1\nOS=file\nA=$B$OS"), "1from-os");
        assert_eq!(value("A=\"\\0101\\x\\c\\01\""), "A\\x\\c\\1");
        assert_eq!(value("a[1].k-é=v"), "v");
        assert_eq!(value("OS"), "from-os");
        assert_eq!(read("NOT_SET\nexport\n").0, []);
        assert_eq!(read("# only\n\n  # comments").0, []);
    }

    #[test]
    fn bad_lines_are_said_with_their_place_and_the_rest_counts() {
        let (entries, said) = read("A=1\nBAD KEY=2\nwhat$=3\nB=\"open\nC=$GONE\n");
        assert_eq!(entries, [("A".into(), "1".into()), ("C".into(), String::new())]);
        insta::assert_snapshot!(said.join("\n"), @r#"
        invalid-env-file .env:2:1 `BAD KEY`: the name `BAD KEY` contains a space
        invalid-env-file .env:3:5 `$`: `$` cannot stand in a variable's name
        invalid-env-file .env:4:3 `"`: the quote " is never closed
        unset-variable .env:5:3 `$GONE`: the variable `GONE` is not set, nothing is put in its place
        "#);
    }

    #[test]
    fn raw_files_take_everything_after_the_equals_sign() {
        let mut sources = SourceMap::new();
        let text = "  A=\"q\" # x \r\n#c\n\nOS\nNO\nB=$A\nBAD K=1\n=x\n";
        let file = sources.add("raw.env", text);
        let mut diagnostics = Diagnostics::new();
        let lookup = |name: &str| (name == "OS").then(|| "from-os".to_owned());
        let entries = parse_raw(file, text, &lookup, &mut diagnostics);
        let pairs: Vec<_> = entries
            .iter()
            .map(|e| (e.name.as_str(), e.value.as_str()))
            .collect();
        assert_eq!(pairs, [("A", "\"q\" # x "), ("OS", "from-os"), ("B", "$A")]);
        assert_eq!(sources.text(entries[0].span), "A=\"q\" # x ");
        assert_eq!(diagnostics.len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_places_lie_inside(text in "([A-C]|=|: |\n|'|\"|\\\\|\\$|\\{|\\}|#|export |é| |0123){0,24}") {
            let mut diagnostics = Diagnostics::new();
            let file = SourceMap::new().add(".env", text.as_str());
            for entry in parse(file, &text, &|_| None, &mut diagnostics) {
                assert!(text.get(entry.span.start()..entry.span.end()).is_some_and(|written| written.contains(&entry.name)));
            }
            for finding in &diagnostics {
                let span = finding.span().expect("a place");
                assert!(text.get(span.start()..span.end()).is_some(), "{text:?} {finding:?}");
            }
        }
    }

    #[test]
    fn values_that_double_each_other_end() {
        let text = format!("A=0123456789\n{}", "A=$A$A\n".repeat(60));
        let mut sources = SourceMap::new();
        let file = sources.add("a.env", text.as_str());
        let mut said = Diagnostics::new();
        let entries = parse(file, &text, &|_| None, &mut said);
        let codes: Vec<_> = said.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["too-long"]);
        assert!(entries.iter().all(|entry| entry.value.len() <= template::LONGEST));
        let text = format!("A={}\nB={}\n", "x".repeat(100_000), "$A".repeat(100_000));
        let file = sources.add("b.env", text.as_str());
        let mut said = Diagnostics::new();
        parse(file, &text, &|_| None, &mut said);
        assert_eq!(
            said.iter().map(|finding| finding.code).collect::<Vec<_>>(),
            ["too-long"]
        );
    }
}
