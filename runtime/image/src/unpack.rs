//! A layer's tar stream and an opened directory in, the layer's tree in that directory out, as overlay wants it.
//! **Invariant:** every path is walked from the directory's descriptor by openat2, so no entry creates, changes, links
//! or reads anything outside of it, whatever names, links and types the archive holds.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, fchmod, fchown, futimens, linkat, mkdirat};
use rustix::io::Errno;

use crate::compression::{BUFFER, HashingReader, decompress, drain};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::tar_stream::{EntryKind, TarEntry, TarStream};

mod path;
mod place;

pub(crate) use path::open_beneath;
use path::{components, open_in_root};
use place::{hide, make_directory, place_file, place_node, place_symlink, set_xattrs, stat, times};
pub(crate) use place::{is_whiteout, remove};

/// Marks a directory that hides everything below it (kernel overlayfs.rst, "whiteouts and opaque directories").
pub(crate) const OPAQUE: &str = "trusted.overlay.opaque";
/// Prefix of an entry that hides a name of the layers below (OCI image-spec, layer.md, "Whiteouts").
pub(crate) const WHITEOUT: &[u8] = b".wh.";
/// Prefix of what aufs kept in a layer for itself.
const AUFS: &[u8] = b".wh..wh.";
/// Entry that makes its directory opaque.
pub(crate) const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";

/// How much one layer may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Members of the archive.
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
}

impl Limits {
    /// Bytes of an archive with so much in it, from its first to the last that follows its end: headers and padding are 2 KiB an entry.
    pub(crate) fn stream(self) -> u64 {
        self.bytes.saturating_add(self.entries.saturating_mul(2048))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 4_000_000,
            bytes: 256 << 30,
        }
    }
}

/// What entries named `.wh.*` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// They hide names of lower layers: a layer.
    Overlay,
    /// They are files like any other: an archive added to an image by `ADD`.
    Literal,
}

/// Unpacks the tar stream `archive` into `directory`. The stream is read up to the end of the archive, not to its own end.
/// Needs root: owners, device nodes and `trusted.` attributes are set as the archive says.
pub fn unpack<R: BufRead>(
    archive: R,
    directory: BorrowedFd<'_>,
    whiteouts: Whiteouts,
    limits: Limits,
) -> Result<R, ImageError> {
    let mut stream = TarStream::new(archive);
    let mut unpacker = Unpacker {
        root: directory,
        whiteouts,
        chain: Vec::new(),
        directories: Vec::new(),
    };
    if whiteouts == Whiteouts::Overlay {
        // An archive without an entry for its root gives the same layer at every time.
        unpacker.directories.push(Directory {
            path: Vec::new(),
            mode: 0o755,
            owner: (Uid::ROOT, Gid::ROOT),
            modified: (0, 0),
            xattrs: Vec::new(),
        });
    }
    let (mut entries, mut bytes) = (0, 0_u64);
    while let Some(entry) = stream.next_entry()? {
        entries += 1;
        bytes = bytes.saturating_add(entry.size);
        if entries > limits.entries {
            return Err(ImageError::TooLarge {
                what: "entries",
                limit: limits.entries,
            });
        }
        if bytes > limits.bytes {
            return Err(ImageError::TooLarge {
                what: "bytes",
                limit: limits.bytes,
            });
        }
        unpacker.place(&entry, &mut stream)?;
    }
    unpacker.finish_directories()?;
    Ok(stream.into_source())
}

/// Unpacks one layer, compressed or not, into the directory at `path`, and reads `archive` to its very end. Returns the
/// digest and length in bytes of the uncompressed archive: the layer's diff id.
pub fn unpack_layer(archive: impl Read, path: &Path) -> Result<(Digest, u64), ImageError> {
    let directory = File::open(path).map_err(ImageError::path("open", path))?;
    let plain = decompress(archive).map_err(|source| ImageError::Read { source })?;
    let limits = Limits::default();
    let plain = BufReader::with_capacity(BUFFER, HashingReader::new(plain, limits.stream()));
    let mut rest = unpack(plain, directory.as_fd(), Whiteouts::Overlay, limits)?;
    drain(&mut rest).map_err(|source| ImageError::Read { source })?;
    Ok(rest.into_inner().finish())
}

