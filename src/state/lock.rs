//! In: a project's directory. Out: the right to change the project, or who has it.
//! **Invariant:** two processes never both have it, also when one of them removed the directory in between.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{ProjectDir, StateError, io_error};

/// Between two attempts.
const STEP: Duration = Duration::from_millis(10);

/// The right to change a project; given back when dropped, and when its process dies.
#[derive(Debug)]
pub struct ProjectLock {
    _file: File,
}

impl ProjectDir {
    /// Takes the lock, unless someone holds it.
    pub fn try_lock(&self) -> Result<Option<ProjectLock>, StateError> {
        let path = self.path.join("lock");
        let file = loop {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.path)
                .map_err(io_error("create", &self.path))?;
            let opened = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path);
            match opened {
                Ok(file) => break file,
                // `down` of another process removed the directory in between.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("open", &path)(error)),
            }
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
        }
        // A lock on a file that its last holder removed excludes nobody.
        let held = file.metadata().map_err(io_error("read", &path))?;
        match fs::metadata(&path) {
            Ok(there) if there.ino() == held.ino() && there.dev() == held.dev() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        }
        // For the next one who waits; a lock without its holder's name is a lock all the same.
        let _unnamed = sign(&file);
        Ok(Some(ProjectLock { _file: file }))
    }

    /// Waits for the lock; `waiting` is called once, with its holder, when somebody has it. None once `cancel` is set.
    pub fn lock(
        &self,
        cancel: &AtomicBool,
        waiting: &mut dyn FnMut(&str),
    ) -> Result<Option<ProjectLock>, StateError> {
        let mut told = false;
        loop {
            if let Some(lock) = self.try_lock()? {
                return Ok(Some(lock));
            }
            if cancel.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if !told {
                told = true;
                waiting(&holder(&self.path.join("lock")));
            }
            std::thread::sleep(STEP);
        }
    }
}

/// Puts the own process id into the lock's file.
fn sign(file: &File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(std::process::id().to_string().as_bytes(), 0)
}

/// Who holds the lock, for people: `rcompose up -d (process 4711)`.
fn holder(path: &Path) -> String {
    let unknown = "another rcompose".to_owned();
    let Some(process) = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.parse::<u32>().ok())
    else {
        return unknown;
    };
    let Ok(line) = fs::read(format!("/proc/{process}/cmdline")) else {
        return unknown;
    };
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).escape_debug().to_string())
        .collect();
    match words.split_first() {
        Some((program, words)) => {
            let program = program.rsplit('/').next().unwrap_or_default();
            format!(
                "`{}` (process {process})",
                [&[program.to_owned()], words].concat().join(" ")
            )
        }
        None => unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_waited_for_while_the_project_was_removed_is_not_taken_for_one() {
        let root = tempfile::tempdir().unwrap();
        let dir = ProjectDir::of(root.path(), "shop");
        let lock = dir.try_lock().unwrap().unwrap();
        let waiting = File::open(dir.path().join("lock")).unwrap();
        dir.remove(lock).unwrap();
        waiting.try_lock().unwrap();
        assert!(dir.try_lock().unwrap().is_some(), "the new file is free");
    }

    #[test]
    fn who_waits_is_told_for_whom_and_may_give_up() {
        let root = tempfile::tempdir().unwrap();
        let dir = ProjectDir::of(root.path(), "shop");
        let lock = dir.try_lock().unwrap().unwrap();
        let told = std::cell::RefCell::new(String::new());
        let given_up = dir.lock(&AtomicBool::new(true), &mut |_| {}).unwrap();
        assert!(given_up.is_none());
        let held = std::cell::Cell::new(Some(lock));
        let taken = dir
            .lock(&AtomicBool::new(false), &mut |holder| {
                told.borrow_mut().push_str(holder);
                drop(held.take());
            })
            .unwrap();
        assert!(taken.is_some());
        let process = format!("(process {})", std::process::id());
        assert!(told.borrow().contains(&process), "{}", told.borrow());
    }
}
