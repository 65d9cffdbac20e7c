//! In: a project's name. Out: the right to change it, until dropped or until this process dies.
//! **Invariant:** the lock file is never removed, so two holders never lock two files of one name.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::root::failed;
use crate::runtime::RuntimeError;

/// How long a wait is before anybody is told of it.
const LONG: Duration = Duration::from_millis(500);
/// Between two attempts.
const STEP: Duration = Duration::from_millis(5);

/// The held lock of one project.
#[derive(Debug)]
pub struct ProjectLock {
    _file: File,
}

impl ProjectLock {
    /// Takes the lock at `path`. When that is long in coming, `waiting` is called once with the holder: its process id and command line.
    /// [`RuntimeError::Cancelled`] once `cancel` is set.
    pub(crate) fn acquire(
        path: &Path,
        command: &str,
        cancel: &AtomicBool,
        waiting: &mut dyn FnMut(&str),
    ) -> Result<Self, RuntimeError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed("open", path))?;
        let start = Instant::now();
        let mut told = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => return Err(failed("lock", path)(error)),
            }
            if cancel.load(Ordering::Relaxed) {
                return Err(RuntimeError::Cancelled);
            }
            if !told && start.elapsed() >= LONG {
                told = true;
                waiting(&holder(&mut file));
            }
            std::thread::sleep(STEP);
        }
        // For the next one who waits; a lock without a holder's name is a lock all the same.
        let _unnamed = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{} ({command})", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.rewind().and_then(|()| file.read_to_string(&mut text)) {
        Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
        Ok(_) | Err(_) => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_waits_and_is_told_who_holds_it() {
        let path = std::env::temp_dir().join(format!("rcompose-lock-{}", std::process::id()));
        let never = AtomicBool::new(false);
        let first = ProjectLock::acquire(&path, "rcompose up -d", &never, &mut |_| {}).unwrap();
        let mut told = Vec::new();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                ProjectLock::acquire(&path, "rcompose down", &AtomicBool::new(false), &mut |who| {
                    told.push(who.to_owned());
                })
            });
            std::thread::sleep(LONG + Duration::from_millis(200));
            drop(first);
            second.join().unwrap().unwrap();
        });
        assert_eq!(told, [format!("process {} (rcompose up -d)", std::process::id())]);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_cancelled_wait_ends() {
        let path = std::env::temp_dir().join(format!("rcompose-lock-cancel-{}", std::process::id()));
        let _held = ProjectLock::acquire(&path, "a", &AtomicBool::new(false), &mut |_| {}).unwrap();
        let second = ProjectLock::acquire(&path, "b", &AtomicBool::new(true), &mut |_| {});
        assert!(matches!(second, Err(RuntimeError::Cancelled)));
        std::fs::remove_file(&path).unwrap();
    }
}
