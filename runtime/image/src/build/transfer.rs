//! In: an entry of one tree, a place in another. Out: the entry there: content, mode, owner, times, attributes and hard links.
//! **Invariant:** relative to descriptors on both sides; a link is copied, never followed.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, makedev,
};

use super::ignore::PatternList;

/// How entries change on the way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    /// Owner and group of everything; none keeps the source's when `keep_owner`, else 0:0.
    pub(crate) owner: Option<(u32, u32)>,
    /// Keep the source's owner.
    pub(crate) keep_owner: bool,
    /// Mode of files and directories alike.
    pub(crate) mode: Option<u32>,
}

impl Manner {
    fn owner_of(&self, status: &Stat) -> (u32, u32) {
        match self.owner {
            Some(owner) => owner,
            None if self.keep_owner => (status.st_uid, status.st_gid),
            None => (0, 0),
        }
    }

    fn mode_of(&self, status: &Stat) -> u32 {
        self.mode.unwrap_or(status.st_mode & 0o7777)
    }
}

/// One copying, which remembers hard links between entries.
pub(crate) struct Transfer<'a> {
    manner: &'a Manner,
    /// Paths left out, relative to what `left_out` is asked with.
    left_out: Vec<(PathBuf, &'a PatternList)>,
    linked: BTreeMap<(u64, u64), (OwnedFd, CString)>,
}

/// An entry of the source: its directory, its name, and its path for patterns.
pub(crate) struct Entry<'a> {
    pub(crate) directory: BorrowedFd<'a>,
    pub(crate) name: &'a OsStr,
    pub(crate) path: &'a Path,
}

