//! In: a bridge that no network needs any more and its record. Out: a process of its own that removes both after a while: the kernel takes
//! tens of milliseconds for a bridge (a grace period of RCU), nobody should wait for it, and who brings the project up again at once finds it there.
//! **Invariant:** nothing is removed without the lock, nor when the record was taken back meanwhile; a record that is left tells that the bridge may be.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rcompose_network::Netlink;
use rustix::fs::{FlockOperation, flock};

use crate::error::ShimError;

/// The first argument of the program.
const COMMAND: &str = "remove-bridge";
/// How long a bridge without a network waits to be taken back.
pub const BRIDGE_LINGER: Duration = Duration::from_millis(1500);

/// Starts `program` to remove the interface `bridge` and then the directory `record`. `lock` is the open file, not locked, whose lock of
/// flock(2) is taken before.
/// Nobody has to reap what it starts.
pub fn spawn_bridge_removal(
    program: &Path,
    bridge: &str,
    record: &Path,
    lock: OwnedFd,
) -> Result<(), ShimError> {
    let mut child = Command::new(program)
        .arg(COMMAND)
        .arg(bridge)
        .arg(record)
        .env_clear()
        // Ctrl-C is meant for the command that started it.
        .process_group(0)
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(ShimError::system("execute the shim"))?;
    // It only forks the process that does the work, and is gone at once.
    child
        .wait()
        .map(drop)
        .map_err(ShimError::system("execute the shim"))
}

/// The bridge and the record of a command line that asks for this.
pub(crate) fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<(String, PathBuf)> {
    if arguments.next()? != COMMAND {
        return None;
    }
    let bridge = arguments.next()?.into_string().ok()?;
    let record = PathBuf::from(arguments.next()?);
    (record.is_absolute() && arguments.next().is_none()).then_some((bridge, record))
}

/// Removes both; standard input is the file to lock.
pub(crate) fn remove(bridge: &str, record: &Path) -> ExitCode {
    if crate::program::detach().is_err() {
        return ExitCode::FAILURE;
    }
    std::thread::sleep(BRIDGE_LINGER);
    if flock(rustix::stdio::stdin(), FlockOperation::LockExclusive).is_err() {
        return ExitCode::FAILURE;
    }
    if !record.exists() {
        // Taken back, or finished by somebody else.
        return ExitCode::SUCCESS;
    }
    let removed = Netlink::route().and_then(|mut netlink| netlink.delete_link(bridge));
    match removed {
        Ok(()) if std::fs::remove_dir_all(record).is_ok() => ExitCode::SUCCESS,
        Ok(()) | Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_command_line_is_taken() {
        let asked = |words: &[&str]| asked(words.iter().map(OsString::from));
        assert_eq!(
            asked(&["remove-bridge", "rc-a", "/x"]),
            Some(("rc-a".into(), "/x".into()))
        );
        for other in [
            &["run", "/x"][..],
            &["remove-bridge", "rc-a"],
            &["remove-bridge", "rc-a", "x"],
            &["remove-bridge", "rc-a", "/x", "y"],
        ] {
            assert_eq!(asked(other), None, "{other:?}");
        }
    }
}
