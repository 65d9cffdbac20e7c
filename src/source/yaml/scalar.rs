//! What a plain scalar means: its text comes in, a value goes out.
//! YAML 1.2 core schema (§10.3.2) with what files in the wild rely on: `0755` is octal, `_` may group digits.
//! **Invariant:** text that is none of these stays text, `yes` and `12:30` included.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::borrow::Cow;

use crate::source::node::Value;

/// What a scalar was declared to be by one of YAML's own tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScalarTag {
    Text,
    Bool,
    Int,
    Float,
    Null,
}

impl ScalarTag {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bool => "a boolean",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Null => "null",
        }
    }
}

/// `!!str` and its like, in short or verbatim form.
pub(super) fn core_tag(tag: &str) -> Option<ScalarTag> {
    let name = tag
        .strip_prefix("!!")
        .or_else(|| tag.strip_prefix("!<tag:yaml.org,2002:")?.strip_suffix('>'));
    match name {
        Some("str" | "binary" | "timestamp") => Some(ScalarTag::Text),
        Some("bool") => Some(ScalarTag::Bool),
        Some("int") => Some(ScalarTag::Int),
        Some("float") => Some(ScalarTag::Float),
        Some("null") => Some(ScalarTag::Null),
        Some(_) => None,
        None => (tag == "!").then_some(ScalarTag::Text),
    }
}

/// The value of a plain scalar without a tag.
pub(super) fn resolve(text: &str) -> Value {
    typed(text).unwrap_or_else(|| Value::String(text.into()))
}

/// What a plain scalar without a tag is if it is not text.
pub(super) fn typed(text: &str) -> Option<Value> {
    // Most are text, and most of that shows by its first byte.
    match text.as_bytes().first() {
        None | Some(b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F') => match text {
            "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
            "true" | "True" | "TRUE" => Some(Value::Bool(true)),
            "false" | "False" | "FALSE" => Some(Value::Bool(false)),
            _ => None,
        },
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => {
            let whole = whole_number(text).map(Value::Int);
            whole.or_else(|| number(text).map(Value::Float))
        }
        Some(_) => None,
    }
}

/// The number without the `_` that group its digits.
fn ungrouped(text: &str) -> Cow<'_, str> {
    if text.contains('_') {
        Cow::Owned(text.replace('_', ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// The value of a scalar that a tag declares, quoted or not; `None` if it cannot be that.
pub(super) fn resolve_as(text: &str, tag: ScalarTag) -> Option<Value> {
    let value = resolve(text);
    match (tag, &value) {
        (ScalarTag::Text, _) => Some(Value::String(text.into())),
        (ScalarTag::Null, _) => Some(Value::Null),
        (ScalarTag::Bool, Value::Bool(_))
        | (ScalarTag::Int, Value::Int(_))
        | (ScalarTag::Float, Value::Float(_)) => Some(value),
        (ScalarTag::Bool, _) => match text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(Value::Bool(true)),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(Value::Bool(false)),
            _ => None,
        },
        (ScalarTag::Int, _) => None,
        (ScalarTag::Float, _) => text.parse().ok().map(Value::Float),
    }
}

/// Decimal, `0x`, `0o`, `0b`, and a leading zero for octal.
fn whole_number(text: &str) -> Option<i64> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-') {
        return None;
    }
    let digits = ungrouped(text);
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        Some(two) if two.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, `.inf` and `.nan`.
fn number(text: &str) -> Option<f64> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            return Some(if text.starts_with('-') {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            });
        }
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    if unsigned.starts_with('_') {
        return None;
    }
    let plain = ungrouped(text);
    let unsigned = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let digits = unsigned.strip_prefix('.').unwrap_or(unsigned);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    plain.parse().ok()
}

/// Whether YAML 1.1 reads plain text as a timestamp: `2001-1-1`, also with a time of day behind `T`, `t` or a space.
pub(super) fn is_date(text: &str) -> bool {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let mut numbers = date.split('-');
    let mut number = |width: std::ops::RangeInclusive<usize>, limit: u32| {
        numbers.next().is_some_and(|text| {
            width.contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse::<u32>().is_ok_and(|value| value <= limit)
        })
    };
    number(4..=4, 9999)
        && number(1..=2, 12)
        && number(1..=2, 31)
        && numbers.next().is_none()
        && time.is_none_or(|time| {
            time.starts_with(|c: char| c.is_ascii_digit())
                && time
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || b":.+-Z".contains(&byte))
                && time.matches(':').count() >= 2
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_the_core_schema_says() {
        for (text, value) in [
            ("12", Value::Int(12)),
            ("-7", Value::Int(-7)),
            ("+7", Value::Int(7)),
            ("0755", Value::Int(0o755)),
            ("0o17", Value::Int(15)),
            ("0x1F", Value::Int(31)),
            ("1_000", Value::Int(1000)),
            ("08", Value::Float(8.0)),
            ("1e3", Value::Float(1000.0)),
            (".5", Value::Float(0.5)),
            ("1.", Value::Float(1.0)),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
            ("99999999999999999999", Value::Float(1e20)),
            ("TRUE", Value::Bool(true)),
            ("~", Value::Null),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
    }

    #[test]
    fn everything_else_stays_text() {
        for text in [
            "yes", "no", "on", "12:30", "1.2.3", "tRue", "-", "+", ".", "inf", "nan", "0x", "1e", "_1",
            "0b2", "--1", "0x-1",
        ] {
            assert_eq!(resolve(text), Value::String(text.into()), "{text}");
        }
    }
}
