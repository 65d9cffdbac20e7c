//! In: when a health probe is due. Out: the probe run inside the container, its result kept, everybody who waits for it told.
//! **Invariant:** at most one probe runs, and of what it prints only the last 4096 bytes are kept.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rcompose_container::spec::HealthSpec;
use rcompose_sys::pidfd::{self, Ended};
use rustix::fs::OFlags;

use super::{Phase, Shim};
use crate::clock;
use crate::error::ShimError;
use crate::health::HealthAction;
use crate::logs::timestamp;
use crate::record::ProbeResult;

/// Bytes of output kept of each probe.
const KEPT_OUTPUT: usize = 4096;
/// Results kept.
const KEPT_RESULTS: usize = 5;
/// The exit code of a probe that took too long or could not be executed.
const NO_EXIT_CODE: i32 = -1;
const SIGKILL: i32 = 9;

/// A probe that runs.
#[derive(Debug)]
pub(super) struct ProbeRun {
    pid: i32,
    pidfd: OwnedFd,
    output: Option<OwnedFd>,
    kept: Vec<u8>,
    started: Duration,
    killed: bool,
}

impl ProbeRun {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Where its output is read from, while it is open.
    pub(super) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// Reads once; false when there is nothing more for now.
    pub(super) fn read(&mut self) -> bool {
        let Some(output) = &self.output else { return false };
        let mut bytes = Vec::with_capacity(KEPT_OUTPUT);
        match rustix::io::read(output, rustix::buffer::spare_capacity(&mut bytes)) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return false,
            Ok(0) | Err(_) => {
                self.output = None;
                return false;
            }
            Ok(_) => {}
        }
        self.kept.append(&mut bytes);
        let surplus = self.kept.len().saturating_sub(KEPT_OUTPUT);
        self.kept.drain(..surplus);
        true
    }
}

impl Shim {
    /// The probe, while probing makes sense.
    pub(super) fn probed(&self) -> Option<&HealthSpec> {
        self.kept
            .health()
            .filter(|_| !self.paused && self.stopping.is_none())
    }

    /// A probe may be due, or be taking too long.
    pub(super) fn health_timer(&mut self, now: u64) {
        let Some(spec) = self.probed() else { return };
        let (health, action) = self.health.timer(spec, now);
        let spec = spec.clone();
        self.health = health;
        match action {
            HealthAction::None => {}
            HealthAction::KillProbe => {
                if let Some(probe) = &mut self.probe {
                    probe.killed = true;
                    let text = format!("the probe took longer than {} ms", spec.timeout_ms);
                    probe.kept.extend_from_slice(text.as_bytes());
                    let _ended = pidfd::send_signal(probe.pidfd.as_fd(), SIGKILL);
                }
            }
            HealthAction::StartProbe => match self.start_probe(&spec.arguments) {
                Ok(probe) => self.probe = Some(probe),
                Err(error) => {
                    let mut text = error.to_string();
                    if let Some(cause) = std::error::Error::source(&error) {
                        text = format!("{text}: {cause}");
                    }
                    self.probe_result(clock::wall(), NO_EXIT_CODE, text.into_bytes());
                }
            },
        }
    }

    fn start_probe(&self, arguments: &[String]) -> Result<ProbeRun, ShimError> {
        let Phase::Running(first) = &self.phase else {
            return Err(ShimError::NotRunning);
        };
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(ShimError::system("make a pipe for the probe"))?;
        rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK)
            .map_err(ShimError::system("make a pipe for the probe"))?;
        let errors = writer
            .try_clone()
            .map_err(ShimError::system("make a pipe for the probe"))?;
        let started = clock::wall();
        let process = self.kept.probe_process(arguments)?;
        let executed = self
            .kept
            .execute(first, &process, &[super::exec::null_input()?, writer, errors])?;
        Ok(ProbeRun {
            pid: executed.pid,
            pidfd: executed.pidfd,
            output: Some(reader),
            kept: Vec::new(),
            started,
            killed: false,
        })
    }

    /// The probe's process ended.
    pub(super) fn probe_ended(&mut self, ended: Option<Ended>) {
        let Some(mut probe) = self.probe.take() else {
            return;
        };
        while probe.read() {}
        let code = match ended {
            Some(ended) if !probe.killed => ended.code(),
            _ => NO_EXIT_CODE,
        };
        self.probe_result(probe.started, code, probe.kept);
    }

    fn probe_result(&mut self, started: Duration, exit_code: i32, output: Vec<u8>) {
        let Some(spec) = self.kept.health() else { return };
        let before = (self.health.status, self.health.failing_streak);
        let health = self.health.probe_ended(spec, exit_code == 0, clock::monotonic());
        if health == self.health {
            // It belongs to a run that has ended.
            return;
        }
        self.health = health;
        if self.health_log.len() >= KEPT_RESULTS {
            self.health_log.remove(0);
        }
        self.health_log.push(ProbeResult {
            start: timestamp(started),
            end: timestamp(clock::wall()),
            exit_code,
            output,
        });
        if before != (self.health.status, self.health.failing_streak) {
            self.write_state();
            if let Some(reply) = self.health_reply() {
                self.control.keep(&reply, |_, promises| {
                    u32::from(std::mem::take(&mut promises.healthy))
                });
            }
        }
    }
}
