//! In: the root directory of a running container, a host file, a path inside. Out: the file there, whole or not at all.
//! **Invariant:** paths of the container are resolved by openat2 inside its root; no link in it leads out.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};

/// Inside the root, whatever links say; no magic links.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// What could not be copied.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {path}")]
pub struct SyncError {
    verb: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> SyncError {
    let path = path.to_owned();
    move |errno| SyncError {
        verb,
        path,
        source: errno.into(),
    }
}

/// Copies a file, a link or (with everything below) a directory to `to`, an absolute path inside the root. Owner, mode and content
/// are the host's; a file appears by rename, so that a reader sees the old or the new one.
pub fn copy(root: impl AsFd, from: &Path, to: &Path) -> Result<(), SyncError> {
    let unreadable = |source| SyncError {
        verb: "read",
        path: from.to_owned(),
        source,
    };
    let metadata = match from.symlink_metadata() {
        Ok(metadata) => metadata,
        // Saved and gone again before we came: the removal is an event of its own.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    let (parent, name) = parent_directory(root.as_fd(), to)?;
    let (owner, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    let mode = Mode::from_raw_mode(metadata.mode() & 0o7777);
    if metadata.is_dir() {
        match rustix::fs::mkdirat(&parent, &name, mode) {
            Ok(()) => {
                rustix::fs::chownat(
                    &parent,
                    &name,
                    Some(owner),
                    Some(group),
                    AtFlags::SYMLINK_NOFOLLOW,
                )
                .map_err(failed("chown", to))?;
            }
            Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(failed("create", to)(errno)),
        }
        for entry in from.read_dir().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            copy(root.as_fd(), &entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let temporary = format!(".rcompose-sync-{}", std::process::id());
    // Left by one that was killed.
    let _absent = rustix::fs::unlinkat(&parent, temporary.as_str(), AtFlags::empty());
    if metadata.is_symlink() {
        let link = from.read_link().map_err(unreadable)?;
        rustix::fs::symlinkat(&link, &parent, temporary.as_str()).map_err(failed("create", to))?;
    } else if metadata.is_file() {
        let mut source = File::open(from).map_err(unreadable)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = rustix::fs::openat(&parent, temporary.as_str(), flags, Mode::from_raw_mode(0o600))
            .map_err(failed("create", to))?;
        let mut target = File::from(target);
        io::copy(&mut source, &mut target).map_err(|source| SyncError {
            verb: "write",
            path: to.to_owned(),
            source,
        })?;
        rustix::fs::fchown(&target, Some(owner), Some(group)).map_err(failed("chown", to))?;
        rustix::fs::fchmod(&target, mode).map_err(failed("chmod", to))?;
    } else {
        return Ok(());
    }
    rustix::fs::renameat(&parent, temporary.as_str(), &parent, &name).map_err(failed("replace", to))
}

/// Removes what is at `to`, with everything below.
pub fn remove(root: impl AsFd, to: &Path) -> Result<(), SyncError> {
    let (directory, name) = split(to)?;
    let parent = match rustix::fs::openat2(
        &root,
        &directory,
        OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        INSIDE,
    ) {
        Ok(parent) => parent,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(()),
        Err(errno) => return Err(failed("open", to)(errno)),
    };
    remove_entry(parent.as_fd(), &name, to)
}

fn remove_entry(parent: std::os::fd::BorrowedFd<'_>, name: &OsStr, shown: &Path) -> Result<(), SyncError> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(rustix::io::Errno::ISDIR | rustix::io::Errno::PERM) => {}
        Err(errno) => return Err(failed("remove", shown)(errno)),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(failed("open", shown))?;
    for entry in Dir::read_from(&directory).map_err(failed("read", shown))? {
        let entry = entry.map_err(failed("read", shown))?;
        let bytes = entry.file_name().to_bytes();
        if bytes != b"." && bytes != b".." {
            remove_entry(
                directory.as_fd(),
                std::os::unix::ffi::OsStrExt::from_bytes(bytes),
                shown,
            )?;
        }
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(failed("remove", shown))
}

fn split(to: &Path) -> Result<(PathBuf, std::ffi::OsString), SyncError> {
    let no_name = || SyncError {
        verb: "replace",
        path: to.to_owned(),
        source: io::ErrorKind::InvalidInput.into(),
    };
    let name = to.file_name().ok_or_else(no_name)?.to_owned();
    Ok((to.parent().unwrap_or(Path::new("/")).to_owned(), name))
}

/// The directory that `to` stands in, made with its parents when missing, and the last name.
fn parent_directory(
    root: std::os::fd::BorrowedFd<'_>,
    to: &Path,
) -> Result<(OwnedFd, std::ffi::OsString), SyncError> {
    let (directory, name) = split(to)?;
    let open = |path: &Path| {
        rustix::fs::openat2(
            root,
            path,
            OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            INSIDE,
        )
    };
    match open(&directory) {
        Ok(parent) => return Ok((parent, name)),
        Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(failed("open", &directory)(errno)),
    }
    let mut path = PathBuf::from("/");
    let mut parent = open(&path).map_err(failed("open", &path))?;
    for component in directory.components() {
        let Component::Normal(part) = component else {
            continue;
        };
        path.push(part);
        parent = match open(&path) {
            Ok(next) => next,
            Err(rustix::io::Errno::NOENT) => {
                rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755))
                    .map_err(failed("create", &path))?;
                open(&path).map_err(failed("open", &path))?
            }
            Err(errno) => return Err(failed("open", &path)(errno)),
        };
    }
    Ok((parent, name))
}

/// Whether the entry at `path` inside the root is a directory.
pub fn is_directory(root: impl AsFd, path: &Path) -> bool {
    rustix::fs::openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), INSIDE)
        .and_then(|entry| rustix::fs::fstat(&entry))
        .is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_directories_and_links_arrive_and_leave() {
        let (host, root) = (
            tempfile::tempdir().expect("directory"),
            tempfile::tempdir().expect("directory"),
        );
        fs::create_dir_all(host.path().join("src/deep")).expect("directory");
        fs::write(host.path().join("src/deep/a"), "one").expect("write");
        symlink("deep/a", host.path().join("src/link")).expect("link");
        let directory = File::open(root.path()).expect("open");
        copy(&directory, &host.path().join("src"), Path::new("/app/src")).expect("copies");
        assert_eq!(
            fs::read_to_string(root.path().join("app/src/link")).expect("read"),
            "one"
        );
        fs::write(host.path().join("src/deep/a"), "two").expect("write");
        copy(
            &directory,
            &host.path().join("src/deep/a"),
            Path::new("/app/src/deep/a"),
        )
        .expect("copies");
        assert_eq!(
            fs::read_to_string(root.path().join("app/src/deep/a")).expect("read"),
            "two"
        );
        assert!(
            is_directory(&directory, Path::new("/app/src"))
                && !is_directory(&directory, Path::new("/app/none"))
        );
        remove(&directory, Path::new("/app")).expect("removes");
        remove(&directory, Path::new("/app/src/deep/a")).expect("absence is success");
        assert!(!root.path().join("app").exists());
    }

    #[test]
    fn links_inside_the_root_never_lead_out() {
        let (host, root, outside) = (
            tempfile::tempdir().expect("directory"),
            tempfile::tempdir().expect("directory"),
            tempfile::tempdir().expect("directory"),
        );
        fs::write(host.path().join("a"), "x").expect("write");
        fs::write(outside.path().join("keep"), "x").expect("write");
        symlink(outside.path(), root.path().join("out")).expect("link");
        symlink("../../../../../..", root.path().join("up")).expect("link");
        let directory = File::open(root.path()).expect("open");
        // Resolved inside the root, the absolute link points at a directory that is not there.
        assert!(copy(&directory, &host.path().join("a"), Path::new("/out/a")).is_err());
        remove(&directory, Path::new("/out/keep")).expect("nothing there");
        copy(&directory, &host.path().join("a"), Path::new("/up/a")).expect("`..` stops at the root");
        assert!(
            root.path().join("a").exists()
                && outside.path().join("keep").exists()
                && !outside.path().join("a").exists()
        );
    }
}
