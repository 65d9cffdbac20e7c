//! In: a process id. Out: what tells that process from a later one with the same id.
//! **Invariant:** nothing is trusted about a process before its identity was compared.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags};

/// Start time of a process in clock ticks since boot (field 22 of `/proc/<pid>/stat`, `proc_pid_stat(5)`).
pub fn start_time(pid: i32) -> io::Result<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    // The second field is the name in brackets and may hold anything, brackets and spaces too.
    let after_name = stat
        .iter()
        .rposition(|byte| *byte == b')')
        .map_or(0, |end| end + 1);
    std::str::from_utf8(&stat[after_name..])
        .ok()
        .and_then(|fields| fields.split_ascii_whitespace().nth(19)?.parse().ok())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Identity of this boot of the machine (random(4)).
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim_end()
        .to_owned())
}

/// A descriptor of the process that had this id and start time; none when it has ended and was reaped.
pub(crate) fn open(pid: i32, expected_start: u64) -> Option<OwnedFd> {
    let descriptor = rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    // Read after the descriptor was opened: equal times mean that it refers to the right one.
    (start_time(pid).ok()? == expected_start).then_some(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_time() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("100")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let started = start_time(pid).unwrap();
        assert!(open(pid, started).is_some());
        assert!(open(pid, started + 1).is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(open(pid, started).is_none());
    }
}
