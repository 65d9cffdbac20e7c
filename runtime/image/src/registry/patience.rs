//! When and how long to wait before a registry is asked again.
//! **Invariant:** nobody waits longer than a minute for one answer, and a cancelled wait ends at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use ureq::http::{HeaderMap, StatusCode};

use super::{RegistryError, header};

/// How often one thing is tried.
pub(crate) const ATTEMPTS: u32 = 5;
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Sleeps, but wakes up when cancelled.
pub(crate) fn wait(cancel: &AtomicBool, time: Duration) -> Result<(), RegistryError> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if cancel.load(Ordering::Relaxed) {
            return Err(RegistryError::Cancelled);
        }
        thread::sleep(
            end.saturating_duration_since(Instant::now())
                .min(Duration::from_millis(50)),
        );
    }
    Ok(())
}

/// 0.2, 0.4, 0.8, 1.6 seconds.
pub(crate) fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(100 << attempt.min(5))
}

/// How long to wait after an answer that may change: as long as it says, if anybody would.
pub(crate) fn until_next(headers: &HeaderMap, attempt: u32) -> Result<Duration, RegistryError> {
    let asked = header(headers, "retry-after").and_then(|text| retry_after(text, Timestamp::now()));
    let time = asked.unwrap_or_else(|| backoff(attempt));
    if time > LONGEST_WAIT {
        return Err(RegistryError::Busy {
            seconds: time.as_secs(),
        });
    }
    Ok(time)
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.duration_since(now).try_into().unwrap_or(Duration::ZERO))
}

/// Answers that say something of the moment only (RFC 9110 §15.5.9, §15.6; RFC 6585 §4).
pub(crate) fn may_change(status: StatusCode) -> bool {
    let is_final = matches!(status.as_u16(), 501 | 505);
    status.is_server_error() && !is_final || matches!(status.as_u16(), 408 | 425 | 429)
}

/// Whether trying again may help: not when nobody listens there, the host does not exist, or its certificate is wrong.
pub(crate) fn may_pass(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, InvalidData};
    if let ureq::Error::Io(error) = error {
        return !matches!(error.kind(), ConnectionRefused | InvalidData);
    }
    matches!(
        error,
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) | ureq::Error::BodyStalled
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        let seconds = |text| retry_after(text, now).map(|time| time.as_secs());
        assert_eq!(seconds(" 12 "), Some(12));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(
            seconds("Sun, 06 Nov 1994 08:00:00 GMT"),
            Some(0),
            "a date of the past is now"
        );
        for text in ["", "soon", "-1", "1.5"] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
    }
}
