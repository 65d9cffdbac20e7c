//! In: a directory of marks. Out: the host's root as one read-only layer without what the marks hide.
//! Overlay refuses a layer that lies inside another one, and everything of the store lies inside `/`: so the host's root becomes an overlay
//! of its own, a file system apart, that others stand on.
//! **Invariant:** only for a mount namespace that nobody else is in; nothing of the host is written.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::thread;

use rcompose_sys::process::{flag, unshare};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, XattrFlags, fchmod, fchown, fgetxattr, fsetxattr, fstat,
    makedev, mkdirat, mknodat, openat, statat,
};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};

use crate::message::{Stage, StartError};
use crate::mount::{attach, new_filesystem};
use crate::rootfs::{Layers, open_directory};

/// What a list of layers ends with when they stand on the host, after a directory of marks.
const ROOT: &str = "/";
/// overlay's mark of a directory that shows nothing from below (kernel, overlayfs.rst).
const OPAQUE: &str = "trusted.overlay.opaque";

/// The host's root as a layer.
pub(crate) struct HostBase {
    marks: OwnedFd,
    root: OwnedFd,
}

impl HostBase {
    /// Takes the host off a list of layers that stands on it: the layers, and what they stand on.
    pub(crate) fn split(lower: &[String]) -> Result<(&[String], Option<Self>), StartError> {
        match lower {
            [layers @ .., marks, root] if root == ROOT => {
                let base = Self {
                    marks: open_directory(marks)?,
                    root: open_directory(root)?,
                };
                Ok((layers, Some(base)))
            }
            layers => Ok((layers, None)),
        }
    }

    /// Mounts it over the directory of marks: older kernels take no layer from a mount that is nowhere (before Linux 6.15).
    pub(crate) fn mount(&self) -> Result<OwnedFd, StartError> {
        let step = "mount the host's root as a layer";
        // The marks lie inside the host's root, too: they need a file system of their own.
        let marks = new_filesystem("tmpfs", &[], 0).stage(step)?;
        copy_marks(self.marks.as_fd(), marks.as_fd()).stage(step)?;
        attach(marks.as_fd(), self.marks.as_fd()).stage(step)?;
        let root = self
            .root
            .try_clone()
            .map_err(|error| StartError::refused(step, error.to_string()))?;
        let base = Layers::of_opened(vec![marks, root]);
        let mounted = base.mount()?;
        attach(mounted.as_fd(), self.marks.as_fd()).stage(step)?;
        Ok(mounted)
    }
}

/// Directories with their modes, owners and opacity; everything else is a mark that hides a name.
fn copy_marks(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let readable = |directory: BorrowedFd<'_>| openat(directory, ".", flags, Mode::empty());
    let (from, to) = (readable(from)?, readable(to)?);
    let status = fstat(&from)?;
    fchown(
        &to,
        Some(Uid::from_raw(status.st_uid)),
        Some(Gid::from_raw(status.st_gid)),
    )?;
    fchmod(&to, Mode::from_raw_mode(status.st_mode & 0o7777))?;
    if fgetxattr(&from, OPAQUE, &mut [0_u8; 1]).is_ok() {
        fsetxattr(&to, OPAQUE, b"y", XattrFlags::empty())?;
    }
    for entry in Dir::read_from(&from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let status = statat(&from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
            mkdirat(&to, name, Mode::RWXU)?;
            let below = |directory: &OwnedFd| openat(directory, name, flags, Mode::empty());
            copy_marks(below(&from)?.as_fd(), below(&to)?.as_fd())?;
        } else {
            mknodat(&to, name, FileType::CharacterDevice, Mode::empty(), makedev(0, 0))?;
        }
    }
    Ok(())
}

/// Layers that stand on the host (top-most first, then the directory of marks, then `/`) as a detached tree to read from. It is made by a
/// thread in a mount namespace of its own, which is gone afterwards.
///
/// # Errors
/// A layer cannot be opened, or the kernel does not mount it.
pub fn tree(lower: &[PathBuf]) -> io::Result<OwnedFd> {
    let named = |path: &PathBuf| {
        path.to_str()
            .map(str::to_owned)
            .ok_or(io::ErrorKind::InvalidInput)
    };
    let lower: Vec<String> = lower.iter().map(named).collect::<Result<_, _>>()?;
    let made = thread::scope(|scope| {
        let apart = scope.spawn(|| -> io::Result<OwnedFd> {
            unshare(flag::NEW_MOUNT)?;
            mount_change(ROOT, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
            let layers = Layers::open_read_only(&lower).map_err(io::Error::other)?;
            layers.mount().map_err(io::Error::other)
        });
        apart.join()
    });
    made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::beneath;

    /// Layers of the test's own on the host: marks hide, layers show and hide, and the host has no mount more than before.
    #[test]
    fn layers_of_the_host_stand_on_the_host() {
        let directory = std::env::temp_dir().join(format!("rcompose-base-{}", std::process::id()));
        let (marks, layer) = (directory.join("marks"), directory.join("layer"));
        fs::create_dir_all(marks.join("etc")).unwrap();
        fs::create_dir_all(marks.join("usr")).unwrap();
        fs::create_dir_all(layer.join("etc")).unwrap();
        let whiteout = |path: &Path| {
            let device = FileType::CharacterDevice;
            mknodat(rustix::fs::CWD, path, device, Mode::empty(), makedev(0, 0)).unwrap();
        };
        whiteout(&marks.join("etc/passwd"));
        let usr = fs::File::open(marks.join("usr")).unwrap();
        fsetxattr(&usr, OPAQUE, b"y", XattrFlags::empty()).unwrap();
        fs::set_permissions(marks.join("usr"), fs::Permissions::from_mode(0o711)).unwrap();
        whiteout(&layer.join("etc/group"));
        fs::write(layer.join("etc/added"), "of the layer").unwrap();
        let mounts = || {
            fs::read_to_string("/proc/self/mountinfo")
                .unwrap()
                .lines()
                .count()
        };
        let before = mounts();

        for lower in [
            vec![layer, marks.clone(), "/".into()],
            vec![marks.clone(), "/".into()],
        ] {
            let tree = tree(&lower).unwrap();
            let has = |path: &str| beneath::open(tree.as_fd(), path, OFlags::PATH).is_ok();
            assert!(has("etc/hosts") && !has("etc/passwd") && !has("usr/bin"));
            assert_eq!(has("etc/group"), lower.len() == 2);
            assert_eq!(has("etc/added"), lower.len() == 3);
            let usr = beneath::open(tree.as_fd(), "usr", OFlags::PATH).unwrap();
            assert_eq!(fstat(&usr).unwrap().st_mode & 0o7777, 0o711);
            let refused = openat(&tree, "etc/new", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR);
            assert!(refused.is_err(), "it is to read from");
        }
        assert_eq!(mounts(), before);
        assert_eq!(
            fs::read_dir(&marks).unwrap().count(),
            2,
            "the marks are where they were"
        );
        fs::remove_dir_all(directory).unwrap();
    }
}
