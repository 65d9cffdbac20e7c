//! In: a running container. Out: its processes as `ps -ef` of the host shows them, read from /proc.
//! **Invariant:** a process that ends while it is looked at is left out, never an error.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rcompose_container::cgroup::Cgroup;

use crate::local::LocalRuntime;
use crate::observe::Life;
use crate::runtime::RuntimeError;
use crate::start::{cgroup_error, not_running};

/// Clock ticks in a second: `USER_HZ` is 100 in every user interface of Linux (time(7)).
const TICKS: u64 = 100;

/// One process of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRow {
    /// Owner, by number on the host.
    pub uid: u32,
    /// Process id on the host.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Seconds since 1970 at which it started.
    pub started: u64,
    /// Controlling terminal, `?` when there is none.
    pub terminal: String,
    /// Processor time, seconds.
    pub cpu_seconds: u64,
    /// Seconds it exists.
    pub elapsed_seconds: u64,
    /// Command line, or the name in brackets when there is none.
    pub command: String,
}

impl LocalRuntime {
    /// The processes of a running container, oldest first.
    pub fn top(&self, id: &str) -> Result<Vec<ProcessRow>, RuntimeError> {
        let name = self.locate(id)?.record.name;
        if let Life::Down(_) | Life::Unsettled(_) = self.life(&self.roots.run_container(id))? {
            return Err(not_running(&name));
        }
        let group =
            Cgroup::at(&self.roots.container_cgroup(id)).map_err(|error| cgroup_error(&name, &error))?;
        let pids = group.processes().map_err(|error| cgroup_error(&name, &error))?;
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let uptime = uptime
            .split('.')
            .next()
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(0);
        let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
        let boot = boot
            .lines()
            .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
            .unwrap_or(0);
        let mut rows: Vec<ProcessRow> = pids
            .into_iter()
            .filter_map(|pid| row(pid, uptime, boot))
            .collect();
        rows.sort_by_key(|row| (row.started, row.pid));
        Ok(rows)
    }
}

/// One row out of `/proc/<pid>` (`proc_pid_stat(5)`).
fn row(pid: i32, uptime: u64, boot: u64) -> Option<ProcessRow> {
    let uid = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, fields) = stat.rsplit_once(')')?;
    let short = head.split_once('(')?.1;
    // Field 3, the state, is the first one here.
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let started = number(22)? / TICKS;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    Some(ProcessRow {
        uid,
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: boot + started,
        terminal: terminal(fields.get(4)?.parse().ok()?),
        cpu_seconds: (number(14)? + number(15)?) / TICKS,
        elapsed_seconds: uptime.saturating_sub(started),
        command: if words.is_empty() {
            format!("[{short}]")
        } else {
            words.join(" ")
        },
    })
}

/// The name of a terminal's number: `pts/3`, `tty1`.
fn terminal(number: u32) -> String {
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xfff00);
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 if minor < 64 => format!("tty{minor}"),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_row() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let row = row(pid, 1_000_000, 5).unwrap();
        assert_eq!(row.pid, pid);
        assert!(
            row.parent > 0 && row.started >= 5 && row.command.contains("rcompose"),
            "{row:?}"
        );
        assert_eq!(super::row(i32::MAX, 0, 0), None);
    }

    #[test]
    fn terminals_have_names() {
        assert_eq!(terminal(0), "?");
        assert_eq!(terminal(136 << 8 | 3), "pts/3");
        assert_eq!(terminal(4 << 8 | 1), "tty1");
    }
}
