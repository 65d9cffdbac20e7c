//! In: how the first process ended, the policy, the time. Out: whether, and after what wait, it is started again.
//! **Invariant:** pure; an end that a person asked for is never followed by a start.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rcompose_container::spec::RestartPolicy;

/// First wait, in milliseconds; doubled at each quick end. The values are the Docker engine's.
const FIRST_WAIT: u64 = 100;
/// Longest wait, in milliseconds.
const LONGEST_WAIT: u64 = 60_000;
/// A process that ran this long, in milliseconds, starts again from [`FIRST_WAIT`].
const SETTLED: u64 = 10_000;

/// What past ends left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestartState {
    /// Starts made by the policy since a person last started the container.
    pub count: u32,
    /// The wait before the latest start, in milliseconds; 0 before the first.
    pub wait: u64,
    /// When the policy started it within the window of [`RestartPolicy::Deploy`], milliseconds of a monotonic clock.
    pub recent: Vec<u64>,
}

/// One end of the first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Exit code, 128 plus the signal's number when a signal ended it.
    pub code: i32,
    /// How long it had run, in milliseconds.
    pub ran: u64,
    /// A person (or the host going down) asked for it.
    pub asked: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays down.
    Finished,
    /// It starts again after this many milliseconds.
    RestartAfter(u64),
}

/// Decides what follows an end at `now` (milliseconds of a monotonic clock).
pub fn after_end(
    mut state: RestartState,
    policy: RestartPolicy,
    end: End,
    now: u64,
) -> (RestartState, Verdict) {
    if end.asked {
        return (state, Verdict::Finished);
    }
    let wait = if end.ran >= SETTLED || state.wait == 0 {
        FIRST_WAIT
    } else {
        (state.wait * 2).min(LONGEST_WAIT)
    };
    let wait = match policy {
        RestartPolicy::No => return (state, Verdict::Finished),
        RestartPolicy::Always | RestartPolicy::UnlessStopped => wait,
        RestartPolicy::OnFailure { maximum } => {
            if end.code == 0 || (maximum > 0 && state.count >= maximum) {
                return (state, Verdict::Finished);
            }
            wait
        }
        RestartPolicy::Deploy {
            any,
            delay_ms,
            maximum,
            window_ms,
        } => {
            state
                .recent
                .retain(|at| window_ms == 0 || now.saturating_sub(*at) < window_ms);
            let attempts = if window_ms == 0 {
                state.count as usize
            } else {
                state.recent.len()
            };
            if (end.code == 0 && !any) || (maximum > 0 && attempts >= maximum as usize) {
                return (state, Verdict::Finished);
            }
            // Only a limited number within a window needs remembering: the list never outgrows `maximum`.
            if maximum > 0 && window_ms > 0 {
                state.recent.push(now);
            }
            delay_ms
        }
    };
    state.count = state.count.saturating_add(1);
    state.wait = wait;
    (state, Verdict::RestartAfter(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(ran: u64) -> End {
        End {
            code: 1,
            ran,
            asked: false,
        }
    }

    /// Feeds ends `gap` ms apart until the policy gives up or `limit` starts were granted; returns the waits.
    fn waits(policy: RestartPolicy, end: End, gap: u64, limit: usize) -> Vec<u64> {
        let mut state = RestartState::default();
        let mut found = Vec::new();
        for step in 0..limit as u64 {
            let (next, verdict) = after_end(state, policy, end, step * gap);
            state = next;
            match verdict {
                Verdict::RestartAfter(wait) => found.push(wait),
                Verdict::Finished => break,
            }
        }
        found
    }

    #[test]
    fn back_off_doubles_to_one_minute() {
        let found = waits(RestartPolicy::Always, crash(5), 1000, 13);
        assert_eq!(
            found,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000, 60_000
            ]
        );
    }

    #[test]
    fn ten_seconds_of_run_reset_the_back_off() {
        assert_eq!(
            waits(RestartPolicy::UnlessStopped, crash(10_000), 1, 3),
            [100, 100, 100]
        );
        assert_eq!(
            waits(RestartPolicy::UnlessStopped, crash(9_999), 1, 3),
            [100, 200, 400]
        );
    }

    #[test]
    fn no_policy_restarts_after_a_stop_that_was_asked_for() {
        let policies = [
            RestartPolicy::No,
            RestartPolicy::Always,
            RestartPolicy::UnlessStopped,
            RestartPolicy::OnFailure { maximum: 0 },
            RestartPolicy::Deploy {
                any: true,
                delay_ms: 0,
                maximum: 0,
                window_ms: 0,
            },
        ];
        for policy in policies {
            let asked = End {
                code: 137,
                ran: 1,
                asked: true,
            };
            assert_eq!(
                after_end(RestartState::default(), policy, asked, 0).1,
                Verdict::Finished
            );
        }
    }

    #[test]
    fn on_failure_counts_failures_only() {
        let policy = RestartPolicy::OnFailure { maximum: 3 };
        assert_eq!(waits(policy, crash(1), 1, 10).len(), 3);
        assert_eq!(
            waits(
                policy,
                End {
                    code: 0,
                    ran: 1,
                    asked: false
                },
                1,
                10
            )
            .len(),
            0
        );
        assert_eq!(
            waits(RestartPolicy::OnFailure { maximum: 0 }, crash(1), 1, 10).len(),
            10
        );
        assert!(waits(RestartPolicy::No, crash(1), 1, 10).is_empty());
    }

    #[test]
    fn deploy_counts_within_its_window() {
        let deploy = |any, maximum, window_ms| RestartPolicy::Deploy {
            any,
            delay_ms: 700,
            maximum,
            window_ms,
        };
        assert_eq!(waits(deploy(false, 2, 0), crash(1), 1000, 9), [700, 700]);
        assert_eq!(waits(deploy(false, 2, 5000), crash(1), 1000, 9), [700, 700]);
        // Ends 3 s apart: never more than two within five seconds.
        assert_eq!(waits(deploy(false, 2, 5000), crash(1), 3000, 9).len(), 9);
        let clean = End {
            code: 0,
            ran: 1,
            asked: false,
        };
        assert!(waits(deploy(false, 0, 0), clean, 1, 4).is_empty());
        assert_eq!(waits(deploy(true, 0, 0), clean, 1, 4).len(), 4);
    }
}
