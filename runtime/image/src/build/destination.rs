//! In: the layers below a step and the directory of its changes. Out: the places it writes to, all of them in the changes.
//! What overlay would do to a write is done here: parents are mirrored as they are below. A write through the mount itself
//! makes every file in a work directory first and renames it, which costs three times as much.
//! **Invariant:** every name is looked up relative to a descriptor, and no link leads out of the tree.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::chmod::ModeChange;
use super::overlay::Tree;
use super::transfer::Manner;
use super::written::{Attributes, copy_xattrs};
use crate::unpack::{is_whiteout, remove};

/// Links followed on one path, as the kernel does (`path_resolution(7)`).
const MOST_LINKS: u32 = 40;

/// A tree that is written to: what is below, and what changes.
#[derive(Debug)]
pub(crate) struct Destination {
    upper: OwnedFd,
    lower: Option<Tree>,
}

/// A directory of the tree: where it is written, and what it shows from below.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) upper: OwnedFd,
    pub(crate) lower: Option<OwnedFd>,
    /// Where it is in the tree, relative to its root, without links.
    pub(crate) path: PathBuf,
}

/// A directory on the way, with its name in the one before.
struct Level {
    name: OsString,
    upper: Option<OwnedFd>,
    lower: Option<OwnedFd>,
}

/// What a path ends at.
enum End {
    Directory,
    /// Something else, in the last level.
    Other(OsString),
    /// These names are not there.
    Missing(Vec<OsString>),
}

impl Destination {
    /// Changes to layers (top-most first) are written to `upper`, which nothing else writes to meanwhile.
    pub(crate) fn new(lower: &[PathBuf], upper: &Path) -> io::Result<Self> {
        let lower = match lower {
            [] => None,
            layers => Some(Tree::readable(layers)?),
        };
        let upper = rustix::fs::open(upper, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { upper, lower })
    }

    /// Whether the path is a directory, links followed.
    pub(crate) fn is_directory(&self, path: &Path) -> bool {
        matches!(self.walk(path), Ok((_, End::Directory)))
    }

    /// The path with all links followed; what is missing stays as it is.
    pub(crate) fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let (levels, end) = self.walk(path)?;
        let mut resolved: PathBuf = Path::new("/").to_owned();
        resolved.extend(levels.into_iter().skip(1).map(|level| level.name));
        match end {
            End::Directory => {}
            End::Other(name) => resolved.push(name),
            End::Missing(names) => resolved.extend(names),
        }
        Ok(resolved)
    }

    /// Opens a directory to write to; it and its parents are made when missing, links are followed.
    pub(crate) fn directory(&self, path: &Path, manner: &Manner) -> io::Result<Place> {
        let (levels, end) = self.walk(path)?;
        let missing = match end {
            End::Directory => Vec::new(),
            End::Missing(names) => names,
            End::Other(name) => {
                let text = format!("{} is no directory", Path::new(&name).display());
                return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
            }
        };
        let mut levels = levels.into_iter();
        let mut place = Place {
            upper: self.upper.try_clone()?,
            lower: levels.next().and_then(|root| root.lower),
            path: PathBuf::new(),
        };
        for level in levels {
            let upper = match level.upper {
                Some(upper) => upper,
                None => place.mirror(&level.name, level.lower.as_ref())?,
            };
            place = Place {
                upper,
                lower: level.lower,
                path: place.path.join(level.name),
            };
        }
        for name in missing {
            place = place.made(&name, manner)?;
        }
        Ok(place)
    }

    fn walk(&self, path: &Path) -> io::Result<(Vec<Level>, End)> {
        let mut levels = vec![Level {
            name: OsString::new(),
            upper: Some(self.upper.try_clone()?),
            lower: self
                .lower
                .as_ref()
                .map(|tree| tree.open(Path::new(""), OFlags::DIRECTORY))
                .transpose()?,
        }];
        let mut pending: VecDeque<OsString> = names_of(path).collect();
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            if name == ".." {
                if levels.len() > 1 {
                    levels.pop();
                }
                continue;
            }
            let Some(at) = levels.last() else {
                return Err(Errno::NOENT.into());
            };
            let above = at
                .upper
                .as_ref()
                .map(|upper| kind(upper, &name))
                .transpose()?
                .flatten();
            let below = match (above, &at.lower) {
                (None, Some(lower)) => kind(lower, &name)?,
                _ => None,
            };
            match above.or(below) {
                None => {
                    let mut missing = vec![name];
                    for name in pending {
                        if name == ".." {
                            missing.pop();
                        } else {
                            missing.push(name);
                        }
                    }
                    return Ok((levels, End::Missing(missing)));
                }
                Some(FileType::Directory) => {
                    let within = |directory: &Option<OwnedFd>| match directory {
                        Some(directory) => open_directory(directory, &name),
                        None => Ok(None),
                    };
                    let level = Level {
                        upper: within(&at.upper)?,
                        lower: within(&at.lower)?,
                        name,
                    };
                    levels.push(level);
                }
                Some(FileType::Symlink) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let holder = if above.is_some() { &at.upper } else { &at.lower };
                    let Some(holder) = holder else {
                        return Err(Errno::NOENT.into());
                    };
                    let target = rustix::fs::readlinkat(holder, &name, Vec::new())?.into_bytes();
                    let target = PathBuf::from(OsString::from_vec(target));
                    if target.is_absolute() {
                        levels.truncate(1);
                    }
                    for name in names_of(&target).collect::<Vec<_>>().into_iter().rev() {
                        pending.push_front(name);
                    }
                }
                Some(_) if pending.is_empty() => return Ok((levels, End::Other(name))),
                Some(_) => return Err(Errno::NOTDIR.into()),
            }
        }
        Ok((levels, End::Directory))
    }
}

