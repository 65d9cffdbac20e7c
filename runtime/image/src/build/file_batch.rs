//! In: regular files of one tree and the places they get in another. Out: the copies, made by as many threads as are worth it.
//! **Invariant:** a copy is made under a name that was free; what had the name is replaced, never written through.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;

use super::destination::Place;
use super::transfer::Manner;
use super::written::{copy_content, copy_xattrs};

/// Threads that copy; more only wait for the disk.
const MOST_THREADS: usize = 8;

/// A file with one name, to be copied by any thread.
pub(super) struct PendingFile {
    pub(super) from: Arc<OwnedFd>,
    pub(super) name: OsString,
    pub(super) path: PathBuf,
    pub(super) status: Stat,
    pub(super) into: Arc<Place>,
    pub(super) new_name: OsString,
}

impl PendingFile {
    /// Makes the copy.
    pub(super) fn copy(&self, manner: &Manner, buffer: &mut Vec<u8>) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let from = File::from(rustix::fs::openat(&self.from, &self.name, flags, Mode::empty())?);
        if self.into.lower.is_some() {
            self.into.refuse_directory(&self.new_name)?;
        }
        let create = || {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(
                &self.into.upper,
                &self.new_name,
                flags,
                Mode::from_raw_mode(0o600),
            )
        };
        let created = match create() {
            Err(Errno::EXIST) => {
                self.into.make_room(&self.new_name)?;
                create()?
            }
            created => created?,
        };
        let created = File::from(created);
        copy_content(&from, &created, &self.status, buffer)?;
        manner.attributes(&self.status).apply(created.as_fd())?;
        // After chown, which takes capabilities away (capabilities(7)).
        copy_xattrs(from.as_fd(), created.as_fd())
    }
}

/// Copies files by as many threads as are worth it; the first failure counts.
pub(super) fn copy_files(manner: &Manner, files: &[PendingFile]) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<io::Error>> = Mutex::new(None);
    let work = || {
        let mut buffer = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = file.copy(manner, &mut buffer) {
                // The others have nothing more to do.
                next.store(files.len(), Ordering::Relaxed);
                let error = io::Error::new(error.kind(), format!("{}: {error}", file.path.display()));
                failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
            }
        }
    };
    let bytes: i64 = files.iter().map(|file| file.status.st_size).sum();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    // A thread costs as much as a few files.
    let threads = if files.len() < 16 && bytes < 1 << 20 {
        1
    } else {
        processors.min(MOST_THREADS)
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(files.len()) {
            // Where no thread can be started this one does all.
            let _handle = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}
