//! In: one request of a client. Out: its effect, and the reply, now or when it is due.
//! **Invariant:** every request is answered, one of a later version by [`Reply::Unsupported`].

use std::os::fd::{AsFd, OwnedFd};

use rcompose_sys::pidfd;
use rustix::fs::{Mode, OFlags};
use rustix::termios::Winsize;

use super::{Phase, Shim};
use crate::control::Incoming;
use crate::error::ShimError;
use crate::health::HealthStatus;
use crate::protocol::{PROTOCOL_VERSION, Reply, Request};

const SIGKILL: i32 = 9;

/// A refusal that has no errno.
pub(super) fn refusal(stage: &str, detail: &str) -> Reply {
    Reply::Failed {
        stage: stage.into(),
        errno: 0,
        detail: detail.into(),
    }
}

pub(super) fn not_running(stage: &str) -> Reply {
    refusal(stage, "the container is not running")
}

impl Shim {
    /// Reads and answers one request of a connection.
    pub(super) fn read_request(&mut self, number: u64) {
        match self.control.receive(number) {
            Incoming::Nothing => {}
            Incoming::Unknown => {
                self.control.reply(number, &Reply::Unsupported, &[]);
            }
            Incoming::Closed => {
                self.stdio.detach(number);
                self.connection_closed(number);
            }
            Incoming::Request(request, descriptors) => self.answer(number, *request, descriptors),
        }
    }

    fn answer(&mut self, number: u64, request: Request, descriptors: Vec<OwnedFd>) {
        let reply = match request {
            Request::State => self.state_reply(),
            Request::Signal { signal } => self.signal(signal),
            Request::Stop {
                signal,
                grace_ms,
                before,
            } => {
                self.promise_exit(number);
                match &self.phase {
                    Phase::Running(_) | Phase::Ended { .. } => {
                        self.begin_stop(signal, grace_ms, before, false);
                    }
                    Phase::Restarting { .. } => self.finish(),
                    Phase::Finished { .. } => {}
                }
                return;
            }
            Request::Restart { signal, grace_ms } => {
                if let Some(promises) = self.control.promises(number) {
                    promises.restarts += 1;
                }
                self.restart.count = 0;
                self.restart.wait = 0;
                match &self.phase {
                    Phase::Running(_) | Phase::Ended { .. } => {
                        self.begin_stop(signal, grace_ms, Vec::new(), true);
                    }
                    Phase::Restarting { .. } => self.start_again(),
                    Phase::Finished { .. } => {
                        let reply = not_running("restart");
                        self.control
                            .keep(&reply, |_, promises| std::mem::take(&mut promises.restarts));
                    }
                }
                return;
            }
            Request::Exec {
                process,
                kill_on_close,
            } => match self.execute_for(number, &process, kill_on_close, descriptors) {
                Ok(()) => return,
                Err(error) => error.reply(),
            },
            Request::Attach { stdin } => match self.attach(number, stdin, descriptors) {
                Some(refusal) => refusal,
                None => return,
            },
            Request::Resize { columns, rows } => match self.stdio.terminal() {
                Some(terminal) => match resize(terminal, columns, rows) {
                    Ok(()) => Reply::Done,
                    Err(error) => ShimError::system("resize the terminal")(error).reply(),
                },
                None => refusal("resize", "the container has no terminal"),
            },
            Request::WaitExit => {
                self.promise_exit(number);
                return;
            }
            Request::WaitHealthy => {
                let Some(reply) = self.health_reply() else {
                    if let Some(promises) = self.control.promises(number) {
                        promises.healthy = true;
                    }
                    return;
                };
                reply
            }
            Request::Pause => self.set_paused(true),
            Request::Unpause => self.set_paused(false),
            Request::ReloadZones => {
                if let Some(resolver) = &mut self.resolver {
                    resolver.reload();
                }
                Reply::Done
            }
            Request::OpenRoot => match self.open_root() {
                Ok(root) => {
                    self.control.reply(number, &Reply::Done, &[root.as_fd()]);
                    return;
                }
                Err(error) => error.reply(),
            },
            Request::ResizeExec { columns, rows } => {
                self.resize_executed(number, columns, rows);
                return;
            }
            Request::SignalExec { signal } => {
                self.signal_executed(number, signal);
                return;
            }
        };
        self.control.reply(number, &reply, &[]);
    }

