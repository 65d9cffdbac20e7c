//! In: the root directory of a container as a descriptor, and a path that an image or a user chose. Out: descriptors of what is there, or is
//! made there, never of anything outside.
//! **Invariant:** links are followed as text within the root, magic links never; no path of the container reaches the kernel as a whole
//! string outside `openat2(RESOLVE_IN_ROOT)`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2, readlinkat};
use rustix::io::Errno;

/// Most links followed in one path, as in the kernel.
const MAXIMUM_LINKS: usize = 40;
/// Attempts at a name that somebody keeps changing under us.
const MAXIMUM_RACES: usize = 128;

/// What is made where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing: `ENOENT`.
    Fail,
    /// Directories, the last one too.
    Directory,
    /// Directories, and an empty file at the end.
    File,
}

/// Opens a path inside `root` with the kernel's own resolution.
pub(crate) fn open(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    retry(|| {
        openat2(
            root,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )
    })
}

/// Opens a path inside `root` that may contain no link at all.
pub(crate) fn open_without_links(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    retry(|| {
        openat2(
            root,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
        )
    })
}

/// openat2(2) answers EAGAIN when a rename somewhere made its check of the root inconclusive.
fn retry(mut attempt: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    for _ in 0..MAXIMUM_RACES {
        match attempt() {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// Whether a descriptor is of this type.
pub(crate) fn is(descriptor: BorrowedFd<'_>, kind: FileType) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(descriptor)?.st_mode) == kind)
}

/// Opens (`O_PATH`) what a path inside `root` leads to, following links within the root, and makes what is missing. Also what a dangling
/// link points to is made, inside the root.
pub(crate) fn resolve(root: BorrowedFd<'_>, path: &str, missing: Missing) -> Result<OwnedFd, Errno> {
    let place = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut pending: Vec<String> = components(path);
    let mut done: Vec<String> = Vec::new();
    let mut current = root.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
    let (mut links, mut races) = (0, 0);
    while let Some(name) = pending.pop() {
        if name == ".." {
            done.pop();
            let parent = if done.is_empty() {
                ".".to_owned()
            } else {
                done.join("/")
            };
            current = open_without_links(root, &parent, place)?;
            continue;
        }
        let found = match openat(&current, name.as_str(), place, Mode::empty()) {
            Err(Errno::NOENT) if missing != Missing::Fail => {
                let made = if missing == Missing::File && pending.is_empty() {
                    let create =
                        OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
                    openat(&current, name.as_str(), create, Mode::from_raw_mode(0o644)).map(drop)
                } else {
                    mkdirat(&current, name.as_str(), Mode::from_raw_mode(0o755))
                };
                races += 1;
                match made {
                    Ok(()) | Err(Errno::EXIST) if races < MAXIMUM_RACES => pending.push(name),
                    Ok(()) => return Err(Errno::AGAIN),
                    Err(errno) => return Err(errno),
                }
                continue;
            }
            other => other?,
        };
        races = 0;
        if is(found.as_fd(), FileType::Symlink)? {
            links += 1;
            if links > MAXIMUM_LINKS {
                return Err(Errno::LOOP);
            }
            let target = readlinkat(&found, "", Vec::new())?;
            let target = target.to_str().map_err(|_| Errno::ILSEQ)?;
            if target.starts_with('/') {
                done.clear();
                current = root.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
            }
            pending.extend(components(target));
        } else {
            done.push(name);
            current = found;
        }
    }
    Ok(current)
}

/// The components of a path, last one first.
fn components(path: &str) -> Vec<String> {
    path.split('/')
        .rev()
        .filter(|name| !name.is_empty() && *name != ".")
        .map(str::to_owned)
        .collect()
}

/// Opens a directory of the root itself by its plain name and makes it when missing; anything but a real directory is refused, a link to one too:
/// kernel file systems mounted elsewhere than where they are expected would leave their masks without effect.
pub(crate) fn real_directory(root: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY;
    match open_without_links(root, name, flags) {
        Err(Errno::NOENT) => {
            match mkdirat(root, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            open_without_links(root, name, flags)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rcompose-beneath-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("root/etc")).unwrap();
            Self(path)
        }

        fn root(&self) -> OwnedFd {
            fs::File::open(self.0.join("root")).unwrap().into()
        }

        fn has(&self, path: &str) -> bool {
            self.0.join(path).exists()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn opened(fd: &OwnedFd) -> PathBuf {
        use std::os::fd::AsRawFd;
        fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
    }

    #[test]
    fn missing_directories_and_files_are_made_inside() {
        let scratch = Scratch::new("make");
        let root = scratch.root();
        resolve(root.as_fd(), "/a/../../../../b/./c", Missing::Directory).unwrap();
        assert!(scratch.has("root/b/c") && scratch.has("root/a") && !scratch.has("b"));
        resolve(root.as_fd(), "b/file", Missing::File).unwrap();
        assert!(fs::metadata(scratch.0.join("root/b/file")).unwrap().is_file());
        assert_eq!(
            resolve(root.as_fd(), "b/none", Missing::Fail).unwrap_err(),
            Errno::NOENT
        );
        assert_eq!(
            resolve(root.as_fd(), "b/file/below", Missing::Directory).unwrap_err(),
            Errno::NOTDIR
        );
    }

    #[test]
    fn links_never_lead_out() {
        let scratch = Scratch::new("links");
        let root = scratch.root();
        let inside = |path: &str| scratch.0.join("root").join(path);
        fs::create_dir(scratch.0.join("outside")).unwrap();
        symlink(scratch.0.join("outside"), inside("absolute")).unwrap();
        symlink("../../../../../../outside", inside("etc/relative")).unwrap();
        symlink("../run/resolv.conf", inside("etc/resolv.conf")).unwrap();
        symlink("loop", inside("loop")).unwrap();
        for path in ["absolute/x", "etc/relative/x"] {
            let found = opened(&resolve(root.as_fd(), path, Missing::Directory).unwrap());
            assert!(found.starts_with(inside("")), "{path} led to {}", found.display());
        }
        assert!(!scratch.has("outside/x"));
        resolve(root.as_fd(), "/etc/resolv.conf", Missing::File).unwrap();
        assert!(
            Path::new(&inside("run/resolv.conf")).is_file(),
            "the target of a dangling link is made"
        );
        assert_eq!(
            resolve(root.as_fd(), "loop", Missing::Directory).unwrap_err(),
            Errno::LOOP
        );
        assert_eq!(
            real_directory(root.as_fd(), "absolute").unwrap_err(),
            Errno::NOTDIR
        );
    }

    #[test]
    fn magic_links_are_refused() {
        let root: OwnedFd = fs::File::open("/").unwrap().into();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        assert_eq!(
            open(root.as_fd(), "/proc/self/root", flags).unwrap_err(),
            Errno::LOOP
        );
    }
}
