//! In: a probe's settings, its results and the time (milliseconds of a monotonic clock). Out: when to probe, when to kill a
//! probe, and the container's health.
//! **Invariant:** pure; an eager probe never makes a container unhealthy sooner than its `interval` and `retries` say.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rcompose_container::spec::HealthSpec;

/// Shortest wait between eager probes, in milliseconds.
const EAGER_WAIT: u64 = 50;

/// Health as `ps` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthStatus {
    /// No probe is configured.
    None,
    /// Not known yet.
    Starting,
    /// The latest probe succeeded.
    Healthy,
    /// `retries` probes in a row failed.
    Unhealthy,
}

impl HealthStatus {
    /// The word in `state.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthStatus::None => "none",
            HealthStatus::Starting => "starting",
            HealthStatus::Healthy => "healthy",
            HealthStatus::Unhealthy => "unhealthy",
        }
    }
}

/// What the probe is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    /// Nothing to do: no probe is configured, or the container is down.
    Idle,
    /// The next one starts at `due`.
    Waiting { due: u64 },
    /// One runs since `since`.
    Running { since: u64 },
    /// One that ran since `since` was killed; its end is still to come.
    Killed { since: u64 },
}

/// A container's health over one run of its first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// What is shown.
    pub status: HealthStatus,
    /// Failures in a row that count.
    pub failing_streak: u32,
    started: u64,
    was_healthy: bool,
    /// Failures of probes begun before this do not count.
    counts_from: u64,
    probe: Probe,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthAction {
    /// Nothing.
    None,
    /// Execute the probe; its end must be reported by [`Health::probe_ended`].
    StartProbe,
    /// The running probe took too long: kill it. Its end is still to be reported.
    KillProbe,
}

impl Health {
    /// No probe, or nothing running.
    pub const IDLE: Health = Health {
        status: HealthStatus::None,
        failing_streak: 0,
        started: 0,
        was_healthy: false,
        counts_from: 0,
        probe: Probe::Idle,
    };

    /// The first process was executed at `now`: the first probe is due at once.
    pub fn started(spec: Option<&HealthSpec>, now: u64) -> Health {
        let Some(spec) = spec else { return Health::IDLE };
        Health {
            status: HealthStatus::Starting,
            started: now,
            counts_from: now.saturating_add(spec.start_period_ms.max(spec.interval_ms)),
            probe: Probe::Waiting { due: now },
            ..Health::IDLE
        }
    }

    /// A container that ran before this shim did: what was known holds, and the next probe is due at once.
    pub fn adopted(spec: Option<&HealthSpec>, status: HealthStatus, failing_streak: u32, now: u64) -> Health {
        let settled = matches!(status, HealthStatus::Healthy | HealthStatus::Unhealthy);
        match (spec, settled) {
            (None, _) => Health::IDLE,
            (Some(_), false) => Health::started(spec, now),
            (Some(_), true) => Health {
                status,
                failing_streak,
                started: now,
                was_healthy: true,
                counts_from: 0,
                probe: Probe::Waiting { due: now },
            },
        }
    }

    /// The first process ended: no more probes, and nothing is known.
    #[must_use]
    pub fn stopped(self) -> Health {
        Health {
            probe: Probe::Idle,
            ..self
        }
    }

    /// When [`Self::timer`] has something to do.
    pub fn due(&self, spec: &HealthSpec) -> Option<u64> {
        match self.probe {
            Probe::Idle | Probe::Killed { .. } => None,
            Probe::Waiting { due } => Some(due),
            Probe::Running { since } => Some(since.saturating_add(spec.timeout_ms.max(1))),
        }
    }

    /// Time passed.
    pub fn timer(self, spec: &HealthSpec, now: u64) -> (Health, HealthAction) {
        if self.due(spec).is_none_or(|due| now < due) {
            return (self, HealthAction::None);
        }
        match self.probe {
            Probe::Idle | Probe::Killed { .. } => (self, HealthAction::None),
            Probe::Waiting { .. } => (
                Health {
                    probe: Probe::Running { since: now },
                    ..self
                },
                HealthAction::StartProbe,
            ),
            Probe::Running { since } => (
                Health {
                    probe: Probe::Killed { since },
                    ..self
                },
                HealthAction::KillProbe,
            ),
        }
    }

    /// The running probe ended (or could not be started, which is a failure).
    #[must_use]
    pub fn probe_ended(self, spec: &HealthSpec, success: bool, now: u64) -> Health {
        let (Probe::Running { since } | Probe::Killed { since }) = self.probe else {
            return self;
        };
        let mut next = self;
        if success {
            next.status = HealthStatus::Healthy;
            next.failing_streak = 0;
            next.was_healthy = true;
            next.counts_from = 0;
        } else if since >= self.counts_from {
            next.failing_streak = self.failing_streak.saturating_add(1);
            if !self.was_healthy {
                next.counts_from = since.saturating_add(spec.interval_ms);
            }
            if next.failing_streak >= spec.retries.max(1) {
                next.status = HealthStatus::Unhealthy;
            }
        }
        next.probe = Probe::Waiting {
            due: now.saturating_add(next.wait(spec, now)),
        };
        next
    }

