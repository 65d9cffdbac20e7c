//! In: a process id. Out: what tells that process from a later one with the same id.
//! **Invariant:** nothing is trusted about a process before its identity was compared.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rcompose_sys::pidfd::Ended;
use rustix::process::{Pid, PidfdFlags};

/// Start time of a process in clock ticks since boot (field 22 of `/proc/<pid>/stat`, `proc_pid_stat(5)`).
pub fn start_time(pid: i32) -> io::Result<u64> {
    let stat = Stat::read(pid)?;
    stat.field(22)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// `/proc/<pid>/stat`.
struct Stat(String);

impl Stat {
    fn read(pid: i32) -> io::Result<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat"))?;
        // The second field is the name in brackets and may hold anything, brackets and spaces too.
        let after_name = stat
            .iter()
            .rposition(|byte| *byte == b')')
            .map_or(0, |end| end + 1);
        Ok(Stat(String::from_utf8_lossy(&stat[after_name..]).into_owned()))
    }

    /// A field by its number in the manual, 3 or higher.
    fn field(&self, number: usize) -> Option<&str> {
        self.0.split_ascii_whitespace().nth(number - 3)
    }
}

/// How a process ended that need not be our child and whose descriptor is readable. None when its parent has taken the answer and the kernel
/// keeps none (before Linux 6.15).
pub(crate) fn how_it_ended(pid: i32, expected_start: u64, pidfd: BorrowedFd<'_>) -> Option<Ended> {
    // Before it is reaped only procfs tells, afterwards only the descriptor; in between it may be reaped.
    let unreaped = || {
        let stat = Stat::read(pid).ok()?;
        if stat.field(3)? != "Z" || stat.field(22)?.parse() != Ok(expected_start) {
            return None;
        }
        Some(Ended::from_wait_status(stat.field(52)?.parse().ok()?))
    };
    unreaped().or_else(|| rcompose_sys::pidfd::exit_status(pidfd))
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
    use std::os::fd::AsFd;

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
        let pidfd = open(pid, started).unwrap();
        child.kill().unwrap();
        let mut poll = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut poll, None).unwrap();
        assert_eq!(
            how_it_ended(pid, started, pidfd.as_fd()),
            Some(Ended::Signaled(9)),
            "not reaped yet"
        );
        child.wait().unwrap();
        let afterwards = how_it_ended(pid, started, pidfd.as_fd());
        assert!(
            matches!(afterwards, None | Some(Ended::Signaled(9))),
            "{afterwards:?}"
        );
        assert!(open(pid, started).is_none());
    }
}
