//! One text as a YAML scalar: text comes in, its plain, quoted or block form goes out, as go-yaml chooses it.
//! **Invariant:** what is written reads back as the same text, with YAML 1.1 readers too (`yes`, `1:30`, `2001-01-01`).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::borrow::Cow;

use crate::source::yaml;

/// A value; the lines of a block are written `indent` spaces deep.
pub(super) fn value(text: &str, indent: usize) -> Cow<'_, str> {
    if is_simple(text) {
        return Cow::Borrowed(text);
    }
    let form = Form::of(text);
    if text.contains('\n') {
        // What stands alone in a file has no line above that its depth could be counted from.
        if form.block && indent > 0 {
            return Cow::Owned(literal(text, indent));
        }
        return Cow::Owned(double_quoted(text));
    }
    Cow::Owned(on_one_line(text, &form))
}

/// The longest key that go-yaml writes before its colon on one line, in bytes; readers stop at 1024 characters
/// (YAML 1.2.2, 7.4.2).
const LONGEST_KEY: usize = 128;

/// Writes a key that stands `indent` spaces deep, and its colon.
pub(super) fn push_key(out: &mut String, text: &str, indent: usize) {
    if text.len() > LONGEST_KEY {
        out.push_str("? ");
        out.push_str(&key(text));
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent));
    } else {
        out.push_str(&key(text));
    }
    out.push(':');
}

/// A key, which is never a block.
fn key(text: &str) -> Cow<'_, str> {
    if is_simple(text) {
        return Cow::Borrowed(text);
    }
    if text == "<<" || text.contains(is_break) {
        return Cow::Owned(double_quoted(text));
    }
    Cow::Owned(on_one_line(text, &Form::of(text)))
}

/// The bytes of names, paths and addresses.
const USUAL: [bool; 256] = {
    let mut usual = [false; 256];
    let bytes = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@";
    let mut at = 0;
    while at < bytes.len() {
        usual[bytes[at] as usize] = true;
        at += 1;
    }
    usual
};

/// Whether a text is a name, path or address of the usual kind, which is plain in every block context: most are.
/// What begins like this and is no text to some reader is a word for a boolean or for nothing.
fn is_simple(text: &str) -> bool {
    const LONGEST_WORD: usize = 5;
    let usual = |byte: &u8| USUAL[usize::from(*byte)];
    match text.as_bytes() {
        [b'/', rest @ ..] => rest.iter().all(usual) && !text.ends_with(':'),
        [b'a'..=b'z' | b'A'..=b'Z', rest @ ..] => {
            rest.iter().all(usual)
                && !text.ends_with(':')
                && (text.len() > LONGEST_WORD || !reads_as_other(text))
        }
        _ => false,
    }
}

fn on_one_line(text: &str, form: &Form) -> String {
    if text.is_empty() || reads_as_other(text) {
        return double_quoted(text);
    }
    if form.plain {
        text.to_owned()
    } else if form.single {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

/// In which forms a text can be written at all (libyaml's analysis of a scalar in block context).
struct Form {
    plain: bool,
    single: bool,
    block: bool,
}

impl Form {
    fn of(text: &str) -> Self {
        let mut indicator = text.starts_with("---") || text.starts_with("...");
        let (mut tab, mut special, mut lines) = (false, false, false);
        let (mut break_then_space, mut break_then_tab, mut space_then_break) = (false, false, false);
        let mut before: Option<char> = None;
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            let followed_by_blank = rest.peek().is_none_or(|c| is_blank(*c));
            indicator |= match (before, c) {
                (None, c) if "#,[]{}&*!|>'\"%@`".contains(c) => true,
                (None, '?' | '-') | (_, ':') => followed_by_blank,
                (Some(before), '#') => is_blank(before),
                (_, _) => false,
            };
            tab |= c == '\t';
            special |= c != '\t' && !is_printable(c);
            lines |= is_break(c);
            break_then_space |= c == ' ' && before.is_some_and(is_break);
            break_then_tab |= c == '\t' && before.is_some_and(is_break);
            space_then_break |= is_break(c) && before == Some(' ');
            before = Some(c);
        }
        let edge = |c: char| c == ' ' || is_break(c);
        let padded_front = text.starts_with(edge);
        let padded = padded_front || text.ends_with(edge);
        let single = !break_then_space && !space_then_break && !tab && !special;
        Self {
            plain: single && !padded && !lines && !indicator,
            single,
            // Where the depth of a block must be said, readers stumble over a tab at the start of a line.
            block: !(space_then_break || special || text.ends_with(' ') || padded_front && break_then_tab),
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t') || is_break(c)
}

/// What the reference writes as it is; beyond the basic plane it escapes.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fffd}') && c != '\u{feff}'
}

fn literal(text: &str, indent: usize) -> String {
    let mut out = "|".to_owned();
    if text.starts_with(|c| c == ' ' || is_break(c)) {
        out.push('2');
    }
    let body = text.trim_end_matches('\n');
    match text.len() - body.len() {
        0 => out.push('-'),
        1 if !body.is_empty() => {}
        _ => out.push('+'),
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
    out
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if is_printable(c) => out.push(c),
            c => {
                let escaped = match u32::from(c) {
                    code @ ..=0xff => format!("\\x{code:02X}"),
                    code @ ..=0xffff => format!("\\u{code:04X}"),
                    code => format!("\\U{code:08X}"),
                };
                out.push_str(&escaped);
            }
        }
    }
    out.push('"');
    out
}

/// Whether bare `text` would be no text to some reader: a number, a boolean of old, a date, minutes and seconds.
fn reads_as_other(text: &str) -> bool {
    let old_boolean = matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    );
    old_boolean || yaml::is_typed(text) || is_sexagesimal(text) || yaml::is_date(text)
}

