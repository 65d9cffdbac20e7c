//! In: a layer's directory. Out: its entries in the order of the archive, small files with their content: a thread reads them while
//! the ones before are written.
//! **Invariant:** a few batches of memory, however large the tree; a file that cannot be read whole is left to whoever writes it,
//! who says why.

use std::collections::HashSet;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::sync_channel;
use std::thread::{self, Builder};

use rustix::fs::{FileType, OFlags};

use super::attributes::{Attributes, xattrs};
use super::{Item, children, failed, item, open_in};
use crate::error::ImageError;
use crate::unpack::is_whiteout;

/// Larger files are read as they are written.
const SMALL: i64 = 64 << 10;
/// Entries and bytes of a batch, about.
const ENTRIES: usize = 64;
const BYTES: usize = 512 << 10;
/// Batches on their way to the writer at most.
const AHEAD: usize = 4;

/// An entry of the tree, and what is known of it.
pub(super) struct Entry {
    pub(super) item: Item,
    pub(super) known: Known,
}

/// What was read of an entry.
pub(super) enum Known {
    /// A directory's attributes, and whether it hides what is below it.
    Directory(Attributes, bool),
    /// A small file, whole.
    File(Attributes, Vec<u8>),
    /// Nothing yet.
    Nothing,
}

/// Gives every entry to `write`: a directory before what is in it, names sorted.
pub(super) fn for_each(
    root: BorrowedFd<'_>,
    write: &mut dyn FnMut(Entry) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let mut walk = Walk {
        root,
        pending: vec![item(root, Vec::new())?],
        seen: HashSet::new(),
    };
    // Most layers are small: a thread is only worth it for what does not fit a batch.
    if let Some(batch) = walk.next() {
        batch?.into_iter().try_for_each(&mut *write)?;
    }
    if walk.pending.is_empty() {
        return Ok(());
    }
    let is_done = thread::scope(|scope| -> Result<bool, ImageError> {
        let (send, batches) = sync_channel(AHEAD);
        let walk = &mut walk;
        let read = move || {
            for batch in walk {
                if send.send(batch).is_err() {
                    return;
                }
            }
        };
        if Builder::new().spawn_scoped(scope, read).is_err() {
            return Ok(false);
        }
        for batch in batches {
            batch?.into_iter().try_for_each(&mut *write)?;
        }
        Ok(true)
    })?;
    if !is_done {
        for batch in walk {
            batch?.into_iter().try_for_each(&mut *write)?;
        }
    }
    Ok(())
}

/// Batches of entries.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// What comes next is last.
    pending: Vec<Item>,
    /// Files with several names that were read.
    seen: HashSet<(u64, u64)>,
}

impl Iterator for Walk<'_> {
    type Item = Result<Vec<Entry>, ImageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < ENTRIES && bytes < BYTES {
            let Some(item) = self.pending.pop() else { break };
            let known = match self.look_at(&item) {
                Ok(known) => known,
                Err(error) => {
                    self.pending.clear();
                    return Some(Err(error));
                }
            };
            if let Known::File(_, content) = &known {
                bytes += content.len();
            }
            batch.push(Entry { item, known });
        }
        (!batch.is_empty()).then_some(Ok(batch))
    }
}

impl Walk<'_> {
    fn look_at(&mut self, item: &Item) -> Result<Known, ImageError> {
        let (path, stat) = (&item.path, &item.stat);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let opened = open_in(self.root, path, OFlags::DIRECTORY).map_err(failed("open", path))?;
                let (xattrs, opaque) = xattrs(&opened, path)?;
                let mut children = children(path, &opened)?;
                children.sort_by(|one, other| other.path.cmp(&one.path));
                self.pending.append(&mut children);
                Ok(Known::Directory(xattrs, opaque))
            }
            FileType::RegularFile if stat.st_size <= SMALL && !is_whiteout(stat) => {
                // A further name of a file is not written as a file.
                let is_first = stat.st_nlink == 1 || self.seen.insert((stat.st_dev, stat.st_ino));
                let read = is_first.then(|| read(self.root, item)).flatten();
                Ok(read.unwrap_or(Known::Nothing))
            }
            FileType::RegularFile
            | FileType::Symlink
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Fifo
            | FileType::Socket
            | FileType::Unknown => Ok(Known::Nothing),
        }
    }
}

fn read(root: BorrowedFd<'_>, item: &Item) -> Option<Known> {
    let opened = open_in(root, &item.path, OFlags::NONBLOCK).ok()?;
    let (xattrs, _) = xattrs(&opened, &item.path).ok()?;
    let mut content = vec![0; usize::try_from(item.stat.st_size).ok()?];
    std::fs::File::from(opened).read_exact(&mut content).ok()?;
    Some(Known::File(xattrs, content))
}
