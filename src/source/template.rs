//! The grammar of `$VAR` and `${VAR:-default}`: a text and a look-up come in, the text with its variables put in
//! goes out, with what was looked up and what is wrong.
//! **Invariant:** values are never interpolated again; all faults of a text are found at once.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::diagnostic::Diagnostic;

/// A variable of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its name.
    pub name: String,
    /// First byte of the expression in the outermost text.
    pub start: usize,
    /// Byte after the expression.
    pub end: usize,
    /// Whether an empty text stands there because it is not set and has no default.
    pub blank: bool,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `${` without a name, with an operator Compose does not know, or never closed.
    Invalid {
        /// First byte of the expression in the outermost text.
        start: usize,
        /// Byte after the expression.
        end: usize,
        /// Whether the closing brace is missing.
        unclosed: bool,
    },
    /// `${VAR:?message}` or `${VAR?message}` and the variable is missing.
    Required {
        /// The variable.
        name: String,
        /// The author's message, may be empty.
        message: String,
        /// Whether the variable is set, but to nothing.
        empty: bool,
        /// First byte of the expression in the outermost text.
        start: usize,
        /// Byte after the expression.
        end: usize,
    },
    /// With this expression the text is longer than [`LONGEST`]; nothing after it was put in.
    TooLong {
        /// First byte of the expression in the outermost text.
        start: usize,
        /// Byte after the expression.
        end: usize,
    },
}

/// What a substitution gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substitution {
    /// The text with its variables put in; faulty expressions are left out.
    pub text: String,
    /// The variables that were put in or found missing, in order.
    pub uses: Vec<Use>,
    /// What is wrong, in order.
    pub faults: Vec<Fault>,
}

/// Puts the variables into a text.
pub fn substitute(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Substitution {
    let mut found = Substitution::default();
    found.text = expand(text, (0, 0), lookup, &mut found);
    found
}

/// A text that [`substitute`] turns into `text`.
pub fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

/// The names of all variables of a text, those inside defaults too, in order of appearance.
pub fn variables(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    collect(text, &mut names);
    names
}

fn collect(text: &str, names: &mut Vec<String>) {
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let tail = &rest[dollar + 1..];
        match Expression::read(tail) {
            Expression::Named { name, length } => {
                names.push(name.to_owned());
                rest = &tail[length..];
            }
            Expression::Braced {
                name,
                argument,
                length,
                ..
            } => {
                names.push(name.to_owned());
                collect(argument, names);
                rest = &tail[length..];
            }
            Expression::Escaped => rest = &tail[1..],
            Expression::Literal => rest = tail,
            Expression::Invalid { length, .. } => rest = &tail[length..],
        }
    }
}

/// A variable as a text asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// `:?` or `?`.
    pub required: bool,
    /// After `:-` or `-`.
    pub default: String,
    /// After `:+` or `+`.
    pub alternate: String,
}

/// The variables of a text with what stands after their names, those inside defaults too.
pub fn asked(text: &str) -> Vec<Asked> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let tail = &rest[dollar + 1..];
        rest = match Expression::read(tail) {
            Expression::Named { name, length } => {
                all.push(Asked {
                    name: name.to_owned(),
                    ..Asked::default()
                });
                &tail[length..]
            }
            Expression::Braced {
                name,
                operator,
                argument,
                length,
                ..
            } => {
                let given = |end: char| if operator.ends_with(end) { argument } else { "" }.to_owned();
                all.push(Asked {
                    name: name.to_owned(),
                    required: operator.ends_with('?'),
                    default: given('-'),
                    alternate: given('+'),
                });
                all.extend(asked(argument));
                &tail[length..]
            }
            Expression::Escaped => &tail[1..],
            Expression::Literal => tail,
            Expression::Invalid { length, .. } => &tail[length..],
        };
    }
    all
}

/// What follows a `$`; lengths are in bytes without the `$`.
enum Expression<'a> {
    /// `$$`
    Escaped,
    /// A `$` that means nothing.
    Literal,
    /// `$VAR`
    Named { name: &'a str, length: usize },
    /// `${VAR}` or `${VAR<operator><argument>}`; `offset` is where the argument begins.
    Braced {
        name: &'a str,
        operator: &'a str,
        argument: &'a str,
        offset: usize,
        length: usize,
    },
    /// `${…` that is neither.
    Invalid { length: usize, unclosed: bool },
}

const OPERATORS: [&str; 6] = [":?", "?", ":-", "-", ":+", "+"];

