//! A tar stream or a directory in, a table of the regular files in it out.
//! **Invariant:** a file of a stream is stored under a number of ours, one of a directory is no link; names, links and `..` of an
//! archive only ever index the table.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::compression::{BUFFER, decompress};
use crate::error::ImageError;
use crate::store::PreparedLayer;
use crate::tar_stream::{EntryKind, TarStream};
use crate::unpack::Limits;

const MOST_MEMBERS: u64 = 100_000;
const MOST_LINKS: usize = 16;
/// `blobs/sha256/<hex>` is three names deep.
const DEEPEST: usize = 3;
/// The longest JSON document read from an archive: 8 MiB.
const LONGEST_DOCUMENT: u64 = 8 << 20;

#[derive(Debug)]
enum Member {
    File(PathBuf),
    /// The name it leads to.
    Link(String),
}

/// The files of an archive, by name.
#[derive(Debug)]
pub(super) struct Members {
    table: HashMap<String, Member>,
    /// Removed with the files when this is dropped.
    _scratch: Option<PreparedLayer>,
}

impl Members {
    /// The files of a tar stream, which may be compressed; they are kept in `scratch`.
    pub(super) fn read(archive: impl Read, scratch: PreparedLayer) -> Result<Self, ImageError> {
        let plain = decompress(archive).map_err(|source| ImageError::Read { source })?;
        let limit = Limits::default().bytes;
        let mut stream = TarStream::new(BufReader::with_capacity(BUFFER, plain));
        let mut table = HashMap::new();
        let (mut count, mut bytes) = (0, 0_u64);
        while let Some(entry) = stream.next_entry()? {
            count += 1;
            counted(count)?;
            bytes = bytes.saturating_add(entry.size);
            if bytes > limit {
                return Err(ImageError::TooLarge { what: "bytes", limit });
            }
            let Some(name) = normal(&entry.name(), "") else {
                continue;
            };
            match entry.kind {
                EntryKind::Regular => {
                    let path = scratch.path().join(count.to_string());
                    let mut file = File::create(&path).map_err(ImageError::path("create", &path))?;
                    io::copy(&mut stream, &mut file).map_err(|source| ImageError::Read { source })?;
                    table.insert(name, Member::File(path));
                }
                EntryKind::Symlink => {
                    let directory = name
                        .rsplit_once('/')
                        .map_or("", |(directory, _)| directory)
                        .to_owned();
                    if let Some(target) = normal(&String::from_utf8_lossy(&entry.link), &directory) {
                        table.insert(name, Member::Link(target));
                    }
                }
                EntryKind::HardLink => {
                    if let Some(target) = normal(&String::from_utf8_lossy(&entry.link), "") {
                        table.insert(name, Member::Link(target));
                    }
                }
                EntryKind::Directory
                | EntryKind::CharacterDevice
                | EntryKind::BlockDevice
                | EntryKind::Fifo => {}
            }
        }
        Ok(Self {
            table,
            _scratch: Some(scratch),
        })
    }

    /// The files below `root`: an OCI layout, or what `skopeo copy … dir:` writes. Links are left out.
    pub(super) fn of_directory(root: &Path) -> Result<Self, ImageError> {
        let mut table = HashMap::new();
        let mut pending = vec![(root.to_owned(), String::new(), 0)];
        let mut count = 0;
        while let Some((directory, prefix, depth)) = pending.pop() {
            let listing = || ImageError::path("list", &directory);
            for entry in fs::read_dir(&directory).map_err(listing())? {
                let entry = entry.map_err(listing())?;
                count += 1;
                counted(count)?;
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                let name = if prefix.is_empty() {
                    name
                } else {
                    format!("{prefix}/{name}")
                };
                let kind = entry.file_type().map_err(listing())?;
                if kind.is_file() {
                    table.insert(name, Member::File(entry.path()));
                } else if kind.is_dir() && depth + 1 < DEEPEST {
                    pending.push((entry.path(), name, depth + 1));
                }
            }
        }
        Ok(Self {
            table,
            _scratch: None,
        })
    }

    /// Where the content of the member called `name` is.
    pub(super) fn path(&self, name: &str) -> Result<&PathBuf, ImageError> {
        let absent = || ImageError::NoMember {
            member: name.to_owned(),
        };
        let mut at = normal(name, "").ok_or_else(absent)?;
        for _ in 0..MOST_LINKS {
            match self.table.get(&at).ok_or_else(absent)? {
                Member::File(path) => return Ok(path),
                Member::Link(target) => at.clone_from(target),
            }
        }
        Err(absent())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.path(name).is_ok()
    }

    /// The content of a small member.
    pub(super) fn content(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        let path = self.path(name)?;
        let file = File::open(path).map_err(ImageError::path("open", path))?;
        let mut bytes = Vec::new();
        file.take(LONGEST_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(ImageError::path("read", path))?;
        if bytes.len() as u64 > LONGEST_DOCUMENT {
            return Err(ImageError::TooLarge {
                what: "bytes in a description",
                limit: LONGEST_DOCUMENT,
            });
        }
        Ok(bytes)
    }
}

fn counted(count: u64) -> Result<(), ImageError> {
    if count > MOST_MEMBERS {
        return Err(ImageError::TooLarge {
            what: "entries",
            limit: MOST_MEMBERS,
        });
    }
    Ok(())
}

/// `path` as seen from `directory`, without `.` and `..`; `None` if it is empty or leads out of the archive.
fn normal(path: &str, directory: &str) -> Option<String> {
    let mut parts: Vec<&str> = if path.starts_with('/') {
        Vec::new()
    } else {
        directory.split('/').filter(|part| !part.is_empty()).collect()
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            other => parts.push(other),
        }
    }
    if parts.is_empty() {
        None
    } else {
        Some(parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_archive() {
        for (path, directory, expected) in [
            ("a/b", "", Some("a/b")),
            ("./a//b/", "", Some("a/b")),
            ("../x/layer.tar", "y", Some("x/layer.tar")),
            ("/x", "y", Some("x")),
            ("../../x", "y", None),
            ("..", "", None),
            ("", "", None),
        ] {
            assert_eq!(normal(path, directory).as_deref(), expected, "{path}");
        }
    }
}
