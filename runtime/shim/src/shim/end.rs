//! In: the end of the first process. Out: its record on disk, then whatever follows: a restart, or the shim's own end.
//! **Invariant:** the exit record is on the disk before anybody is told of the end.

use std::os::fd::AsFd;

use rcompose_container::spec::RestartPolicy;
use rcompose_sys::pidfd::Ended;

use super::{LINGER, Phase, Shim};
use crate::clock;
use crate::error::ShimError;
use crate::health::HealthStatus;
use crate::kept::Kept;
use crate::logs::timestamp;
use crate::protocol::Reply;
use crate::record::{self, ExitRecord};
use crate::restart::{self, End, Verdict};

/// The exit code of an end that nobody saw.
const UNKNOWN: i32 = 255;

impl Shim {
    /// The first process ended; `ended` is none when nobody can tell how.
    pub(super) fn first_ended(&mut self, ended: Option<Ended>) {
        let placeholder = Phase::Restarting { due: u64::MAX };
        let Phase::Running(first) = std::mem::replace(&mut self.phase, placeholder) else {
            return;
        };
        self.health = self.health.stopped();
        // A client that is on its way gets the output of even the shortest run.
        self.phase = Phase::Ended { first, ended };
        if !self.stdio.is_waiting() || self.stopping.is_some() {
            self.settle_end();
        }
    }

    /// Takes the last output, writes the record and decides what follows.
    pub(super) fn settle_end(&mut self) {
        let now = clock::monotonic();
        let placeholder = Phase::Restarting { due: u64::MAX };
        let Phase::Ended { first, ended, .. } = std::mem::replace(&mut self.phase, placeholder) else {
            return;
        };
        let oom = self.kept.settle();
        self.stdio.drain();
        self.paused = false;
        let (code, signal) = code_and_signal(ended);
        self.ended_with(code, signal, oom, now.saturating_sub(first.started));
    }

    /// A start by policy or request came to nothing.
    pub(super) fn start_failed(&mut self, code: i32) {
        self.kept.remove_cgroup();
        self.ended_with(code, 0, false, 0);
    }

    /// Records an end that no shim saw, unless it was recorded; returns its code.
    pub(super) fn record_unseen(
        &mut self,
        recorded: Option<i32>,
        ended: Option<Ended>,
    ) -> Result<i32, ShimError> {
        if let Some(code) = recorded {
            return Ok(code);
        }
        let (code, signal) = code_and_signal(ended);
        let record = self.exit_record(code, signal, false);
        record::replace(self.data.as_fd(), crate::EXIT_FILE, &record.to_json(), true)
            .map_err(ShimError::system("write exit.json"))?;
        Ok(code)
    }

    fn exit_record(&self, code: i32, signal: i32, oom: bool) -> ExitRecord {
        ExitRecord {
            code,
            signal,
            oom,
            started_at: self.started_at.clone(),
            finished_at: timestamp(clock::wall()),
            boot_id: self.boot_id.clone(),
        }
    }

    /// When the policy starts it again after this end, if it does.
    pub(super) fn restart_due(&mut self, policy: RestartPolicy, end: End) -> Option<u64> {
        let now = clock::monotonic();
        let (state, verdict) = restart::after_end(std::mem::take(&mut self.restart), policy, end, now);
        self.restart = state;
        match verdict {
            Verdict::RestartAfter(wait) => Some(now + wait),
            Verdict::Finished => None,
        }
    }

    fn ended_with(&mut self, code: i32, signal: i32, oom: bool, ran: u64) {
        self.exit_code = code;
        let record = self.exit_record(code, signal, oom);
        // What became of a plain process is of no interest after a power cut.
        let durable = matches!(self.kept, Kept::Container(_));
        if let Err(error) = record::replace(self.data.as_fd(), crate::EXIT_FILE, &record.to_json(), durable) {
            self.stdio
                .note(&format!("cannot write {}: {error}", crate::EXIT_FILE));
        }
        let stopping = self.stopping.take();
        if stopping.as_ref().is_some_and(|stopping| stopping.restart) {
            self.kept.remove_cgroup();
            self.start_again();
            return;
        }
        let end = End {
            code,
            ran,
            asked: stopping.is_some(),
        };
        match self.restart_due(self.policy, end) {
            Some(due) if self.is_wanted() => {
                self.phase = Phase::Restarting { due };
                self.kept.remove_cgroup();
                self.write_state();
            }
            Some(_) | None => self.finish(),
        }
    }

    /// A plain process whose directory was removed is nobody's any more.
    fn is_wanted(&self) -> bool {
        let placed = || rustix::fs::fstat(&self.run).is_ok_and(|status| status.st_nlink > 0);
        matches!(self.kept, Kept::Container(_)) || placed()
    }

    /// The end that no restart follows: tells everybody, then gives back what the shim holds.
    pub(super) fn finish(&mut self) {
        let code = self.exit_code;
        self.phase = Phase::Finished {
            code,
            until: clock::monotonic() + LINGER,
        };
        if self.health.status == HealthStatus::Starting {
            self.health.status = HealthStatus::None;
        }
        self.write_state();
        let refusal = super::requests::refusal("restart", "it ended for good");
        self.control
            .keep(&refusal, |_, promises| std::mem::take(&mut promises.restarts));
        // Whoever is attached is told after the last byte.
        let stdio = &self.stdio;
        self.control.keep(&Reply::Exited { code }, |number, promises| {
            let healthy = u32::from(std::mem::take(&mut promises.healthy));
            let attached = u32::from(stdio.is_attached(number)).min(promises.exits);
            healthy + std::mem::replace(&mut promises.exits, attached) - attached
        });
        self.deliver();
        self.control.stop_listening(self.run.as_fd());
        self.kept.remove_cgroup();
        self.ports.clear();
        self.resolver = None;
        if let Some(namespaces) = self.namespaces.take() {
            // A slow client keeps this process, but not the container's addresses.
            let _still_inside = namespaces.leave();
        }
        self.lock = None;
    }

    /// Tells those attached whose every byte has arrived.
    pub(super) fn deliver(&mut self) {
        let Phase::Finished { code, .. } = self.phase else {
            return;
        };
        for number in self.stdio.take_delivered() {
            self.control
                .keep(&Reply::Exited { code }, |connection, promises| {
                    if connection == number {
                        std::mem::take(&mut promises.exits)
                    } else {
                        0
                    }
                });
        }
    }
}

/// The exit code as a shell has it, and the signal or 0.
fn code_and_signal(ended: Option<Ended>) -> (i32, i32) {
    match ended {
        Some(Ended::Signaled(signal)) => (128 + signal, signal),
        Some(Ended::Exited(code)) => (code, 0),
        None => (UNKNOWN, 0),
    }
}
