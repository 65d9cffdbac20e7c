//! In: entries of a tree. Out: a digest of all that COPY would carry over: paths, kinds, modes, owners, content; never times.
//! What an index knows is not read; the rest is read by all processors.
//! **Invariant:** the same content gives the same digest on every machine.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use sha2::{Digest, Sha256};

use super::hash_index::{FileDigest, HashIndex};
use super::step_key::{StepKey, encode};
use super::transfer::{Transfer, names};
use super::written::xattrs;
use crate::workers::by_all_processors;

/// Entries that are collected before they are read together.
const BATCH: usize = 1024;
/// Directories held open at most for the files in them.
const OPEN_DIRECTORIES: usize = 128;
const BUFFER: usize = 256 << 10;

/// Collects what a COPY reads.
pub(crate) struct Fingerprint<'a> {
    key: StepKey,
    owners: bool,
    index: Option<&'a HashIndex>,
    pending: Vec<Pending>,
    /// Directories that are left out, above where the walk is: they count once something in them comes back.
    ways: Vec<Vec<u8>>,
    open: usize,
}

/// An entry that is to be added to the digest.
struct Pending {
    /// Its words so far, encoded.
    words: Vec<u8>,
    /// Its content counts, too.
    file: Option<PendingFile>,
}

struct PendingFile {
    directory: Arc<OwnedFd>,
    name: OsString,
    status: Stat,
}

impl<'a> Fingerprint<'a> {
    /// `owners`: they are carried over (`--from`), so they count.
    pub(crate) fn new(owners: bool, index: Option<&'a HashIndex>) -> Self {
        Self {
            key: StepKey::new("files 2"),
            owners,
            index,
            pending: Vec::new(),
            ways: Vec::new(),
            open: 0,
        }
    }

    /// Adds a word.
    pub(crate) fn word(&mut self, bytes: &[u8]) {
        let mut words = Vec::new();
        encode(&mut words, bytes);
        self.pending.push(Pending { words, file: None });
    }

    /// Adds the entry `name` of a directory and, of a directory, everything below that is not left out.
    pub(crate) fn entry(
        &mut self,
        directory: &Arc<OwnedFd>,
        name: &OsStr,
        path: &Path,
        transfer: &Transfer<'_>,
        shown: &Path,
    ) -> io::Result<()> {
        let status = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        let left_out = transfer.leaves_out(path);
        if left_out && (kind != FileType::Directory || transfer.prunes(path)) {
            return Ok(());
        }
        let mut words = Vec::with_capacity(64 + shown.as_os_str().len());
        encode(&mut words, shown.as_os_str().as_bytes());
        encode(&mut words, &status.st_mode.to_le_bytes());
        if self.owners {
            encode(&mut words, &status.st_uid.to_le_bytes());
            encode(&mut words, &status.st_gid.to_le_bytes());
        }
        let mut file = None;
        match kind {
            FileType::RegularFile => {
                file = Some(PendingFile {
                    directory: Arc::clone(directory),
                    name: name.to_owned(),
                    status,
                });
            }
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(directory, name, Vec::new())?;
                encode(&mut words, link.as_bytes());
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                encode(&mut words, &status.st_rdev.to_le_bytes());
            }
            FileType::Directory | FileType::Fifo | FileType::Socket | FileType::Unknown => {}
        }
        let ways = self.ways.len();
        if left_out {
            self.ways.push(words);
        } else {
            let above = self.ways.drain(..).map(|words| Pending { words, file: None });
            self.pending.extend(above);
            self.pending.push(Pending { words, file });
        }
        if kind == FileType::Directory {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(directory, name, flags, Mode::empty())?;
            self.children(&Arc::new(opened), path, transfer, shown)?;
        }
        self.ways.truncate(ways);
        if self.pending.len() >= BATCH || self.open >= OPEN_DIRECTORIES {
            return self.flush();
        }
        Ok(())
    }

    /// Adds everything in a directory.
    pub(crate) fn children(
        &mut self,
        directory: &Arc<OwnedFd>,
        path: &Path,
        transfer: &Transfer<'_>,
        shown: &Path,
    ) -> io::Result<()> {
        self.open += 1;
        for name in names(directory.as_fd())? {
            self.entry(directory, &name, &path.join(&name), transfer, &shown.join(&name))?;
        }
        Ok(())
    }

    /// Adds what was collected, in order.
    fn flush(&mut self) -> io::Result<()> {
        self.open = 0;
        let pending = std::mem::take(&mut self.pending);
        let mut digests: Vec<Option<FileDigest>> = vec![None; pending.len()];
        let mut unread = Vec::new();
        let mut bytes = 0;
        for (at, entry) in pending.iter().enumerate() {
            let Some(file) = &entry.file else { continue };
            digests[at] = self.index.and_then(|index| index.get(&file.status));
            if digests[at].is_none() {
                unread.push(at);
                bytes += u64::try_from(file.status.st_size).unwrap_or(0);
            }
        }
        let read = Mutex::new(&mut digests);
        by_all_processors(unread.len(), bytes, |number, buffer| {
            let at = unread[number];
            let Some(file) = &pending[at].file else {
                return Ok(());
            };
            let digest = digest(file.directory.as_fd(), &file.name, buffer)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.name.display())))?;
            if let Some(index) = self.index {
                index.put(&file.status, digest);
            }
            read.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(digest);
            Ok(())
        })?;
        for (entry, digest) in pending.iter().zip(&digests) {
            self.key.encoded(&entry.words);
            if let Some(digest) = digest {
                self.key.word(digest);
            }
        }
        Ok(())
    }

    /// The digest, 64 hexadecimal characters.
    pub(crate) fn finish(mut self) -> io::Result<String> {
        self.flush()?;
        Ok(self.key.finish())
    }
}

/// Digest of a file's content and of the attributes that are copied with it.
fn digest(directory: BorrowedFd<'_>, name: &OsStr, buffer: &mut Vec<u8>) -> io::Result<FileDigest> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
    let mut content = Sha256::new();
    buffer.resize(BUFFER, 0);
    loop {
        let length = file.read(buffer)?;
        if length == 0 {
            break;
        }
        content.update(&buffer[..length]);
    }
    let content: FileDigest = content.finalize().into();
    let attributes = xattrs(file.as_fd())?;
    if attributes.is_empty() {
        return Ok(content);
    }
    let mut words = Vec::new();
    encode(&mut words, &content);
    for (name, value) in &attributes {
        encode(&mut words, name);
        encode(&mut words, value);
    }
    Ok(Sha256::digest(&words).into())
}
