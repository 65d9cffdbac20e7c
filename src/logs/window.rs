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
    pub fn holds(&self, moment: Moment) -> bool {
        self.since.is_none_or(|since| moment >= since) && self.until.is_none_or(|until| moment <= until)
    }
}

/// Reads a time as docker takes it: RFC 3339, a date with or without a time (UTC), seconds since 1970, or a Go duration before `now`.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "`{text}` is no time: use 2026-01-02T13:23:37Z, 2026-01-02, seconds since 1970, or a duration such as 42m"
        )
    };
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        return time
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map(|zoned| zoned.timestamp())
            .map_err(|_| wrong());
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let span = jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
        return Timestamp::from_duration(span).map_err(|_| wrong());
    }
    let duration = crate::model::units::parse_duration(text).map_err(|_| wrong())?;
    let duration = jiff::SignedDuration::try_from(duration).map_err(|_| wrong())?;
    now.checked_sub(duration).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_time_that_docker_takes() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().expect("valid");
        let time = |text: &str| parse_time(text, now).map(|time| time.to_string());
        assert_eq!(
            time("2026-01-01T10:00:00+02:00"),
            Ok("2026-01-01T08:00:00Z".to_owned())
        );
        assert_eq!(time("2026-01-01T10:00:00"), Ok("2026-01-01T10:00:00Z".to_owned()));
        assert_eq!(time("2026-01-01"), Ok("2026-01-01T00:00:00Z".to_owned()));
        assert_eq!(time("0.5"), Ok("1970-01-01T00:00:00.5Z".to_owned()));
        assert_eq!(time("1h4m5s"), Ok("2026-01-02T02:00:00Z".to_owned()));
        assert!(time("soon").is_err_and(|error| error.contains("`soon`")));
    }

    #[test]
    fn both_ends_of_a_window_belong_to_it() {
        let moment = |second: u32| Moment::parse(&format!("2026-01-02T03:04:{second:02}Z")).expect("valid");
        let window = Window {
            since: Some(moment(2)),
            until: Some(moment(4)),
        };
        let held: Vec<u32> = (0..9).filter(|second| window.holds(moment(*second))).collect();
        assert_eq!(held, [2, 3, 4]);
        assert!(Window::default().holds(moment(1)));
    }
}
