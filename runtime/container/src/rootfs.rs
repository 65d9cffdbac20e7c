//! In: layer directories of the host. Out: the overlay that becomes `/`, and the change into it.
//! **Invariant:** layers are opened once and given to the kernel as descriptors, so no layer's name is parsed as an overlay option.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, fstatfs, open, openat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsOpenFlags, UnmountFlags, fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsopen, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::host_base::HostBase;
use crate::message::{Stage, StartError};
use crate::mount::{copy, mount_context};
use crate::spec::RootfsSpec;

/// statfs(2) type of an overlay.
const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;

/// The opened directories of a root file system.
pub(crate) struct Layers {
    lower: Vec<OwnedFd>,
    /// What they stand on.
    host: Option<HostBase>,
    /// The container's own layer, and the overlay's scratch directory.
    writable: Option<(OwnedFd, OwnedFd)>,
}

pub(crate) fn open_directory(path: &str) -> Result<OwnedFd, StartError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).stage_of("open the layer", path)
}

impl Layers {
    /// Opens the directories of a container's root.
    pub(crate) fn open(spec: &RootfsSpec) -> Result<Self, StartError> {
        let writable = Some((open_directory(&spec.upper)?, open_directory(&spec.work)?));
        Ok(Self {
            writable,
            ..Self::open_read_only(&spec.lower)?
        })
    }

