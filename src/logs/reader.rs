//! In: a container's directory. Out: the records of its log, from a chosen point, across rotations.
//! Files: `container.log` is the newest, then `container.log.1`, `container.log.2`, …
//! **Invariant:** reading never holds up the writer; a file is followed by its inode, not by its name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use memchr::memchr;

use super::record::{Moment, Record};

const BLOCK: usize = 64 * 1024;

/// One log being read, with the record it stands at.
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    open: Option<(File, u64)>,
    buffer: Vec<u8>,
    /// What of the buffer was not looked at yet.
    unread: Range<usize>,
    /// The line of the record this stands at, without its line feed.
    line: Range<usize>,
}

fn log_file(directory: &Path, generation: u32) -> PathBuf {
    if generation == 0 {
        directory.join("container.log")
    } else {
        directory.join(format!("container.log.{generation}"))
    }
}

fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let inode = file.metadata()?.ino();
            Ok(Some((file, inode)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl LogReader {
    fn at(directory: &Path, open: Option<(File, u64)>) -> Self {
        Self {
            directory: directory.to_owned(),
            open,
            buffer: Vec::new(),
            unread: 0..0,
            line: 0..0,
        }
    }

    /// A reader before the oldest record on disk.
    pub fn from_start(directory: &Path) -> io::Result<Self> {
        let mut oldest = 0;
        while log_file(directory, oldest + 1).exists() {
            oldest += 1;
        }
        Ok(Self::at(directory, open(&log_file(directory, oldest))?))
    }

    /// A reader before the last `count` records on disk.
    pub fn from_tail(directory: &Path, count: usize) -> io::Result<Self> {
        let mut wanted = count;
        let mut generation = 0;
        loop {
            let Some((mut file, inode)) = open(&log_file(directory, generation))? else {
                return if generation == 0 {
                    Ok(Self::at(directory, None))
                } else {
                    Self::from_start(directory)
                };
            };
            let (position, found) = last_lines(&mut file, wanted)?;
            if found >= wanted {
                file.seek(SeekFrom::Start(position))?;
                return Ok(Self::at(directory, Some((file, inode))));
            }
            wanted -= found;
            generation += 1;
        }
    }

    /// Goes on to the next record; false at the end of what is there so far.
    pub fn advance(&mut self) -> io::Result<bool> {
        loop {
            while let Some(length) = memchr(b'\n', &self.buffer[self.unread.clone()]) {
                self.line = self.unread.start..self.unread.start + length;
                self.unread.start = self.line.end + 1;
                if self.record().is_some() {
                    return Ok(true);
                }
            }
            self.line = 0..0;
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// The record this stands at; none at the end.
    pub fn record(&self) -> Option<Record<'_>> {
        Record::parse(&self.buffer[self.line.clone()])
    }

    /// When the record this stands at was written.
    pub fn time(&self) -> Option<Moment> {
        Some(self.record()?.time)
    }

    /// Reads more; false when there is nothing more for now.
    fn fill(&mut self) -> io::Result<bool> {
        loop {
            let Some((file, inode)) = &mut self.open else {
                self.open = open(&log_file(&self.directory, 0))?;
                if self.open.is_none() {
                    return Ok(false);
                }
                continue;
            };
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
            if self.buffer.len() < self.unread.end + BLOCK {
                self.buffer.resize(self.unread.end + BLOCK, 0);
            }
            let length = file.read(&mut self.buffer[self.unread.end..])?;
            if length > 0 {
                self.unread.end += length;
                return Ok(true);
            }
            let inode = *inode;
            let Some(newer) = self.newer_than(inode)? else {
                return Ok(false);
            };
            // The writer may have finished the old file after it was read and before it was found to be old.
            if let Some((file, _)) = &mut self.open {
                let length = file.read(&mut self.buffer[self.unread.end..])?;
                if length > 0 {
                    self.unread.end += length;
                    return Ok(true);
                }
            }
            self.open = Some(newer);
            // A line that a power cut tore will not go on in another file.
            self.unread = 0..0;
        }
    }

    /// The file that follows the one with this inode, when it has been rotated away.
    fn newer_than(&self, inode: u64) -> io::Result<Option<(File, u64)>> {
        let mut newer = None;
        for generation in 0.. {
            match open(&log_file(&self.directory, generation))? {
                Some((_, found)) if found == inode => return Ok(newer),
                Some(other) => newer = Some(other),
                // Our file is gone altogether: what is left is all newer.
                None => return Ok(newer),
            }
        }
        Ok(newer)
    }
}

/// Where the last `wanted` lines begin, and how many there are of them.
fn last_lines(file: &mut File, wanted: usize) -> io::Result<(u64, usize)> {
    let length = file.seek(SeekFrom::End(0))?;
    if wanted == 0 {
        return Ok((length, 0));
    }
    let mut block = vec![0; BLOCK];
    let mut end = length;
    let mut found = 0;
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let size = usize::try_from(end - start).unwrap_or(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block[..size])?;
        for offset in memchr::memrchr_iter(b'\n', &block[..size]) {
            let position = start + offset as u64;
            // A line feed at the very end closes the last line, it does not begin one.
            if position + 1 < length {
                found += 1;
                if found == wanted {
                    return Ok((position + 1, wanted));
                }
            }
        }
        end = start;
    }
    Ok((0, if length > 0 { found + 1 } else { 0 }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn line(text: &str) -> String {
        format!("{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}}\n")
    }

    fn read(reader: &mut LogReader) -> Vec<String> {
        let mut texts = Vec::new();
        while reader.advance().expect("readable") {
            let mut text = Vec::new();
            reader.record().expect("a record").append_text(&mut text);
            texts.push(String::from_utf8_lossy(&text).trim_end().to_owned());
        }
        texts
    }

    #[test]
    fn the_tail_reaches_into_rotated_files() {
        let directory = tempfile::tempdir().expect("temporary directory");
        fs::write(directory.path().join("container.log.1"), line("a") + &line("b")).expect("write");
        fs::write(directory.path().join("container.log"), line("c") + &line("d")).expect("write");
        let tail = |count| read(&mut LogReader::from_tail(directory.path(), count).expect("open"));
        assert_eq!(tail(0), [] as [&str; 0]);
        assert_eq!(tail(1), ["d"]);
        assert_eq!(tail(2), ["c", "d"]);
        assert_eq!(tail(3), ["b", "c", "d"]);
        assert_eq!(tail(9), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_log_of_many_blocks_is_read_whole_and_torn_lines_are_left_out() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let long = "x".repeat(BLOCK + 77);
        let mut text = String::new();
        for number in 0..5000 {
            text += &line(&format!("line {number}"));
            if number == 2500 {
                text += "{\"log\":\"torn\n";
                text += &line(&long);
            }
        }
        fs::write(directory.path().join("container.log"), text).expect("write");
        let all = read(&mut LogReader::from_start(directory.path()).expect("open"));
        assert_eq!(all.len(), 5001);
        assert_eq!(
            (all[2500].as_str(), &all[2501], all[5000].as_str()),
            ("line 2500", &long, "line 4999")
        );
    }

    #[test]
    fn a_follow_survives_two_rotations_between_two_reads() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| directory.path().join(name);
        fs::write(path("container.log"), line("a")).expect("write");
        let mut reader = LogReader::from_start(directory.path()).expect("open");
        assert_eq!(read(&mut reader), ["a"]);
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(path("container.log"))
            .expect("append");
        file.write_all(line("b").as_bytes()).expect("write");
        fs::rename(path("container.log"), path("container.log.2")).expect("rename");
        fs::write(path("container.log.1"), line("c")).expect("write");
        let whole = line("d");
        let (half, rest) = whole.split_at(10);
        fs::write(path("container.log"), half).expect("write");
        assert_eq!(read(&mut reader), ["b", "c"]);
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(path("container.log"))
            .expect("append");
        file.write_all(rest.as_bytes()).expect("write");
        assert_eq!(read(&mut reader), ["d"]);
    }

    #[test]
    fn a_log_that_does_not_exist_yet_is_found_later() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut reader = LogReader::from_start(directory.path()).expect("open");
        assert_eq!(read(&mut reader), [] as [&str; 0]);
        fs::write(directory.path().join("container.log"), line("a")).expect("write");
        assert_eq!(read(&mut reader), ["a"]);
    }
}