    fn state_reply(&self) -> Reply {
        let pid = match &self.phase {
            Phase::Running(first) => Some(first.pid),
            Phase::Ended { .. } | Phase::Restarting { .. } | Phase::Finished { .. } => None,
        };
        Reply::State {
            version: PROTOCOL_VERSION,
            pid,
            json: self.state().to_json(),
        }
    }

    fn signal(&mut self, signal: i32) -> Reply {
        let Phase::Running(first) = &self.phase else {
            return not_running("signal");
        };
        match pidfd::send_signal(first.pidfd.as_fd(), signal) {
            Ok(()) => {
                if signal == SIGKILL {
                    // A frozen process of a version-1 group would not die before somebody thawed it.
                    self.thaw();
                }
                Reply::Done
            }
            Err(error) => ShimError::system(format!("send signal {signal}"))(error).reply(),
        }
    }

    /// A reply of [`Reply::Exited`] is owed, and given at once when the end has come.
    fn promise_exit(&mut self, number: u64) {
        if let Phase::Finished { code, .. } = self.phase {
            self.control.reply(number, &Reply::Exited { code }, &[]);
        } else if let Some(promises) = self.control.promises(number) {
            promises.exits += 1;
        }
    }

    /// None when it is attached.
    fn attach(&mut self, number: u64, stdin: bool, descriptors: Vec<OwnedFd>) -> Option<Reply> {
        if matches!(self.phase, Phase::Finished { .. }) {
            return Some(not_running("attach"));
        }
        if descriptors.len() != if stdin { 3 } else { 2 } {
            return Some(refusal("attach", "the descriptors did not come along"));
        }
        match self.stdio.attach(number, descriptors) {
            Ok(()) => {
                if self.control.reply(number, &Reply::Done, &[]) {
                    self.promise_exit(number);
                }
                None
            }
            Err(error) => Some(ShimError::system("attach")(error).reply()),
        }
    }

    /// What is known about health; none when it is too soon to say.
    pub(super) fn health_reply(&self) -> Option<Reply> {
        match (&self.phase, self.health.status) {
            (Phase::Finished { code, .. }, _) => Some(Reply::Exited { code: *code }),
            (Phase::Ended { .. } | Phase::Restarting { .. }, _) | (_, HealthStatus::Starting) => None,
            (_, HealthStatus::None | HealthStatus::Healthy) => Some(Reply::Done),
            (_, HealthStatus::Unhealthy) => {
                let latest = self.health_log.last();
                let output = latest.map_or_else(String::new, |probe| {
                    String::from_utf8_lossy(&probe.output).into_owned()
                });
                Some(Reply::Unhealthy { output })
            }
        }
    }

    fn open_root(&self) -> Result<OwnedFd, ShimError> {
        let Phase::Running(first) = &self.phase else {
            return Err(ShimError::system("open the root directory")(
                rustix::io::Errno::SRCH,
            ));
        };
        let step = || ShimError::system::<rustix::io::Errno>("open the root directory");
        // The process cannot be another one: nobody but this shim reaps it, or it is checked below to be alive.
        let path = format!("/proc/{}/root", first.pid);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(step())?;
        if pidfd::send_signal(first.pidfd.as_fd(), 0).is_err() {
            return Err(step()(rustix::io::Errno::SRCH));
        }
        Ok(root)
    }
}

/// Sets a terminal's size in characters.
pub(super) fn resize(terminal: impl AsFd, columns: u16, rows: u16) -> Result<(), rustix::io::Errno> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(terminal, size)
}