impl<'a> Expression<'a> {
    fn read(tail: &'a str) -> Self {
        if tail.starts_with('$') {
            return Self::Escaped;
        }
        let Some(body) = tail.strip_prefix('{') else {
            let name = name(tail);
            return if name.is_empty() {
                Self::Literal
            } else {
                Self::Named {
                    name,
                    length: name.len(),
                }
            };
        };
        let Some(close) = closing_brace(body) else {
            let length = 1 + body.find(char::is_whitespace).unwrap_or(body.len());
            return Self::Invalid {
                length,
                unclosed: true,
            };
        };
        let length = close + 2;
        let inside = &body[..close];
        let name = name(inside);
        let rest = &inside[name.len()..];
        let operator = OPERATORS
            .into_iter()
            .find(|operator| rest.starts_with(operator))
            .unwrap_or_default();
        if name.is_empty() || (operator.is_empty() && !rest.is_empty()) {
            return Self::Invalid {
                length,
                unclosed: false,
            };
        }
        let argument = &rest[operator.len()..];
        Self::Braced {
            name,
            operator,
            argument,
            offset: 1 + name.len() + operator.len(),
            length,
        }
    }
}

/// The variable name a text begins with, may be empty.
fn name(text: &str) -> &str {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    &text[..end]
}

/// How many braces may be open at once: each is looked at as often as it is deep.
const MOST_BRACES: usize = 1_000;

/// Where the brace that was opened before `body` closes; if braces do not balance, the last one there is.
fn closing_brace(body: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            b'{' if open == MOST_BRACES => return body.rfind('}'),
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    body.rfind('}')
}

/// How many bytes a text may have with its variables put in: what a file may hold.
pub const LONGEST: usize = 16 << 20;

/// What is said of a text that is longer than [`LONGEST`].
pub fn too_long() -> Diagnostic {
    Diagnostic::error(
        "too-long",
        format!(
            "with its variables put in, this is longer than {} MiB",
            LONGEST >> 20
        ),
    )
    .help("a value that repeats a variable which repeats another grows with each; write less of it")
}

/// How deep defaults may stand in defaults; each is a few stack frames.
const DEEPEST: usize = 64;

/// Expands `text`, which begins at `base` in the outermost text and stands in `depth` expressions.
fn expand(
    text: &str,
    (base, depth): (usize, usize),
    lookup: &dyn Fn(&str) -> Option<String>,
    found: &mut Substitution,
) -> String {
    // Defaults in defaults would each reserve what is around them.
    let mut out = String::with_capacity(if depth == 0 { text.len() } else { 0 });
    let mut at = 0;
    while let Some(dollar) = text[at..].find('$') {
        let start = at + dollar;
        out.push_str(&text[at..start]);
        let (from, tail) = (base + start, start + 1);
        at = match Expression::read(&text[tail..]) {
            Expression::Escaped => {
                out.push('$');
                tail + 1
            }
            Expression::Literal => {
                out.push('$');
                tail
            }
            Expression::Named { name, length } => {
                let value = lookup(name);
                let end = from + 1 + length;
                found.uses.push(Use {
                    name: name.to_owned(),
                    start: from,
                    end,
                    blank: value.is_none(),
                });
                out.push_str(&value.unwrap_or_default());
                tail + length
            }
            Expression::Invalid { length, unclosed } => {
                found.faults.push(Fault::Invalid {
                    start: from,
                    end: from + 1 + length,
                    unclosed,
                });
                tail + length
            }
            Expression::Braced { length, .. } if depth >= DEEPEST => {
                found.faults.push(Fault::Invalid {
                    start: from,
                    end: from + 1 + length,
                    unclosed: false,
                });
                tail + length
            }
            Expression::Braced {
                name,
                operator,
                argument,
                offset,
                length,
            } => {
                let end = from + 1 + length;
                let value = lookup(name);
                let blank = value.is_none() && operator.is_empty();
                found.uses.push(Use {
                    name: name.to_owned(),
                    start: from,
                    end,
                    blank,
                });
                let mut nested = |found: &mut Substitution| {
                    expand(argument, (from + 1 + offset, depth + 1), lookup, found)
                };
                out.push_str(&apply(operator, name, value, from..end, &mut nested, found));
                tail + length
            }
        };
        if out.len() > LONGEST {
            let end = base + at;
            found.faults.push(Fault::TooLong { start: from, end });
            return String::new();
        }
    }
    out.push_str(&text[at..]);
    out
}

