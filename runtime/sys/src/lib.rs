//! In: plain values and borrowed descriptors. Out: `io::Result`s. The system calls that rustix does not have or marks unsafe.
//! **Invariant:** the only crate of the workspace with unsafe code; one operation per block, each with its reason.

pub mod bpf;
pub mod descriptor;
pub mod keyring;
pub mod limit;
pub mod mount;
pub mod pidfd;
pub mod process;
pub mod seccomp;
pub mod signal;

use std::io;

/// Turns the C convention (−1 and errno) into a result.
fn check(value: libc::c_long) -> io::Result<libc::c_long> {
    if value == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value)
    }
}
