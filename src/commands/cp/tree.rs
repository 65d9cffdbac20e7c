//! In: a path below one root directory and a path below another: the host's or a container's. Out: what is at the one, at the other.
//! **Invariant:** every path is resolved by openat2 inside its root, and below a directory no link is followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

/// Inside the root, whatever links say; no magic links.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
/// Links followed before it counts as a circle (`path_resolution(7)`).
const MOST_LINKS: usize = 40;
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// One end of a copy.
#[derive(Debug)]
pub(super) struct Place {
    /// Root directory.
    pub(super) root: OwnedFd,
    /// Absolute path below it. At its end, `/` wants a directory, and `/.` of a source means its content.
    pub(super) path: PathBuf,
}

/// How to copy.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    /// Owners stay; otherwise everything belongs to who copies.
    pub(super) keep_owners: bool,
    /// A source that is a link stands for what it leads to.
    pub(super) follow: bool,
}

/// What could not be copied.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}", .path.display())]
pub(super) struct CopyError {
    verb: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn failed<E: Into<io::Error>>(verb: &'static str, path: &Path) -> impl FnOnce(E) -> CopyError {
    let path = path.to_owned();
    move |error| CopyError {
        verb,
        path,
        source: error.into(),
    }
}

/// Copies what is at `from` to `to`, where docker's cp would put it.
pub(super) fn copy(from: &Place, to: &Place, options: Options) -> Result<(), CopyError> {
    let (parent, name) = parent_of(from)?;
    let mut entry = Entry {
        parent,
        name,
        shown: from.path.clone(),
    };
    let mut status = entry.status().map_err(failed("find", &from.path))?;
    let asks_for_directory = ends_with(&from.path, b"/") || ends_with(&from.path, b"/.");
    if FileType::from_raw_mode(status.st_mode) == FileType::Symlink && (options.follow || asks_for_directory)
    {
        entry = resolved(from)?;
        status = entry.status().map_err(failed("find", &from.path))?;
    }
    let is_directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
    if asks_for_directory && !is_directory {
        return Err(failed("copy", &from.path)(Errno::NOTDIR));
    }
    let existing = open_directory(to);
    let content_only = ends_with(&from.path, b"/.");
    let (parent, name) = match existing {
        Ok(directory) if is_directory && content_only => {
            return copy_content(&entry.open_directory()?, &from.path, &directory, options);
        }
        Ok(directory) => (directory, entry.name.clone()),
        Err(Errno::NOTDIR) if is_directory => return Err(failed("replace", &to.path)(Errno::NOTDIR)),
        Err(Errno::NOENT) if !is_directory && ends_with(&to.path, b"/") => {
            return Err(failed("find directory", &to.path)(Errno::NOENT));
        }
        Err(_) => parent_of(to)?,
    };
    copy_entry(&entry, &parent, &name, options)
}

/// Something in a directory.
struct Entry {
    parent: OwnedFd,
    name: OsString,
    /// For errors.
    shown: PathBuf,
}

impl Entry {
    fn status(&self) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn open_directory(&self) -> Result<OwnedFd, CopyError> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        rustix::fs::openat(&self.parent, &self.name, flags, Mode::empty())
            .map_err(failed("open", &self.shown))
    }
}

/// What a link leads to inside the root.
fn resolved(from: &Place) -> Result<Entry, CopyError> {
    let mut path = from.path.clone();
    for _link in 0..MOST_LINKS {
        let here = Place {
            root: from.root.try_clone().map_err(failed("open", &from.path))?,
            path: path.clone(),
        };
        let (parent, name) = parent_of(&here)?;
        let entry = Entry {
            parent,
            name,
            shown: path.clone(),
        };
        let status = entry.status().map_err(failed("find", &path))?;
        if FileType::from_raw_mode(status.st_mode) != FileType::Symlink {
            return Ok(entry);
        }
        let link = rustix::fs::readlinkat(&entry.parent, &entry.name, Vec::new())
            .map_err(failed("read link", &path))?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        path = directory.join(OsStr::from_bytes(link.as_bytes()));
    }
    Err(failed("follow", &from.path)(Errno::LOOP))
}

