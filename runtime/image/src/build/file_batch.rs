//! In: regular files of one tree and the places they get in another. Out: the copies, made by as many threads as are worth it.
//! **Invariant:** a copy is made under a name that was free; what had the name is replaced, never written through.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;

use super::destination::Place;
use super::earlier_copy::EarlierCopy;
use super::transfer::Manner;
use super::written::{copy_content, copy_xattrs};
use crate::workers::by_all_processors;

/// What making a file costs, in bytes copied.
const COST: u64 = 64 << 10;
/// Files that are copied by the same thread at most.
const MOST_TOGETHER: usize = 128;

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
    pub(super) fn copy(
        &self,
        manner: &Manner,
        earlier: Option<&EarlierCopy<'_>>,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        if self.into.lower.is_some() && !manner.replacing {
            self.into.refuse_directory(&self.new_name)?;
        }
        let attributes = manner.attributes(&self.status);
        if let Some(earlier) = earlier
            && earlier.link(&self.status, &attributes, &self.into, &self.new_name)
        {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let from = File::from(rustix::fs::openat(&self.from, &self.name, flags, Mode::empty())?);
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
                self.into.make_room(&self.new_name, manner.replacing)?;
                create()?
            }
            created => created?,
        };
        let created = File::from(created);
        copy_content(&from, &created, &self.status, buffer)?;
        attributes.apply(created.as_fd())?;
        if manner.keep_owner {
            // After chown, which takes capabilities away (capabilities(7)).
            copy_xattrs(from.as_fd(), created.as_fd())?;
        }
        Ok(())
    }
}

/// Copies files by all processors; the error names the file.
pub(super) fn copy_files(
    manner: &Manner,
    earlier: Option<&EarlierCopy<'_>>,
    files: &[PendingFile],
) -> io::Result<()> {
    let bytes = files
        .iter()
        .map(|file| u64::try_from(file.status.st_size).unwrap_or(0) + COST)
        .sum();
    // A directory takes one change at a time: a job is what goes into the same one.
    let of_one_directory = |one: &PendingFile, next: &PendingFile| Arc::ptr_eq(&one.into, &next.into);
    let jobs: Vec<&[PendingFile]> = files
        .chunk_by(of_one_directory)
        .flat_map(|files| files.chunks(MOST_TOGETHER))
        .collect();
    by_all_processors(jobs.len(), bytes, |number, buffer| {
        jobs[number].iter().try_for_each(|file| {
            file.copy(manner, earlier, buffer)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.path.display())))
        })
    })
}