/// A directory whose owner, mode and time are set when nothing more is put into it.
struct Directory {
    path: Vec<u8>,
    mode: u32,
    owner: (Uid, Gid),
    modified: (i64, u32),
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

struct Unpacker<'a> {
    root: BorrowedFd<'a>,
    whiteouts: Whiteouts,
    /// The opened directories on the way to the last entry's parent: most entries share it with the one before.
    chain: Vec<(Vec<u8>, OwnedFd)>,
    directories: Vec<Directory>,
}

impl Unpacker<'_> {
    fn place(&mut self, entry: &TarEntry, content: &mut impl BufRead) -> Result<(), ImageError> {
        let owner = owner(entry)?;
        let components = components(entry, &entry.path)?;
        let Some((&name, parents)) = components.split_last() else {
            if entry.kind != EntryKind::Directory {
                return Err(bad(entry, "would replace the layer's root"));
            }
            self.remember(entry, Vec::new(), owner);
            return Ok(());
        };
        if self.whiteouts == Whiteouts::Overlay {
            // Left-overs of aufs mean nothing, nor does what is in them; a name that hides something is no directory.
            if parents.iter().any(|parent| parent.starts_with(AUFS)) {
                return Ok(());
            }
            if parents.iter().any(|parent| parent.starts_with(WHITEOUT)) {
                return Err(bad(entry, "is below a whiteout"));
            }
        }
        self.enter(parents, entry)?;
        let parent = self.parent();
        if self.whiteouts == Whiteouts::Overlay && name.starts_with(WHITEOUT) {
            return hide(parent, name, entry);
        }
        match entry.kind {
            EntryKind::Directory => {
                make_directory(parent, name, entry)?;
                self.remember(entry, components.join(&b'/'), owner);
                Ok(())
            }
            EntryKind::Regular => place_file(parent, name, entry, owner, content),
            EntryKind::HardLink => self.place_hard_link(name, entry),
            EntryKind::Symlink => place_symlink(parent, name, entry, owner),
            EntryKind::CharacterDevice => place_node(parent, name, entry, owner, FileType::CharacterDevice),
            EntryKind::BlockDevice => place_node(parent, name, entry, owner, FileType::BlockDevice),
            EntryKind::Fifo => place_node(parent, name, entry, owner, FileType::Fifo),
        }
    }

    fn parent(&self) -> BorrowedFd<'_> {
        self.chain
            .last()
            .map_or(self.root, |(_, directory)| directory.as_fd())
    }

    fn remember(&mut self, entry: &TarEntry, path: Vec<u8>, owner: (Uid, Gid)) {
        let TarEntry { mode, modified, .. } = *entry;
        self.directories.push(Directory {
            path,
            mode,
            owner,
            modified,
            xattrs: entry.xattrs.clone(),
        });
    }

    /// Makes `chain` lead to `parents`, creating what the archive has no entry for.
    fn enter(&mut self, parents: &[&[u8]], entry: &TarEntry) -> Result<(), ImageError> {
        let shared = self
            .chain
            .iter()
            .zip(parents)
            .take_while(|((name, _), parent)| name == *parent)
            .count();
        self.chain.truncate(shared);
        for depth in shared..parents.len() {
            let directory = self.open_parent(&parents[..=depth], entry)?;
            self.chain.push((parents[depth].to_vec(), directory));
        }
        Ok(())
    }

    /// Opens the last of `path` below the end of `chain`. A symbolic link is followed inside the layer only, as a chroot would.
    fn open_parent(&mut self, path: &[&[u8]], entry: &TarEntry) -> Result<OwnedFd, ImageError> {
        let name = path.last().copied().unwrap_or_default();
        let parent = self.parent();
        match open_beneath(parent, name) {
            Ok(directory) => return Ok(directory),
            Err(Errno::LOOP) => {
                return open_in_root(self.root, &path.join(&b'/')).map_err(|_| {
                    bad(
                        entry,
                        "is below a symbolic link that leads to no directory of the layer",
                    )
                });
            }
            Err(Errno::NOENT) => {
                mkdirat(parent, OsStr::from_bytes(name), Mode::RWXU).map_err(failed("create", entry))?;
            }
            Err(Errno::NOTDIR) => {
                if !is_whiteout(&stat(parent, name).map_err(failed("read", entry))?) {
                    return Err(bad(entry, "is below a file"));
                }
                make_directory(parent, name, entry)?;
            }
            Err(error) => return Err(failed("open the parent of", entry)(error)),
        }
        let directory = open_beneath(parent, name).map_err(failed("open the parent of", entry))?;
        self.directories.push(Directory {
            path: path.join(&b'/'),
            mode: 0o755,
            owner: (Uid::ROOT, Gid::ROOT),
            modified: entry.modified,
            xattrs: Vec::new(),
        });
        Ok(directory)
    }

    fn place_hard_link(&self, name: &[u8], entry: &TarEntry) -> Result<(), ImageError> {
        let components = components(entry, &entry.link)?;
        let Some((&target, parents)) = components.split_last() else {
            return Err(bad(entry, "is a hard link to the layer's root"));
        };
        let opened;
        let directory = if parents.is_empty() {
            self.root
        } else {
            opened = open_in_root(self.root, &parents.join(&b'/'))
                .map_err(|_| bad(entry, "is a hard link to a file that is not in the layer"))?;
            opened.as_fd()
        };
        let source = match stat(directory, target) {
            Ok(source) => source,
            Err(Errno::NOENT) => return Err(bad(entry, "is a hard link to a file that is not in the layer")),
            Err(error) => return Err(failed("read the target of", entry)(error)),
        };
        let parent = self.parent();
        let link = || {
            linkat(
                directory,
                OsStr::from_bytes(target),
                parent,
                OsStr::from_bytes(name),
                AtFlags::empty(),
            )
        };
        match link() {
            Err(Errno::EXIST) => {
                let present = stat(parent, name).map_err(failed("read", entry))?;
                if (present.st_dev, present.st_ino) == (source.st_dev, source.st_ino) {
                    return Ok(());
                }
                remove(parent, name).map_err(failed("replace", entry))?;
                link().map_err(failed("link", entry))
            }
            other => other.map_err(failed("link", entry)),
        }
    }

    fn finish_directories(self) -> Result<(), ImageError> {
        for directory in &self.directories {
            let name = || String::from_utf8_lossy(&directory.path).into_owned();
            let failed = |action| {
                move |error: Errno| ImageError::Entry {
                    action,
                    entry: String::from_utf8_lossy(&directory.path).into_owned(),
                    source: error.into(),
                }
            };
            let path: &[u8] = if directory.path.is_empty() {
                b"."
            } else {
                &directory.path
            };
            // A later entry may have replaced the directory by something else.
            let opened = match open_in_root(self.root, path) {
                Ok(opened) => opened,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(error) => return Err(failed("open")(error)),
            };
            fchown(&opened, Some(directory.owner.0), Some(directory.owner.1))
                .map_err(failed("set the owner of"))?;
            fchmod(&opened, Mode::from_raw_mode(directory.mode)).map_err(failed("set the mode of"))?;
            set_xattrs(&opened, &directory.xattrs, &name)?;
            futimens(&opened, &times(directory.modified)).map_err(failed("set the time of"))?;
        }
        Ok(())
    }
}

fn owner(entry: &TarEntry) -> Result<(Uid, Gid), ImageError> {
    // 2³²−1 means "unchanged" to chown(2), and anything above wraps around (CVE-2024-40635).
    let fits = |id: u64| u32::try_from(id).ok().filter(|&id| id != u32::MAX);
    match (fits(entry.uid), fits(entry.gid)) {
        (Some(uid), Some(gid)) => Ok((Uid::from_raw(uid), Gid::from_raw(gid))),
        _ => Err(bad(entry, "has an owner above 2^32-2")),
    }
}

fn bad(entry: &TarEntry, problem: &str) -> ImageError {
    ImageError::BadEntry {
        entry: entry.name(),
        problem: problem.to_owned(),
    }
}

fn failed(action: &'static str, entry: &TarEntry) -> impl Fn(Errno) -> ImageError {
    move |error| ImageError::Entry {
        action,
        entry: entry.name(),
        source: error.into(),
    }
}

#[cfg(test)]
mod tests;
