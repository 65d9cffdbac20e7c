//! One entry and the opened directory it goes into in, the file, link, node or overlay mark out.
//! **Invariant:** every call is relative to the directory's descriptor and names one component, so nothing outside of it
//! can be reached; what was there before is removed, never written through.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fsetxattr, futimens, makedev, mkdirat, mknodat, openat, statat, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::Errno;

use super::{OPAQUE, OPAQUE_WHITEOUT, WHITEOUT, bad, failed, open_beneath};
use crate::error::ImageError;
use crate::tar_stream::TarEntry;

/// Pieces in which content is looked at and written.
static ZEROS: [u8; 32 << 10] = [0; 32 << 10];
/// A block of the file systems there are.
const SMALLEST_HOLE: usize = 4096;

pub(super) fn stat(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Stat> {
    statat(parent, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW)
}

pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Creates `name`, or keeps the directory that is there; anything else there is replaced.
pub(super) fn make_directory(
    parent: BorrowedFd<'_>,
    name: &[u8],
    entry: &TarEntry,
) -> Result<(), ImageError> {
    let path = OsStr::from_bytes(name);
    match mkdirat(parent, path, Mode::RWXU) {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) => {}
        Err(error) => return Err(failed("create", entry)(error)),
    }
    let present = stat(parent, name).map_err(failed("read", entry))?;
    if FileType::from_raw_mode(present.st_mode) == FileType::Directory {
        return Ok(());
    }
    unlinkat(parent, path, AtFlags::empty()).map_err(failed("replace", entry))?;
    mkdirat(parent, path, Mode::RWXU).map_err(failed("create", entry))?;
    // A whiteout hides lower layers only, wherever it stands in the archive: what replaces it hides them too.
    if is_whiteout(&present) {
        make_opaque(parent, name, entry)
    } else {
        Ok(())
    }
}

fn make_opaque(parent: BorrowedFd<'_>, name: &[u8], entry: &TarEntry) -> Result<(), ImageError> {
    let directory = open_beneath(parent, name).map_err(failed("open", entry))?;
    fsetxattr(&directory, OPAQUE, b"y", XattrFlags::empty()).map_err(failed("mark as opaque", entry))
}

/// `.wh.NAME` hides NAME of the layers below, `.wh..wh..opq` everything below its directory; other `.wh..wh.` names are
/// left-overs of aufs and mean nothing.
pub(super) fn hide(parent: BorrowedFd<'_>, name: &[u8], entry: &TarEntry) -> Result<(), ImageError> {
    if name == OPAQUE_WHITEOUT {
        return fsetxattr(parent, OPAQUE, b"y", XattrFlags::empty()).map_err(failed("mark as opaque", entry));
    }
    let hidden = &name[WHITEOUT.len()..];
    if hidden.starts_with(WHITEOUT) {
        return Ok(());
    }
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(bad(entry, "is a whiteout of no name"));
    }
    match mknodat(
        parent,
        OsStr::from_bytes(hidden),
        FileType::CharacterDevice,
        Mode::empty(),
        makedev(0, 0),
    ) {
        Err(Errno::EXIST) => {
            let present = stat(parent, hidden).map_err(failed("read", entry))?;
            if FileType::from_raw_mode(present.st_mode) == FileType::Directory {
                make_opaque(parent, hidden, entry)
            } else {
                Ok(())
            }
        }
        other => other.map_err(failed("create", entry)),
    }
}

pub(super) fn place_file(
    parent: BorrowedFd<'_>,
    name: &[u8],
    entry: &TarEntry,
    (uid, gid): (Uid, Gid),
    content: &mut impl BufRead,
) -> Result<(), ImageError> {
    let path = OsStr::from_bytes(name);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = || openat(parent, path, flags, Mode::RUSR | Mode::WUSR);
    let file = create_or_replace(parent, name, entry, create)?;
    let file = File::from(file);
    write_content(&file, entry, content)?;
    // The owner first: chown(2) drops set-user-ID and file capabilities.
    fchown(&file, Some(uid), Some(gid)).map_err(failed("set the owner of", entry))?;
    fchmod(&file, Mode::from_raw_mode(entry.mode)).map_err(failed("set the mode of", entry))?;
    set_xattrs(&file, &entry.xattrs, &|| entry.name())?;
    futimens(&file, &times(entry.modified)).map_err(failed("set the time of", entry))
}

