//! In: events of a project. Out: `events.jsonl`, one JSON object a line with its time, and its readers.
//! **Invariant:** bounded: a full log becomes the old one and the one before that goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Events};

/// File name of the log.
pub const NAME: &str = "events.jsonl";
/// File name of the full log before it.
pub const OLD_NAME: &str = "events.jsonl.1";
/// Bytes of a log that counts as full.
const FULL: u64 = 1024 * 1024;

/// An event with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// When.
    pub time: Timestamp,
    /// What.
    pub what: Event,
}

/// Writes the event log of a project. Losing a line is not worth failing a command, so failures are dropped.
#[derive(Debug)]
pub struct EventLog {
    directory: PathBuf,
    open: Mutex<Option<(File, u64)>>,
}

impl EventLog {
    /// The log in a project's directory, which may not exist yet.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            open: Mutex::new(None),
        }
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|(_, length)| *length >= FULL) {
            fs::rename(self.directory.join(NAME), self.directory.join(OLD_NAME))?;
            *open = None;
        }
        let (file, length) = match &mut *open {
            Some(open) => open,
            closed @ None => {
                let path = self.directory.join(NAME);
                let file = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(path)?;
                let length = file.metadata()?.len();
                closed.insert((file, length))
            }
        };
        // One write of one line: lines of two writers do not mix.
        file.write_all(line)?;
        *length += line.len() as u64;
        Ok(())
    }
}

impl Events for EventLog {
    fn emit(&self, event: Event) {
        if !event.is_lasting() {
            return;
        }
        let recorded = Recorded {
            time: Timestamp::now(),
            what: event,
        };
        if let Ok(mut line) = serde_json::to_vec(&recorded) {
            line.push(b'\n');
            self.append(&line).unwrap_or_default();
        }
    }
}

/// Everything the log of a project holds, oldest first. Lines that another version wrote are left out.
///
/// # Errors
/// A file that exists cannot be read.
pub fn read(directory: &Path) -> io::Result<Vec<Recorded>> {
    let mut events = Vec::new();
    for name in [OLD_NAME, NAME] {
        match fs::read_to_string(directory.join(name)) {
            Ok(text) => events.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(events)
}

/// Reads what is appended to a log from now on.
#[derive(Debug)]
pub struct Tail {
    directory: PathBuf,
    file: Option<File>,
    rest: Vec<u8>,
}

impl Tail {
    /// Begins at the end of the log as it is.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let mut file = open(directory)?;
        if let Some(file) = &mut file {
            file.seek(SeekFrom::End(0))?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            file,
            rest: Vec::new(),
        })
    }

    /// Whatever was appended since the last call.
    pub fn appended(&mut self) -> io::Result<Vec<Recorded>> {
        let mut events = self.drain()?;
        let current = open(&self.directory)?;
        if !same(self.file.as_ref(), current.as_ref())? {
            // The log was full and began anew: what its end still got is read first.
            events.extend(self.drain()?);
            self.file = current;
            self.rest.clear();
            events.extend(self.drain()?);
        }
        Ok(events)
    }

    fn drain(&mut self) -> io::Result<Vec<Recorded>> {
        let Some(file) = &mut self.file else {
            return Ok(Vec::new());
        };
        file.read_to_end(&mut self.rest)?;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let complete: Vec<u8> = self.rest.drain(..=end).collect();
        let lines = complete.split(|byte| *byte == b'\n');
        Ok(lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }
}

fn open(directory: &Path) -> io::Result<Option<File>> {
    match File::open(directory.join(NAME)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn same(a: Option<&File>, b: Option<&File>) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let identity = |file: &File| file.metadata().map(|data| (data.dev(), data.ino()));
    Ok(a.map(identity).transpose()? == b.map(identity).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(message: &str) -> Event {
        Event::Warning {
            message: message.to_owned(),
            help: None,
        }
    }

    #[test]
    fn the_log_is_bounded_and_a_tail_misses_nothing_when_it_turns() {
        let root = tempfile::tempdir().unwrap();
        let log = EventLog::new(root.path());
        let mut tail = Tail::new(root.path()).unwrap();
        let mut seen = Vec::new();
        let long = "x".repeat(60_000);
        for number in 0..40 {
            log.emit(warning(&format!("{number} {long}")));
            log.emit(Event::WaitingForLock {
                holder: String::new(),
            });
            seen.extend(tail.appended().unwrap());
        }
        assert_eq!(seen.len(), 40);
        let size = |name| fs::metadata(root.path().join(name)).unwrap().len();
        assert!(size(NAME) < FULL + 100_000 && size(OLD_NAME) < FULL + 100_000);
        let kept = read(root.path()).unwrap();
        assert!(kept.len() < 40);
        assert_eq!(kept.last().unwrap().what, warning(&format!("39 {long}")));
    }
}
