//! A tar header and the extensions before it in, what its entry creates out.
//! **Invariant:** a number that cannot be read is an error, never a guess.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::io;

use tar::Header;

use super::pax::Extensions;
use crate::error::ImageError;

/// What an entry creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Regular,
    Directory,
    Symlink,
    HardLink,
    CharacterDevice,
    BlockDevice,
    Fifo,
}

/// One member of an archive, as its headers describe it.
#[derive(Debug, Clone)]
pub(crate) struct TarEntry {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// Permission bits, with set-user-ID, set-group-ID and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) modified: (i64, u32),
    /// Bytes of content, holes of sparse files included.
    pub(crate) size: u64,
    /// Major and minor number.
    pub(crate) device: (u32, u32),
    /// Names and values.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl TarEntry {
    /// The path for a message.
    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// What `header` says after `extensions`, of a file of `size` bytes.
pub(super) fn describe(header: &Header, extensions: Extensions, size: u64) -> Result<TarEntry, ImageError> {
    let path = extensions
        .gnu_path
        .or(extensions.path)
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let name = || String::from_utf8_lossy(&path).into_owned();
    let bad = |problem: &str| ImageError::BadEntry {
        entry: name(),
        problem: problem.to_owned(),
    };
    // The type flags of POSIX pax, "ustar Interchange Format", and GNU's sparse file.
    let kind = match header.entry_type().as_byte() {
        // Before POSIX a directory was a file whose name ends in a slash.
        b'0' | 0 if path.ends_with(b"/") => EntryKind::Directory,
        b'0' | 0 | b'7' | b'S' => EntryKind::Regular,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharacterDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        other => return Err(bad(&format!("has the unknown type {:?}", char::from(other)))),
    };
    let link = extensions
        .gnu_link
        .or(extensions.link)
        .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
    let number = |field: &[u8], value: io::Result<u64>| {
        // An empty field is a zero that was not written.
        if is_blank(field) {
            Ok(0)
        } else {
            value.map_err(|_| bad("has an invalid number in its header"))
        }
    };
    let old = header.as_old();
    let device = |value: io::Result<Option<u32>>| value.map_err(|_| bad("has an invalid device number"));
    let is_device = matches!(kind, EntryKind::CharacterDevice | EntryKind::BlockDevice);
    Ok(TarEntry {
        kind,
        mode: u32::try_from(number(&old.mode, header.mode().map(u64::from))? & 0o7777).unwrap_or(0),
        uid: extensions
            .uid
            .map_or_else(|| number(&old.uid, header.uid()), Ok)?,
        gid: extensions
            .gid
            .map_or_else(|| number(&old.gid, header.gid()), Ok)?,
        modified: extensions.modified.unwrap_or_else(|| (old_time(header), 0)),
        size,
        device: if is_device {
            (
                device(header.device_major())?.unwrap_or(0),
                device(header.device_minor())?.unwrap_or(0),
            )
        } else {
            (0, 0)
        },
        link: link.unwrap_or_default(),
        xattrs: extensions.xattrs,
        path,
    })
}

fn is_blank(field: &[u8]) -> bool {
    field.iter().all(|byte| matches!(byte, 0 | b' '))
}

/// Seconds since 1970 of a plain header. GNU tar writes a time before 1970 as a binary number, whose first byte is 0xff.
fn old_time(header: &Header) -> i64 {
    let field = &header.as_old().mtime;
    match field.last_chunk() {
        Some(low) if field[0] == 0xff => i64::from_be_bytes(*low),
        _ => header
            .mtime()
            .ok()
            .and_then(|time| time.try_into().ok())
            .unwrap_or(0),
    }
}
