//! In: nothing. Out: a session keyring of one's own, so that containers do not share the host's (keyctl(2)).
//! **Invariant:** no key is read or added.

use std::io;
use std::ptr;

use crate::check;

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Replaces the session keyring by a new, anonymous one.
///
/// # Errors
/// `ENOSYS` on a kernel without keyrings; else errno of keyctl(2).
pub fn join_new_session() -> io::Result<()> {
    // SAFETY: a null name asks for an anonymous keyring; no memory is passed.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, ptr::null::<u8>()) })
        .map(drop)
}
