//! In: the state of what a shim keeps. Out: `state.json` and `exit.json`, small files that people and the engine read, and back.
//! **Invariant:** a reader sees the old content or the new one, and an exit record is on the disk before anybody is told of the end.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::health::HealthStatus;
use crate::logs::append_json_string;

/// Version of `state.json`.
const STATE_VERSION: i64 = 1;

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its first process runs.
    Running,
    /// Every process is frozen.
    Paused,
    /// It ended and is about to be started again.
    Restarting,
    /// It ended.
    Exited,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Exited => "exited",
        }
    }
}

/// One finished probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// When it started, RFC 3339.
    pub start: String,
    /// When it ended, RFC 3339.
    pub end: String,
    /// Its exit code; -1 when it timed out or could not be executed.
    pub exit_code: i32,
    /// What it printed, at most 4096 bytes.
    pub output: Vec<u8>,
}

/// The content of `state.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where it is.
    pub status: Status,
    /// First process; 0 when none runs.
    pub pid: i32,
    /// Its start time, clock ticks since boot.
    pub start_time: u64,
    /// The shim.
    pub shim_pid: i32,
    /// Its start time, clock ticks since boot.
    pub shim_start_time: u64,
    /// The boot all of this belongs to.
    pub boot_id: String,
    /// When the first process was executed, RFC 3339.
    pub started_at: String,
    /// Health.
    pub health: HealthStatus,
    /// Probes that failed in a row.
    pub failing_streak: u32,
    /// The latest probes, oldest first.
    pub health_log: Vec<ProbeResult>,
    /// Starts made by the restart policy.
    pub restart_count: u32,
    /// Port of 127.0.0.11 the resolver listens on; 0 when there is none.
    pub resolver_port: u16,
    /// Exit code of the latest end.
    pub exit_code: i32,
}

impl State {
    /// As JSON, one object on one line.
    pub fn to_json(&self) -> String {
        let mut out = ObjectWriter::new();
        out.text("status", self.status.as_str().as_bytes());
        out.number("pid", i64::from(self.pid));
        out.number("start_time", i64::try_from(self.start_time).unwrap_or(0));
        out.number("shim_pid", i64::from(self.shim_pid));
        out.number(
            "shim_start_time",
            i64::try_from(self.shim_start_time).unwrap_or(0),
        );
        out.text("boot_id", self.boot_id.as_bytes());
        out.text("started_at", self.started_at.as_bytes());
        out.text("health", self.health.as_str().as_bytes());
        out.number("failing_streak", i64::from(self.failing_streak));
        out.number("restart_count", i64::from(self.restart_count));
        out.number("resolver_port", i64::from(self.resolver_port));
        out.number("exit_code", i64::from(self.exit_code));
        out.number("version", STATE_VERSION);
        // Last, because its objects repeat a key of this one and `from_json` takes the first of a name.
        out.objects("health_log", &self.health_log, |probe, out| {
            out.text("start", probe.start.as_bytes());
            out.text("end", probe.end.as_bytes());
            out.number("exit_code", i64::from(probe.exit_code));
            out.text("output", &probe.output);
        });
        out.finish()
    }

    /// Reads what [`Self::to_json`] wrote, but for `health_log`; none when it is something else.
    pub fn from_json(json: &str) -> Option<Self> {
        let number = |name: &str| -> Option<i64> {
            let value = value_of(json, name)?;
            let end = value.find([',', '}'])?;
            value[..end].trim().parse().ok()
        };
        let text = |name: &str| -> Option<&str> {
            let value = value_of(json, name)?.trim_start().strip_prefix('"')?;
            Some(&value[..value.find('"')?])
        };
        Some(State {
            status: match text("status")? {
                "running" => Status::Running,
                "paused" => Status::Paused,
                "restarting" => Status::Restarting,
                "exited" => Status::Exited,
                _ => return None,
            },
            pid: number("pid")?.try_into().ok()?,
            start_time: number("start_time")?.try_into().ok()?,
            shim_pid: number("shim_pid")?.try_into().ok()?,
            shim_start_time: number("shim_start_time")?.try_into().ok()?,
            boot_id: text("boot_id")?.to_owned(),
            started_at: text("started_at")?.to_owned(),
            health: match text("health")? {
                "starting" => HealthStatus::Starting,
                "healthy" => HealthStatus::Healthy,
                "unhealthy" => HealthStatus::Unhealthy,
                _ => HealthStatus::None,
            },
            failing_streak: number("failing_streak")?.try_into().ok()?,
            health_log: Vec::new(),
            restart_count: number("restart_count")?.try_into().ok()?,
            resolver_port: number("resolver_port")?.try_into().ok()?,
            exit_code: number("exit_code")?.try_into().ok()?,
        })
    }
}

/// The code of an `exit.json`; none when it is something else.
pub(crate) fn exit_code(json: &str) -> Option<i32> {
    let value = value_of(json, "code")?;
    value[..value.find([',', '}'])?].trim().parse().ok()
}

/// What follows the first `"name":`. A quote inside a string is always escaped, so a key cannot be mistaken.
fn value_of<'json>(json: &'json str, name: &str) -> Option<&'json str> {
    let key = format!("\"{name}\":");
    json.find(&key).map(|at| &json[at + key.len()..])
}

