//! A path of an archive in, its names or the opened directory it leads to out.
//! **Invariant:** a directory is opened beneath the layer's own descriptor or not at all: the kernel resolves, no text does.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::bad;
use crate::error::ImageError;
use crate::tar_stream::TarEntry;

const LONGEST_PATH: usize = 4095;
const DEEPEST: usize = 256;

/// The names along `path`: relative to the layer's root, without `.`; `..` is refused rather than guessed at.
pub(super) fn components<'p>(entry: &TarEntry, path: &'p [u8]) -> Result<Vec<&'p [u8]>, ImageError> {
    if path.len() > LONGEST_PATH {
        return Err(ImageError::BadEntry {
            entry: entry.name().chars().take(100).collect(),
            problem: format!("has a path of {} bytes", path.len()),
        });
    }
    if path.contains(&0) {
        return Err(bad(entry, "has a zero byte in its path"));
    }
    let components: Vec<&[u8]> = path
        .split(|&byte| byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .collect();
    if components.contains(&b"..".as_slice()) {
        return Err(bad(entry, "has .. in its path"));
    }
    if components.len() > DEEPEST {
        return Err(bad(entry, "is nested deeper than 256 directories"));
    }
    Ok(components)
}

/// Opens the directory `name`, one step below `parent`; a symbolic link is `ELOOP`, a mount point `EXDEV`.
pub(crate) fn open_beneath(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    openat2(
        parent,
        OsStr::from_bytes(name),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
}

/// Opens the directory at `path`, with `root` as the root of every symbolic link on the way.
pub(super) fn open_in_root(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    openat2(
        root,
        OsStr::from_bytes(path),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
}
