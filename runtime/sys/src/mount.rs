//! In: a mount by its descriptor, and attributes. Out: the changed mount (`mount_setattr(2)`, Linux 5.12).
//! **Invariant:** mounts are named by descriptors only, never by paths.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::check;

/// Attributes of linux/mount.h.
pub mod attribute {
    /// Nothing may be written.
    pub const READ_ONLY: u64 = 0x1;
    /// Set-user-id bits and file capabilities do nothing.
    pub const NO_SUID: u64 = 0x2;
    /// Device nodes do nothing.
    pub const NO_DEVICES: u64 = 0x4;
    /// Nothing may be executed.
    pub const NO_EXEC: u64 = 0x8;
}

/// How events of mounting travel (`mount_namespaces(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// As it is.
    Unchanged,
    /// Not at all.
    Private,
    /// From the origin.
    Slave,
    /// Both ways.
    Shared,
}

const AT_EMPTY_PATH: libc::c_int = 0x1000;
const AT_RECURSIVE: libc::c_int = 0x8000;

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Sets attributes and the propagation of the mount `mount` is the root of, with those below it when `recursive`.
///
/// # Errors
/// errno of `mount_setattr(2)`.
pub fn set_attributes(
    mount: BorrowedFd<'_>,
    set: u64,
    propagation: Propagation,
    recursive: bool,
) -> io::Result<()> {
    let attributes = MountAttributes {
        set,
        clear: 0,
        propagation: match propagation {
            Propagation::Unchanged => 0,
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Shared => libc::MS_SHARED,
        },
        user_namespace: 0,
    };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    let address = ptr::from_ref(&attributes);
    // SAFETY: the structure is complete and only read; the path is an empty static string, so the descriptor alone names the mount.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            address,
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
}
