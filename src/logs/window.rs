//! In: `--since`, `--until` as typed, and the time now. Out: the window of moments to show.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use jiff::Timestamp;

use super::record::Moment;

/// Moments to show; both ends are optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Not before.
    pub since: Option<Moment>,
    /// Not after.
    pub until: Option<Moment>,
}

impl Window {
    /// Whether the moment is inside.
    pub fn holds(&self, moment: &Moment) -> bool {
        self.since.as_ref().is_none_or(|since| moment >= since) && self.until.as_ref().is_none_or(|until| moment <= until)
    }
}

/// Reads a time as docker takes it: RFC 3339, a date with or without a time (UTC), seconds since 1970, or a Go duration before `now`.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || format!("`{text}` is no time: use 2026-01-02T13:23:37Z, 2026-01-02, seconds since 1970, or a duration such as 42m");
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        return time.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| wrong());
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let span = jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
        return Timestamp::from_duration(span).map_err(|_| wrong());
    }
    let duration = crate::model::units::duration(text).map_err(|_| wrong())?;
    let duration = jiff::SignedDuration::try_from(duration).map_err(|_| wrong())?;
    now.checked_sub(duration).map_err(|_| wrong())
}