    /// Opens read-only layers alone.
    pub(crate) fn open_read_only(lower: &[String]) -> Result<Self, StartError> {
        let (lower, host) = HostBase::split(lower)?;
        let lower = lower
            .iter()
            .map(|path| open_directory(path))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            lower,
            host,
            writable: None,
        })
    }

    /// Read-only layers that are open.
    pub(crate) fn of_opened(lower: Vec<OwnedFd>) -> Self {
        Self {
            lower,
            host: None,
            writable: None,
        }
    }

    /// The scratch directory, which nothing in the mount namespace needs any more once the overlay is made: a place to attach it at.
    pub(crate) fn work(&self) -> Option<BorrowedFd<'_>> {
        self.writable.as_ref().map(|(_, work)| work.as_fd())
    }

    /// The container's own layer: a second such place.
    pub(crate) fn upper(&self) -> Option<BorrowedFd<'_>> {
        self.writable.as_ref().map(|(upper, _)| upper.as_fd())
    }

    /// Mounts them as one tree, detached. Layers that stand on the host need a mount namespace that is cut off from the host's.
    pub(crate) fn mount(&self) -> Result<OwnedFd, StartError> {
        let host = self.host.as_ref().map(HostBase::mount).transpose()?;
        let lower: Vec<BorrowedFd<'_>> = self.lower.iter().chain(&host).map(AsFd::as_fd).collect();
        if let ([only], None) = (lower.as_slice(), &self.writable) {
            // An overlay without an upper layer wants at least two.
            return copy(*only, false).stage("mount the single layer");
        }
        if let Some((_, work)) = &self.writable {
            forget_last_use(work.as_fd()).stage("clear the mark of the overlay's last use")?;
        }
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).stage("mount the overlay")?;
        let mounted = match self.set_by_descriptor(context.as_fd(), &lower) {
            // Before Linux 6.13 the overlay takes no descriptors.
            Err(Errno::INVAL) => self.mount_by_number(&lower),
            Ok(()) => self.finish(context.as_fd()),
            Err(errno) => Err(errno),
        };
        mounted.map_err(|errno| {
            let detail = match self.upper().map(fstatfs) {
                Some(Ok(status)) if u64::try_from(status.f_type) == Ok(OVERLAYFS_SUPER_MAGIC) => {
                    "the data root lies on an overlay itself; set RCOMPOSE_DATA_ROOT to a directory of another file system".to_owned()
                }
                _ => kernel_messages(context.as_fd()),
            };
            StartError::new("mount the overlay", errno.raw_os_error(), detail)
        })
    }

    fn set_by_descriptor(&self, context: BorrowedFd<'_>, lower: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        for layer in lower {
            fsconfig_set_fd(context, "lowerdir+", layer)?;
        }
        if let Some((upper, work)) = &self.writable {
            fsconfig_set_fd(context, "upperdir", upper)?;
            fsconfig_set_fd(context, "workdir", work)?;
        }
        Ok(())
    }

    /// The older way: one list of the descriptors' numbers, resolved in `/proc/self/fd`. Short names, because an option may have 255 bytes.
    fn mount_by_number(&self, lower: &[BorrowedFd<'_>]) -> Result<OwnedFd, Errno> {
        chdir("/proc/self/fd")?;
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let numbers: Vec<String> = lower.iter().map(|layer| layer.as_raw_fd().to_string()).collect();
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

/// What the kernel has to say about a context that failed, one message a read (`e overlay: …`).
fn kernel_messages(context: BorrowedFd<'_>) -> String {
    let mut messages = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length) = rustix::io::read(context, &mut buffer) {
        let message = String::from_utf8_lossy(&buffer[..length]);
        messages.push(message.trim().trim_start_matches("e ").to_owned());
        if length == 0 || messages.len() > 8 {
            break;
        }
    }
    messages.join("; ")
}

/// A volatile overlay leaves `work/incompat/volatile/dirty`, also when it is unmounted in order, and the kernel refuses the directory until that is
/// gone (overlayfs.rst, "Volatile mount"). The layer itself is whole as long as the host did not crash; after a crash it is what was written.
fn forget_last_use(work: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let below = |directory: BorrowedFd<'_>, name: &str| openat(directory, name, flags, Mode::empty());
    let incompatible = match below(work, "work").and_then(|inner| below(inner.as_fd(), "incompat")) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let volatile = match below(incompatible.as_fd(), "volatile") {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    match unlinkat(&volatile, "dirty", AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => unlinkat(&incompatible, "volatile", AtFlags::REMOVEDIR),
        Err(errno) => Err(errno),
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::beneath;

    #[test]
    fn both_ways_of_naming_layers_make_the_same_overlay() {
        let directory = std::env::temp_dir().join(format!("rcompose-rootfs-{}", std::process::id()));
        let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        for (name, file) in [
            ("top:most", "same"),
            ("bottom,er", "same"),
            ("bottom,er", "lower"),
        ] {
            fs::create_dir_all(path(name)).unwrap();
            fs::write(directory.join(name).join(file), name).unwrap();
        }
        fs::create_dir_all(path("upper")).unwrap();
        fs::create_dir_all(path("work")).unwrap();
        let spec = RootfsSpec {
            lower: vec![path("top:most"), path("bottom,er")],
            upper: path("upper"),
            work: path("work"),
            read_only: false,
        };
        let layers = Layers::open(&spec).unwrap();
        for by_number in [false, true] {
            forget_last_use(layers.work().unwrap()).unwrap();
            let before = std::env::current_dir().unwrap();
            let root = if by_number {
                let lower: Vec<_> = layers.lower.iter().map(AsFd::as_fd).collect();
                layers.mount_by_number(&lower).unwrap()
            } else {
                layers.mount().unwrap()
            };
            std::env::set_current_dir(before).unwrap();
            for (file, expected) in [("same", "top:most"), ("lower", "bottom,er")] {
                let opened = beneath::open(root.as_fd(), file, OFlags::RDONLY).unwrap();
                assert_eq!(std::io::read_to_string(File::from(opened)).unwrap(), expected);
            }
        }
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn an_overlay_that_fails_says_why() {
        let read_only =
            crate::mount::new_filesystem("tmpfs", &[], crate::mount::attribute::READ_ONLY).unwrap();
        let path = format!("/proc/self/fd/{}", read_only.as_raw_fd());
        let spec = RootfsSpec {
            lower: vec!["/usr".into()],
            upper: path.clone(),
            work: path,
            read_only: false,
        };
        let error = Layers::open(&spec).unwrap().mount().unwrap_err();
        assert!(error.detail.contains("read-only"), "{error}");
    }
}
