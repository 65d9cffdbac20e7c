//! In: an entry of a tree. Out: a digest of all that COPY would carry over: paths, kinds, modes, owners, content; never times.
//! **Invariant:** the same content gives the same digest on every machine.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use sha2::{Digest, Sha256};

use super::transfer::{Entry, Transfer, names};

/// Collects what a COPY reads.
pub(crate) struct Fingerprint {
    hash: Sha256,
    owners: bool,
    block: Vec<u8>,
}

impl Fingerprint {
    /// `owners`: they are carried over (`--from`), so they count.
    pub(crate) fn new(owners: bool) -> Self {
        Self {
            hash: Sha256::new(),
            owners,
            block: vec![0; 256 * 1024],
        }
    }

    /// Adds a word, its length first, so that two words never read as one.
    pub(crate) fn word(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }

    /// Adds an entry and, of a directory, everything below that is not left out.
    pub(crate) fn entry(
        &mut self,
        source: &Entry<'_>,
        transfer: &Transfer<'_>,
        shown: &Path,
    ) -> io::Result<()> {
        let status = rustix::fs::statat(source.directory, source.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        let left_out = transfer.leaves_out(source.path);
        if left_out && kind != FileType::Directory {
            return Ok(());
        }
        if !left_out {
            self.word(shown.as_os_str().as_bytes());
            self.word(&status.st_mode.to_le_bytes());
            if self.owners {
                self.word(&status.st_uid.to_le_bytes());
                self.word(&status.st_gid.to_le_bytes());
            }
        }
        match kind {
            FileType::Directory => {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = rustix::fs::openat(source.directory, source.name, flags, Mode::empty())?;
                self.children(directory.as_fd(), source.path, transfer, shown)?;
            }
            FileType::RegularFile => self.content(source.directory, source.name)?,
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(source.directory, source.name, Vec::new())?;
                self.word(link.as_bytes());
            }
            FileType::CharacterDevice | FileType::BlockDevice => self.word(&status.st_rdev.to_le_bytes()),
            FileType::Fifo | FileType::Socket | FileType::Unknown => {}
        }
        Ok(())
    }

    /// Adds everything in a directory.
    pub(crate) fn children(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &Path,
        transfer: &Transfer<'_>,
        shown: &Path,
    ) -> io::Result<()> {
        for name in names(directory)? {
            let (path, shown) = (path.join(&name), shown.join(&name));
            self.entry(
                &Entry {
                    directory,
                    name: &name,
                    path: &path,
                },
                transfer,
                &shown,
            )?;
        }
        Ok(())
    }

    fn content(&mut self, directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
        let mut inner = Sha256::new();
        loop {
            let length = file.read(&mut self.block)?;
            if length == 0 {
                break;
            }
            inner.update(&self.block[..length]);
        }
        self.word(&inner.finalize());
        Ok(())
    }

    /// The digest, 64 hexadecimal characters.
    pub(crate) fn finish(self) -> String {
        self.hash.finalize().iter().fold(String::new(), |mut text, byte| {
            use std::fmt::Write as _;
            // Writing to a String cannot fail.
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }
}
