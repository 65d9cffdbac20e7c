//! In: text of a file. Out: bytes, durations, file modes and yes/no words, by compose's grammars.
//! **Invariant:** a refusal names what was read and, where a likely meaning exists, the text to write instead.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::time::Duration;

/// Why a text is no value of its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitError {
    /// One sentence, without the place.
    pub message: String,
    /// The text that was probably meant.
    pub suggestion: Option<String>,
}

impl UnitError {
    fn new(message: String, suggestion: Option<String>) -> Self {
        Self { message, suggestion }
    }
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UnitError {}

const KIB: f64 = 1024.0;

/// Bytes of `64m`, `1.5gb`, `2 GiB`, `512`; `-1` is allowed for the keys that mean "unlimited" by it.
/// Grammar of docker/go-units `RAMInBytes`: powers of 1024, letter case ignored, `b` and `ib` optional.
pub fn parse_bytes(text: &str) -> Result<i64, UnitError> {
    let refuse =
        |reason: &str| UnitError::new(format!("`{text}` is not a size: {reason}"), suggest_bytes(text));
    if text == "-1" {
        return Ok(-1);
    }
    let digits = text
        .rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')
        .ok_or_else(|| refuse("it has no number"))?;
    let number = text[..=digits].trim_end_matches(' ');
    let suffix = text[digits + 1..].to_ascii_lowercase();
    let number: f64 = number
        .parse()
        .map_err(|_| refuse("it does not begin with a number"))?;
    if !number.is_finite() || number < 0.0 {
        return Err(refuse("it is negative"));
    }
    let power = byte_power(&suffix).ok_or_else(|| refuse("the unit is one of b, k, m, g, t and p"))?;
    let bytes = number * KIB.powi(power);
    #[expect(
        clippy::cast_precision_loss,
        reason = "only the magnitude matters for the limit"
    )]
    let limit = i64::MAX as f64;
    if bytes >= limit {
        return Err(refuse("it is too large"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked against the limit above; fractions of a byte are dropped"
    )]
    Ok(bytes as i64)
}

/// The power of 1024 a suffix stands for.
fn byte_power(suffix: &str) -> Option<i32> {
    let mut chars = suffix.chars();
    let power = match chars.next() {
        None => return Some(0),
        Some('b') => return (suffix == "b").then_some(0),
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    matches!(chars.as_str(), "" | "b" | "ib").then_some(power)
}

/// `2gigs` → `2g`, `512 megabytes` → `512m`, `1,5g` → `1.5g`.
fn suggest_bytes(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase().replace(',', ".");
    let (number, word) = split_number(&lower)?;
    let unit = word.chars().next().filter(|unit| "bkmgtp".contains(*unit));
    let suggestion = format!("{number}{}", unit.map(String::from).unwrap_or_default());
    (suggestion != text).then_some(suggestion)
}

/// The leading number of a text and the word after it.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, word) = (&text[..end], text[end..].trim());
    number.parse::<f64>().ok().map(|_| (number, word))
}

/// Nanoseconds of each unit, longest names first among those that share a beginning.
const DURATION_UNITS: [(&str, u64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// The duration of `1h30m`, `10s`, `1.5m`, `500ms`; `0` needs no unit. Go's grammar with `d` and `w` (24 h, 7 d) added.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let refuse = |reason: &str| {
        UnitError::new(
            format!("`{text}` is not a duration: {reason}"),
            suggest_duration(text),
        )
    };
    if text.is_empty() {
        return Err(refuse("it is empty"));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanoseconds = 0_u128;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let scale = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, scale)| u128::from(*scale))
            .ok_or_else(|| match unit {
                "" => refuse("a unit is missing after the number"),
                _ => refuse("the units are ns, us, ms, s, m, h, d and w"),
            })?;
        let part = scaled(number, scale).ok_or_else(|| refuse("a number is expected before each unit"))?;
        nanoseconds = nanoseconds.saturating_add(part);
        rest = next;
    }
    // Go keeps durations in 63 bits of nanoseconds.
    i64::try_from(nanoseconds)
        .map(|nanoseconds| Duration::from_nanos(nanoseconds.unsigned_abs()))
        .map_err(|_| refuse("it is too long"))
}

/// `number`, digits with at most one point, times `scale`, rounded down.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && part.is_empty()) || part.contains('.') {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u128>().ok()
        }
    };
    let part = &part[..part.len().min(18)];
    let fraction = digits(part)? * scale / 10_u128.pow(u32::try_from(part.len()).ok()?);
    digits(whole)?.checked_mul(scale)?.checked_add(fraction)
}

