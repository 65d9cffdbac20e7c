//! In: files of a context. Out: the digest of a file's content, without reading it when an earlier build has.
//! One sealed file a context directory: `build-index/<digest of its path>`, fixed records.
//! **Invariant:** a file that may have changed without its times showing it is read again; a damaged index counts as none.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

use super::in_flight::take;
use super::sealed_file::{self, Header};
use crate::digest::Digest;
use crate::store::ImageStore;

/// Digest of a file's content and of the attributes that are copied with it.
pub(crate) type FileDigest = [u8; 32];

/// Of the store.
pub(super) const DIRECTORY: &str = "build-index";
const HEADER: &Header = b"rcompose files 1";
/// Device, inode, size, twice seconds and nanoseconds, digest.
const RECORD: usize = 7 * 8 + 32;
/// A file changed so shortly before it was read may change again within one tick of the clock that its times are taken from.
const TICK: Duration = Duration::from_millis(50);
/// Files no build has asked for are forgotten beyond so many.
const MOST_UNUSED: usize = 100_000;

/// What a file looked like when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    digest: FileDigest,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    known: Known,
    /// Asked for, or read, by this build.
    used: bool,
    /// May be written to the index: its times will show the next change.
    settled: bool,
}

#[derive(Debug, Default)]
struct Entries {
    files: HashMap<(u64, u64), Entry>,
    is_new: bool,
}

/// Digests of the files of one directory.
#[derive(Debug)]
pub(crate) struct HashIndex {
    path: PathBuf,
    entries: Mutex<Entries>,
}

impl HashIndex {
    /// What is known of the files of a context.
    pub(crate) fn of(store: &ImageStore, context: &Path) -> Self {
        let name = Digest::of(context.as_os_str().as_bytes());
        let path = store.root().join(DIRECTORY).join(name.hex());
        // One whose use is not noted goes sooner.
        let _noted = take(store, &path);
        let files = sealed_file::read(&path, HEADER)
            .and_then(|records| decode(&records))
            .unwrap_or_default();
        Self {
            path,
            entries: Mutex::new(Entries { files, is_new: false }),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The digest of the file, if it is the one that was read.
    pub(crate) fn get(&self, status: &Stat) -> Option<FileDigest> {
        let mut entries = self.locked();
        let entry = entries.files.get_mut(&(status.st_dev, status.st_ino))?;
        let seen = known(status, entry.known.digest);
        if entry.known != seen {
            return None;
        }
        entry.used = true;
        Some(entry.known.digest)
    }

    /// Remembers a file; `status` was taken before it was read.
    pub(crate) fn put(&self, status: &Stat, digest: FileDigest) {
        let known = known(status, digest);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::new(
            u64::try_from(known.changed.0).unwrap_or(u64::MAX),
            u32::try_from(known.changed.1).unwrap_or(0),
        );
        let settled = changed.checked_add(TICK).is_some_and(|settles| settles < now);
        let mut entries = self.locked();
        entries.is_new |= settled;
        let entry = Entry {
            known,
            used: true,
            settled,
        };
        entries.files.insert((status.st_dev, status.st_ino), entry);
    }

    /// Writes what was learnt. An index that cannot be written costs time in the next build, nothing else.
    pub(crate) fn save(&self) {
        let entries = self.locked();
        if entries.is_new {
            let _slower_next_time = sealed_file::write(&self.path, HEADER, &encode(&entries.files));
        }
    }
}

fn known(status: &Stat, digest: FileDigest) -> Known {
    // Sizes are never negative; the types differ between architectures.
    let nanoseconds = |count| i64::try_from(count).unwrap_or(0);
    Known {
        size: u64::try_from(status.st_size).unwrap_or(0),
        modified: (status.st_mtime, nanoseconds(status.st_mtime_nsec)),
        changed: (status.st_ctime, nanoseconds(status.st_ctime_nsec)),
        digest,
    }
}

fn encode(files: &HashMap<(u64, u64), Entry>) -> Vec<u8> {
    let unused = files.values().filter(|entry| !entry.used).count();
    let mut bytes = Vec::with_capacity(files.len() * RECORD);
    for ((device, inode), entry) in files {
        if !entry.settled || !entry.used && unused > MOST_UNUSED {
            continue;
        }
        let known = &entry.known;
        for number in [*device, *inode, known.size] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [
            known.modified.0,
            known.modified.1,
            known.changed.0,
            known.changed.1,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&known.digest);
    }
    bytes
}

fn decode(records: &[u8]) -> Option<HashMap<(u64, u64), Entry>> {
    if !records.len().is_multiple_of(RECORD) {
        return None;
    }
    let mut files = HashMap::with_capacity(records.len() / RECORD);
    for record in records.chunks_exact(RECORD) {
        let (numbers, digest) = record.split_at(RECORD - 32);
        let mut number = numbers.chunks_exact(8).map(|part| {
            let mut word = [0; 8];
            word.copy_from_slice(part);
            u64::from_le_bytes(word)
        });
        let mut next = || number.next().unwrap_or_default();
        let key = (next(), next());
        let size = next();
        let mut signed = || next().cast_signed();
        let known = Known {
            size,
            modified: (signed(), signed()),
            changed: (signed(), signed()),
            digest: digest.try_into().ok()?,
        };
        let entry = Entry {
            known,
            used: false,
            settled: true,
        };
        files.insert(key, entry);
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    fn status(path: &Path) -> Stat {
        rustix::fs::stat(path).expect("status")
    }

    #[test]
    fn a_file_is_known_until_it_changes_and_a_damaged_index_is_none() {
        let root = tempfile::tempdir().expect("directory");
        let store = ImageStore::open(&root.path().join("store")).expect("store");
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        fs::write(&old, "old").expect("write");
        std::thread::sleep(TICK * 2);
        fs::write(&new, "new").expect("write");
        let index = HashIndex::of(&store, root.path());
        assert_eq!(index.get(&status(&old)), None);
        index.put(&status(&old), [1; 32]);
        index.put(&status(&new), [2; 32]);
        index.save();
        let again = HashIndex::of(&store, root.path());
        assert_eq!(again.get(&status(&old)), Some([1; 32]));
        assert_eq!(again.get(&status(&new)), None, "too young to be trusted");
        // The same size and time of modification, but not the same change.
        let modified = fs::metadata(&old).and_then(|seen| seen.modified()).expect("time");
        fs::write(&old, "odd").expect("write");
        File::open(&old)
            .and_then(|file| file.set_modified(modified))
            .expect("time");
        assert_eq!(again.get(&status(&old)), None);
        let mut bytes = fs::read(&index.path).expect("index");
        bytes[40] ^= 1;
        fs::write(&index.path, bytes).expect("write");
        assert_eq!(HashIndex::of(&store, root.path()).get(&status(&old)), None);
    }
}