fn copy_entry(entry: &Entry, to: &OwnedFd, name: &OsStr, options: Options) -> Result<(), CopyError> {
    let shown = &entry.shown;
    let status = entry.status().map_err(failed("read", shown))?;
    let kind = FileType::from_raw_mode(status.st_mode);
    let mode = Mode::from_raw_mode(status.st_mode & 0o7777);
    let (owner, group) = if options.keep_owners {
        (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid))
    } else {
        (rustix::process::geteuid(), rustix::process::getegid())
    };
    let made = match kind {
        FileType::Directory => {
            match rustix::fs::mkdirat(to, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failed("create directory for", shown)(error)),
            }
            let flags = DIRECTORY | OFlags::NOFOLLOW;
            let target = rustix::fs::openat(to, name, flags, Mode::empty())
                .map_err(failed("open directory for", shown))?;
            copy_content(&entry.open_directory()?, shown, &target, options)?;
            target
        }
        FileType::RegularFile => copy_file(entry, to, name)?,
        FileType::Symlink => {
            let link = rustix::fs::readlinkat(&entry.parent, &entry.name, Vec::new())
                .map_err(failed("read link", shown))?;
            unlink(to, name, shown)?;
            rustix::fs::symlinkat(&link, to, name).map_err(failed("create link for", shown))?;
            return set_owner(to, name, owner, group, shown);
        }
        FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice => {
            unlink(to, name, shown)?;
            rustix::fs::mknodat(to, name, kind, mode, status.st_rdev)
                .map_err(failed("create device for", shown))?;
            return set_owner(to, name, owner, group, shown);
        }
        // A socket is of no use without who listens on it.
        FileType::Socket | FileType::Unknown => return Ok(()),
    };
    let modified = Timespec {
        tv_sec: status.st_mtime,
        tv_nsec: i64::try_from(status.st_mtime_nsec).unwrap_or_default(),
    };
    let times = Timestamps {
        last_access: modified,
        last_modification: modified,
    };
    // By descriptor: a name of a container may be another thing by now. The mode comes last, for a new owner takes set-id bits away.
    rustix::fs::fchown(&made, Some(owner), Some(group)).map_err(failed("set owner of", shown))?;
    rustix::fs::fchmod(&made, mode).map_err(failed("set mode of", shown))?;
    rustix::fs::futimens(&made, &times).map_err(failed("set times of", shown))
}

fn set_owner(to: &OwnedFd, name: &OsStr, owner: Uid, group: Gid, shown: &Path) -> Result<(), CopyError> {
    rustix::fs::chownat(to, name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("set owner of", shown))
}

fn copy_content(from: &OwnedFd, shown: &Path, to: &OwnedFd, options: Options) -> Result<(), CopyError> {
    let listing = Dir::read_from(from).map_err(failed("list", shown))?;
    for entry in listing {
        let name = entry.map_err(failed("list", shown))?.file_name().to_owned();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let name = OsStr::from_bytes(name.to_bytes()).to_owned();
        let entry = Entry {
            parent: from.try_clone().map_err(failed("open", shown))?,
            shown: shown.join(&name),
            name: name.clone(),
        };
        copy_entry(&entry, to, &name, options)?;
    }
    Ok(())
}

/// Content alone. A file that is there keeps its inode: it may be mounted somewhere.
fn copy_file(entry: &Entry, to: &OwnedFd, name: &OsStr) -> Result<OwnedFd, CopyError> {
    let shown = &entry.shown;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = rustix::fs::openat(&entry.parent, &entry.name, flags, Mode::empty())
        .map_err(failed("read", shown))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = || rustix::fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR);
    let target = match create() {
        Err(Errno::LOOP) => {
            unlink(to, name, shown)?;
            create()
        }
        other => other,
    };
    let mut target = File::from(target.map_err(failed("create file for", shown))?);
    io::copy(&mut File::from(source), &mut target).map_err(failed("copy", shown))?;
    Ok(target.into())
}

fn unlink(directory: &OwnedFd, name: &OsStr, shown: &Path) -> Result<(), CopyError> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failed("replace what is in the place of", shown)(error)),
    }
}

