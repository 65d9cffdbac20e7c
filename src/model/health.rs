//! In: decoded keys. Out: [`Healthcheck`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

/// `healthcheck:` of a service; each absent part falls back to the image's, then to the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Healthcheck {
    /// `disable: true` or `test: ["NONE"]`.
    pub disabled: bool,
    /// `CMD` followed by arguments, or `CMD-SHELL` followed by one line.
    pub test: Option<Vec<String>>,
    /// Default 30 s.
    pub interval: Option<Duration>,
    /// Default 30 s.
    pub timeout: Option<Duration>,
    /// Default 3.
    pub retries: Option<u32>,
    /// Default 0 s.
    pub start_period: Option<Duration>,
    /// Default 5 s.
    pub start_interval: Option<Duration>,
}
