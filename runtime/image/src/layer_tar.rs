//! A layer's directory in, one canonical tar stream out: sorted, without host names, overlay's marks as OCI whiteouts.
//! **Invariant:** the same tree gives the same bytes, on every host and at every time; no symbolic link is followed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, major, minor, openat2, readlinkat, statat,
};
use rustix::io::Errno;
use tar::{EntryType, Header};

use crate::digest::Digest;
use crate::error::ImageError;
use crate::unpack::{OPAQUE_WHITEOUT, WHITEOUT, is_whiteout};

mod attributes;
mod block_hasher;
mod walk;

use attributes::{Attributes, pax_record, xattrs};
use block_hasher::BlockHasher;
use walk::{Entry, Known};

const BLOCK: usize = 512;
const NAME: usize = 100;

/// Writes the tree below `directory` to `output`, with the archive's end; returns the number of bytes.
pub fn write_layer_tar(directory: BorrowedFd<'_>, output: &mut dyn Write) -> Result<u64, ImageError> {
    let mut writer = LayerWriter {
        root: directory,
        output,
        written: 0,
        links: HashMap::new(),
        buffer: vec![0; 128 << 10],
    };
    walk::for_each(directory, &mut |entry| writer.entry(entry))?;
    writer.put(&[0; 2 * BLOCK])?;
    Ok(writer.written)
}

/// The digest and length in bytes of the canonical tar of `directory`.
pub fn layer_digest(directory: BorrowedFd<'_>) -> Result<(Digest, u64), ImageError> {
    let mut hasher = BlockHasher::new();
    let length = write_layer_tar(directory, &mut hasher)?;
    Ok((hasher.finish(), length))
}

/// Something of the tree; `path` is relative to its root and empty for the root itself.
struct Item {
    path: Vec<u8>,
    stat: Stat,
}

struct LayerWriter<'a> {
    root: BorrowedFd<'a>,
    output: &'a mut dyn Write,
    written: u64,
    /// The first path of every file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

