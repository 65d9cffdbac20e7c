//! In: the kernel's clocks. Out: monotonic milliseconds for decisions, time since 1970 for people.
//! **Invariant:** the two are never mixed.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of a clock that is never set; suspended time counts.
pub(crate) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

/// Time since 1970.
pub(crate) fn wall() -> Duration {
    let now = clock_gettime(ClockId::Realtime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
