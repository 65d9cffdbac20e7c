//! The entries a tar is written of next in; the small files among them out, read by all processors.
//! **Invariant:** a file that cannot be read whole is left to whoever writes it, who says why.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FileType, OFlags};

use super::attributes::{Attributes, xattrs};
use super::{Item, open_in};
use crate::unpack::is_whiteout;
use crate::workers::by_all_processors;

/// Larger files keep a processor busy by themselves.
const SMALL: i64 = 64 << 10;
const MOST: usize = 256;
/// Fewer are read as they are written.
const FEW: usize = 16;

/// A file that was read.
pub(super) struct ReadFile {
    pub(super) path: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) xattrs: Attributes,
}

/// Reads the files that stand at the beginning of `next`.
pub(super) fn read_ahead<'i>(
    root: BorrowedFd<'_>,
    next: impl Iterator<Item = &'i Item>,
) -> VecDeque<ReadFile> {
    let is_small_file = |item: &&Item| {
        FileType::from_raw_mode(item.stat.st_mode) == FileType::RegularFile
            && item.stat.st_size <= SMALL
            && !is_whiteout(&item.stat)
    };
    let items: Vec<&Item> = next.take_while(is_small_file).take(MOST).collect();
    if items.len() < FEW {
        return VecDeque::new();
    }
    let bytes = items
        .iter()
        .map(|item| u64::try_from(item.stat.st_size).unwrap_or(0))
        .sum();
    let read: Mutex<Vec<Option<ReadFile>>> = Mutex::new(items.iter().map(|_| None).collect());
    let work = |number: usize, _: &mut Vec<u8>| -> io::Result<()> {
        let file = read_file(root, items[number]);
        read.lock().unwrap_or_else(PoisonError::into_inner)[number] = file;
        Ok(())
    };
    // No job fails: what cannot be read is missing.
    by_all_processors(items.len(), bytes, work).unwrap_or_default();
    read.into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_iter()
        .flatten()
        .collect()
}

fn read_file(root: BorrowedFd<'_>, item: &Item) -> Option<ReadFile> {
    let opened = open_in(root, &item.path, OFlags::NONBLOCK).ok()?;
    let (xattrs, _) = xattrs(&opened, &item.path).ok()?;
    let size = usize::try_from(item.stat.st_size).ok()?;
    let mut content = vec![0; size];
    std::fs::File::from(opened).read_exact(&mut content).ok()?;
    Some(ReadFile {
        path: item.path.clone(),
        content,
        xattrs,
    })
}
