//! In: process descriptors. Out: signals sent by number, and the exit status of processes that are not our children.
//! **Invariant:** a process is never named by its id here, so a recycled id is never hit.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::check;

/// Sends a signal by number, real-time ones included (`pidfd_send_signal(2)`).
///
/// # Errors
/// `ESRCH` when the process has ended; else errno of `pidfd_send_signal(2)`.
pub fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let information = ptr::null::<libc::siginfo_t>();
    // SAFETY: no memory is passed; the descriptor is borrowed for the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            information,
            0,
        )
    })
    .map(drop)
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By exit(2) with this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

impl Ended {
    /// From the status word of wait(2).
    pub fn from_wait_status(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            Self::Exited(libc::WEXITSTATUS(status))
        } else {
            Self::Signaled(libc::WTERMSIG(status))
        }
    }

    /// A shell's convention: the code, or 128 and the signal's number.
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
        }
    }
}

/// First published layout of `struct pidfd_info` (linux/pidfd.h).
#[repr(C)]
#[derive(Default)]
struct PidfdInformation {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)` with the first layout's 64 bytes.
const PIDFD_GET_INFO: libc::c_ulong = 0xC040_FF0B;

/// How a process ended that need not be our child, and that somebody else may have reaped: needs a descriptor opened while it lived and
/// Linux 6.15. None when it still runs or the kernel cannot tell.
pub fn exit_status(process: BorrowedFd<'_>) -> Option<Ended> {
    let mut information = PidfdInformation {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInformation::default()
    };
    let address = ptr::from_mut(&mut information);
    // SAFETY: the request's size field says 64 bytes, which is what the structure has; it lives on our stack.
    check(libc::c_long::from(unsafe {
        libc::ioctl(process.as_raw_fd(), PIDFD_GET_INFO, address)
    }))
    .ok()?;
    (information.mask & PIDFD_INFO_EXIT != 0).then(|| Ended::from_wait_status(information.exit_code))
}