/// `5 seconds` → `5s`, `2 min` → `2m`, `30` → `30s`.
fn suggest_duration(text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase();
    let (number, word) = split_number(&lower)?;
    let word = word.replace('.', "");
    let unit = match word.as_str() {
        "ns" | "nanosecond" | "nanoseconds" => "ns",
        "us" | "µs" | "microsecond" | "microseconds" => "us",
        "ms" | "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => "ms",
        "" | "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "w" | "week" | "weeks" => "w",
        _ => return None,
    };
    let suggestion = format!("{number}{unit}");
    (suggestion != text).then_some(suggestion)
}

/// A duration as Go prints it: `1h30m0s`, `1m30s`, `1.5s`, `500ms`, `0s`.
pub fn print_duration(duration: Duration) -> String {
    let total = duration.as_nanos();
    if total == 0 {
        return "0s".to_owned();
    }
    if total < 1_000_000_000 {
        let (scale, unit) = match total {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{}{unit}", fraction(total, scale));
    }
    let (hours, rest) = (total / 3_600_000_000_000, total % 3_600_000_000_000);
    let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
    let seconds = fraction(rest, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        (_, _) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / scale` in decimal without trailing zeros.
fn fraction(value: u128, scale: u128) -> String {
    let (whole, part) = (value / scale, value % scale);
    if part == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let digits = format!("{part:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// The boolean a word means; the second value is whether it is one of YAML 1.1's words, which deserve a warning.
/// The words are compose-go's interpolation casts.
pub fn parse_bool(text: &str) -> Option<(bool, bool)> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some((true, false)),
        "false" => Some((false, false)),
        "y" | "yes" | "on" => Some((true, true)),
        "n" | "no" | "off" => Some((false, true)),
        _ => None,
    }
}

/// Permission bits written in octal: `0444`, `444`, `0o444`.
pub fn parse_mode(text: &str) -> Result<u32, UnitError> {
    let digits = text
        .strip_prefix("0o")
        .or_else(|| text.strip_prefix("0O"))
        .unwrap_or(text);
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| {
            UnitError::new(
                format!("`{text}` is not a file mode: octal digits are expected"),
                Some("0444".to_owned()),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024_with_optional_b() {
        let table = [
            ("655360", 655_360),
            ("-1", -1),
            ("1g", 1 << 30),
            ("512m", 512 << 20),
            ("1.5gb", 3 << 29),
            ("64M", 64 << 20),
            ("2 GiB", 2 << 30),
            ("10b", 10),
            ("0", 0),
            ("1.9k", 1945),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn wrong_sizes_are_refused_with_a_guess() {
        let table = [
            ("2gigs", Some("2g")),
            ("512 megabytes", Some("512m")),
            ("1,5g", Some("1.5g")),
            ("invalid", None),
            ("", None),
            ("3x", Some("3")),
            ("-5m", None),
            ("9999999999p", Some("9999999999p")),
        ];
        for (text, guess) in table {
            let error = parse_bytes(text).unwrap_err();
            let guess = guess.filter(|guess| *guess != text);
            assert_eq!(error.suggestion.as_deref(), guess, "{text}");
        }
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        let table = [
            ("10s", "10s"),
            ("60s", "1m0s"),
            ("1m0s", "1m0s"),
            ("120s", "2m0s"),
            ("1h30m", "1h30m0s"),
            ("1.5s", "1.5s"),
            ("500ms", "500ms"),
            ("1500us", "1.5ms"),
            ("250us", "250µs"),
            ("7ns", "7ns"),
            ("0", "0s"),
            ("0s", "0s"),
            ("1d", "24h0m0s"),
            ("1w", "168h0m0s"),
            ("1h0.5s", "1h0m0.5s"),
            ("0.1s", "100ms"),
        ];
        for (text, printed) in table {
            assert_eq!(
                parse_duration(text).map(print_duration).as_deref(),
                Ok(printed),
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_durations_are_refused_with_a_guess() {
        let table = [
            ("5 seconds", Some("5s")),
            ("30", Some("30s")),
            ("2 min", Some("2m")),
            ("1 day", Some("1d")),
            ("soon", None),
            ("5 parsecs", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("99999999w", None),
        ];
        for (text, guess) in table {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error.suggestion.as_deref(), guess, "{text}");
        }
    }

    #[test]
    fn modes_are_octal_and_words_are_booleans() {
        assert_eq!(parse_mode("0440"), Ok(0o440));
        assert_eq!(parse_mode("0o755"), Ok(0o755));
        assert_eq!(parse_mode("1777"), Ok(0o1777));
        assert!(parse_mode("rw-r--r--").is_err());
        assert!(parse_mode("77777").is_err());
        assert_eq!(parse_bool("True"), Some((true, false)));
        assert_eq!(parse_bool("yes"), Some((true, true)));
        assert_eq!(parse_bool("maybe"), None);
        assert_eq!(parse_bool("1"), None);
    }
}
