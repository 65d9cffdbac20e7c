//! In: the number of a resource and its two limits. Out: the calling process's resource limits (getrlimit(2)).
//! **Invariant:** `u64::MAX` means unlimited, as in the kernel.

use std::io;
use std::ptr;

use crate::check;

/// Soft and hard limit of a resource by its `RLIMIT_*` number.
///
/// # Errors
/// `EINVAL` for an unknown number.
pub fn resource_limit(resource: u32) -> io::Result<(u64, u64)> {
    let mut current = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let address = ptr::from_mut(&mut current);
    // SAFETY: pid 0 is the caller; the structure lives on our stack and is only written.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            ptr::null::<libc::rlimit64>(),
            address,
        )
    })?;
    Ok((current.rlim_cur, current.rlim_max))
}

/// Sets both.
///
/// # Errors
/// `EPERM` when the hard limit would rise without `CAP_SYS_RESOURCE`, `EINVAL` for an unknown number or a soft limit above the hard.
pub fn set_resource_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let wanted = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    let address = ptr::from_ref(&wanted);
    // SAFETY: pid 0 is the caller; the structure lives on our stack and is only read.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            address,
            ptr::null::<libc::rlimit64>(),
        )
    })
    .map(drop)
}