/// Writes the content; what is zeros for 4 KiB and more becomes a hole.
fn write_content(mut file: &File, entry: &TarEntry, content: &mut impl BufRead) -> Result<(), ImageError> {
    let failed = |source| ImageError::Entry {
        action: "write",
        entry: entry.name(),
        source,
    };
    let mut hole = 0_u64;
    loop {
        let chunk = content.fill_buf().map_err(|source| ImageError::Read { source })?;
        if chunk.is_empty() {
            break;
        }
        let count = chunk.len();
        for piece in chunk.chunks(ZEROS.len()) {
            if piece.len() >= SMALLEST_HOLE && *piece == ZEROS[..piece.len()] {
                hole += piece.len() as u64;
                continue;
            }
            if hole > 0 {
                let step = i64::try_from(hole).map_err(|error| failed(io::Error::other(error)))?;
                file.seek(SeekFrom::Current(step)).map_err(failed)?;
                hole = 0;
            }
            file.write_all(piece).map_err(failed)?;
        }
        content.consume(count);
    }
    if hole > 0 {
        file.set_len(entry.size).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn place_symlink(
    parent: BorrowedFd<'_>,
    name: &[u8],
    entry: &TarEntry,
    (uid, gid): (Uid, Gid),
) -> Result<(), ImageError> {
    if entry.link.is_empty() || entry.link.contains(&0) {
        return Err(bad(entry, "is a symbolic link without a target"));
    }
    let path = OsStr::from_bytes(name);
    create_or_replace(parent, name, entry, || {
        symlinkat(OsStr::from_bytes(&entry.link), parent, path)
    })?;
    chownat(parent, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("set the owner of", entry))?;
    utimensat(parent, path, &times(entry.modified), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("set the time of", entry))
}

pub(super) fn place_node(
    parent: BorrowedFd<'_>,
    name: &[u8],
    entry: &TarEntry,
    (uid, gid): (Uid, Gid),
    kind: FileType,
) -> Result<(), ImageError> {
    let path = OsStr::from_bytes(name);
    let mode = Mode::from_raw_mode(entry.mode);
    create_or_replace(parent, name, entry, || {
        mknodat(parent, path, kind, mode, makedev(entry.device.0, entry.device.1))
    })?;
    chownat(parent, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("set the owner of", entry))?;
    // Follows no link: mknodat(2) has just created this very name in a directory nobody else writes to.
    chmodat(parent, path, mode, AtFlags::empty()).map_err(failed("set the mode of", entry))?;
    utimensat(parent, path, &times(entry.modified), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("set the time of", entry))
}

fn create_or_replace<T>(
    parent: BorrowedFd<'_>,
    name: &[u8],
    entry: &TarEntry,
    create: impl Fn() -> rustix::io::Result<T>,
) -> Result<T, ImageError> {
    match create() {
        Err(Errno::EXIST) => {
            remove(parent, name).map_err(failed("replace", entry))?;
            create().map_err(failed("create", entry))
        }
        other => other.map_err(failed("create", entry)),
    }
}

/// Removes `name` and, if it is a directory, everything below; links are removed, never followed.
pub(crate) fn remove(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    let path = OsStr::from_bytes(name);
    match unlinkat(parent, path, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        other => return other,
    }
    let directory = open_beneath(parent, name)?;
    for child in Dir::read_from(&directory)? {
        let child = child?;
        if !matches!(child.file_name().to_bytes(), b"." | b"..") {
            remove(directory.as_fd(), child.file_name().to_bytes())?;
        }
    }
    unlinkat(parent, path, AtFlags::REMOVEDIR)
}

/// Keeps file capabilities and the user's own attributes; `trusted.`, `system.` and label attributes would speak to this
/// host's kernel rather than to the container's programs.
pub(super) fn set_xattrs(
    file: &impl AsFd,
    xattrs: &[(Vec<u8>, Vec<u8>)],
    name: &dyn Fn() -> String,
) -> Result<(), ImageError> {
    for (attribute, value) in xattrs {
        if attribute == b"security.capability" || attribute.starts_with(b"user.") {
            fsetxattr(file, OsStr::from_bytes(attribute), value, XattrFlags::empty()).map_err(|error| {
                ImageError::Entry {
                    action: "set an attribute of",
                    entry: name(),
                    source: io::Error::from(error),
                }
            })?;
        }
    }
    Ok(())
}

pub(super) fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