/// The directory a path lies in, and its last part.
fn parent_of(place: &Place) -> Result<(OwnedFd, OsString), CopyError> {
    let path = &place.path;
    let name = path.file_name().unwrap_or(OsStr::new(".")).to_owned();
    let parent = match path.file_name() {
        Some(_) => path.parent().unwrap_or(Path::new("/")),
        None => path,
    };
    let directory = open_beneath(place.root.as_fd(), parent).map_err(failed("find directory", parent))?;
    Ok((directory, name))
}

fn open_directory(place: &Place) -> Result<OwnedFd, Errno> {
    open_beneath(place.root.as_fd(), &place.path)
}

fn open_beneath(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(root, path, DIRECTORY, Mode::empty(), INSIDE)
}

fn ends_with(path: &Path, end: &[u8]) -> bool {
    path.as_os_str().as_bytes().ends_with(end)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Roots(tempfile::TempDir);

    impl Roots {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            for root in ["a", "b"] {
                fs::create_dir(directory.path().join(root)).unwrap();
            }
            Self(directory)
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn place(&self, root: &str, path: &str) -> Place {
            Place {
                root: File::open(self.path(root)).unwrap().into(),
                path: PathBuf::from(path),
            }
        }

        fn copy(&self, from: &str, to: &str) -> Result<(), CopyError> {
            let options = Options {
                keep_owners: false,
                follow: false,
            };
            copy(&self.place("a", from), &self.place("b", to), options)
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.path(path)).unwrap()
        }
    }

    #[test]
    fn files_and_directories_land_where_docker_puts_them() {
        let roots = Roots::new();
        fs::create_dir_all(roots.path("a/dir/sub")).unwrap();
        fs::write(roots.path("a/dir/sub/file"), "1").unwrap();
        fs::write(roots.path("a/file"), "2").unwrap();
        fs::create_dir(roots.path("b/there")).unwrap();
        roots.copy("/dir", "/there").unwrap();
        roots.copy("/dir", "/new").unwrap();
        roots.copy("/dir/.", "/there/").unwrap();
        roots.copy("/file", "/there").unwrap();
        roots.copy("/file", "/there/renamed").unwrap();
        for (path, text) in [
            ("there/dir/sub/file", "1"),
            ("new/sub/file", "1"),
            ("there/sub/file", "1"),
            ("there/file", "2"),
            ("there/renamed", "2"),
        ] {
            assert_eq!(roots.read(&format!("b/{path}")), text, "{path}");
        }
        let message = |from, to| roots.copy(from, to).unwrap_err().to_string();
        assert!(message("/dir", "/there/file").contains("replace /there/file"));
        assert!(message("/file", "/nowhere/").contains("/nowhere/"));
        assert!(message("/file/", "/there").contains("/file/"));
        assert!(message("/none", "/there").contains("find /none"));
    }

    #[test]
    fn links_of_a_root_never_lead_out_of_it() {
        let roots = Roots::new();
        fs::write(roots.path("secret"), "host").unwrap();
        symlink(roots.path("secret"), roots.path("a/link")).unwrap();
        symlink("/", roots.path("b/up")).unwrap();
        symlink(roots.path("."), roots.path("b/out")).unwrap();
        let follow = Options {
            keep_owners: false,
            follow: true,
        };
        let led = copy(&roots.place("a", "/link"), &roots.place("b", "/got"), follow);
        assert!(led.is_err(), "the path of the host does not exist inside");
        fs::write(roots.path("a/file"), "in").unwrap();
        roots.copy("/file", "/up/up/kept").unwrap();
        assert_eq!(roots.read("b/kept"), "in");
        assert!(roots.copy("/file", "/out/escaped").is_err());
        assert!(!roots.path("escaped").exists());
        // A link is copied as a link, and one in the way is replaced, not written through.
        roots.copy("/link", "/copied").unwrap();
        assert_eq!(
            fs::read_link(roots.path("b/copied")).unwrap(),
            roots.path("secret")
        );
        roots.copy("/file", "/copied").unwrap();
        assert_eq!(
            (roots.read("b/copied").as_str(), roots.read("secret").as_str()),
            ("in", "host")
        );
    }
}
