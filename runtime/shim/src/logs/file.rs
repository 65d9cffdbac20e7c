//! In: encoded records. Out: a file that is rotated by renaming, `container.log` → `container.log.1` → `container.log.2` …
//! **Invariant:** a record is written whole or not at all, and no error leaves this file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::record;

/// One log file and its older generations.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    max_size: u64,
    max_files: u32,
    current: Option<(File, u64)>,
    lost: u64,
    reason: String,
}

impl RotatingFile {
    /// `max_size` in bytes, 0 is without limit; `max_files` counts the current one.
    pub(super) fn new(path: &Path, max_size: u64, max_files: u32) -> Self {
        RotatingFile {
            path: path.to_owned(),
            max_size,
            max_files,
            current: None,
            lost: 0,
            reason: String::new(),
        }
    }

    /// Appends whole records, `count` of them. What cannot be written is dropped and counted; the count is written
    /// before the next record that can be.
    pub(super) fn append(&mut self, records: &[u8], count: u64, time: &str) {
        let mut marked = Vec::new();
        let bytes = if self.lost == 0 {
            records
        } else {
            let text = format!("[rcompose: {} log records lost: {}]", self.lost, self.reason);
            record::append_record(&mut marked, text.as_bytes(), true, "stderr", time);
            marked.extend_from_slice(records);
            &marked
        };
        match self.write(bytes) {
            Ok(()) => self.lost = 0,
            Err(error) => {
                self.lost += count;
                self.reason = error.to_string();
                // Opened afresh next time: the file may have been moved, or the disk remounted.
                self.current = None;
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (mut file, size) = match self.current.take() {
                Some(current) => current,
                None => self.open()?,
            };
            let room = if self.max_size == 0 {
                u64::MAX
            } else {
                self.max_size.saturating_sub(size)
            };
            let part = whole_records(bytes, room, size == 0);
            if part == 0 {
                drop(file);
                self.rotate()?;
                continue;
            }
            if let Err(error) = file.write_all(&bytes[..part]) {
                // Half a record would make the next one unreadable. If this fails too, the reader skips one line.
                let _cut = file.set_len(size);
                return Err(error);
            }
            self.current = Some((file, size + part as u64));
            bytes = &bytes[part..];
        }
        Ok(())
    }

    fn open(&self) -> io::Result<(File, u64)> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// Renames, so that a reader that has the file open can finish it.
    fn rotate(&self) -> io::Result<()> {
        for generation in (1..self.max_files.saturating_sub(1)).rev() {
            ignore_missing(fs::rename(
                self.generation(generation),
                self.generation(generation + 1),
            ))?;
        }
        if self.max_files > 1 {
            ignore_missing(fs::rename(&self.path, self.generation(1)))
        } else {
            ignore_missing(fs::remove_file(&self.path))
        }
    }

    fn generation(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// How many bytes of `bytes`, cut after a newline, fit into `room`; at least one record when the file is `fresh`.
fn whole_records(bytes: &[u8], room: u64, fresh: bool) -> usize {
    if bytes.len() as u64 <= room {
        return bytes.len();
    }
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
    let fitting = bytes[..room]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    if fitting == 0 && fresh {
        return bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |end| end + 1);
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::whole_records;

    #[test]
    fn only_whole_records_fit() {
        let records = b"aa\nbbbb\ncc\n";
        assert_eq!(whole_records(records, 100, false), records.len());
        assert_eq!(whole_records(records, 10, false), 8);
        assert_eq!(whole_records(records, 2, false), 0);
        assert_eq!(
            whole_records(records, 2, true),
            3,
            "a fresh file takes one record whatever its size"
        );
        assert_eq!(whole_records(records, 0, false), 0);
    }
}
