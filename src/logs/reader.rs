//! In: a container's directory. Out: the raw lines of its log, from a chosen point, across rotations.
//! Files: `container.log` is the newest, then `container.log.1`, `container.log.2`, …
//! **Invariant:** reading never holds up the writer; a file is followed by its inode, not by its name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::record::Record;

const BLOCK: usize = 64 * 1024;

/// One log being read.
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    open: Option<(File, u64)>,
    partial: Vec<u8>,
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
    /// A reader that starts with the oldest line on disk.
    pub fn from_start(directory: &Path) -> io::Result<Self> {
        let mut reader = Self { directory: directory.to_owned(), open: None, partial: Vec::new() };
        let mut oldest = 0;
        while log_file(directory, oldest + 1).exists() {
            oldest += 1;
        }
        reader.open = open(&log_file(directory, oldest))?;
        Ok(reader)
    }

    /// A reader whose first lines are the last `count` ones on disk.
    pub fn from_tail(directory: &Path, count: usize) -> io::Result<Self> {
        let mut wanted = count;
        let mut generation = 0;
        loop {
            let Some((mut file, inode)) = open(&log_file(directory, generation))? else {
                return if generation == 0 {
                    Ok(Self { directory: directory.to_owned(), open: None, partial: Vec::new() })
                } else {
                    Self::from_start(directory)
                };
            };
            let (position, found) = last_lines(&mut file, wanted)?;
            if found >= wanted {
                file.seek(SeekFrom::Start(position))?;
                return Ok(Self { directory: directory.to_owned(), open: Some((file, inode)), partial: Vec::new() });
            }
            wanted -= found;
            generation += 1;
        }
    }

    /// Hands every complete record that is there to `take`; ends at the end of the newest file.
    pub fn read_available(&mut self, take: &mut dyn FnMut(Record)) -> io::Result<()> {
        let mut block = vec![0; BLOCK];
        loop {
            let Some((file, inode)) = &mut self.open else {
                self.open = open(&log_file(&self.directory, 0))?;
                if self.open.is_none() {
                    return Ok(());
                }
                continue;
            };
            let inode = *inode;
            let length = file.read(&mut block)?;
            if length > 0 {
                self.take_lines(&block[..length], take);
                continue;
            }
            match self.newer_than(inode)? {
                Some(newer) => self.open = Some(newer),
                None => return Ok(()),
            }
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

    fn take_lines(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(Record)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            let record = if self.partial.is_empty() {
                Record::parse(line)
            } else {
                self.partial.extend_from_slice(line);
                let record = Record::parse(&self.partial);
                self.partial.clear();
                record
            };
            if let Some(record) = record {
                take(record);
            }
        }
        self.partial.extend_from_slice(bytes);
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
        for (offset, byte) in block[..size].iter().enumerate().rev() {
            let position = start + offset as u64;
            // A line feed at the very end closes the last line, it does not begin one.
            if *byte == b'\n' && position + 1 < length {
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
        reader.read_available(&mut |record| texts.push(record.text.trim_end().to_owned())).expect("readable");
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
    fn a_follow_survives_two_rotations_between_two_reads() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| directory.path().join(name);
        fs::write(path("container.log"), line("a")).expect("write");
        let mut reader = LogReader::from_start(directory.path()).expect("open");
        assert_eq!(read(&mut reader), ["a"]);
        let mut file = fs::OpenOptions::new().append(true).open(path("container.log")).expect("append");
        file.write_all(line("b").as_bytes()).expect("write");
        fs::rename(path("container.log"), path("container.log.2")).expect("rename");
        fs::write(path("container.log.1"), line("c")).expect("write");
        let whole = line("d");
        let (half, rest) = whole.split_at(10);
        fs::write(path("container.log"), half).expect("write");
        assert_eq!(read(&mut reader), ["b", "c"]);
        let mut file = fs::OpenOptions::new().append(true).open(path("container.log")).expect("append");
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
