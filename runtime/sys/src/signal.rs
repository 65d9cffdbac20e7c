//! In: signal numbers. Out: dispositions and mask as a fresh process expects them, and signals read from a descriptor.
//! **Invariant:** no handler of ours is ever installed: signals are read, not handled.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::check;

/// Bytes of the kernel's signal set: 64 signals.
const KERNEL_SET_SIZE: usize = 8;
/// Highest signal number.
const LAST_SIGNAL: i32 = 64;

/// The bit of `signal` in a kernel signal set.
fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn set_mask(how: libc::c_int, set: u64) -> io::Result<()> {
    let address = ptr::from_ref(&set);
    let old = ptr::null_mut::<u64>();
    // SAFETY: the set is read only and has the size that is passed; the raw call also reaches the two signals libc keeps for itself.
    check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, address, old, KERNEL_SET_SIZE) }).map(drop)
}

/// Blocks these signals in the calling thread.
///
/// # Errors
/// errno of sigprocmask(2).
pub fn block(signals: &[i32]) -> io::Result<()> {
    set_mask(
        libc::SIG_BLOCK,
        signals.iter().fold(0, |set, signal| set | bit(*signal)),
    )
}

/// Blocks every signal that can be blocked.
///
/// # Errors
/// errno of sigprocmask(2).
pub fn block_all() -> io::Result<()> {
    set_mask(libc::SIG_SETMASK, u64::MAX)
}

/// Every disposition back to its default and an empty mask: std ignores SIGPIPE, and a blocked or ignored signal would survive execve.
///
/// # Errors
/// errno of sigprocmask(2).
pub fn reset_to_defaults() -> io::Result<()> {
    for signal in 1..=LAST_SIGNAL {
        set_disposition(signal, libc::SIG_DFL);
    }
    set_mask(libc::SIG_SETMASK, 0)
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    set_disposition(signal, libc::SIG_IGN);
}

fn set_disposition(signal: i32, disposition: libc::sighandler_t) {
    // SAFETY: SIG_DFL and SIG_IGN run no code of ours; SIGKILL, SIGSTOP and libc's own two are refused, which is what we want.
    unsafe { libc::signal(signal, disposition) };
}

/// One signal, as signalfd(2) tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub signal: i32,
    /// The process that sent it, or for SIGCHLD the child.
    pub pid: i32,
    /// For SIGCHLD: exit status or signal.
    pub status: i32,
}

/// Blocks `signals` and opens a close-on-exec descriptor they are read from; not blocking when `nonblocking`.
///
/// # Errors
/// errno of sigprocmask(2) or signalfd(2).
pub fn descriptor(signals: &[i32], nonblocking: bool) -> io::Result<OwnedFd> {
    block(signals)?;
    let set = signals.iter().fold(0, |set, signal| set | bit(*signal));
    let address = ptr::from_ref(&set);
    let flags = libc::SFD_CLOEXEC | if nonblocking { libc::SFD_NONBLOCK } else { 0 };
    // SAFETY: the set is read only and has the size that is passed.
    let opened = check(unsafe { libc::syscall(libc::SYS_signalfd4, -1, address, KERNEL_SET_SIZE, flags) })?;
    // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened as i32) })
}

/// The next signal of a descriptor made by [`descriptor`]; none when it does not block and has none.
///
/// # Errors
/// errno of read(2).
pub fn next(signals: BorrowedFd<'_>) -> io::Result<Option<Received>> {
    let mut information = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    let size = size_of::<libc::signalfd_siginfo>();
    loop {
        // SAFETY: the buffer has the size that is passed.
        let read = check(
            unsafe { libc::read(signals.as_raw_fd(), information.as_mut_ptr().cast(), size) } as libc::c_long,
        );
        match read {
            Ok(count) if count as usize == size => break,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // SAFETY: zeroed first and filled by the kernel; every bit pattern is valid for its integers.
    let information = unsafe { information.assume_init() };
    Ok(Some(Received {
        signal: information.ssi_signo as i32,
        pid: information.ssi_pid as i32,
        status: information.ssi_status,
    }))
}
