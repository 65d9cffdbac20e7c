//! In: a bridge that no network needs any more and its record. Out: a process of its own that removes both, since the kernel takes
//! tens of milliseconds for the bridge (a grace period of RCU) and nobody should have to wait for it.
//! **Invariant:** the lock it was given is held until both are gone; a record that is left tells that the bridge may be, too.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use rcompose_network::Netlink;

use crate::error::ShimError;

/// The first argument of the program.
const COMMAND: &str = "remove-bridge";

/// Starts `program` to remove the interface `bridge` and then the directory `record`. `lock` is an open file that carries a lock of flock(2).
/// The child needs no waiting for, but to be reaped by a caller that lives on.
pub fn spawn_bridge_removal(
    program: &Path,
    bridge: &str,
    record: &Path,
    lock: OwnedFd,
) -> Result<Child, ShimError> {
    Command::new(program)
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

/// Removes both; standard input is the lock.
pub(crate) fn remove(bridge: &str, record: &Path) -> ExitCode {
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