impl LayerWriter<'_> {
    fn entry(&mut self, Entry { item, known }: Entry) -> Result<(), ImageError> {
        match known {
            Known::Directory(xattrs, opaque) => self.directory(&item, &xattrs, opaque),
            Known::File(xattrs, content) => self.leaf(&item, Some((xattrs, content))),
            Known::Nothing => self.leaf(&item, None),
        }
    }

    fn directory(&mut self, item: &Item, xattrs: &Attributes, opaque: bool) -> Result<(), ImageError> {
        let path = if item.path.is_empty() {
            b"./".to_vec()
        } else {
            [&item.path, b"/".as_slice()].concat()
        };
        self.header(EntryType::Directory, &path, b"", &item.stat, 0, xattrs)?;
        if opaque {
            let marker = if item.path.is_empty() {
                OPAQUE_WHITEOUT.to_vec()
            } else {
                [&path, OPAQUE_WHITEOUT].concat()
            };
            self.whiteout(&marker)?;
        }
        Ok(())
    }

    fn leaf(&mut self, item: &Item, read: Option<(Attributes, Vec<u8>)>) -> Result<(), ImageError> {
        let (path, stat) = (&item.path, &item.stat);
        let kind = FileType::from_raw_mode(stat.st_mode);
        if is_whiteout(stat) {
            let name_starts = path
                .iter()
                .rposition(|&byte| byte == b'/')
                .map_or(0, |slash| slash + 1);
            return self.whiteout(&[&path[..name_starts], WHITEOUT, &path[name_starts..]].concat());
        }
        if kind == FileType::Socket {
            // A socket means nothing once its program is gone, and tar has no type for it.
            return Ok(());
        }
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                let first = first.clone();
                return self.header(EntryType::Link, path, &first, stat, 0, &[]);
            }
            self.links.insert((stat.st_dev, stat.st_ino), path.clone());
        }
        match kind {
            FileType::RegularFile => self.file(path, stat, read),
            FileType::Symlink => {
                let target = readlinkat(self.root, OsStr::from_bytes(path), Vec::new())
                    .map_err(failed("read", path))?;
                self.header(EntryType::Symlink, path, target.as_bytes(), stat, 0, &[])
            }
            FileType::CharacterDevice => self.header(EntryType::Char, path, b"", stat, 0, &[]),
            FileType::BlockDevice => self.header(EntryType::Block, path, b"", stat, 0, &[]),
            FileType::Fifo => self.header(EntryType::Fifo, path, b"", stat, 0, &[]),
            FileType::Directory | FileType::Socket | FileType::Unknown => Err(ImageError::BadEntry {
                entry: String::from_utf8_lossy(path).into_owned(),
                problem: "has an unknown type".to_owned(),
            }),
        }
    }

    fn file(
        &mut self,
        path: &[u8],
        stat: &Stat,
        read: Option<(Attributes, Vec<u8>)>,
    ) -> Result<(), ImageError> {
        if let Some((xattrs, content)) = read {
            let size = content.len() as u64;
            self.header(EntryType::Regular, path, b"", stat, size, &xattrs)?;
            self.put(&content)?;
            return self.pad(size);
        }
        let opened = open_in(self.root, path, OFlags::NONBLOCK).map_err(failed("open", path))?;
        let (xattrs, _) = xattrs(&opened, path)?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.header(EntryType::Regular, path, b"", stat, size, &xattrs)?;
        let mut file = std::fs::File::from(opened);
        let mut left = size;
        let mut buffer = std::mem::take(&mut self.buffer);
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let got = file
                .read(&mut buffer[..want])
                .and_then(|got| {
                    if got == 0 {
                        Err(io::ErrorKind::UnexpectedEof.into())
                    } else {
                        Ok(got)
                    }
                })
                .map_err(|source| ImageError::Entry {
                    action: "read",
                    entry: String::from_utf8_lossy(path).into_owned(),
                    source,
                })?;
            self.put(&buffer[..got])?;
            left -= got as u64;
        }
        self.buffer = buffer;
        self.pad(size)
    }

    fn whiteout(&mut self, path: &[u8]) -> Result<(), ImageError> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        self.named(header, path, b"", 0, None, &[])
    }

    fn header(
        &mut self,
        kind: EntryType,
        path: &[u8],
        link: &[u8],
        stat: &Stat,
        size: u64,
        xattrs: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(), ImageError> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        // Whole seconds, as docker and BuildKit write layers. What is before 1970 goes into a record.
        let time = u64::try_from(stat.st_mtime);
        header.set_mtime(time.unwrap_or(0));
        let early = time.is_err().then_some(stat.st_mtime);
        if matches!(kind, EntryType::Char | EntryType::Block) {
            let unencodable = |source| ImageError::Entry {
                action: "archive",
                entry: String::from_utf8_lossy(path).into_owned(),
                source,
            };
            header
                .set_device_major(major(stat.st_rdev))
                .map_err(unencodable)?;
            header
                .set_device_minor(minor(stat.st_rdev))
                .map_err(unencodable)?;
        }
        self.named(header, path, link, size, early, xattrs)
    }

    /// Writes `header` under its name; what does not fit goes before it as PAX records.
    fn named(
        &mut self,
        mut header: Header,
        path: &[u8],
        link: &[u8],
        size: u64,
        early: Option<i64>,
        xattrs: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(), ImageError> {
        let mut records = Vec::new();
        if let Some(seconds) = early {
            pax_record(&mut records, b"mtime", seconds.to_string().as_bytes());
        }
        for (key, value) in [("path", path), ("linkpath", link)] {
            if value.len() > NAME {
                pax_record(&mut records, key.as_bytes(), value);
            }
        }
        for (name, value) in xattrs {
            pax_record(&mut records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
        }
        if !records.is_empty() {
            let mut extended = Header::new_ustar();
            extended.set_entry_type(EntryType::XHeader);
            extended.set_mode(0o644);
            extended.set_uid(0);
            extended.set_gid(0);
            extended.set_mtime(0);
            set_bytes(&mut extended.as_old_mut().name, b"././@PaxHeader");
            extended.set_size(records.len() as u64);
            extended.set_cksum();
            self.put(extended.as_bytes())?;
            self.put(&records)?;
            self.pad(records.len() as u64)?;
        }
        set_bytes(&mut header.as_old_mut().name, path);
        set_bytes(&mut header.as_old_mut().linkname, link);
        header.set_size(size);
        header.set_cksum();
        self.put(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> Result<(), ImageError> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        self.put(&[0; BLOCK][..(BLOCK - over) % BLOCK])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.written += bytes.len() as u64;
        self.output
            .write_all(bytes)
            .map_err(|source| ImageError::Write { source })
    }
}

fn item(root: BorrowedFd<'_>, path: Vec<u8>) -> Result<Item, ImageError> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let stat = statat(root, OsStr::from_bytes(&path), flags).map_err(failed("read", &path))?;
    Ok(Item { path, stat })
}

fn open_in(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() {
        OsStr::new(".")
    } else {
        OsStr::from_bytes(path)
    };
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    openat2(
        root,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | flags,
        Mode::empty(),
        resolve,
    )
}

fn failed(action: &'static str, path: &[u8]) -> impl Fn(Errno) -> ImageError {
    let entry = String::from_utf8_lossy(path).into_owned();
    move |error| ImageError::Entry {
        action,
        entry: entry.clone(),
        source: error.into(),
    }
}

fn children(path: &[u8], directory: &OwnedFd) -> Result<Vec<Item>, ImageError> {
    let mut children = Vec::new();
    for child in Dir::read_from(directory).map_err(failed("list", path))? {
        let child = child.map_err(failed("list", path))?;
        let name = child.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let whole = if path.is_empty() {
            name.to_vec()
        } else {
            [path, b"/", name].concat()
        };
        let stat = statat(directory, child.file_name(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("read", &whole))?;
        children.push(Item { path: whole, stat });
    }
    Ok(children)
}

/// As many bytes as the field has; the PAX record carries the rest.
fn set_bytes(field: &mut [u8], value: &[u8]) {
    let count = value.len().min(field.len());
    field[..count].copy_from_slice(&value[..count]);
}

#[cfg(test)]
#[path = "layer_tar/tests.rs"]
mod tests;
