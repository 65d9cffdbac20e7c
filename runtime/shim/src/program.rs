//! In: the command line `run RUN_DIR` or `adopt RUN_DIR`, and the start-up socket as standard input (or what `bridge_removal` takes).
//! Out: one reply on that socket, then a process that keeps its container and belongs to nobody.
//! **Invariant:** exactly one reply is sent, whatever happens.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rcompose_sys::process::{Cloned, clone3, exit_now};
use rcompose_sys::signal;
use rustix::fs::{Mode, OFlags};
use rustix::net::SendFlags;
use rustix::process::DumpableBehavior;

use crate::bridge_removal;
use crate::error::ShimError;
use crate::packet;
use crate::protocol::Reply;
use crate::shim::{self, Shim};
use crate::spawn::Mode as ShimMode;
use crate::{SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGTERM};

/// Exit code of a command line that makes no sense.
const USAGE: u8 = 2;

/// The whole program.
pub fn main() -> ExitCode {
    if let Some(removal) = bridge_removal::asked(std::env::args_os().skip(1)) {
        return removal.run();
    }
    let Some((mode, run_directory)) = arguments(std::env::args_os().skip(1)) else {
        return ExitCode::from(USAGE);
    };
    let Ok(startup) = take_startup_socket() else {
        return ExitCode::from(USAGE);
    };
    let (shim, reply) = match begin(mode, &run_directory) {
        Ok((shim, reply)) => (Some(shim), reply),
        Err(error) => (None, error.reply()),
    };
    // Whoever asked may be gone; the container is kept all the same.
    let _nobody_listens = packet::send(&startup, &reply, &[], SendFlags::empty());
    drop(startup);
    match shim.map(Shim::keep) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::FAILURE,
    }
}

fn arguments(mut arguments: impl Iterator<Item = OsString>) -> Option<(ShimMode, PathBuf)> {
    let mode = match arguments.next()?.to_str()? {
        "run" => ShimMode::Run,
        "adopt" => ShimMode::Adopt,
        _ => return None,
    };
    let run_directory = PathBuf::from(arguments.next()?);
    (run_directory.is_absolute() && arguments.next().is_none()).then_some((mode, run_directory))
}

/// Moves the start-up socket away from standard input, which becomes `/dev/null`.
fn take_startup_socket() -> Result<OwnedFd, ShimError> {
    let step = || ShimError::system("take the start-up socket");
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(step())?;
    let null =
        rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(step())?;
    rustix::stdio::dup2_stdin(&null).map_err(step())?;
    Ok(socket)
}

fn begin(mode: ShimMode, run_directory: &Path) -> Result<(Shim, Reply), ShimError> {
    detach()?;
    let signals = signal::descriptor(&[SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGPIPE], true)
        .map_err(ShimError::system("receive signals"))?;
    match mode {
        ShimMode::Run => shim::run(run_directory, signals),
        ShimMode::Adopt => shim::adopt(run_directory, signals),
    }
}

/// Becomes a process that nobody has to reap, that pins no directory, and that keeps its orphans.
pub(crate) fn detach() -> Result<(), ShimError> {
    match clone3(0, None).map_err(ShimError::system("detach from the caller"))? {
        Cloned::Parent { .. } => exit_now(0),
        Cloned::Child => {}
    }
    rustix::process::setsid().map_err(ShimError::system("start a session"))?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(ShimError::system("become the reaper of orphans"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(ShimError::system("protect the own memory"))?;
    rustix::process::chdir("/").map_err(ShimError::system("leave the caller's directory"))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_command_lines_are_understood() {
        let parse = |words: &[&str]| arguments(words.iter().map(OsString::from));
        assert_eq!(parse(&["run", "/r"]), Some((ShimMode::Run, "/r".into())));
        assert_eq!(parse(&["adopt", "/r"]), Some((ShimMode::Adopt, "/r".into())));
        for wrong in [
            &["run"][..],
            &["run", "relative"],
            &["run", "/r", "x"],
            &["stop", "/r"],
            &[],
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
