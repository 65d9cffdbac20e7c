//! In: descriptors and paths. Out: descriptors closed on exec, and sealed in-memory copies of programs.
//! **Invariant:** what is sealed can never be written again, by nobody.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::check;

/// Marks every descriptor from `first` on close-on-exec (`close_range(2)`, Linux 5.11).
///
/// # Errors
/// errno of `close_range(2)`.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: only a flag of descriptors changes, none is closed before the next execve.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Closes every descriptor from `first` on. For a process that owns none of them any more, such as an init that only reaps.
///
/// # Errors
/// errno of `close_range(2)`.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: the caller of this function gives up all of them; a later use fails with EBADF, it touches no memory.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// A sealed, executable copy of a program in memory, named after it: run as `/proc/self/fd/N`, so that `/proc/<pid>/exe` never leads
/// to the file itself (CVE-2019-5736). Close-on-exec.
///
/// # Errors
/// When the file cannot be read, or memory files are not available or not executable (`vm.memfd_noexec=2`).
pub fn sealed_copy(program: &Path) -> io::Result<OwnedFd> {
    let mut source = File::open(program)?;
    let name = program.file_name().unwrap_or_default();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match memfd_create(name, flags | MemfdFlags::EXEC) {
        // Kernels before 6.3 do not know MFD_EXEC and make every memory file executable.
        Err(rustix::io::Errno::INVAL) => memfd_create(name, flags)?,
        other => other?,
    };
    let mut copy = File::from(memory);
    io::copy(&mut source, &mut copy)?;
    fcntl_add_seals(
        &copy,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    // A descriptor open for writing would make execve fail with ETXTBSY.
    let readable = rustix::fs::open(
        format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy)),
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    Ok(readable)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_sealed_copy_runs_and_cannot_be_written() {
        let sealed = sealed_copy(Path::new("/bin/true")).unwrap();
        let path = format!("/proc/self/fd/{}", sealed.as_raw_fd());
        let written = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write(b"x"));
        assert_eq!(written.unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(
            Command::new(format!("/proc/{}/fd/{}", std::process::id(), sealed.as_raw_fd()))
                .status()
                .unwrap()
                .success()
        );
    }
}
