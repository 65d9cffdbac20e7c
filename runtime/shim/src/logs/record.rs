//! In: a line, its stream and its time. Out: one JSON record.
//! **Invariant:** pure; whatever the bytes, the record is valid JSON in valid UTF-8 on one line.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

/// Appends `{"log":…,"stream":…,"time":…}` and a newline; `ended` lines carry their own newline inside `log`.
pub(super) fn append_record(out: &mut Vec<u8>, line: &[u8], ended: bool, stream: &str, time: &str) {
    out.reserve(line.len() + 80);
    out.extend_from_slice(b"{\"log\":\"");
    append_escaped(out, line);
    out.extend_from_slice(if ended {
        b"\\n\",\"stream\":\""
    } else {
        b"\",\"stream\":\""
    });
    out.extend_from_slice(stream.as_bytes());
    out.extend_from_slice(b"\",\"time\":\"");
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// Appends `bytes` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
pub fn append_json_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    append_escaped(out, bytes);
    out.push(b'"');
}

fn append_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        append_valid(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// What RFC 8259 section 7 wants escaped; everything else is copied in runs.
fn append_valid(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";
    let mut copied = 0;
    for (index, byte) in bytes.iter().copied().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                out.extend_from_slice(b"\\u00");
                out.push(HEXADECIMAL[usize::from(other >> 4)]);
                out.push(HEXADECIMAL[usize::from(other & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// A time since 1970 as RFC 3339 in UTC with nine decimals, such as `2023-11-14T22:13:20.000000005Z`.
pub fn timestamp(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let mut text = String::with_capacity(30);
    append_digits(&mut text, year, 4);
    for (mark, value) in [
        ('-', month),
        ('-', day),
        ('T', hour),
        (':', minute),
        (':', second),
    ] {
        text.push(mark);
        append_digits(&mut text, value, 2);
    }
    text.push('.');
    append_digits(&mut text, u64::from(since_1970.subsec_nanos()), 9);
    text.push('Z');
    text
}

fn append_digits(text: &mut String, value: u64, width: u32) {
    for position in (0..width).rev() {
        let digit = u8::try_from(value / 10_u64.pow(position) % 10).unwrap_or(0);
        text.push(char::from(b'0' + digit));
    }
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, `civil_from_days`).
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        append_json_string(&mut out, bytes);
        String::from_utf8(out).expect("valid UTF-8")
    }

    #[test]
    fn escapes_what_json_wants_and_nothing_else() {
        assert_eq!(escaped(b"plain <&> text"), r#""plain <&> text""#);
        assert_eq!(
            escaped(b"a\"b\\c\nd\re\tf\x00g\x1bh\x7f"),
            "\"a\\\"b\\\\c\\nd\\re\\tf\\u0000g\\u001bh\x7f\""
        );
        assert_eq!(escaped("grün €".as_bytes()), "\"grün €\"");
        assert_eq!(escaped(b""), "\"\"");
    }

    #[test]
    fn broken_utf8_becomes_the_replacement_character() {
        assert_eq!(escaped(b"a\xFFb"), "\"a\u{FFFD}b\"");
        assert_eq!(escaped(b"\xE2\x82"), "\"\u{FFFD}\"");
        assert_eq!(escaped(b"\xC0\xAF\""), "\"\u{FFFD}\u{FFFD}\\\"\"");
    }

    #[test]
    fn pieces_have_no_newline() {
        let mut out = Vec::new();
        append_record(&mut out, b"x", false, "stderr", "T");
        append_record(&mut out, b"y", true, "stdout", "T");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"log\":\"x\",\"stream\":\"stderr\",\"time\":\"T\"}\n{\"log\":\"y\\n\",\"stream\":\"stdout\",\"time\":\"T\"}\n"
        );
    }

    #[test]
    fn timestamps_are_utc_with_nine_decimals() {
        for (seconds, nanoseconds, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000000001Z"),
            (951_868_799, 999_999_999, "2000-02-29T23:59:59.999999999Z"),
            (1_709_251_199, 0, "2024-02-29T23:59:59.000000000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(timestamp(Duration::new(seconds, nanoseconds)), expected);
        }
    }
}
