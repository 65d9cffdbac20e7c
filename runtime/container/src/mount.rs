//! In: file-system names, options, descriptors. Out: detached mounts, attached by descriptor.
//! **Invariant:** a failed operation on a descriptor is an error; nothing is tried again by path.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rcompose_sys::mount::{Propagation, set_attributes};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

pub(crate) use rcompose_sys::mount::attribute;

/// A new instance of a file system; options without a value are flags.
pub(crate) fn new_filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: u64,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        if value.is_empty() {
            fsconfig_set_flag(context.as_fd(), *key)?;
        } else {
            fsconfig_set_string(context.as_fd(), *key, *value)?;
        }
    }
    mount_context(context.as_fd(), attributes)
}

/// Makes the mount of a configured context.
pub(crate) fn mount_context(context: BorrowedFd<'_>, attributes: u64) -> Result<OwnedFd, Errno> {
    fsconfig_create(context)?;
    let attributes = MountAttrFlags::from_bits_retain(u32::try_from(attributes).map_err(|_| Errno::INVAL)?);
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Attaches a detached mount on what `target` is.
pub(crate) fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", target, c"", flags)
}

/// A detached copy of the mount that shows what `source` is, with the mounts below when `recursive`.
pub(crate) fn copy(source: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(source, c"", flags)
}

/// Makes a mount read-only, with those below when `recursive`.
pub(crate) fn make_read_only(mount: BorrowedFd<'_>, recursive: bool) -> std::io::Result<()> {
    set_attributes(mount, attribute::READ_ONLY, Propagation::Unchanged, recursive)
}