/// `190:20:30.15`: digits, then parts below 60.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.strip_prefix(['-', '+']).unwrap_or(text).split(':');
    let first = parts.next().unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let below_60 = |text: &str| match text.as_bytes() {
        [last] => last.is_ascii_digit(),
        [first, last] => (b'0'..=b'5').contains(first) && last.is_ascii_digit(),
        _ => false,
    };
    if !first.starts_with(|c: char| c.is_ascii_digit()) || !digits(first) {
        return false;
    }
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return false;
    };
    let (whole, fraction) = last.split_once('.').unwrap_or((last, ""));
    middle.iter().all(|part| below_60(part)) && below_60(whole) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_go_yaml_chooses() {
        let table = [
            ("8080:80", "8080:80"),
            ("1:30", "\"1:30\""),
            ("12:34:56", "\"12:34:56\""),
            ("190:20:30.15", "\"190:20:30.15\""),
            ("0755", "\"0755\""),
            ("yes", "\"yes\""),
            ("N", "\"N\""),
            ("~", "\"~\""),
            ("", "\"\""),
            ("NaN", "NaN"),
            (".nan", "\".nan\""),
            ("2001-1-1", "\"2001-1-1\""),
            ("2001-12-14t21:59:43.10-05:00", "\"2001-12-14t21:59:43.10-05:00\""),
            ("2024.1.1-2", "2024.1.1-2"),
            ("2001-13-1", "2001-13-1"),
            ("0.1.2", "0.1.2"),
            ("1,000", "1,000"),
            ("0x", "0x"),
            ("=x", "=x"),
            ("<", "<"),
            ("-x", "-x"),
            ("?x", "?x"),
            ("a b", "a b"),
            ("it's", "it's"),
            ("a\\b", "a\\b"),
            ("a,b", "a,b"),
            (":9001", ":9001"),
            ("*", "'*'"),
            ("- x", "'- x'"),
            ("a: b", "'a: b'"),
            ("x:", "'x:'"),
            ("a #b", "'a #b'"),
            ("--- x", "'--- x'"),
            ("'q'", "'''q'''"),
            (" ", "' '"),
            ("a\tb", "\"a\\tb\""),
            ("a\r\nb", "\"a\\r\\nb\""),
            ("trail \nx", "\"trail \\nx\""),
            ("x\n ", "\"x\\n \""),
            ("é😀\u{1b}", "\"é\\U0001F600\\e\""),
            ("a\nb", "|-\n    a\n    b"),
            ("a\n\n\tb\n", "|\n    a\n\n    \tb"),
            ("x\n\n", "|+\n    x\n"),
            ("\n", "|2+\n"),
            ("\n lead", "|2-\n\n     lead"),
        ];
        for (text, written) in table {
            assert_eq!(value(text, 4), written, "{text:?}");
        }
    }

    #[test]
    fn a_key_stays_on_its_line() {
        for (text, written) in [
            ("a\nb", "\"a\\nb\""),
            ("<<", "\"<<\""),
            ("80", "\"80\""),
            ("a b", "a b"),
        ] {
            assert_eq!(key(text), written);
        }
    }
}
