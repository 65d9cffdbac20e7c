//! In: an entry of one tree, a place in another. Out: the entry there: content, mode, owner, times, attributes and hard links.
//! Directories are walked by one thread; the files in them are copied by as many as there are processors.
//! **Invariant:** relative to descriptors on both sides; a link is copied, never followed.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, makedev};

use super::chmod::ModeChange;
use super::destination::Place;
use super::earlier_copy::EarlierCopy;
use super::file_batch::{PendingFile, copy_files};
use super::ignore::PatternList;
use super::written::{Attributes, both, copy_xattrs, modified};

/// Files that are collected before they are copied together.
const BATCH: usize = 512;
/// Directories held open at most for the files in them.
const OPEN_DIRECTORIES: usize = 64;

/// How entries change on the way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    /// Owner and group of everything; none keeps the source's when `keep_owner`, else 0:0.
    pub(crate) owner: Option<(u32, u32)>,
    /// Keep the source's owner, capabilities and attributes: it is an image's, and not a file of whoever builds.
    pub(crate) keep_owner: bool,
    /// A directory may take the place of something else, and the other way round (an archive's).
    pub(crate) replacing: bool,
    /// Mode of files and directories alike.
    pub(crate) mode: Option<ModeChange>,
}

impl Manner {
    fn owner_of(&self, status: &Stat) -> (u32, u32) {
        match self.owner {
            Some(owner) => owner,
            None if self.keep_owner => (status.st_uid, status.st_gid),
            None => (0, 0),
        }
    }

    /// What a copy of such a file is given.
    pub(crate) fn attributes(&self, status: &Stat) -> Attributes {
        let (uid, gid) = self.owner_of(status);
        Attributes {
            uid,
            gid,
            mode: match &self.mode {
                None => status.st_mode & 0o7777,
                Some(change) => {
                    let directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
                    change.of(status.st_mode, directory)
                }
            },
            modified: Some(modified(status)),
        }
    }
}

/// One copying, which remembers hard links between entries.
pub(crate) struct Transfer<'a> {
    manner: &'a Manner,
    /// Paths left out, relative to what `left_out` is asked with.
    left_out: Vec<(PathBuf, &'a PatternList)>,
    /// Files of an earlier layer that may be shared.
    earlier: Option<&'a EarlierCopy<'a>>,
    linked: BTreeMap<(u64, u64), (OwnedFd, CString)>,
    /// Files still to be copied.
    files: Vec<PendingFile>,
    /// Directories that are complete but for those files: their times change until then.
    left: Vec<(Arc<Place>, Attributes)>,
}

/// An entry of the source: its directory, its name, and its path for patterns.
pub(crate) struct Entry<'a> {
    pub(crate) directory: BorrowedFd<'a>,
    pub(crate) name: &'a OsStr,
    pub(crate) path: &'a Path,
}

/// A directory of the source, open as long as files of it are to be copied.
struct Source {
    directory: Arc<OwnedFd>,
    path: PathBuf,
}

