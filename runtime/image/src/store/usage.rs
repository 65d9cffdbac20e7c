//! What images take of the disk, and when they were last used. Records in, bytes and times out.
//! **Invariant:** looking changes nothing; the time of a record is the last use of its image and nothing else.

use std::fs::{self, File};
use std::io::ErrorKind;
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
