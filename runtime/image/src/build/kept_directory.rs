//! In: a directory that was filled elsewhere. Out: the same at its place in the store, found again by later builds.
//! What it is says a `.json` beside it, whose time of modification is its last use: that of the directory belongs to its content.
//! **Invariant:** a directory appears whole, once, and does not go while a build that took it goes on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::in_flight::undisturbed;
use super::kept::{CacheRecord, RecordKind, modified, unless_gone};
use crate::error::ImageError;
use crate::store::{ImageStore, PreparedLayer, file_names, write_json};

/// What a directory is.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    description: String,
}

fn about(directory: &Path) -> PathBuf {
    directory.with_extension("json")
}

/// Whether the directory is there; then its use is noted. It has no dot in its name.
pub(super) fn take(store: &ImageStore, directory: &Path, description: &str) -> Result<bool, ImageError> {
    let _undisturbed = undisturbed(store)?;
    if !directory.is_dir() {
        return Ok(false);
    }
    let about = about(directory);
    let noted = File::open(&about).and_then(|file| file.set_modified(SystemTime::now()));
    if noted.is_err() {
        let description = description.to_owned();
        write_json(&about, &About { description }, false)?;
    }
    Ok(true)
}

/// Gives a directory its place, unless somebody was faster: then theirs stays.
pub(super) fn put(
    store: &ImageStore,
    filled: &PreparedLayer,
    directory: &Path,
    description: &str,
) -> Result<(), ImageError> {
    let _undisturbed = undisturbed(store)?;
    if let Some(above) = directory.parent() {
        fs::create_dir_all(above).map_err(ImageError::path("create", above))?;
    }
    match renameat_with(CWD, filled.path(), CWD, directory, RenameFlags::NOREPLACE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(ImageError::errno("create", directory)(errno)),
    }
    let description = description.to_owned();
    write_json(&about(directory), &About { description }, false)
}

/// All directories in one.
pub(super) fn kept(
    store: &ImageStore,
    above: &Path,
    kind: RecordKind,
) -> Result<Vec<CacheRecord>, ImageError> {
    let mut records = Vec::new();
    for name in file_names(above)? {
        let directory = above.join(&name);
        if !directory.is_dir() {
            continue;
        }
        let about = about(&directory);
        let known = fs::read(&about)
            .ok()
            .and_then(|text| serde_json::from_slice::<About>(&text).ok());
        let description = known.map(|about| about.description).unwrap_or_default();
        let record = CacheRecord::of(store, kind, directory, description);
        let Some(mut record) = unless_gone(record)? else {
            continue;
        };
        if let Some(used) = modified(&about) {
            record.last_used = used;
            record.marks = vec![about.clone()];
        }
        record.files.push(about);
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_directory_stays_and_its_use_is_noted_beside_it() {
        let root = tempfile::tempdir().expect("directory");
        let store = ImageStore::open(root.path()).expect("store");
        let place = root.path().join("kept/one");
        assert!(!take(&store, &place, "it").expect("absent"));
        for content in ["first", "second"] {
            let filled = store.prepare_layer().expect("prepared");
            fs::write(filled.path().join("file"), content).expect("written");
            put(&store, &filled, &place, "it").expect("placed");
        }
        assert_eq!(fs::read_to_string(place.join("file")).expect("text"), "first");
        let old = SystemTime::UNIX_EPOCH;
        let date = |path: &Path| File::open(path).and_then(|file| file.set_modified(old));
        date(&place).expect("dated");
        date(&about(&place)).expect("dated");
        assert!(take(&store, &place, "it").expect("there"));
        assert_eq!(modified(&place), Some(old), "it is the content's");
        let records = kept(&store, &root.path().join("kept"), RecordKind::CacheMount).expect("listed");
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].description.as_str(), records[0].size), ("it", 5));
        assert!(records[0].last_used > old);
    }
}
