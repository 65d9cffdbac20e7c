//! In: a compiled filter. Out: the calling process confined by it for ever (seccomp(2)).
//! **Invariant:** a malformed program is refused by length here and by the kernel's verifier otherwise.

use std::io;
use std::ptr;

use crate::check;

const SECCOMP_SET_MODE_FILTER: libc::c_long = 1;
/// Leave speculative store bypass as it is, as other runtimes do; filters are no sandbox against it since Linux 5.16.
const SECCOMP_FILTER_FLAG_SPEC_ALLOW: libc::c_long = 1 << 2;
/// `BPF_MAXINSNS`.
const MAXIMUM_INSTRUCTIONS: usize = 4096;

/// Installs a classic BPF program: 8-byte `struct sock_filter`s in native byte order.
///
/// # Errors
/// `EINVAL` for a bad program, `EACCES` without `no_new_privs` and `CAP_SYS_ADMIN`.
pub fn install(program: &[u8]) -> io::Result<()> {
    if program.is_empty() || !program.len().is_multiple_of(8) || program.len() / 8 > MAXIMUM_INSTRUCTIONS {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut instructions: Vec<libc::sock_filter> = program
        .chunks_exact(8)
        .map(|bytes| libc::sock_filter {
            code: u16::from_ne_bytes([bytes[0], bytes[1]]),
            jt: bytes[2],
            jf: bytes[3],
            k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        })
        .collect();
    let filter = libc::sock_fprog {
        len: instructions.len() as u16,
        filter: instructions.as_mut_ptr(),
    };
    let address = ptr::from_ref(&filter);
    // SAFETY: the header and its array outlive the call; the kernel copies and verifies both.
    check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            address,
        )
    })
    .map(drop)
}