impl<'a> Transfer<'a> {
    /// A copying; `left_out` are lists with the directory that their patterns are relative to.
    pub(crate) fn new(manner: &'a Manner, left_out: Vec<(PathBuf, &'a PatternList)>) -> Self {
        Self {
            manner,
            left_out,
            earlier: None,
            linked: BTreeMap::new(),
            files: Vec::new(),
            left: Vec::new(),
        }
    }

    /// The same, sharing files with an earlier layer.
    pub(crate) fn sharing(self, earlier: Option<&'a EarlierCopy<'a>>) -> Self {
        Self { earlier, ..self }
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

    /// Whether nothing at or below a path is to be copied.
    pub(crate) fn prunes(&self, path: &Path) -> bool {
        self.left_out.iter().any(|(base, list)| {
            path.strip_prefix(base)
                .ok()
                .and_then(Path::to_str)
                .is_some_and(|path| !path.is_empty() && list.prunes(path))
        })
    }

    /// Copies one entry to `name` in `into`; what is there is replaced, a directory is merged.
    pub(crate) fn copy_entry(mut self, source: &Entry<'_>, into: &Place, name: &OsStr) -> io::Result<()> {
        let from = Source {
            directory: Arc::new(source.directory.try_clone_to_owned()?),
            path: source.path.parent().map(Path::to_owned).unwrap_or_default(),
        };
        self.entry(
            &from,
            source.name,
            source.path.to_owned(),
            &Arc::new(into.again()?),
            name,
        )?;
        self.flush()
    }

    /// Copies everything in a directory into another.
    pub(crate) fn copy_children(mut self, from: BorrowedFd<'_>, path: &Path, into: &Place) -> io::Result<()> {
        let from = Source {
            directory: Arc::new(from.try_clone_to_owned()?),
            path: path.to_owned(),
        };
        self.children(&from, &Arc::new(into.again()?))?;
        self.flush()
    }

    fn entry(
        &mut self,
        from: &Source,
        name: &OsStr,
        path: PathBuf,
        into: &Arc<Place>,
        new_name: &OsStr,
    ) -> io::Result<()> {
        let status = rustix::fs::statat(&from.directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        if kind == FileType::Directory {
            if self.prunes(&path) {
                return Ok(());
            }
            return self.directory(from, name, path, &status, into, new_name);
        }
        if self.leaves_out(&path) {
            return Ok(());
        }
        if kind == FileType::RegularFile && status.st_nlink == 1 {
            self.files.push(pending(from, name, path, status, into, new_name));
            return if self.files.len() >= BATCH {
                self.flush()
            } else {
                Ok(())
            };
        }
        into.make_room(new_name, self.manner.replacing)?;
        let linked = self.linked.get(&(status.st_dev, status.st_ino));
        if let Some((directory, first)) = linked.filter(|_| status.st_nlink > 1 && kind != FileType::Symlink)
        {
            let none = AtFlags::empty();
            return Ok(rustix::fs::linkat(
                directory,
                first.as_c_str(),
                &into.upper,
                new_name,
                none,
            )?);
        }
        match kind {
            FileType::RegularFile => {
                let file = pending(from, name, path, status, into, new_name);
                file.copy(self.manner, None, &mut Vec::new())?;
            }
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(&from.directory, name, Vec::new())?;
                rustix::fs::symlinkat(link, &into.upper, new_name)?;
                self.node_attributes(&status, kind, into, new_name)?;
            }
            // A socket without its process is an empty file, as in BuildKit.
            FileType::Socket => {
                let mode = Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(&into.upper, new_name, FileType::RegularFile, mode, 0)?;
                self.node_attributes(&status, kind, into, new_name)?;
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                let device = makedev(
                    rustix::fs::major(status.st_rdev),
                    rustix::fs::minor(status.st_rdev),
                );
                rustix::fs::mknodat(&into.upper, new_name, kind, Mode::from_raw_mode(0o600), device)?;
                self.node_attributes(&status, kind, into, new_name)?;
            }
            FileType::Directory | FileType::Unknown => return Ok(()),
        }
        if status.st_nlink > 1 && kind != FileType::Symlink {
            let name = CString::new(new_name.as_bytes())?;
            self.linked
                .insert((status.st_dev, status.st_ino), (into.upper.try_clone()?, name));
        }
        Ok(())
    }

    fn directory(
        &mut self,
        from: &Source,
        name: &OsStr,
        path: PathBuf,
        status: &Stat,
        into: &Arc<Place>,
        new_name: &OsStr,
    ) -> io::Result<()> {
        let left_out = self.leaves_out(&path);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&from.directory, name, flags, Mode::empty())?;
        let source = Source {
            directory: Arc::new(directory),
            path,
        };
        if left_out {
            // Something below may come back: its parents are made only then.
            let mut make = || Ok(Arc::clone(into));
            return self.children_that_come_back(&source, status, new_name, &mut make);
        }
        let place = Arc::new(into.directory(new_name, self.manner.replacing)?);
        if self.manner.keep_owner {
            copy_xattrs(source.directory.as_fd(), place.upper.as_fd())?;
        }
        self.children(&source, &place)?;
        self.leave(place, status)
    }

    /// A directory has all its entries, but for files still to be copied.
    fn leave(&mut self, place: Arc<Place>, status: &Stat) -> io::Result<()> {
        self.left.push((place, self.manner.attributes(status)));
        if self.left.len() >= OPEN_DIRECTORIES {
            return self.flush();
        }
        Ok(())
    }

    fn children(&mut self, from: &Source, into: &Arc<Place>) -> io::Result<()> {
        for name in names(from.directory.as_fd())? {
            self.entry(from, &name, from.path.join(&name), into, &name)?;
        }
        Ok(())
    }

    /// `parent` makes the directory above when it is first needed.
    fn children_that_come_back(
        &mut self,
        from: &Source,
        status: &Stat,
        new_name: &OsStr,
        parent: &mut dyn FnMut() -> io::Result<Arc<Place>>,
    ) -> io::Result<()> {
        let replacing = self.manner.replacing;
        let mut made: Option<Arc<Place>> = None;
        for child in names(from.directory.as_fd())? {
            let path = from.path.join(&child);
            let status = rustix::fs::statat(&from.directory, &child, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
            let left_out = self.leaves_out(&path);
            if left_out && (!is_directory || self.prunes(&path)) {
                continue;
            }
            let mut make = || match &made {
                Some(place) => Ok(Arc::clone(place)),
                None => Ok(Arc::clone(
                    made.insert(Arc::new(parent()?.directory(new_name, replacing)?)),
                )),
            };
            if left_out {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = rustix::fs::openat(&from.directory, &child, flags, Mode::empty())?;
                let source = Source {
                    directory: Arc::new(directory),
                    path,
                };
                self.children_that_come_back(&source, &status, &child, &mut make)?;
            } else {
                let into = make()?;
                self.entry(from, &child, path, &into, &child)?;
            }
        }
        match made {
            Some(place) => self.leave(place, status),
            None => Ok(()),
        }
    }

    /// Attributes of what cannot be opened.
    fn node_attributes(&self, status: &Stat, kind: FileType, into: &Place, name: &OsStr) -> io::Result<()> {
        let wanted = self.manner.attributes(status);
        let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
        let itself = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&into.upper, name, Some(uid), Some(gid), itself)?;
        if kind != FileType::Symlink {
            // After chown, which clears set-id bits (chown(2)).
            let mode = Mode::from_raw_mode(wanted.mode);
            rustix::fs::chmodat(&into.upper, name, mode, AtFlags::empty())?;
        }
        Ok(rustix::fs::utimensat(
            &into.upper,
            name,
            &both(modified(status)),
            itself,
        )?)
    }

    /// Copies the files that were collected, then gives their directories owner, mode and time.
    fn flush(&mut self) -> io::Result<()> {
        let files = std::mem::take(&mut self.files);
        copy_files(self.manner, self.earlier, &files)?;
        drop(files);
        for (place, attributes) in self.left.drain(..) {
            attributes.apply(place.upper.as_fd())?;
        }
        Ok(())
    }
}

fn pending(
    from: &Source,
    name: &OsStr,
    path: PathBuf,
    status: Stat,
    into: &Arc<Place>,
    new_name: &OsStr,
) -> PendingFile {
    PendingFile {
        from: Arc::clone(&from.directory),
        name: name.to_owned(),
        path,
        status,
        into: Arc::clone(into),
        new_name: new_name.to_owned(),
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
