//! In: the write-ahead log that a `SQLite` database was left with (sqlite.org, "WAL-mode File Format"). Out: the pages that are newer
//! there than in the database.
//! **Invariant:** only what was committed counts; a log that ends amid a transaction, or is of another time, says nothing more.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The last bit tells the byte order of the checksums.
const MAGIC: u32 = 0x377f_0682;

/// The newest committed form of every page in the log.
pub(super) fn pages(log: &[u8], page_size: usize) -> BTreeMap<u32, &[u8]> {
    let mut committed = BTreeMap::new();
    let word = |at: usize| big(log, at);
    let (Some(magic), Some(size), Some(salt)) = (word(0), word(8), log.get(16..24)) else {
        return committed;
    };
    let is_big = magic & 1 == 1;
    let mut sum = checksum((0, 0), log.get(..24).unwrap_or_default(), is_big);
    let announced = (word(24), word(28));
    if magic & !1 != MAGIC
        || usize::try_from(size) != Ok(page_size)
        || announced != (Some(sum.0), Some(sum.1))
    {
        return committed;
    }
    let mut open = Vec::new();
    for frame in log[HEADER..].chunks_exact(FRAME_HEADER + page_size) {
        let (header, page) = frame.split_at(FRAME_HEADER);
        sum = checksum(checksum(sum, &header[..8], is_big), page, is_big);
        let (Some(number), Some(size_after)) = (big(header, 0), big(header, 4)) else {
            break;
        };
        if header.get(8..16) != Some(salt) || (big(header, 16), big(header, 20)) != (Some(sum.0), Some(sum.1))
        {
            break;
        }
        open.push((number, page));
        if size_after != 0 {
            committed.extend(open.drain(..));
        }
    }
    committed
}

fn checksum(sum: (u32, u32), bytes: &[u8], is_big: bool) -> (u32, u32) {
    let read = |word: &[u8]| {
        word.iter().enumerate().fold(0, |value, (index, byte)| {
            let place = if is_big { 3 - index } else { index };
            value | u32::from(*byte) << (8 * place)
        })
    };
    bytes.chunks_exact(8).fold(sum, |(first, second), pair| {
        let (one, other) = pair.split_at(4);
        let first = first.wrapping_add(read(one)).wrapping_add(second);
        (first, second.wrapping_add(read(other)).wrapping_add(first))
    })
}

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(word.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}
