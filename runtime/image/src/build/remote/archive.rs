//! In: an archive, compressed or not. Out: whether it is one, and its files in a directory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;

use crate::compression::decompress;
use crate::unpack::{Limits, Whiteouts, unpack as unpack_tar};

/// Where a tar header has its magic (POSIX ustar).
const MAGIC: std::ops::Range<usize> = 257..262;

/// Whether the file holds a tar archive.
pub(super) fn is_archive(file: &File) -> io::Result<bool> {
    let mut head = Vec::new();
    let mut again = file.try_clone()?;
    let plain = decompress(BufReader::new(file.try_clone()?))?;
    let read = plain.take(512).read_to_end(&mut head);
    again.rewind()?;
    Ok(read.is_ok() && head.get(MAGIC) == Some(b"ustar"))
}

/// Unpacks it.
pub(super) fn unpack(file: File, into: &Path) -> Result<(), String> {
    let place = File::open(into).map_err(|error| error.to_string())?;
    let plain = decompress(BufReader::new(file)).map_err(|error| error.to_string())?;
    unpack_tar(
        BufReader::new(plain),
        place.as_fd(),
        Whiteouts::Literal,
        Limits::default(),
    )
    .map(drop)
    .map_err(|error| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
}
