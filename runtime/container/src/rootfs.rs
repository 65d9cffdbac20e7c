//! In: layer directories of the host. Out: the overlay that becomes `/`, and the change into it.
//! **Invariant:** layers are opened once and given to the kernel as descriptors, so no layer's name is parsed as an overlay option.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, open, openat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsOpenFlags, UnmountFlags, fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsopen, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::message::{Stage, StartError};
use crate::mount::{copy, mount_context};
use crate::spec::RootfsSpec;

/// The opened directories of a root file system.
pub(crate) struct Layers {
    lower: Vec<OwnedFd>,
    /// The container's own layer, and the overlay's scratch directory.
    writable: Option<(OwnedFd, OwnedFd)>,
}

fn open_directory(path: &str) -> Result<OwnedFd, StartError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).stage_of("open the layer", path)
}

impl Layers {
    /// Opens the directories of a container's root.
    pub(crate) fn open(spec: &RootfsSpec) -> Result<Self, StartError> {
        let lower = spec
            .lower
            .iter()
            .map(|path| open_directory(path))
            .collect::<Result<_, _>>()?;
        let writable = Some((open_directory(&spec.upper)?, open_directory(&spec.work)?));
        Ok(Self { lower, writable })
    }

    /// Opens read-only layers alone.
    pub(crate) fn open_read_only(lower: &[String]) -> Result<Self, StartError> {
        let lower = lower
            .iter()
            .map(|path| open_directory(path))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            lower,
            writable: None,
        })
    }

    /// The scratch directory, which nothing in the mount namespace needs any more once the overlay is made: a place to attach it at.
    pub(crate) fn work(&self) -> Option<BorrowedFd<'_>> {
        self.writable.as_ref().map(|(_, work)| work.as_fd())
    }

    /// The container's own layer: a second such place.
    pub(crate) fn upper(&self) -> Option<BorrowedFd<'_>> {
        self.writable.as_ref().map(|(upper, _)| upper.as_fd())
    }

    /// Mounts them as one tree, detached.
    pub(crate) fn mount(&self) -> Result<OwnedFd, StartError> {
        if let ([only], None) = (self.lower.as_slice(), &self.writable) {
            // An overlay without an upper layer wants at least two.
            return copy(only.as_fd(), false).stage("mount the single layer");
        }
        if let Some((_, work)) = &self.writable {
            forget_unclean_end(work.as_fd()).stage("clear the mark of an unclean end of the overlay")?;
        }
        match self.mount_by_descriptor() {
            // Before Linux 6.13 the overlay takes no descriptors.
            Err(Errno::INVAL) => self.mount_by_number().stage("mount the overlay"),
            other => other.stage("mount the overlay"),
        }
    }

    fn mount_by_descriptor(&self) -> Result<OwnedFd, Errno> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for layer in &self.lower {
            fsconfig_set_fd(context.as_fd(), "lowerdir+", layer)?;
        }
        if let Some((upper, work)) = &self.writable {
            fsconfig_set_fd(context.as_fd(), "upperdir", upper)?;
            fsconfig_set_fd(context.as_fd(), "workdir", work)?;
        }
        self.finish(context.as_fd())
    }

    /// The older way: one list of the descriptors' numbers, resolved in `/proc/self/fd`. Short names, because an option may have 255 bytes.
    fn mount_by_number(&self) -> Result<OwnedFd, Errno> {
        chdir("/proc/self/fd")?;
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let numbers: Vec<String> = self
            .lower
            .iter()
            .map(|layer| layer.as_raw_fd().to_string())
            .collect();
        fsconfig_set_string(context.as_fd(), "lowerdir", numbers.join(":"))?;
        if let Some((upper, work)) = &self.writable {
            fsconfig_set_string(context.as_fd(), "upperdir", upper.as_raw_fd().to_string())?;
            fsconfig_set_string(context.as_fd(), "workdir", work.as_raw_fd().to_string())?;
        }
        self.finish(context.as_fd())
    }

    fn finish(&self, context: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        if self.writable.is_some() {
            // No syncing of a layer that a crash of the host may cost anyway; Linux 5.10, without it the mount is only slower.
            let _ = fsconfig_set_flag(context, "volatile");
        }
        mount_context(context, 0)
    }
}

/// A volatile overlay that was not unmounted cleanly leaves `work/incompat/volatile`, and the kernel refuses the directory until it is gone
/// (overlayfs.rst, "Volatile mount"). The layer itself is whole as long as the host did not crash; after a crash it is what was written.
fn forget_unclean_end(work: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let removed = openat(work, "work", flags, Mode::empty())
        .and_then(|inner| openat(inner, "incompat", flags, Mode::empty()))
        .and_then(|incompatible| unlinkat(incompatible, "volatile", AtFlags::REMOVEDIR));
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Makes `root` the root of the mount namespace and forgets the old one.
pub(crate) fn enter(root: BorrowedFd<'_>) -> Result<(), StartError> {
    fchdir(root).stage("change into the new root")?;
    // The old root ends up mounted on top of the new one, at the same place, and is taken off there (pivot_root(2)).
    pivot_root(".", ".").stage("exchange the roots")?;
    unmount(".", UnmountFlags::DETACH).stage("detach the old root")?;
    chdir("/").stage("change into the new root")
}

/// The host's null device, verified to be that, for hiding files behind it.
pub(crate) fn null_device() -> Result<OwnedFd, StartError> {
    let null = File::options()
        .read(true)
        .open("/dev/null")
        .stage("open /dev/null")?;
    let status = rustix::fs::fstat(&null).stage("look at /dev/null")?;
    let is_null = rustix::fs::FileType::from_raw_mode(status.st_mode)
        == rustix::fs::FileType::CharacterDevice
        && status.st_rdev == rustix::fs::makedev(1, 3);
    if is_null {
        Ok(null.into())
    } else {
        Err(StartError::refused(
            "open /dev/null",
            "the host's /dev/null is no null device",
        ))
    }
}