    /// Until first healthy a probe is late by at most a quarter of the time waited so far; afterwards `interval` holds.
    fn wait(&self, spec: &HealthSpec, now: u64) -> u64 {
        let interval = spec.interval_ms.max(1);
        if self.was_healthy {
            return interval;
        }
        let waited = now.saturating_sub(self.started);
        let longest = if waited < spec.start_period_ms && spec.start_interval_ms > 0 {
            spec.start_interval_ms
        } else {
            interval
        };
        (waited / 4).max(EAGER_WAIT).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(interval_ms: u64, retries: u32, start_period_ms: u64) -> HealthSpec {
        HealthSpec {
            arguments: vec!["true".into()],
            interval_ms,
            timeout_ms: 1000,
            retries,
            start_period_ms,
            start_interval_ms: 5000,
        }
    }

    /// Runs instant probes until `until`, successful from `healthy_at` on; returns (time, status) at each change.
    fn drive(spec: &HealthSpec, healthy_at: u64, until: u64) -> (Vec<(u64, HealthStatus)>, Vec<u64>) {
        let mut health = Health::started(Some(spec), 0);
        let (mut changes, mut probes) = (Vec::new(), Vec::new());
        while let Some(now) = health.due(spec).filter(|due| *due <= until) {
            let (next, action) = health.timer(spec, now);
            assert_eq!(action, HealthAction::StartProbe);
            probes.push(now);
            let after = next.probe_ended(spec, now >= healthy_at, now);
            if after.status != health.status {
                changes.push((now, after.status));
            }
            health = after;
        }
        (changes, probes)
    }

    #[test]
    fn eager_probes_find_health_within_a_quarter() {
        for ready in [0, 70, 900, 3200, 25_000] {
            let (changes, _) = drive(&spec(10_000, 5, 0), ready, 60_000);
            let (found, status) = changes[0];
            assert_eq!(status, HealthStatus::Healthy);
            assert!(
                found >= ready && found <= ready + ready / 3 + 50,
                "ready {ready}, found {found}"
            );
        }
    }

    #[test]
    fn eager_failures_do_not_use_up_the_retries() {
        let (changes, probes) = drive(&spec(10_000, 3, 0), u64::MAX, 60_000);
        let (at, status) = changes[0];
        assert_eq!(status, HealthStatus::Unhealthy);
        assert!(
            (30_000..50_000).contains(&at),
            "three intervals at the earliest, was {at}"
        );
        assert!(probes.len() < 40, "{} probes", probes.len());
        assert_eq!(probes[..3], [0, 50, 100]);
    }

    #[test]
    fn failures_in_the_start_period_do_not_count() {
        let (changes, _) = drive(&spec(1000, 2, 20_000), u64::MAX, 60_000);
        assert!(changes[0].0 >= 21_000, "{changes:?}");
        let (changes, _) = drive(&spec(1000, 1, 20_000), 19_000, 60_000);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].1, HealthStatus::Healthy);
    }

    #[test]
    fn after_healthy_every_failure_counts_and_one_success_mends() {
        let spec = spec(1000, 2, 0);
        let (mut health, _) = drive_once(Health::started(Some(&spec), 0), &spec, true);
        assert_eq!(health.due(&spec), Some(1000), "interval after healthy");
        for (success, expected, streak) in [
            (false, HealthStatus::Healthy, 1),
            (false, HealthStatus::Unhealthy, 2),
            (false, HealthStatus::Unhealthy, 3),
            (true, HealthStatus::Healthy, 0),
        ] {
            (health, _) = drive_once(health, &spec, success);
            assert_eq!((health.status, health.failing_streak), (expected, streak));
        }
    }

    fn drive_once(health: Health, spec: &HealthSpec, success: bool) -> (Health, u64) {
        let now = health.due(spec).expect("a probe is due");
        let (health, action) = health.timer(spec, now);
        assert_eq!(action, HealthAction::StartProbe);
        (health.probe_ended(spec, success, now), now)
    }

    #[test]
    fn a_slow_probe_is_killed_at_its_timeout_and_counts_when_it_ended() {
        let spec = spec(1000, 1, 0);
        let (health, _) = Health::started(Some(&spec), 0).timer(&spec, 2000);
        assert_eq!(health.timer(&spec, 2999).1, HealthAction::None);
        let (health, action) = health.timer(&spec, 3000);
        assert_eq!(action, HealthAction::KillProbe);
        assert_eq!(health.due(&spec), None, "killed once");
        assert_eq!(
            health.probe_ended(&spec, false, 3001).status,
            HealthStatus::Unhealthy
        );
    }

    #[test]
    fn a_late_result_after_the_end_changes_nothing() {
        let spec = spec(1000, 1, 0);
        let (health, _) = Health::started(Some(&spec), 0).timer(&spec, 0);
        let stopped = health.stopped();
        assert_eq!(stopped.probe_ended(&spec, true, 5), stopped);
        assert_eq!(stopped.due(&spec), None);
        assert_eq!(Health::started(None, 0), Health::IDLE);
    }
}
