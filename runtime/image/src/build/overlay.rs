//! In: layers. Out: their merged tree to read from, as a detached mount: a descriptor that no path of the host leads to.
//! **Invariant:** every path below it is resolved by openat2 inside it; nothing is ever mounted where others see it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

/// Inside the tree whatever links say.
pub(crate) const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// A merged tree. Its root is the descriptor.
#[derive(Debug)]
pub(crate) struct Tree(OwnedFd);

impl Tree {
    /// What a step starts from: its layers (top-most first), or the empty directory of its changes when there is none.
    pub(crate) fn image(lower: &[PathBuf], upper: &Path) -> io::Result<Self> {
        match lower {
            [] => Ok(Self(open_directory(upper)?)),
            layers => Self::readable(layers),
        }
    }

    /// Layers (top-most first) to read from; without any it is empty. Those that end in a directory of marks and `/` stand on the host.
    pub(crate) fn readable(lower: &[PathBuf]) -> io::Result<Self> {
        match lower {
            [] => mounted("tmpfs", &[]).map(Self),
            [single] => Ok(Self(open_directory(single)?)),
            [.., root] if root == Path::new("/") => rcompose_container::host_base::tree(lower).map(Self),
            several => mounted("overlay", several).map(Self),
        }
    }

    /// A plain directory of the host as a tree.
    pub(crate) fn directory(path: &Path) -> io::Result<Self> {
        Ok(Self(open_directory(path)?))
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Opens a path inside, following links inside.
    pub(crate) fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        Ok(rustix::fs::openat2(
            &self.0,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            INSIDE,
        )?)
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// A file system that is mounted nowhere.
fn mounted(kind: &str, lower: &[PathBuf]) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    for layer in lower {
        // One option a layer, so that no path is ever split at `:` (Linux 6.5).
        fsconfig_set_string(context, "lowerdir+", layer)?;
    }
    fsconfig_create(context)?;
    Ok(fsmount(
        context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )?)
}
