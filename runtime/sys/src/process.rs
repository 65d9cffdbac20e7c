//! In: namespace flags, a control group, a program. Out: a child process, or a replaced one.
//! **Invariant:** a child is never made from a process with more than one thread: another thread's locks would stay locked in it for ever.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::check;

/// Flags of clone3(2) and unshare(2) that start a new namespace.
pub mod flag {
    /// Mount points.
    pub const NEW_MOUNT: u64 = 0x0002_0000;
    /// Control-group root.
    pub const NEW_CGROUP: u64 = 0x0200_0000;
    /// Host and domain name.
    pub const NEW_UTS: u64 = 0x0400_0000;
    /// System V IPC and POSIX queues.
    pub const NEW_IPC: u64 = 0x0800_0000;
    /// User and group ids.
    pub const NEW_USER: u64 = 0x1000_0000;
    /// Process ids.
    pub const NEW_PID: u64 = 0x2000_0000;
    /// Network.
    pub const NEW_NETWORK: u64 = 0x4000_0000;
    /// Boot and monotonic clocks; clone3 only, Linux 5.6.
    pub const NEW_TIME: u64 = 0x0000_0080;
    /// The child becomes the caller's sibling.
    pub const PARENT: u64 = 0x0000_8000;
}

const CLONE_PIDFD: u64 = 0x0000_1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of linux/sched.h, as of Linux 5.7.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Which side of a [`clone3`] is running.
#[derive(Debug)]
pub enum Cloned {
    /// The new process.
    Child,
    /// The caller.
    Parent {
        /// The child's process id as the caller sees it.
        pid: i32,
        /// The child's process descriptor, close-on-exec.
        pidfd: OwnedFd,
    },
}

/// Set in children: they have one thread by construction.
static SINGLE_THREADED_CHILD: AtomicBool = AtomicBool::new(false);

/// Whether the calling process has exactly one thread (`nlink` of `/proc/self/task` is two and their number).
pub fn is_single_threaded() -> bool {
    SINGLE_THREADED_CHILD.load(Ordering::Relaxed)
        || rustix::fs::stat("/proc/self/task").is_ok_and(|task| task.st_nlink == 3)
}

/// clone3(2) without shared memory, the child in `cgroup` (a version-2 directory) when one is given. `SIGCHLD` tells of its end
/// (with [`flag::PARENT`] the caller's parent is told as the caller's own end would be).
///
/// # Errors
/// `EDEADLK` when the process has several threads; else errno of clone3(2), `EINVAL` among them for a namespace the kernel lacks.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    if !is_single_threaded() {
        return Err(io::Error::from_raw_os_error(libc::EDEADLK));
    }
    let mut pidfd: libc::c_int = -1;
    let mut arguments = CloneArguments {
        flags: flags | CLONE_PIDFD,
        pidfd: ptr::from_mut(&mut pidfd) as u64,
        exit_signal: if flags & flag::PARENT == 0 {
            libc::SIGCHLD as u64
        } else {
            0
        },
        ..CloneArguments::default()
    };
    if let Some(directory) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = directory.as_raw_fd() as u64;
    }
    let arguments_address = ptr::from_ref(&arguments);
    // SAFETY: the structure is complete and outlives the call, memory is copied rather than shared, and there is no other
    // thread whose locks the child could inherit in a locked state.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, arguments_address, size_of::<CloneArguments>()) })?;
    if pid == 0 {
        SINGLE_THREADED_CHILD.store(true, Ordering::Relaxed);
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent {
        pid: pid as i32,
        pidfd,
    })
}

/// unshare(2).
///
/// # Errors
/// errno of unshare(2).
pub fn unshare(flags: u64) -> io::Result<()> {
    // SAFETY: only namespaces are replaced, never the descriptor table (`flag` has no constant for it).
    check(unsafe { libc::syscall(libc::SYS_unshare, flags) }).map(drop)
}

/// execve(2). Returns only when it failed, with its errno.
pub fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let terminated = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect()
    };
    let argument_pointers = terminated(arguments);
    let environment_pointers = terminated(environment);
    // SAFETY: both arrays end with a null pointer and point to strings that outlive the call.
    unsafe {
        libc::execve(
            program.as_ptr(),
            argument_pointers.as_ptr(),
            environment_pointers.as_ptr(),
        )
    };
    io::Error::last_os_error()
}

/// `_exit(2)`: ends the process without running destructors or flushing buffers, as a cloned child must.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: always safe; nothing of the parent is touched.
    unsafe { libc::_exit(code) }
}
/// Starts a program with every signal at its default and none blocked, whatever this thread blocks to read from a descriptor.
///
/// # Errors
/// What [`std::process::Command::spawn`] fails with.
pub fn spawn_with_default_signals(command: &mut std::process::Command) -> io::Result<std::process::Child> {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: between fork and exec it makes only system calls that are async-signal-safe (rt_sigaction, rt_sigprocmask), and allocates nothing.
    unsafe { command.pre_exec(crate::signal::reset_to_defaults) }.spawn()
}
