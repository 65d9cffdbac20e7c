//! In: the bytes of a `SQLite` database and of its write-ahead log. Out: the rows of a table, read as the format says (sqlite.org,
//! "Database File Format"). Only what reading needs is here.
//! **Invariant:** whatever the bytes are, reading ends: no page of a table is visited twice, and no more content is read than the
//! file has.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use super::write_ahead_log;

const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the first page's own content begins.
const FILE_HEADER: usize = 100;
const INTERIOR: u8 = 0x05;
const LEAF: u8 = 0x0d;
const UTF8: u32 = 1;

/// A database.
pub(super) struct Database<'d> {
    file: &'d [u8],
    /// Pages that are newer in the log.
    newer: BTreeMap<u32, &'d [u8]>,
    page_size: usize,
    /// Bytes of a page that hold content.
    usable: usize,
}

/// A value of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'r> {
    Nothing,
    Integer(i64),
    /// Text or a blob.
    Bytes(&'r [u8]),
}

impl<'d> Database<'d> {
    pub(super) fn open(file: &'d [u8], log: &'d [u8]) -> Result<Self, String> {
        if !file.starts_with(MAGIC) {
            return Err("it is no SQLite database".to_owned());
        }
        let page_size = match number(file, 16, 2)? {
            1 => 65_536,
            size => usize(size),
        };
        let usable = page_size.saturating_sub(usize(number(file, 20, 1)?));
        if !page_size.is_power_of_two() || usable < 480 {
            return Err(format!("its pages have {page_size} bytes"));
        }
        let newer = write_ahead_log::pages(log, page_size);
        let database = Self {
            file,
            newer,
            page_size,
            usable,
        };
        match number(database.page(1)?, 56, 4)? {
            UTF8 => Ok(database),
            encoding => Err(format!("its texts are in encoding {encoding}, not in UTF-8")),
        }
    }

    /// Calls `row` with every row of a table, in the order of their keys.
    pub(super) fn rows(
        &self,
        table: &str,
        row: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut root = None;
        self.records(1, &mut |record| {
            let column = |index| column(record, index);
            if column(0)? == Value::Bytes(b"table") && column(1)? == Value::Bytes(table.as_bytes()) {
                root = match column(3)? {
                    Value::Integer(page) => u32::try_from(page).ok(),
                    Value::Bytes(_) | Value::Nothing => None,
                };
            }
            Ok(())
        })?;
        let root = root.ok_or_else(|| format!("it has no table {table}"))?;
        self.records(root, row)
    }

    fn page(&self, page: u32) -> Result<&'d [u8], String> {
        if let Some(newer) = self.newer.get(&page) {
            return Ok(newer);
        }
        let start = usize(page)
            .checked_sub(1)
            .and_then(|before| before.checked_mul(self.page_size));
        let bytes = start.and_then(|start| self.file.get(start..start.checked_add(self.page_size)?));
        bytes.ok_or_else(|| format!("it has no page {page}"))
    }

    /// Walks a tree of pages from its root.
    fn records(&self, root: u32, record: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        let mut open = vec![root];
        let mut visited = BTreeSet::new();
        let mut left = self.file.len() + self.newer.len() * self.page_size;
        while let Some(number_of_page) = open.pop() {
            if !visited.insert(number_of_page) {
                return Err(format!("page {number_of_page} occurs twice"));
            }
            let page = self.page(number_of_page)?;
            let header = if number_of_page == 1 { FILE_HEADER } else { 0 };
            let kind = page.get(header).copied();
            let cells = usize(number(page, header + 3, 2)?);
            let pointers = header + if kind == Some(INTERIOR) { 12 } else { 8 };
            let cell = |index: usize| number(page, pointers + 2 * index, 2).map(usize);
            match kind {
                Some(INTERIOR) => {
                    open.push(number(page, header + 8, 4)?);
                    for index in (0..cells).rev() {
                        open.push(number(page, cell(index)?, 4)?);
                    }
                }
                Some(LEAF) => {
                    for index in 0..cells {
                        let content = self.payload(page, cell(index)?, &mut left)?;
                        record(&content)?;
                    }
                }
                _ => return Err(format!("page {number_of_page} is of no table")),
            }
        }
        Ok(())
    }

    /// The content of a leaf's cell: some of it there, the rest on a chain of further pages.
    fn payload(&self, page: &[u8], cell: usize, left: &mut usize) -> Result<Vec<u8>, String> {
        let cut = || "a row is cut".to_owned();
        let (length, at) = varint(page, cell)?;
        let (_key, at) = varint(page, at)?;
        let length = usize::try_from(length).map_err(|_| cut())?;
        *left = left.checked_sub(length).ok_or_else(cut)?;
        let here = self.local_length(length);
        let end = at.checked_add(here).ok_or_else(cut)?;
        let mut content = page.get(at..end).ok_or_else(cut)?.to_vec();
        if here == length {
            return Ok(content);
        }
        let mut next = number(page, end, 4)?;
        while content.len() < length {
            let further = self.page(next)?.get(..self.usable).ok_or_else(cut)?;
            let bytes = further.get(4..).ok_or_else(cut)?;
            content.extend(bytes.iter().take(length - content.len()));
            next = number(further, 0, 4)?;
        }
        Ok(content)
    }

    /// How much of a row is in its leaf ("B-tree Pages", table leaf cells: U, X, M, K).
    fn local_length(&self, length: usize) -> usize {
        let most = self.usable - 35;
        if length <= most {
            return length;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let fitting = least + (length - least) % (self.usable - 4);
        if fitting <= most { fitting } else { least }
    }
}

/// A value of a row, by the index of its column ("Record Format").
pub(super) fn column(record: &[u8], index: usize) -> Result<Value<'_>, String> {
    let cut = || "a row is cut".to_owned();
    let (header, mut at) = varint(record, 0)?;
    let header = usize::try_from(header).map_err(|_| cut())?;
    let mut start = header;
    for position in 0.. {
        if at >= header {
            break;
        }
        let (kind, next) = varint(record, at)?;
        at = next;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).map_err(|_| cut())?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err(format!("a row has a value of type {kind}")),
            long => usize::try_from((long - 12) / 2).map_err(|_| cut())?,
        };
        let end = start.checked_add(length).ok_or_else(cut)?;
        let bytes = record.get(start..end).ok_or_else(cut)?;
        if position == index {
            return Ok(match kind {
                // Fractions are no value that is asked for.
                0 | 7 => Value::Nothing,
                8 => Value::Integer(0),
                9 => Value::Integer(1),
                1..=6 => Value::Integer(integer(bytes)),
                _ => Value::Bytes(bytes),
            });
        }
        start = end;
    }
    Err(format!("a row has no column {index}"))
}

fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| {
        value << 8 | i64::from(*byte)
    })
}

/// A big-endian number of up to 4 bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> Result<u32, String> {
    let range = at.checked_add(length).and_then(|end| bytes.get(at..end));
    let range = range.ok_or("a page is cut")?;
    Ok(range.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

/// A number of one to nine bytes, and where the next one begins.
fn varint(bytes: &[u8], at: usize) -> Result<(u64, usize), String> {
    let mut value = 0;
    for index in 0..9 {
        let byte = *bytes.get(at + index).ok_or("a row is cut")?;
        if index == 8 {
            return Ok((value << 8 | u64::from(byte), at + 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Ok((value, at + index + 1));
        }
    }
    Err("a row is cut".to_owned())
}

/// Pages and sizes are 32 bits wide, and so is the smallest `usize` that the program is built for.
fn usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
