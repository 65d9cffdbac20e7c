//! In: one line of a log file (Docker's json-file layout). Out: a [`Record`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::borrow::Cow;

use serde::Deserialize;

/// One piece of output, as the container wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Text; ends in a line feed unless the line goes on in the next record of the same stream.
    pub text: String,
    /// Written to standard error.
    pub stderr: bool,
    /// When.
    pub time: Moment,
}

/// A time of a log, cheap to compare: RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment {
    /// `2026-01-02T03:04:05`.
    seconds: String,
    /// 0 to 999,999,999.
    nanoseconds: u32,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
}

impl Record {
    /// Reads one line; none when it is torn or not a record.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        Some(Self { stderr: line.stream == "stderr", time: Moment::parse(&line.time)?, text: line.log.into_owned() })
    }
}

impl Moment {
    /// Reads `2026-01-02T03:04:05.6789Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, rest) = text.split_at_checked(19)?;
        let digits = rest.strip_suffix('Z')?.strip_prefix('.').unwrap_or_default();
        let mut nanoseconds = 0;
        for digit in digits.bytes().chain(std::iter::repeat(b'0')).take(9) {
            nanoseconds = nanoseconds * 10 + u32::from(digit.checked_sub(b'0').filter(|value| *value < 10)?);
        }
        Some(Self { seconds: seconds.to_owned(), nanoseconds })
    }

    /// The moment with nine digits of fraction, as `logs -t` prints it.
    pub fn text(&self) -> String {
        format!("{}.{:09}Z", self.seconds, self.nanoseconds)
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
        assert_eq!(moment("2026-01-02T03:04:05.1Z").text(), "2026-01-02T03:04:05.100000000Z");
        assert_eq!(Moment::parse("yesterday"), None);
        assert_eq!(Moment::parse("2026-01-02T03:04:05.1xZ"), None);
    }

    #[test]
    fn a_torn_line_is_no_record() {
        assert_eq!(Record::parse(br#"{"log":"a\n","stream":"stdout","ti"#), None);
        let record = Record::parse(br#"{"log":"a \u00e9\n","stream":"stderr","time":"2026-01-02T03:04:05Z"}"#).expect("valid");
        assert_eq!((record.text.as_str(), record.stderr), ("a é\n", true));
    }
}
