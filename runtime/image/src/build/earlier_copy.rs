//! In: the files that a COPY is to make, and what the same COPY made in an earlier build. Out: links to the files that are the same.
//! One changed file of thousands costs one copy: layers never change, so they may share files.
//! **Invariant:** a file is shared only when content, owner, mode, time and attributes are those of the copy it stands for.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, Stat};

use super::destination::Place;
use super::hash_index::{FileDigest, HashIndex};
use super::in_flight::take;
use super::sealed_file::{self, Header};
use super::written::Attributes;
use crate::digest::Digest;
use crate::store::ImageStore;

/// Of the store.
pub(super) const DIRECTORY: &str = "build-copies";
const HEADER: &Header = b"rcompose copied1";
/// Fewer files are not worth a list.
const FEW: usize = 64;
/// Links to one file at most, below what file systems allow (ext4: 65,000).
const MOST_LINKS: u32 = 32_000;

/// What an earlier build made of the same instruction, and what this one makes.
pub(crate) struct EarlierCopy<'a> {
    index: &'a HashIndex,
    path: PathBuf,
    earlier: Option<Layer>,
    made: Mutex<Vec<(FileDigest, PathBuf)>>,
}

struct Layer {
    root: OwnedFd,
    /// By path: two files of the same content stay two files.
    files: HashMap<PathBuf, FileDigest>,
}

impl<'a> EarlierCopy<'a> {
    /// `name` is that of the instruction: the same context, words and flags, whatever the files.
    pub(crate) fn of(store: &ImageStore, index: &'a HashIndex, name: &str) -> Self {
        let path = store.root().join(DIRECTORY).join(name);
        // One whose use is not noted goes sooner.
        let _noted = take(store, &path);
        let earlier = sealed_file::read(&path, HEADER).and_then(|content| {
            let (diff_id, files) = decode(&content)?;
            let layer = store.layer(&diff_id).ok()??;
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let root = rustix::fs::open(&layer.directory, flags, Mode::empty()).ok()?;
            Some(Layer { root, files })
        });
        Self {
            index,
            path,
            earlier,
            made: Mutex::new(Vec::new()),
        }
    }

    /// Links the file of the earlier layer that is the copy of this one; false when there is none.
    pub(crate) fn link(&self, source: &Stat, wanted: &Attributes, into: &Place, name: &OsStr) -> bool {
        let Some(digest) = self.index.get(source) else {
            return false;
        };
        let path = into.path.join(name);
        let linked = self.earlier.as_ref().is_some_and(|layer| {
            layer.files.get(&path) == Some(&digest) && layer.link(&path, source, wanted, into, name)
        });
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((digest, path));
        linked
    }

    /// Remembers what was made for the next build. A list that cannot be written costs time then, nothing else.
    pub(crate) fn save(&self, diff_id: &Digest) {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= FEW {
            let _slower_next_time = sealed_file::write(&self.path, HEADER, &encode(diff_id, &made));
        }
    }
}

impl Layer {
    fn link(&self, path: &Path, source: &Stat, wanted: &Attributes, into: &Place, name: &OsStr) -> bool {
        let Ok(there) = rustix::fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW) else {
            return false;
        };
        there.st_size == source.st_size
            && there.st_nlink < MOST_LINKS.into()
            && Attributes::of(&there) == *wanted
            && rustix::fs::linkat(&self.root, path, &into.upper, name, AtFlags::empty()).is_ok()
    }
}

fn encode(diff_id: &Digest, made: &[(FileDigest, PathBuf)]) -> Vec<u8> {
    let mut bytes = diff_id.hex().into_bytes();
    for (digest, path) in made {
        let path = path.as_os_str().as_bytes();
        bytes.extend_from_slice(digest);
        bytes.extend_from_slice(&(path.len() as u64).to_le_bytes());
        bytes.extend_from_slice(path);
    }
    bytes
}

fn decode(content: &[u8]) -> Option<(Digest, HashMap<PathBuf, FileDigest>)> {
    let (diff_id, mut rest) = content.split_at_checked(64)?;
    let diff_id = Digest::from_hex(std::str::from_utf8(diff_id).ok()?).ok()?;
    let mut files = HashMap::new();
    while !rest.is_empty() {
        let (digest, after) = rest.split_first_chunk::<32>()?;
        let (length, after) = after.split_first_chunk::<8>()?;
        let (path, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        files.insert(PathBuf::from(OsStr::from_bytes(path)), *digest);
        rest = after;
    }
    Some((diff_id, files))
}
