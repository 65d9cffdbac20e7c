//! In: requests to stop or restart, and time. Out: commands run first, then the signal, then SIGKILL.
//! **Invariant:** once asked for, an end comes: nothing a container does or leaves undone holds it back longer than its grace period.

use std::collections::VecDeque;
use std::os::fd::AsFd;

use rcompose_container::spec::ProcessSpec;
use rcompose_sys::pidfd;

use super::{Phase, Shim};
use crate::clock;
use crate::deafness::is_deaf;
use crate::protocol::Reply;

/// A stop that is under way.
#[derive(Debug)]
pub(super) struct Stopping {
    signal: i32,
    grace: u64,
    /// Commands still to be run inside.
    before: VecDeque<ProcessSpec>,
    /// The one that runs.
    hook: Option<i32>,
    /// When SIGKILL follows; set once the signal was sent.
    deadline: Option<u64>,
    /// Start again afterwards.
    pub(super) restart: bool,
}

impl Stopping {
    pub(super) fn due(&self) -> Option<u64> {
        self.deadline
    }
}

impl Shim {
    /// Asked by SIGTERM: as a stop with the spec's own signal and grace.
    pub(super) fn stop_or_finish(&mut self) {
        match &self.phase {
            Phase::Running(_) | Phase::Ended { .. } => self.begin_stop(None, None, Vec::new(), false),
            Phase::Restarting { .. } => self.finish(),
            Phase::Finished { .. } => {}
        }
    }

    /// Starts a stop, or hurries the one that is under way: its commands are not waited for any longer.
    pub(super) fn begin_stop(
        &mut self,
        signal: Option<i32>,
        grace_ms: Option<u64>,
        before: Vec<ProcessSpec>,
        restart: bool,
    ) {
        if let Some(stopping) = &mut self.stopping {
            stopping.restart &= restart;
            stopping.before.clear();
            stopping.hook = None;
            if let (Some(grace), Some(deadline)) = (grace_ms, stopping.deadline) {
                stopping.deadline = Some(deadline.min(clock::monotonic().saturating_add(grace)));
            }
            if !stopping.restart {
                let reply = super::requests::refusal("restart", "it was stopped meanwhile");
                self.control
                    .keep(&reply, |_, promises| std::mem::take(&mut promises.restarts));
            }
            if self
                .stopping
                .as_ref()
                .is_some_and(|stopping| stopping.deadline.is_some())
            {
                return;
            }
        } else {
            self.stopping = Some(Stopping {
                signal: signal.unwrap_or(self.kept.stop_signal()),
                grace: grace_ms.unwrap_or(self.kept.stop_grace_ms()),
                before: before.into(),
                hook: None,
                deadline: None,
                restart,
            });
        }
        self.stdio.stop_waiting();
        if self
            .stopping
            .as_ref()
            .is_some_and(|stopping| !stopping.before.is_empty())
        {
            // A command cannot run among frozen processes.
            self.thaw();
        }
        self.advance_stop();
    }

    /// The next command, or the signal.
    fn advance_stop(&mut self) {
        loop {
            let Some(stopping) = &mut self.stopping else {
                return;
            };
            let Some(process) = stopping.before.pop_front() else {
                break;
            };
            match self.execute_hook(&process) {
                Ok(pid) => {
                    if let Some(stopping) = &mut self.stopping {
                        stopping.hook = Some(pid);
                    }
                    return;
                }
                // It does not gate the stop; whoever reads the log learns of it.
                Err(error) => self.stdio.note(&format!("pre_stop: {error}")),
            }
        }
        let Some(stopping) = &mut self.stopping else {
            return;
        };
        let signal = stopping.signal;
        let mut grace = stopping.grace;
        if let Phase::Running(first) = &self.phase {
            let status = std::fs::read_to_string(format!("/proc/{}/status", first.pid)).unwrap_or_default();
            if is_deaf(&status, signal) {
                grace = 0;
            }
        }
        stopping.deadline = Some(clock::monotonic().saturating_add(grace));
        if let Phase::Running(first) = &self.phase {
            // It fails only for a process that has ended, whose end is about to be noticed.
            let _ended = pidfd::send_signal(first.pidfd.as_fd(), signal);
            self.thaw();
        }
    }

    /// A command that was run first has ended; true when `pid` was one.
    pub(super) fn hook_ended(&mut self, pid: i32) -> bool {
        match &mut self.stopping {
            Some(stopping) if stopping.hook == Some(pid) => stopping.hook = None,
            _ => return false,
        }
        self.advance_stop();
        true
    }

    /// The grace period may be over.
    pub(super) fn stop_timer(&mut self, now: u64) {
        let Some(stopping) = &mut self.stopping else {
            return;
        };
        if stopping.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        // Far away rather than none: what happens after SIGKILL is the kernel's.
        stopping.deadline = Some(u64::MAX);
        if let Phase::Running(first) = &self.phase {
            self.kept.kill(first);
            self.thaw();
        }
    }

    /// Lets frozen processes run, so that they can receive what they were sent.
    pub(super) fn thaw(&mut self) {
        if self.paused && self.kept.thaw().is_ok() {
            self.paused = false;
            self.write_state();
        }
    }

    /// Freezes or thaws every process.
    pub(super) fn set_paused(&mut self, paused: bool) -> Reply {
        if !matches!(self.phase, Phase::Running(_)) {
            return super::requests::not_running(if paused { "pause" } else { "unpause" });
        }
        let done = if paused {
            self.kept.freeze()
        } else {
            self.kept.thaw()
        };
        match done {
            Ok(()) => {
                self.paused = paused;
                self.write_state();
                Reply::Done
            }
            Err(error) => error.reply(),
        }
    }
}