/// What stands for `${name<operator>argument}`.
fn apply(
    operator: &str,
    name: &str,
    value: Option<String>,
    place: std::ops::Range<usize>,
    argument: &mut dyn FnMut(&mut Substitution) -> String,
    found: &mut Substitution,
) -> String {
    let empty_counts = operator.starts_with(':');
    let present = value
        .as_ref()
        .is_some_and(|value| !(empty_counts && value.is_empty()));
    match operator.trim_start_matches(':') {
        "-" if !present => argument(found),
        "+" if present => argument(found),
        "?" if !present => {
            let (name, message, empty) = (name.to_owned(), argument(found), value.is_some());
            found.faults.push(Fault::Required {
                name,
                message,
                empty,
                start: place.start,
                end: place.end,
            });
            String::new()
        }
        _ => value.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("$SET".to_owned()),
            _ => None,
        }
    }

    fn text(template: &str) -> String {
        let found = substitute(template, &lookup);
        assert_eq!(found.faults, [], "{template}");
        found.text
    }

    #[test]
    fn every_form_gives_what_the_grammar_says() {
        for (template, expected) in [
            ("$SET-${SET}", "value-value"),
            ("${NO}|$NO|${EMPTY}", "||"),
            ("${NO:-d} ${NO-d} ${EMPTY:-d} ${EMPTY-d}", "d d d "),
            ("${SET:+r} ${SET+r} ${EMPTY:+r} ${EMPTY+r} ${NO+r}", "r r  r "),
            ("${SET:?m} ${EMPTY?m}", "value "),
            ("$$SET $${SET} $$$SET", "$SET ${SET} $value"),
            ("${NO:-${EMPTY:-${SET}}!}", "value!"),
            ("${NO:-{\"json\":1}} }}", "{\"json\":1} }}"),
            ("${NO-a?b:-c}", "a?b:-c"),
            ("${NO:-{}", "{"),
            ("${NO:-two\nlines}", "two\nlines"),
            ("cost $ 5 $} ^x$ $1", "cost $ 5 $} ^x$ $1"),
            ("$DOLLAR", "$SET"),
            ("é${SET}é", "évalueé"),
        ] {
            assert_eq!(text(template), expected, "{template}");
        }
    }

    #[test]
    fn what_the_grammar_lacks_is_a_fault_with_its_place() {
        for template in [
            "${",
            "${}",
            "${ }",
            "${ SET}",
            "${SET }",
            "${SET!}",
            "${1X}",
            "${SET:=x}",
            "${SET#x}",
            "${SET/x}",
        ] {
            let found = substitute(&format!("ab{template}"), &lookup);
            assert!(
                matches!(&found.faults[..], [Fault::Invalid { start: 2, .. }]),
                "{template}: {:?}",
                found.faults
            );
        }
        let found = substitute("x ${NO:?set ${SET}} ${1} ${EMPTY:?}", &lookup);
        assert_eq!(
            found.faults,
            [
                Fault::Required {
                    name: "NO".into(),
                    message: "set value".into(),
                    empty: false,
                    start: 2,
                    end: 19
                },
                Fault::Invalid {
                    start: 20,
                    end: 24,
                    unclosed: false
                },
                Fault::Required {
                    name: "EMPTY".into(),
                    message: String::new(),
                    empty: true,
                    start: 25,
                    end: 35
                },
            ]
        );
    }

    #[test]
    fn only_variables_without_a_default_are_blank_and_unused_defaults_are_not_looked_up() {
        let found = substitute("${NO:-$GONE} ${SET:-$NEVER} $MISSING", &lookup);
        let uses: Vec<_> = found
            .uses
            .iter()
            .map(|one| (one.name.as_str(), one.blank))
            .collect();
        assert_eq!(
            uses,
            [("NO", false), ("GONE", true), ("SET", false), ("MISSING", true)]
        );
        assert_eq!((found.uses[1].start, found.uses[1].end), (6, 11));
        assert_eq!(
            variables("${NO:-$GONE} $$X ${A?${B}} $C"),
            ["NO", "GONE", "A", "B", "C"]
        );
    }

    proptest! {
        #[test]
        fn an_escaped_text_comes_back_unchanged(text in any::<String>()) {
            let found = substitute(&escape(&text), &lookup);
            prop_assert_eq!(found.text, text);
            prop_assert!(found.uses.is_empty() && found.faults.is_empty());
        }

        #[test]
        fn no_text_makes_it_panic_and_places_lie_inside(text in "[${}a:?+\\-é ]{0,30}") {
            let found = substitute(&text, &lookup);
            for one in &found.uses {
                prop_assert!(text.get(one.start..one.end).is_some_and(|slice| slice.contains(&one.name)));
            }
            for fault in &found.faults {
                let (Fault::Invalid { start, end, .. }
                | Fault::Required { start, end, .. }
                | Fault::TooLong { start, end }) = fault;
                let opened = text.get(*start..*end).is_some_and(|slice| slice.starts_with("${"));
                prop_assert!(opened);
            }
        }
    }
}
