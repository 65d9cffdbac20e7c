//! In: processes to run inside a running container. Out: those processes, and their ends for who asked.
//! **Invariant:** a process belongs to the connection that asked for it; without `kill_on_close` it outlives the connection.

use std::os::fd::{AsFd, OwnedFd};

use rcompose_container::spec::ProcessSpec;
use rcompose_sys::pidfd::{self, Ended};
use rustix::fs::{Mode, OFlags};

use super::{Phase, Shim};
use crate::error::ShimError;
use crate::protocol::Reply;

const SIGKILL: i32 = 9;

/// A process that a client had executed.
#[derive(Debug)]
pub(super) struct Executed {
    pid: i32,
    pidfd: OwnedFd,
    connection: u64,
    kill_on_close: bool,
    terminal: Option<OwnedFd>,
}

/// `/dev/null` for reading.
pub(super) fn null_input() -> Result<OwnedFd, ShimError> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(ShimError::system("open /dev/null"))
}

impl Shim {
    /// Executes for a client and tells it so. Without a terminal its three descriptors become the process's own.
    pub(super) fn execute_for(
        &mut self,
        number: u64,
        process: &ProcessSpec,
        kill_on_close: bool,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), ShimError> {
        let Phase::Running(first) = &self.phase else {
            return Err(ShimError::NotRunning);
        };
        if self.paused {
            return Err(ShimError::Paused);
        }
        let streams = match <[OwnedFd; 3]>::try_from(descriptors) {
            Ok(streams) => streams,
            Err(_) if process.terminal => [null_input()?, null_input()?, null_input()?],
            Err(_) => return Err(ShimError::NoDescriptors),
        };
        let executed = self.kept.execute(first, process, &streams)?;
        let reply = Reply::Started { pid: executed.pid };
        let heard = match &executed.terminal {
            Some(terminal) => self.control.reply(number, &reply, &[terminal.as_fd()]),
            None => self.control.reply(number, &reply, &[]),
        };
        if !heard && kill_on_close {
            let _ended = pidfd::send_signal(executed.pidfd.as_fd(), SIGKILL);
        }
        self.executed.push(Executed {
            pid: executed.pid,
            pidfd: executed.pidfd,
            connection: number,
            kill_on_close,
            terminal: executed.terminal,
        });
        Ok(())
    }

    /// Runs a `pre_stop` command; what it prints goes where the container's output goes.
    pub(super) fn execute_hook(&self, process: &ProcessSpec) -> Result<i32, ShimError> {
        let Phase::Running(first) = &self.phase else {
            return Err(ShimError::NotRunning);
        };
        let (stdout, stderr) = match self.stdio.output_copies() {
            Some(copies) => copies,
            None => (null_input()?, null_input()?),
        };
        let process = ProcessSpec {
            terminal: false,
            ..process.clone()
        };
        Ok(self
            .kept
            .execute(first, &process, &[null_input()?, stdout, stderr])?
            .pid)
    }

    /// A child that is neither the first process nor a probe ended.
    pub(super) fn executed_ended(&mut self, pid: i32, ended: Ended) {
        if self.hook_ended(pid) {
            return;
        }
        let Some(index) = self.executed.iter().position(|executed| executed.pid == pid) else {
            return;
        };
        let executed = self.executed.swap_remove(index);
        self.control
            .reply(executed.connection, &Reply::Exited { code: ended.code() }, &[]);
    }

    /// A connection closed: what was to end with it ends.
    pub(super) fn connection_closed(&mut self, number: u64) {
        for executed in &self.executed {
            if executed.connection == number && executed.kill_on_close {
                let _ended = pidfd::send_signal(executed.pidfd.as_fd(), SIGKILL);
            }
        }
    }

    /// Resizes the terminals of what a connection had executed.
    pub(super) fn resize_executed(&self, number: u64, columns: u16, rows: u16) {
        for executed in &self.executed {
            if executed.connection == number
                && let Some(terminal) = &executed.terminal
            {
                // Its process may be ending; nobody waits for an answer.
                let _closed = super::requests::resize(terminal, columns, rows);
            }
        }
    }

    /// Signals what a connection had executed.
    pub(super) fn signal_executed(&self, number: u64, signal: i32) {
        for executed in &self.executed {
            if executed.connection == number {
                let _ended = pidfd::send_signal(executed.pidfd.as_fd(), signal);
            }
        }
    }
}
