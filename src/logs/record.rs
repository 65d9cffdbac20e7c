//! In: one line of a log file (Docker's json-file layout, as shims write it). Out: a [`Record`] that borrows from it.
//! **Invariant:** reading a record allocates nothing; a torn line is no record.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;

use memchr::{memchr, memmem};

/// Characters of a time with nine digits of fraction.
const WHOLE_TIME: usize = "2026-01-02T03:04:05.123456789Z".len();

/// One piece of output, as the container wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The text as a JSON string without its quotes.
    escaped: &'a [u8],
    /// The time as written.
    written: &'a str,
    /// Written to standard error.
    pub stderr: bool,
    /// When.
    pub time: Moment,
}

/// A time in UTC, cheap to read and to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment {
    /// `20260102` for January 2nd, 2026.
    date: u32,
    /// Nanoseconds since midnight.
    time: u64,
}

impl<'a> Record<'a> {
    /// Reads `{"log":"…","stream":"…","time":"…"}`; none when the line is torn or something else.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_prefix(br#"{"log":""#)?.strip_suffix(br#""}"#)?;
        // Quotes inside the text are escaped, so the last key is the real one.
        let key = br#"","time":""#;
        let at = memmem::rfind(line, key)?;
        let written = std::str::from_utf8(&line[at + key.len()..]).ok()?;
        let time = Moment::parse(written)?;
        let head = &line[..at];
        let (escaped, stderr) = match head.strip_suffix(br#"","stream":"stdout"#) {
            Some(escaped) => (escaped, false),
            None => (head.strip_suffix(br#"","stream":"stderr"#)?, true),
        };
        Some(Self {
            escaped,
            written,
            stderr,
            time,
        })
    }

    /// Appends the time with nine digits of fraction, as `logs -t` prints it.
    pub fn append_time(&self, out: &mut Vec<u8>) {
        if self.written.len() == WHOLE_TIME {
            out.extend_from_slice(self.written.as_bytes());
        } else {
            out.extend_from_slice(self.time.to_string().as_bytes());
        }
    }

    /// Appends the text to `out`. It ends in a line feed unless the line goes on in the next record of the same stream.
    pub fn append_text(&self, out: &mut Vec<u8>) {
        let mut rest = self.escaped;
        while let Some(at) = memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = append_unescaped(&rest[at + 1..], out);
        }
        out.extend_from_slice(rest);
    }
}

/// Appends what a backslash and `rest` stand for (RFC 8259, section 7); the rest behind that.
fn append_unescaped<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((kind, rest)) = rest.split_first() else {
        return rest;
    };
    let byte = match kind {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'u' => return append_code_point(rest, out),
        other => *other,
    };
    out.push(byte);
    rest
}

/// Appends the character behind `\u`, of two units when the first is a high surrogate.
fn append_code_point<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let unit = |bytes: &[u8]| {
        let digits = std::str::from_utf8(bytes.get(..4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(rest) else { return rest };
    let second = rest.get(4..).and_then(|rest| unit(rest.strip_prefix(b"\\u")?));
    let units = [first, second.unwrap_or_default()];
    let decoded = char::decode_utf16(units).next();
    let (character, length) = match decoded {
        Some(Ok(character)) => (character, if character.len_utf16() == 2 { 10 } else { 4 }),
        Some(Err(_)) | None => (char::REPLACEMENT_CHARACTER, 4),
    };
    let mut bytes = [0; 4];
    out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
    rest.get(length..).unwrap_or_default()
}

impl Moment {
    /// Reads `2026-01-02T03:04:05.6789Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, rest) = text.as_bytes().split_at_checked(19)?;
        let number = |from: usize, to: usize| -> Option<u32> {
            seconds[from..to].iter().try_fold(0, |value, byte| {
                let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
                Some(value * 10 + u32::from(digit))
            })
        };
        let marks = [seconds[4], seconds[7], seconds[10], seconds[13], seconds[16]];
        if marks != *b"--T::" {
            return None;
        }
        let date = number(0, 4)? * 10_000 + number(5, 7)? * 100 + number(8, 10)?;
        let second = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
        let fraction = rest.strip_suffix(b"Z")?;
        let digits = match fraction.split_first() {
            None => &[],
            Some((b'.', digits)) => digits,
            Some(_) => return None,
        };
        let mut nanosecond = 0;
        for digit in digits.iter().copied().chain(std::iter::repeat(b'0')).take(9) {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            nanosecond = nanosecond * 10 + u64::from(digit);
        }
        Some(Self {
            date,
            time: u64::from(second) * 1_000_000_000 + nanosecond,
        })
    }
}

impl fmt::Display for Moment {
    /// RFC 3339 with nine digits of fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = (self.date / 10_000, self.date / 100 % 100, self.date % 100);
        let (second, nanosecond) = (self.time / 1_000_000_000, self.time % 1_000_000_000);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanosecond:09}Z"
        )
    }
}

