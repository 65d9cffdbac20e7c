//! In: paths of an image. Out: the content of its files, as far as it is no larger than a real one.
//! **Invariant:** only regular files are opened to be read: a pipe would wait, and a device is the host's.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Dir, FileType, OFlags, fstat};

use super::SbomError;
use crate::build::overlay::Tree;

/// Text that lists packages: Debian's whole archive is less.
const LONGEST_TEXT: u64 = 128 << 20;
/// rpm's headers have the names of all files.
const LARGEST_DATABASE: u64 = 512 << 20;
const MOST_NAMES: usize = 100_000;

/// The files of an image.
pub(super) struct Files<'t>(pub(super) &'t Tree);

impl Files<'_> {
    /// A text; none when there is no such file.
    pub(super) fn text(&self, path: &str) -> Result<Option<Vec<u8>>, SbomError> {
        self.read(path, LONGEST_TEXT)
    }

    /// The same for a database, which may be larger.
    pub(super) fn database(&self, path: &str) -> Result<Option<Vec<u8>>, SbomError> {
        self.read(path, LARGEST_DATABASE)
    }

    pub(super) fn is_there(&self, path: &str) -> bool {
        self.0.open(Path::new(path), OFlags::PATH).is_ok()
    }

    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SbomError> {
        let Some(seen) = self.find(path, OFlags::PATH)? else {
            return Ok(None);
        };
        let kind = fstat(&seen).map(|found| FileType::from_raw_mode(found.st_mode));
        if kind.map_err(|error| unreadable(path, error.into()))? != FileType::RegularFile {
            return Err(SbomError::Damaged {
                path: path.into(),
                problem: "it is no regular file".to_owned(),
            });
        }
        let Some(file) = self.find(path, OFlags::RDONLY)? else {
            return Ok(None);
        };
        let mut content = Vec::new();
        File::from(file)
            .take(limit + 1)
            .read_to_end(&mut content)
            .map_err(|error| unreadable(path, error))?;
        if content.len() as u64 > limit {
            return Err(SbomError::TooLarge {
                path: path.into(),
                limit,
            });
        }
        Ok(Some(content))
    }

    /// The names in a directory, sorted; none when it is not there.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, SbomError> {
        let failed = |error: rustix::io::Errno| unreadable(path, error.into());
        let Some(directory) = self.find(path, OFlags::RDONLY | OFlags::DIRECTORY)? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            names.push(name);
            if names.len() > MOST_NAMES {
                return Err(SbomError::Damaged {
                    path: path.into(),
                    problem: format!("it has more than {MOST_NAMES} files"),
                });
            }
        }
        names.retain(|name| name != "." && name != "..");
        names.sort();
        Ok(names)
    }

    fn find(&self, path: &str, flags: OFlags) -> Result<Option<OwnedFd>, SbomError> {
        match self.0.open(Path::new(path), flags) {
            Ok(file) => Ok(Some(file)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(unreadable(path, error)),
        }
    }
}

fn unreadable(path: &str, source: io::Error) -> SbomError {
    SbomError::Read {
        path: path.into(),
        source,
    }
}
