//! In: an open file of one tree and one of another. Out: the second with the content, attributes and holes of the first.
//! **Invariant:** works on descriptors alone: no name is looked up a second time.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::transfer::names;

/// Files up to this size are copied with one read and one write.
const SMALL: u64 = 256 << 10;
const SMALL_BUFFER: usize = 256 << 10;
/// The longest list of attribute names (`listxattr(2)`: `XATTR_LIST_MAX`), and the longest value.
const LONGEST_ATTRIBUTES: usize = 64 << 10;

/// What a file is besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The twelve permission bits.
    pub(crate) mode: u32,
    /// None leaves the time of writing.
    pub(crate) modified: Option<Timespec>,
}

impl Attributes {
    /// Those of a file.
    pub(crate) fn of(status: &Stat) -> Self {
        Self {
            uid: status.st_uid,
            gid: status.st_gid,
            mode: status.st_mode & 0o7777,
            modified: Some(modified(status)),
        }
    }

    /// Gives them to an open file or directory.
    pub(crate) fn apply(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        rustix::fs::fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        // After chown, which clears set-id bits (chown(2)).
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode))?;
        if let Some(modified) = self.modified {
            rustix::fs::futimens(file, &both(modified))?;
        }
        Ok(())
    }
}

/// When the content last changed.
pub(crate) fn modified(status: &Stat) -> Timespec {
    Timespec {
        tv_sec: status.st_mtime,
        tv_nsec: i64::try_from(status.st_mtime_nsec).unwrap_or(0),
    }
}

/// The same time for access and modification.
pub(crate) fn both(time: Timespec) -> Timestamps {
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Copies the content; holes stay holes.
pub(crate) fn copy_content(from: &File, into: &File, status: &Stat, buffer: &mut Vec<u8>) -> io::Result<()> {
    let size = u64::try_from(status.st_size).unwrap_or(0);
    // st_blocks counts 512 bytes (stat(2)).
    if size > SMALL && u64::try_from(status.st_blocks).unwrap_or(0) * 512 < size {
        return copy_with_holes(from, into, size);
    }
    if size > SMALL {
        return io::copy(&mut &*from, &mut &*into).map(drop);
    }
    buffer.resize(SMALL_BUFFER, 0);
    loop {
        let length = (&*from).read(buffer)?;
        if length == 0 {
            return Ok(());
        }
        (&*into).write_all(&buffer[..length])?;
    }
}

fn copy_with_holes(from: &File, into: &File, size: u64) -> io::Result<()> {
    let mut at = 0;
    loop {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?;
        rustix::fs::seek(from, SeekFrom::Start(start))?;
        rustix::fs::seek(into, SeekFrom::Start(start))?;
        io::copy(&mut from.take(end - start), &mut &*into)?;
        at = end;
    }
    into.set_len(size.max(at))
}

/// File capabilities and user attributes; others belong to the host. Both are open for reading.
pub(crate) fn copy_xattrs(from: BorrowedFd<'_>, into: BorrowedFd<'_>) -> io::Result<()> {
    for (name, value) in xattrs(from)? {
        rustix::fs::fsetxattr(into, OsStr::from_bytes(&name), &value, XattrFlags::empty())?;
    }
    Ok(())
}

/// The attributes that an image keeps, sorted.
pub(crate) fn xattrs(file: BorrowedFd<'_>) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut few = [0_u8; 256];
    let many;
    let names = match rustix::fs::flistxattr(file, &mut few[..]) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(length) => &few[..length],
        Err(Errno::RANGE) => {
            let mut list = vec![0_u8; LONGEST_ATTRIBUTES];
            let length = rustix::fs::flistxattr(file, &mut list[..])?;
            list.truncate(length);
            many = list;
            &many
        }
        Err(errno) => return Err(errno.into()),
    };
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0) {
        if name != b"security.capability" && !name.starts_with(b"user.") {
            continue;
        }
        let mut value = vec![0_u8; LONGEST_ATTRIBUTES];
        let length = rustix::fs::fgetxattr(file, OsStr::from_bytes(name), &mut value[..])?;
        value.truncate(length);
        found.push((name.to_vec(), value));
    }
    found.sort();
    Ok(found)
}

/// Gives everything below a directory that is younger than `epoch` (seconds since 1970) that time, the directory included.
pub(crate) fn not_after(directory: BorrowedFd<'_>, epoch: i64) -> io::Result<()> {
    let limit = Timespec {
        tv_sec: epoch,
        tv_nsec: 0,
    };
    for name in names(directory)? {
        let status = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let child = rustix::fs::openat(directory, &name, flags, Mode::empty())?;
            not_after(child.as_fd(), epoch)?;
        } else if modified(&status).tv_sec >= epoch {
            rustix::fs::utimensat(directory, &name, &both(limit), AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    if modified(&rustix::fs::fstat(directory)?).tv_sec >= epoch {
        rustix::fs::futimens(directory, &both(limit))?;
    }
    Ok(())
}
