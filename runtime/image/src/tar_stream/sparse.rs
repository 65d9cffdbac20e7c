//! Where a sparse file's stored bytes belong, as GNU tar writes it down in four ways, in; runs of zeros and of stored bytes out.
//! **Invariant:** runs are in order, do not overlap, hold every stored byte and end where the file ends.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::VecDeque;

use tar::{GnuExtSparseHeader, GnuHeader, GnuSparseHeader};

/// More pieces than a file of any honest archive has; 1 MiB of memory.
const MOST_PIECES: usize = 65_536;

/// A stretch of a file: first zeros that are not in the archive, then bytes that are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) zeros: u64,
    pub(super) stored: u64,
}

/// Stretches of stored bytes, by offset and length, as they are collected from headers.
#[derive(Debug, Default)]
pub(super) struct SparseMap {
    pieces: Vec<(u64, u64)>,
    /// A `GNU.sparse.offset` whose `GNU.sparse.numbytes` follows.
    offset: Option<u64>,
}

/// What PAX records say of a sparse file (GNU tar manual, "Storing Sparse Files").
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    /// Formats 0.0 and 0.1 have the map in the records, 1.0 at the head of the content.
    pub(super) map: SparseMap,
    pub(super) major: Option<u64>,
    pub(super) size: Option<u64>,
    /// The file's own name; the entry's is made up.
    pub(super) name: Option<Vec<u8>>,
}

impl PaxSparse {
    /// Takes one record whose key begins with `GNU.sparse.`; `None` if it is malformed or unknown.
    pub(super) fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"major" => self.major = Some(number(value)?),
            b"minor" | b"numblocks" => drop(number(value)?),
            b"size" | b"realsize" => self.size = Some(number(value)?),
            b"name" => self.name = Some(value.to_vec()),
            b"offset" => self.map.offset = Some(number(value)?),
            b"numbytes" => {
                let offset = self.map.offset.take()?;
                self.map.push(offset, number(value)?)?;
            }
            b"map" => {
                let mut numbers = value.split(|&byte| byte == b',');
                while let Some(offset) = numbers.next() {
                    self.map.push(number(offset)?, number(numbers.next()?)?)?;
                }
            }
            _ => return None,
        }
        Some(())
    }
}

impl SparseMap {
    pub(super) fn push(&mut self, offset: u64, length: u64) -> Option<()> {
        self.pieces.push((offset, length));
        (self.pieces.len() <= MOST_PIECES).then_some(())
    }

    /// The pieces in an old GNU header; whether an extension block follows.
    pub(super) fn add_header(&mut self, header: &GnuHeader) -> Option<bool> {
        self.add(&header.sparse)?;
        Some(header.is_extended())
    }

    /// The same for an extension block.
    pub(super) fn add_extension(&mut self, block: &GnuExtSparseHeader) -> Option<bool> {
        self.add(block.sparse())?;
        Some(block.is_extended())
    }

    fn add(&mut self, pieces: &[GnuSparseHeader]) -> Option<()> {
        for piece in pieces.iter().take_while(|piece| !piece.is_empty()) {
            self.push(piece.offset().ok()?, piece.length().ok()?)?;
        }
        Some(())
    }

    /// The file of `size` bytes, `stored` of which are in the archive. `None` if the map is of another file.
    pub(super) fn runs(self, size: u64, stored: u64) -> Option<VecDeque<Run>> {
        let (mut at, mut left) = (0_u64, stored);
        let mut runs = VecDeque::with_capacity(self.pieces.len() + 1);
        for (offset, length) in self.pieces {
            let zeros = offset.checked_sub(at)?;
            at = offset.checked_add(length)?;
            left = left.checked_sub(length)?;
            runs.push_back(Run {
                zeros,
                stored: length,
            });
        }
        let rest = size.checked_sub(at)?;
        runs.push_back(Run {
            zeros: rest,
            stored: 0,
        });
        (left == 0).then_some(runs)
    }
}

/// The map at the head of a file in format 1.0: decimal numbers, each ended by a line feed: how many pieces, then offset and length
/// of each. Bytes are asked for one by one from `next`; it is padded to whole blocks. Returns how many bytes were taken.
pub(super) fn read_map<E>(
    next: &mut dyn FnMut() -> Result<u8, E>,
    malformed: &dyn Fn() -> E,
) -> Result<(SparseMap, u64), E> {
    let mut taken = 0_u64;
    let mut decimal = |taken: &mut u64| -> Result<u64, E> {
        let mut value = 0_u64;
        loop {
            let byte = next()?;
            *taken += 1;
            let digit = match byte {
                b'\n' => return Ok(value),
                b'0'..=b'9' => u64::from(byte - b'0'),
                _ => return Err(malformed()),
            };
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(digit))
                .ok_or_else(malformed)?;
        }
    };
    let mut map = SparseMap::default();
    for _ in 0..decimal(&mut taken)? {
        let (offset, length) = (decimal(&mut taken)?, decimal(&mut taken)?);
        map.push(offset, length).ok_or_else(malformed)?;
    }
    Ok((map, taken))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(pieces: &[(u64, u64)], size: u64, stored: u64) -> Option<Vec<(u64, u64)>> {
        let mut map = SparseMap::default();
        for &(offset, length) in pieces {
            map.push(offset, length)?;
        }
        let runs = map.runs(size, stored)?;
        Some(runs.into_iter().map(|run| (run.zeros, run.stored)).collect())
    }

    #[test]
    fn a_map_becomes_runs_only_if_it_fits_the_file() {
        assert_eq!(
            runs(&[(10, 5), (20, 1)], 30, 6),
            Some(vec![(10, 5), (5, 1), (9, 0)])
        );
        assert_eq!(runs(&[], 7, 0), Some(vec![(7, 0)]));
        for (pieces, size, stored) in [
            (&[(10, 5), (12, 1)][..], 30, 6),
            (&[(10, 5)], 30, 6),
            (&[(10, 5)], 30, 4),
            (&[(10, 5)], 12, 5),
            (&[(u64::MAX, 5)], 12, 5),
            (&[(0, u64::MAX), (0, u64::MAX)], 12, 5),
        ] {
            assert_eq!(runs(pieces, size, stored), None, "{pieces:?} {size} {stored}");
        }
    }

    #[test]
    fn a_map_in_the_content_is_read_to_its_last_line() {
        let read = |text: &[u8]| {
            let mut bytes = text.iter().copied();
            read_map(&mut || bytes.next().ok_or("end"), &|| "malformed")
                .map(|(map, taken)| (map.pieces, taken))
        };
        assert_eq!(read(b"2\n0\n5\n10\n1\nrest"), Ok((vec![(0, 5), (10, 1)], 11)));
        assert_eq!(read(b"1\n0\n"), Err("end"));
        assert_eq!(read(b"-1\n"), Err("malformed"));
        assert_eq!(read(b"99999999999999999999\n"), Err("malformed"));
        let endless = [b"99999999\n".as_slice(), &b"1\n1\n".repeat(MOST_PIECES + 1)].concat();
        assert_eq!(read(&endless), Err("malformed"));
    }
}
