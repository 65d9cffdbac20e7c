//! In: a sealed copy of the shim program and a run directory. Out: a running shim and its first reply.
//! **Invariant:** may be called from many threads at once: nothing is forked by hand, and no descriptor of the caller leaks but
//! the start-up socket, which becomes the shim's standard input.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::client::receive_within;
use crate::error::ShimError;
use crate::packet;
use crate::protocol::Reply;

/// What a shim is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Build the container and keep it.
    Run,
    /// Keep a container whose shim was killed, or settle its end when it is gone as well.
    Adopt,
}

/// A shim that has not answered yet.
#[derive(Debug)]
pub struct StartupHandle {
    socket: OwnedFd,
    child: Child,
}

/// Starts a shim for `run_directory` (absolute) from `program`, a copy made by [`rcompose_sys::descriptor::sealed_copy`]. Returns as soon as it was executed.
pub fn spawn(program: BorrowedFd<'_>, run_directory: &Path, mode: Mode) -> Result<StartupHandle, ShimError> {
    let (ours, theirs) = packet::pair().map_err(ShimError::system("make the start-up socket"))?;
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command
        .arg(match mode {
            Mode::Run => "run",
            Mode::Adopt => "adopt",
        })
        .arg(run_directory)
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().map_err(ShimError::system("execute the shim"))?;
    Ok(StartupHandle { socket: ours, child })
}

impl StartupHandle {
    /// Waits for the shim's one reply: [`Reply::Started`] or [`Reply::Failed`].
    pub fn wait(self, timeout: Option<Duration>) -> Result<Reply, ShimError> {
        receive_within(&self.socket, timeout).map(|(reply, _)| reply)
    }
}

impl Drop for StartupHandle {
    /// The process started here only forks the real shim; it is gone by now or at once.
    fn drop(&mut self) {
        let _status = self.child.wait();
    }
}