/// The content of `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitRecord {
    /// Exit code, 128 plus the signal's number when a signal ended it, 255 when nobody saw the end.
    pub code: i32,
    /// The signal that ended it, 0 for none.
    pub signal: i32,
    /// The kernel killed a process of the container for memory.
    pub oom: bool,
    /// When the first process was executed, RFC 3339.
    pub started_at: String,
    /// When it ended, RFC 3339.
    pub finished_at: String,
    /// The boot this happened in.
    pub boot_id: String,
}

impl ExitRecord {
    /// As JSON, one object on one line.
    pub fn to_json(&self) -> String {
        let mut out = ObjectWriter::new();
        out.number("code", i64::from(self.code));
        out.number("signal", i64::from(self.signal));
        out.raw("oom", if self.oom { "true" } else { "false" });
        out.text("started_at", self.started_at.as_bytes());
        out.text("finished_at", self.finished_at.as_bytes());
        out.text("boot_id", self.boot_id.as_bytes());
        out.finish()
    }
}

/// Writes one JSON object, field by field.
struct ObjectWriter {
    bytes: Vec<u8>,
}

impl ObjectWriter {
    fn new() -> Self {
        ObjectWriter { bytes: vec![b'{'] }
    }

    fn key(&mut self, name: &str) {
        if self.bytes.last() != Some(&b'{') {
            self.bytes.push(b',');
        }
        append_json_string(&mut self.bytes, name.as_bytes());
        self.bytes.push(b':');
    }

    fn text(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        append_json_string(&mut self.bytes, value);
    }

    fn number(&mut self, name: &str, value: i64) {
        self.raw(name, &value.to_string());
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.key(name);
        self.bytes.extend_from_slice(value.as_bytes());
    }

    fn objects<T>(&mut self, name: &str, items: &[T], write: impl Fn(&T, &mut ObjectWriter)) {
        self.key(name);
        self.bytes.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.bytes.push(b',');
            }
            self.bytes.push(b'{');
            write(item, self);
            self.bytes.push(b'}');
        }
        self.bytes.push(b']');
    }

    fn finish(mut self) -> String {
        self.bytes.extend_from_slice(b"}\n");
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Replaces a file of `directory` by renaming a complete one over it; `durable` waits for the disk.
pub(crate) fn replace(directory: BorrowedFd<'_>, name: &str, content: &str, durable: bool) -> io::Result<()> {
    let temporary = format!("{name}.tmp");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(directory, &temporary, flags, Mode::from_raw_mode(0o640))?;
    let mut bytes = content.as_bytes();
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, bytes))?;
        bytes = &bytes[written..];
    }
    if durable {
        rustix::fs::fsync(&file)?;
    }
    rustix::fs::renameat(directory, &temporary, directory, name)?;
    if durable {
        rustix::fs::fsync(directory)?;
    }
    Ok(())
}

/// The content of a file of `directory`.
pub(crate) fn read(directory: BorrowedFd<'_>, name: &str) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file: OwnedFd = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    let mut bytes = Vec::new();
    std::fs::File::from(file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Removes a file of `directory`; one that is not there is fine.
pub(crate) fn remove(directory: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            status: Status::Running,
            pid: 4711,
            start_time: 123_456,
            shim_pid: 4700,
            shim_start_time: 123_450,
            boot_id: "b-1".into(),
            started_at: "2023-11-14T22:13:20.000000005Z".into(),
            health: HealthStatus::Unhealthy,
            failing_streak: 3,
            health_log: vec![ProbeResult {
                start: "s".into(),
                end: "e".into(),
                exit_code: 7,
                output: b"\"pid\":1,\"status\":\"exited\"\n".to_vec(),
            }],
            restart_count: 2,
            resolver_port: 40_001,
            exit_code: 137,
        }
    }

    #[test]
    fn the_state_file_has_these_bytes() {
        let expected = concat!(
            r#"{"status":"running","pid":4711,"start_time":123456,"shim_pid":4700,"shim_start_time":123450,"#,
            r#""boot_id":"b-1","started_at":"2023-11-14T22:13:20.000000005Z","health":"unhealthy","failing_streak":3,"#,
            r#""restart_count":2,"resolver_port":40001,"exit_code":137,"version":1,"#,
            r#""health_log":[{"start":"s","end":"e","exit_code":7,"output":"\"pid\":1,\"status\":\"exited\"\n"}]}"#,
            "\n"
        );
        assert_eq!(state().to_json(), expected);
    }

    #[test]
    fn the_state_file_is_read_back() {
        let written = state();
        let read = State::from_json(&written.to_json()).expect("our own file");
        assert_eq!(
            read,
            State {
                health_log: Vec::new(),
                ..written
            }
        );
        assert_eq!(State::from_json(""), None);
        assert_eq!(State::from_json("{\"status\":\"running\"}"), None);
    }

    #[test]
    fn the_exit_file_has_these_bytes() {
        let record = ExitRecord {
            code: 137,
            signal: 9,
            oom: true,
            started_at: "a".into(),
            finished_at: "b".into(),
            boot_id: "c".into(),
        };
        assert_eq!(exit_code(&record.to_json()), Some(137));
        assert_eq!(exit_code("{}"), None);
        assert_eq!(
            record.to_json(),
            "{\"code\":137,\"signal\":9,\"oom\":true,\"started_at\":\"a\",\"finished_at\":\"b\",\"boot_id\":\"c\"}\n"
        );
    }
}
