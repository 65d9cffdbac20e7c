//! What images and trees take of the disk, and when images were last used. Records and directories in, bytes and times out.
//! **Invariant:** looking changes nothing and follows no link or mount; the time of a record is the last use of its image.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::{ImageStore, file_names};
use crate::digest::Digest;
use crate::error::ImageError;

impl ImageStore {
    /// Bytes that a layer takes: its files, and the archive it came as. None if it is not there.
    pub fn layer_usage(&self, diff_id: &Digest) -> Result<u64, ImageError> {
        let record = self.layer_record(diff_id)?;
        Ok(record.map_or(0, |record| record.size + record.blob.map_or(0, |blob| blob.size)))
    }

    /// Bytes that all layers take, those of no image included.
    pub fn usage(&self) -> Result<u64, ImageError> {
        let mut usage = 0;
        for name in file_names(&self.root().join("layers"))? {
            if let Some(hex) = name.strip_suffix(".json")
                && let Ok(diff_id) = Digest::from_hex(hex)
            {
                usage += self.layer_usage(&diff_id)?;
            }
        }
        Ok(usage)
    }

    /// Notes that a container is made of the image now: what was used longest ago is removed first.
    pub fn note_use(&self, id: &Digest) -> Result<(), ImageError> {
        let path = self.image_path(id);
        let noted = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        match noted {
            // Removed at this moment: the use is over before it began.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map_err(ImageError::path("write", &path)),
        }
    }

    /// When the image came, or a container was last made of it.
    pub fn last_used(&self, id: &Digest) -> Result<SystemTime, ImageError> {
        let path = self.image_path(id);
        match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(SystemTime::UNIX_EPOCH),
            other => other.map_err(ImageError::path("read", &path)),
        }
    }
}

/// Bytes of all regular files below `root`, each counted once however many names it has.
pub fn tree_size(root: &Path) -> Result<u64, ImageError> {
    let absent = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    let device = match fs::symlink_metadata(root) {
        Ok(status) => status.dev(),
        Err(error) if absent(&error) => return Ok(0),
        Err(error) => return Err(ImageError::path("look at", root)(error)),
    };
    let (mut size, mut seen) = (0_u64, BTreeSet::new());
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // Containers go on working while they are measured.
            Err(error) if absent(&error) => continue,
            Err(error) => return Err(ImageError::path("list", &directory)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(ImageError::path("list", &directory))?;
            let Ok(status) = entry.metadata() else { continue };
            if status.dev() != device {
                continue;
            }
            if status.is_dir() {
                pending.push(entry.path());
            } else if status.is_file() && (status.nlink() == 1 || seen.insert(status.ino())) {
                size += status.len();
            }
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_once_and_links_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("a"), "12345").unwrap();
        fs::hard_link(root.join("a"), root.join("d/b")).unwrap();
        fs::write(root.join("d/c"), "123").unwrap();
        std::os::unix::fs::symlink("/", root.join("d/host")).unwrap();
        assert_eq!(tree_size(root).unwrap(), 8);
        assert_eq!(tree_size(&root.join("absent")).unwrap(), 0);
    }
}
