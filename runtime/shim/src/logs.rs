//! In: the bytes a container writes to its two streams. Out: its log file, one JSON line each
//! (`{"log":"…\n","stream":"stdout","time":"…"}`, the layout of Docker's json-file driver), rotated by size.
//! **Invariant:** a disk that is full or gone never stops the container; what was lost is counted and said in the file.

mod file;
mod line;
mod record;

use std::path::Path;

use rcompose_container::spec::LogSpec;

use file::RotatingFile;
use line::LineSplitter;

pub use record::{append_json_string, timestamp};

/// Encoded records beyond this many bytes are written before more are encoded.
const BATCH: usize = 256 * 1024;
/// An idle encoder keeps at most this much memory, in bytes.
const KEPT: usize = 16 * 1024;

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, and everything of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// The log of one container.
#[derive(Debug)]
pub struct ContainerLog {
    file: Option<RotatingFile>,
    stdout: LineSplitter,
    stderr: LineSplitter,
    encoded: Vec<u8>,
    lines: u64,
}

impl ContainerLog {
    /// Opens the log `spec` describes; the file itself is opened at the first line.
    pub fn new(spec: &LogSpec) -> Self {
        let file = spec
            .path
            .as_ref()
            .map(|path| RotatingFile::new(Path::new(path), spec.max_size, spec.max_files));
        ContainerLog {
            file,
            ..Self::discarding()
        }
    }

    /// A log that keeps nothing.
    pub fn discarding() -> Self {
        ContainerLog {
            file: None,
            stdout: LineSplitter::default(),
            stderr: LineSplitter::default(),
            encoded: Vec::new(),
            lines: 0,
        }
    }

    /// Takes bytes read at `now` (time since 1970). Whole lines are written before this returns.
    pub fn push(&mut self, stream: Stream, bytes: &[u8], now: std::time::Duration) {
        let Some(file) = &mut self.file else { return };
        let splitter = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let time = timestamp(now);
        let (encoded, lines) = (&mut self.encoded, &mut self.lines);
        splitter.push(bytes, |line, ended| {
            record::append_record(encoded, line, ended, stream.as_str(), &time);
            *lines += 1;
            if encoded.len() >= BATCH {
                file.append(encoded, *lines, &time);
                encoded.clear();
                *lines = 0;
            }
        });
        self.write(&time);
    }

    /// The streams ended: what has no newline yet is written as a line.
    pub fn finish(&mut self, now: std::time::Duration) {
        let time = timestamp(now);
        for (splitter, stream) in [
            (&mut self.stdout, Stream::Stdout),
            (&mut self.stderr, Stream::Stderr),
        ] {
            let encoded = &mut self.encoded;
            if splitter.finish(|line| record::append_record(encoded, line, true, stream.as_str(), &time)) {
                self.lines += 1;
            }
        }
        self.write(&time);
    }

    fn write(&mut self, time: &str) {
        if let Some(file) = &mut self.file
            && !self.encoded.is_empty()
        {
            file.append(&self.encoded, self.lines, time);
        }
        self.encoded.clear();
        self.encoded.shrink_to(KEPT);
        self.lines = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn log_at(name: &str, max_size: u64, max_files: u32) -> (std::path::PathBuf, ContainerLog) {
        let directory = std::env::temp_dir().join(format!("rcompose-shim-log-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("container.log");
        let spec = LogSpec {
            path: Some(path.to_str().unwrap().into()),
            max_size,
            max_files,
        };
        (directory, ContainerLog::new(&spec))
    }

    #[test]
    fn lines_become_records_of_the_json_file_layout() {
        let (directory, mut log) = log_at("records", 1 << 20, 3);
        let now = Duration::new(1_700_000_000, 5);
        log.push(Stream::Stdout, b"one\ntw", now);
        log.push(Stream::Stderr, b"err \"q\"\n", now);
        log.push(Stream::Stdout, b"o\nrest", now);
        log.finish(now);
        let text = fs::read_to_string(directory.join("container.log")).unwrap();
        fs::remove_dir_all(directory).unwrap();
        let time = r#""time":"2023-11-14T22:13:20.000000005Z""#;
        let expected = [
            format!(r#"{{"log":"one\n","stream":"stdout",{time}}}"#),
            format!(r#"{{"log":"err \"q\"\n","stream":"stderr",{time}}}"#),
            format!(r#"{{"log":"two\n","stream":"stdout",{time}}}"#),
            format!(r#"{{"log":"rest\n","stream":"stdout",{time}}}"#),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rotation_keeps_the_newest_files_and_whole_records() {
        let (directory, mut log) = log_at("rotation", 1000, 3);
        for number in 0..200 {
            log.push(
                Stream::Stdout,
                format!("line {number}\n").as_bytes(),
                Duration::from_secs(1),
            );
        }
        let mut names: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let newest = fs::read_to_string(directory.join("container.log")).unwrap();
        let before = fs::read_to_string(directory.join("container.log.1")).unwrap();
        fs::remove_dir_all(directory).unwrap();
        assert_eq!(names, ["container.log", "container.log.1", "container.log.2"]);
        assert!(
            before.len() <= 1000 && before.ends_with("}\n"),
            "{} bytes",
            before.len()
        );
        assert!(newest.lines().last().unwrap().contains("line 199"));
    }

    #[test]
    fn a_full_disk_drops_lines_and_says_how_many() {
        let (directory, mut log) = log_at("full", 0, 1);
        let path = directory.join("container.log");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        log.push(Stream::Stdout, b"a\nb\n", Duration::from_secs(1));
        log.push(Stream::Stdout, b"c\n", Duration::from_secs(1));
        fs::remove_file(&path).unwrap();
        log.push(Stream::Stdout, b"d\n", Duration::from_secs(1));
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_dir_all(directory).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("3 log records lost"), "{text}");
        assert!(lines[1].contains(r#""log":"d\n""#), "{text}");
    }

    #[test]
    fn no_path_discards() {
        let mut log = ContainerLog::new(&LogSpec {
            path: None,
            max_size: 1,
            max_files: 1,
        });
        log.push(Stream::Stdout, &vec![b'x'; 100_000], Duration::ZERO);
        log.finish(Duration::ZERO);
        assert_eq!(log.encoded.capacity(), 0);
    }
}
