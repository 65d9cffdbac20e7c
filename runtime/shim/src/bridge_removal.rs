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

use crate::error::ShimError;

/// The first argument of the program.
const COMMAND: &str = "remove-bridge";
/// How long a bridge without a network waits to be taken back.
const BRIDGE_LINGER: Duration = Duration::from_millis(1500);

/// Starts `program` to remove the interface `bridge` and then the directory `record`, under the lock of flock(2) of the file `lock`. `held` is an open
/// file of the record with a shared lock, which tells others that somebody sees to it. Nobody has to reap what it starts.
pub fn spawn_bridge_removal(
    program: &Path,
    bridge: &str,
    record: &Path,
    lock: &Path,
    held: OwnedFd,
) -> Result<(), ShimError> {
    let mut child = Command::new(program)
        .arg(COMMAND)
        .arg(bridge)
        .arg(record)
        .arg(lock)
        .env_clear()
        // Ctrl-C is meant for the command that started it.
        .process_group(0)
        .stdin(Stdio::from(held))
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

/// A command line that asks for a removal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    bridge: String,
    record: PathBuf,
    lock: PathBuf,
}

/// The removal that a command line asks for.
pub(crate) fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<Removal> {
    if arguments.next()? != COMMAND {
        return None;
    }
    let bridge = arguments.next()?.into_string().ok()?;
    let (record, lock) = (PathBuf::from(arguments.next()?), PathBuf::from(arguments.next()?));
    let valid = record.is_absolute() && lock.is_absolute() && arguments.next().is_none();
    valid.then_some(Removal { bridge, record, lock })
}

impl Removal {
    /// Removes both after a while.
    pub(crate) fn run(&self) -> ExitCode {
        if crate::program::detach().is_err() {
            return ExitCode::FAILURE;
        }
        std::thread::sleep(BRIDGE_LINGER);
        let remove = || Netlink::route().and_then(|mut netlink| netlink.delete_link(&self.bridge));
        let removed_alone = || match remove() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
        let lock = match std::fs::File::open(&self.lock) {
            Ok(lock) => lock,
            // The whole root was deleted: nobody can take the bridge back any more.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return removed_alone(),
            Err(_) => return ExitCode::FAILURE,
        };
        if lock.lock().is_err() {
            return ExitCode::FAILURE;
        }
        if self.record.parent().is_some_and(|records| !records.exists()) {
            // The root is being deleted, and the records went first.
            return removed_alone();
        }
        if !self.record.exists() {
            // Taken back, or finished by somebody else.
            return ExitCode::SUCCESS;
        }
        match remove() {
            Ok(()) if std::fs::remove_dir_all(&self.record).is_ok() => ExitCode::SUCCESS,
            Ok(()) | Err(_) => ExitCode::FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_command_line_is_taken() {
        let asked = |words: &[&str]| asked(words.iter().map(OsString::from));
        let removal = Removal {
            bridge: "rc-a".into(),
            record: "/x".into(),
            lock: "/l".into(),
        };
        assert_eq!(asked(&["remove-bridge", "rc-a", "/x", "/l"]), Some(removal));
        for other in [
            &["run", "/x"][..],
            &["remove-bridge", "rc-a", "/x"],
            &["remove-bridge", "rc-a", "x", "/l"],
            &["remove-bridge", "rc-a", "/x", "/l", "y"],
        ] {
            assert_eq!(asked(other), None, "{other:?}");
        }
    }
}
