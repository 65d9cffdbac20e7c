//! In: the files that a COPY is to make, and what the same COPY made in an earlier build. Out: links to the files that are the same.
//! One changed file of thousands costs one copy: layers never change, so they may share files.
//! **Invariant:** a file is shared only when content, owner, mode, time and attributes are those of the copy it stands for.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use sha2::{Digest as _, Sha256};

use super::destination::Place;
use super::hash_index::{FileDigest, HashIndex};
use super::written::Attributes;
use crate::digest::Digest;
use crate::store::ImageStore;

const HEADER: &[u8; 16] = b"rcompose copied1";
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
        let path = store.root().join("build-copies").join(name);
        let earlier = fs::read(&path).ok().and_then(|bytes| {
            let (diff_id, files) = decode(&bytes)?;
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
            let _slower_next_time = write(&self.path, &encode(diff_id, &made));
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
    let mut bytes = HEADER.to_vec();
    bytes.extend_from_slice(diff_id.hex().as_bytes());
    for (digest, path) in made {
        let path = path.as_os_str().as_bytes();
        bytes.extend_from_slice(digest);
        bytes.extend_from_slice(&(path.len() as u64).to_le_bytes());
        bytes.extend_from_slice(path);
    }
    let seal = Sha256::digest(&bytes);
    bytes.extend_from_slice(&seal);
    bytes
}

fn decode(bytes: &[u8]) -> Option<(Digest, HashMap<PathBuf, FileDigest>)> {
    let (content, seal) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    if Sha256::digest(content).as_slice() != seal {
        return None;
    }
    let (diff_id, mut rest) = content.strip_prefix(HEADER)?.split_at_checked(64)?;
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

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    fs::File::create(&unfinished)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&unfinished, path))
        .inspect_err(|_| drop(fs::remove_file(&unfinished)))
}
