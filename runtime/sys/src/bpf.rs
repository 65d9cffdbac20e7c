//! In: a device filter in eBPF. Out: the filter attached to a version-2 control group (bpf(2)).
//! **Invariant:** the program lives exactly as long as its control group: the descriptor is dropped once it is attached.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::check;

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 1 << 1;

/// The fields of `union bpf_attr` that `BPF_PROG_LOAD` needs.
#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
}

/// The fields of `union bpf_attr` that `BPF_PROG_ATTACH` needs.
#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// Loads a program of 8-byte `struct bpf_insn`s in native byte order and attaches it beside those already there: a device may be
/// used when every one of them returns 1.
///
/// # Errors
/// `EINVAL` for a program the verifier refuses, `EPERM` without `CAP_SYS_ADMIN`.
pub fn attach_device_filter(cgroup: BorrowedFd<'_>, program: &[u64]) -> io::Result<()> {
    let load = LoadAttributes {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len())
            .map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
    };
    let address = ptr::from_ref(&load);
    // SAFETY: all addresses in the structure outlive the call; the kernel copies and verifies the program.
    let loaded =
        check(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, address, size_of::<LoadAttributes>()) })?;
    // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded as i32) };
    let attach = AttachAttributes {
        target: cgroup.as_raw_fd() as u32,
        program: loaded.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    let address = ptr::from_ref(&attach);
    // SAFETY: both descriptors are open for the whole call and the structure is complete.
    check(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_ATTACH,
            address,
            size_of::<AttachAttributes>(),
        )
    })
    .map(drop)
}