impl Place {
    /// A further handle of the same directory.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Ok(Self {
            upper: self.upper.try_clone()?,
            lower: self.lower.as_ref().map(OwnedFd::try_clone).transpose()?,
            path: self.path.clone(),
        })
    }

    /// The directory `name` in it, made when missing. What is no directory is replaced if `replacing`; a link to one may be what holds
    /// the system together (`/lib`), so that otherwise it is an error, as in BuildKit.
    pub(crate) fn directory(&self, name: &OsStr, replacing: bool) -> io::Result<Self> {
        if !replacing {
            let above = kind(&self.upper, name)?;
            let below = match (above, &self.lower) {
                (None, Some(lower)) => kind(lower, name)?,
                _ => None,
            };
            if above.or(below).is_some_and(|kind| kind != FileType::Directory) {
                let text = format!("cannot copy a directory over {}, which is none", name.display());
                return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
            }
        }
        let lower = match &self.lower {
            Some(lower) => open_directory(lower, name)?,
            None => None,
        };
        let path = self.path.join(name);
        let mode = Mode::from_raw_mode(0o755);
        match rustix::fs::mkdirat(&self.upper, name, mode) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                if let Some(upper) = open_directory(&self.upper, name)? {
                    return Ok(Self { upper, lower, path });
                }
                rustix::fs::unlinkat(&self.upper, name, AtFlags::empty())?;
                rustix::fs::mkdirat(&self.upper, name, mode)?;
            }
            Err(errno) => return Err(errno.into()),
        }
        let upper = open_directory(&self.upper, name)?.ok_or(Errno::NOENT)?;
        Ok(Self { upper, lower, path })
    }

    /// Whether something below would have to be replaced that is a directory: that is refused.
    pub(crate) fn refuse_directory(&self, name: &OsStr) -> io::Result<()> {
        let holds = |directory: &OwnedFd| -> io::Result<bool> {
            Ok(kind(directory, name)? == Some(FileType::Directory))
        };
        let taken = match &self.lower {
            Some(lower) => holds(lower)?,
            None => false,
        };
        if taken || holds(&self.upper)? {
            let text = format!("cannot replace the directory {} with a file", name.display());
            return Err(io::Error::new(io::ErrorKind::IsADirectory, text));
        }
        Ok(())
    }

    /// Removes what has the name in the changes, so that something else can have it; a directory only if `replacing`.
    pub(crate) fn make_room(&self, name: &OsStr, replacing: bool) -> io::Result<()> {
        if !replacing {
            self.refuse_directory(name)?;
        }
        match remove(self.upper.as_fd(), name.as_bytes()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes the directory `name` in the changes as it is below.
    fn mirror(&self, name: &OsStr, lower: Option<&OwnedFd>) -> io::Result<OwnedFd> {
        rustix::fs::mkdirat(&self.upper, name, Mode::from_raw_mode(0o700))?;
        let upper = open_directory(&self.upper, name)?.ok_or(Errno::NOENT)?;
        if let Some(lower) = lower {
            Attributes::of(&rustix::fs::fstat(lower)?).apply(upper.as_fd())?;
            copy_xattrs(lower.as_fd(), upper.as_fd())?;
        }
        Ok(upper)
    }

    /// Makes a directory that is nowhere yet (Dockerfile reference, COPY: made folders take `--chmod` without set-id bits, and `--chown`).
    fn made(&self, name: &OsStr, manner: &Manner) -> io::Result<Self> {
        let (uid, gid) = manner.owner.unwrap_or((0, 0));
        let mode = manner.mode.as_ref().map_or(0o755, ModeChange::of_made_directory);
        rustix::fs::mkdirat(&self.upper, name, Mode::from_raw_mode(mode))?;
        let upper = open_directory(&self.upper, name)?.ok_or(Errno::NOENT)?;
        let attributes = Attributes {
            uid,
            gid,
            mode,
            modified: None,
        };
        attributes.apply(upper.as_fd())?;
        Ok(Self {
            upper,
            lower: None,
            path: self.path.join(name),
        })
    }
}

/// The names of a path; `.` and the root are none.
fn names_of(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

/// What has this name in a directory, itself and not what it links to.
fn kind(directory: &OwnedFd, name: &OsStr) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        // In a single layer, overlay's marks are still to be seen.
        Ok(status) if is_whiteout(&status) => Ok(None),
        Ok(status) => Ok(Some(FileType::from_raw_mode(status.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The directory of this name, if that is what it is.
fn open_directory(parent: &OwnedFd, name: &OsStr) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn writes_go_where_overlay_would_put_them() {
        let (low, high, up) = (
            tempfile::tempdir().expect("lower"),
            tempfile::tempdir().expect("lower"),
            tempfile::tempdir().expect("upper"),
        );
        fs::create_dir_all(low.path().join("usr/lib")).expect("directory");
        fs::set_permissions(low.path().join("usr/lib"), fs::Permissions::from_mode(0o2751)).expect("mode");
        std::os::unix::fs::chown(low.path().join("usr/lib"), Some(7), Some(8)).expect("owner");
        symlink("usr/lib", low.path().join("lib")).expect("link");
        symlink("/lib/../../lib/new", high.path().join("far")).expect("link");
        fs::write(high.path().join("file"), "x").expect("file");
        symlink("loop", high.path().join("loop")).expect("link");
        let layers = [high.path().to_owned(), low.path().to_owned()];
        let tree = Destination::new(&layers, up.path()).expect("tree");
        let manner = Manner {
            mode: Some(ModeChange::Exact(0o4711)),
            owner: Some((3, 4)),
            ..Manner::default()
        };
        assert!(tree.is_directory(Path::new("/lib")) && !tree.is_directory(Path::new("/file")));
        tree.directory(Path::new("/far/deep"), &manner).expect("made");
        let seen = |path: &str| {
            let status = fs::symlink_metadata(up.path().join(path)).expect("there");
            (status.uid(), status.gid(), status.mode() & 0o7777)
        };
        assert_eq!(seen("usr/lib"), (7, 8, 0o2751), "mirrored");
        assert_eq!(seen("usr/lib/new"), (3, 4, 0o711), "made");
        assert_eq!(seen("usr/lib/new/deep"), (3, 4, 0o711), "made");
        assert!(!up.path().join("lib").exists() && !up.path().join("far").exists());
        assert_eq!(
            tree.resolve(Path::new("/lib/x")).expect("resolves"),
            Path::new("/usr/lib/x")
        );
        for path in ["/file/x", "/loop/x", "/loop"] {
            assert!(tree.directory(Path::new(path), &manner).is_err(), "{path}");
        }
        let root = tree.directory(Path::new("/"), &manner).expect("root");
        assert!(
            root.make_room(OsStr::new("usr"), false).is_err()
                && root.make_room(OsStr::new("file"), false).is_ok()
        );
        assert!(root.make_room(OsStr::new("usr"), true).is_ok() && !up.path().join("usr").exists());
    }
}