impl<'a> Transfer<'a> {
    /// A copying; `left_out` are lists with the directory that their patterns are relative to.
    pub(crate) fn new(manner: &'a Manner, left_out: Vec<(PathBuf, &'a PatternList)>) -> Self {
        Self {
            manner,
            left_out,
            linked: BTreeMap::new(),
        }
    }

    /// Whether a path is left out by any of the lists.
    pub(crate) fn leaves_out(&self, path: &Path) -> bool {
        self.left_out.iter().any(|(base, list)| {
            path.strip_prefix(base)
                .ok()
                .and_then(Path::to_str)
                .is_some_and(|path| !path.is_empty() && list.matches(path))
        })
    }

    fn prunes(&self, path: &Path) -> bool {
        self.left_out.iter().any(|(base, list)| {
            path.strip_prefix(base)
                .ok()
                .and_then(Path::to_str)
                .is_some_and(|path| !path.is_empty() && list.prunes(path))
        })
    }

    /// Copies one entry to `name` in `target`; what is there is replaced, a directory is merged.
    pub(crate) fn entry(
        &mut self,
        source: &Entry<'_>,
        target: BorrowedFd<'_>,
        name: &OsStr,
    ) -> io::Result<()> {
        let status = rustix::fs::statat(source.directory, source.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        if kind == FileType::Directory {
            if self.prunes(source.path) {
                return Ok(());
            }
            return self.directory(source, &status, target, name);
        }
        if self.leaves_out(source.path) {
            return Ok(());
        }
        make_room(target, name)?;
        if status.st_nlink > 1
            && kind != FileType::Symlink
            && let Some((directory, first)) = self.linked.get(&(status.st_dev, status.st_ino))
        {
            return Ok(rustix::fs::linkat(
                directory,
                first.as_c_str(),
                target,
                name,
                AtFlags::empty(),
            )?);
        }
        match kind {
            FileType::RegularFile => regular(source, target, name)?,
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(source.directory, source.name, Vec::new())?;
                rustix::fs::symlinkat(link, target, name)?;
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                let device = makedev(
                    rustix::fs::major(status.st_rdev),
                    rustix::fs::minor(status.st_rdev),
                );
                rustix::fs::mknodat(target, name, kind, Mode::from_raw_mode(0o600), device)?;
            }
            // Sockets mean nothing without their process.
            FileType::Socket | FileType::Directory | FileType::Unknown => return Ok(()),
        }
        self.attributes(&status, kind, target, name)?;
        if kind == FileType::RegularFile {
            copy_xattrs(source.directory, source.name, target, name)?;
        }
        if status.st_nlink > 1 && kind != FileType::Symlink {
            let name = CString::new(name.as_bytes())?;
            self.linked.insert(
                (status.st_dev, status.st_ino),
                (target.try_clone_to_owned()?, name),
            );
        }
        Ok(())
    }

    fn directory(
        &mut self,
        source: &Entry<'_>,
        status: &Stat,
        target: BorrowedFd<'_>,
        name: &OsStr,
    ) -> io::Result<()> {
        let left_out = self.leaves_out(source.path);
        let from = rustix::fs::openat(
            source.directory,
            source.name,
            OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        if left_out {
            // Something below may come back: its parents are made only then.
            return self.children_that_come_back(from.as_fd(), source, target, name);
        }
        let into = open_or_make(target, name)?;
        self.children(from.as_fd(), source.path, into.as_fd())?;
        self.attributes(status, FileType::Directory, target, name)?;
        copy_xattrs(source.directory, source.name, target, name)
    }

    /// Copies everything in a directory into another.
    pub(crate) fn children(
        &mut self,
        from: BorrowedFd<'_>,
        path: &Path,
        into: BorrowedFd<'_>,
    ) -> io::Result<()> {
        for name in names(from)? {
            let path = path.join(&name);
            self.entry(
                &Entry {
                    directory: from,
                    name: &name,
                    path: &path,
                },
                into,
                &name,
            )?;
        }
        Ok(())
    }

    fn children_that_come_back(
        &mut self,
        from: BorrowedFd<'_>,
        source: &Entry<'_>,
        target: BorrowedFd<'_>,
        name: &OsStr,
    ) -> io::Result<()> {
        let mut into = None;
        for child in names(from)? {
            let path = source.path.join(&child);
            let status = rustix::fs::statat(from, &child, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
            if self.leaves_out(&path) && (!is_directory || self.prunes(&path)) {
                continue;
            }
            let into = match &into {
                Some(into) => into,
                None => into.insert(open_or_make(target, name)?),
            };
            self.entry(
                &Entry {
                    directory: from,
                    name: &child,
                    path: &path,
                },
                into.as_fd(),
                &child,
            )?;
        }
        Ok(())
    }

    fn attributes(
        &self,
        status: &Stat,
        kind: FileType,
        target: BorrowedFd<'_>,
        name: &OsStr,
    ) -> io::Result<()> {
        let (uid, gid) = self.manner.owner_of(status);
        rustix::fs::chownat(
            target,
            name,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
        if kind != FileType::Symlink {
            // After chown, which clears set-id bits (chown(2)).
            rustix::fs::chmodat(
                target,
                name,
                Mode::from_raw_mode(self.manner.mode_of(status)),
                AtFlags::empty(),
            )?;
        }
        let modified = Timespec {
            tv_sec: status.st_mtime,
            tv_nsec: i64::try_from(status.st_mtime_nsec).unwrap_or(0),
        };
        let times = Timestamps {
            last_access: modified,
            last_modification: modified,
        };
        Ok(rustix::fs::utimensat(
            target,
            name,
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }
}

/// Names in a directory, sorted, so that the same input always gives the same work.
pub(crate) fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Opens the directory `name`, made when missing; a link to a directory is followed by nobody.
pub(crate) fn open_or_make(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let open = || {
        rustix::fs::openat(
            parent,
            name,
            OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    match open() {
        Ok(directory) => return Ok(directory),
        Err(rustix::io::Errno::NOENT) => {}
        Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
        }
        Err(errno) => return Err(errno.into()),
    }
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    Ok(open()?)
}

fn make_room(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(rustix::io::Errno::ISDIR) => Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            format!("cannot replace the directory {} with a file", name.display()),
        )),
        Err(errno) => Err(errno.into()),
    }
}

fn regular(source: &Entry<'_>, target: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut from = File::from(rustix::fs::openat(
        source.directory,
        source.name,
        flags,
        Mode::empty(),
    )?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut into = File::from(rustix::fs::openat(
        target,
        name,
        flags,
        Mode::from_raw_mode(0o600),
    )?);
    io::copy(&mut from, &mut into)?;
    Ok(())
}

/// File capabilities and user attributes; others belong to the host.
fn copy_xattrs(
    from: BorrowedFd<'_>,
    from_name: &OsStr,
    into: BorrowedFd<'_>,
    into_name: &OsStr,
) -> io::Result<()> {
    let open = |directory: BorrowedFd<'_>, name: &OsStr| {
        rustix::fs::openat(
            directory,
            name,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    let source = open(from, from_name)?;
    let mut list = vec![0; 4096];
    let length = match rustix::fs::flistxattr(&source, &mut list[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    let mut target = None;
    for name in list[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        if name != b"security.capability" && !name.starts_with(b"user.") {
            continue;
        }
        let name = OsStr::from_bytes(name);
        let mut value = vec![0; 64 * 1024];
        let length = rustix::fs::fgetxattr(&source, name, &mut value[..])?;
        let target = match &target {
            Some(target) => target,
            None => target.insert(open(into, into_name)?),
        };
        rustix::fs::fsetxattr(target, name, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}
