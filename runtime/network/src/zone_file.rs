//! In: the path of a zone file. Out: the zone as it is now, read again only when the file has been replaced.
//!
//! **Invariant:** a file that is missing or damaged leaves the last good zone in force: names do not vanish.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::dns::zone::Zone;
use crate::error::NetworkError;

/// A zone file with the zone last read from it.
#[derive(Debug)]
pub struct ZoneFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    zone: Zone,
}

/// What changes whenever a file is replaced by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl ZoneFile {
    /// The zone file at `path`, not read yet. `internal` holds until it has been.
    pub fn new(path: impl Into<PathBuf>, internal: bool) -> Self {
        Self {
            path: path.into(),
            stamp: None,
            zone: Zone::empty(internal),
        }
    }

    /// The zone as last read.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Reads the file again if it is another one than last time; tells whether it was.
    ///
    /// # Errors
    /// The file is not there or damaged; the zone stays as it was.
    pub fn refresh(&mut self) -> Result<bool, NetworkError> {
        let stamp = stamp(&self.path)?;
        if self.stamp == Some(stamp) {
            return Ok(false);
        }
        self.zone = read_zone(&self.path)?;
        self.stamp = Some(stamp);
        Ok(true)
    }
}

fn stamp(path: &Path) -> Result<Stamp, NetworkError> {
    let metadata = fs::metadata(path).map_err(NetworkError::file("read", path))?;
    Ok(Stamp {
        inode: metadata.ino(),
        size: metadata.size(),
        seconds: metadata.mtime(),
        nanoseconds: metadata.mtime_nsec(),
    })
}

fn read_zone(path: &Path) -> Result<Zone, NetworkError> {
    let text = fs::read_to_string(path).map_err(NetworkError::file("read", path))?;
    text.parse()
        .map_err(|error: crate::dns::zone::ZoneError| NetworkError::Zone {
            path: path.to_owned(),
            line: error.line,
            reason: error.reason,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_read_and_a_vanished_or_damaged_one_leaves_the_names() {
        let directory = std::env::temp_dir().join(format!("rcompose-zone-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("scratch");
        let path = directory.join("zone");
        let replace = |text: &str| {
            fs::write(directory.join("new"), text).expect("written");
            fs::rename(directory.join("new"), &path).expect("replaced");
        };
        let mut file = ZoneFile::new(&path, true);
        assert!(file.refresh().is_err() && file.zone().internal);

        replace("db 10.89.0.2\n");
        assert!(file.refresh().expect("read"));
        assert!(!file.refresh().expect("unchanged"));
        replace("db 10.89.0.3\n");
        assert!(file.refresh().expect("read again"));
        replace("db 10.89.0\n");
        let damaged = file.refresh().expect_err("damaged");
        assert!(
            damaged
                .to_string()
                .contains("zone, line 1: `10.89.0` is not an IPv4 address"),
            "{damaged}"
        );
        fs::remove_dir_all(&directory).expect("removed");
        assert!(file.refresh().is_err());
        assert_eq!(file.zone().lookup("db", 0), Some(vec![[10, 89, 0, 3].into()]));
    }
}