impl From<jiff::Timestamp> for Moment {
    fn from(time: jiff::Timestamp) -> Self {
        Self::parse(&format!("{time:.9}")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_order_by_time_whatever_their_precision() {
        let moment = |text| Moment::parse(text).expect("valid");
        assert!(moment("2026-01-02T03:04:05Z") < moment("2026-01-02T03:04:05.1Z"));
        assert!(moment("2026-01-02T03:04:05.09Z") < moment("2026-01-02T03:04:05.1Z"));
        assert!(moment("2025-12-31T23:59:59.9Z") < moment("2026-01-01T00:00:00Z"));
        assert_eq!(
            moment("2026-01-02T03:04:05.1Z").to_string(),
            "2026-01-02T03:04:05.100000000Z"
        );
        for wrong in [
            "yesterday",
            "2026-01-02T03:04:05.1xZ",
            "2026-01-02T03:04:05",
            "2026-01-02 03:04:05Z",
        ] {
            assert_eq!(Moment::parse(wrong), None, "{wrong}");
        }
        let now: jiff::Timestamp = "2026-01-02T03:04:05.000000007Z".parse().expect("valid");
        assert_eq!(Moment::from(now).to_string(), "2026-01-02T03:04:05.000000007Z");
    }

    #[test]
    fn a_torn_line_is_no_record() {
        assert_eq!(Record::parse(br#"{"log":"a\n","stream":"stdout","ti"#), None);
        assert_eq!(
            Record::parse(br#"{"log":"a\n","stream":"other","time":"2026-01-02T03:04:05Z"}"#),
            None
        );
        assert_eq!(Record::parse(b""), None);
    }

    #[test]
    fn every_text_comes_back_as_it_was() {
        let texts = [
            "plain é 漢 🦀\n",
            "tab\t cr\r quote\" slash\\ bell\u{7} esc\u{1b}[1m\n",
            "ends in a backslash \\",
            r#"looks like one ","stream":"stderr","time":"2001-01-02T03:04:05Z"}"#,
            "",
        ];
        for text in texts {
            for stream in ["stdout", "stderr"] {
                let escaped = serde_json::to_string(text).expect("JSON");
                let line = format!(
                    "{{\"log\":{escaped},\"stream\":\"{stream}\",\"time\":\"2026-01-02T03:04:05Z\"}}"
                );
                let record = Record::parse(line.as_bytes()).expect("valid");
                let mut out = Vec::new();
                record.append_text(&mut out);
                assert_eq!(String::from_utf8_lossy(&out), text);
                assert_eq!(record.stderr, stream == "stderr");
            }
        }
        let mut out = Vec::new();
        let line =
            br#"{"log":"\ud83e\udd80 \u00e9 \ud800.","stream":"stdout","time":"2026-01-02T03:04:05Z"}"#;
        Record::parse(line).expect("valid").append_text(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), "🦀 é \u{fffd}.");
    }
}
