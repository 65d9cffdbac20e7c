//! In: builds that begin, and what they take of what earlier ones left. Out: since when something that is kept may be in use.
//! A build has a locked file in `build-running`, made when it began; the lock ends with its process, however that ends.
//! **Invariant:** what a build has taken is not removed before the build has ended.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::ImageError;
use crate::lock::{self, FileLock};
use crate::store::{ImageStore, Lease, file_names, unique};

/// A build that goes on; what it takes stays until it is dropped.
#[must_use]
pub struct RunningBuild {
    _begun: FileLock,
    _lease: Lease,
}

impl std::fmt::Debug for RunningBuild {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RunningBuild").finish_non_exhaustive()
    }
}

impl RunningBuild {
    /// Begins a build: before anything is looked up for it.
    pub fn begin(store: &ImageStore) -> Result<Self, ImageError> {
        let lease = store.lease()?;
        let directory = running(store);
        fs::create_dir_all(&directory).map_err(ImageError::path("create", &directory))?;
        let begun = FileLock::acquire(&directory.join(unique("build")), &|| false)?;
        Ok(Self {
            _begun: begun,
            _lease: lease,
        })
    }
}

fn running(store: &ImageStore) -> PathBuf {
    store.root().join("build-running")
}

/// When the oldest of the builds that go on began; none when there is none.
pub(super) fn oldest(store: &ImageStore) -> Result<Option<SystemTime>, ImageError> {
    let directory = running(store);
    let mut oldest: Option<SystemTime> = None;
    for name in file_names(&directory)? {
        let path = directory.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            // It has ended meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(ImageError::path("open", &path)(error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // A killed build left it. One that is about to lock it sees that it is gone, and makes another.
            Ok(()) => remove_file(&path)?,
            Err(Errno::WOULDBLOCK) => {
                let began = file
                    .metadata()
                    .and_then(|metadata| metadata.modified())
                    .map_err(ImageError::path("read", &path))?;
                oldest = Some(oldest.map_or(began, |oldest| oldest.min(began)));
            }
            Err(error) => return Err(ImageError::errno("lock", &path)(error)),
        }
    }
    Ok(oldest)
}

/// Removes a file that may be gone already.
pub(super) fn remove_file(path: &Path) -> Result<(), ImageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(ImageError::path("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// As long as it is held, nothing that is kept of builds is removed (by others than the holder).
#[must_use]
pub(super) struct Undisturbed {
    _file: File,
}

/// For who looks for something, or puts it: for as long as that takes.
pub(super) fn undisturbed(store: &ImageStore) -> Result<Undisturbed, ImageError> {
    locked(store, FlockOperation::LockShared)
}

/// For who removes something: waits until nobody looks for or puts anything.
pub(super) fn alone(store: &ImageStore) -> Result<Undisturbed, ImageError> {
    locked(store, FlockOperation::LockExclusive)
}

fn locked(store: &ImageStore, how: FlockOperation) -> Result<Undisturbed, ImageError> {
    let path = store.root().join("build.lock");
    let file = lock::open(&path)?;
    flock(&file, how).map_err(ImageError::errno("lock", &path))?;
    Ok(Undisturbed { _file: file })
}

/// Whether what is kept at a path is there; a running build that asks has it from now on, and others know when it was used.
pub(super) fn take(store: &ImageStore, path: &Path) -> Result<bool, ImageError> {
    let _undisturbed = undisturbed(store)?;
    match File::open(path) {
        Ok(file) => {
            let noted = file.set_modified(SystemTime::now());
            noted.map_err(ImageError::path("note the use of", path))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(ImageError::path("open", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_running_build_counts_and_a_killed_one_does_not() {
        let root = tempfile::tempdir().expect("directory");
        let store = ImageStore::open(root.path()).expect("store");
        assert_eq!(oldest(&store).expect("none"), None);
        let before = SystemTime::now() - std::time::Duration::from_secs(1);
        let first = RunningBuild::begin(&store).expect("begins");
        let began = oldest(&store).expect("readable").expect("one");
        assert!(began >= before);
        std::thread::sleep(std::time::Duration::from_millis(20));
        let second = RunningBuild::begin(&store).expect("begins");
        assert_eq!(oldest(&store).expect("readable"), Some(began));
        drop(first);
        assert!(oldest(&store).expect("readable").expect("the second") > began);
        drop(second);
        let left = running(&store).join("build-killed");
        fs::write(&left, "").expect("written");
        assert_eq!(oldest(&store).expect("none"), None);
        assert!(!left.exists());
    }

    #[test]
    fn what_is_taken_is_noted() {
        let root = tempfile::tempdir().expect("directory");
        let store = ImageStore::open(root.path()).expect("store");
        let copy = root.path().join("copy");
        assert!(!take(&store, &copy).expect("absent"));
        fs::create_dir(&copy).expect("created");
        let old = SystemTime::UNIX_EPOCH;
        File::open(&copy)
            .and_then(|file| file.set_modified(old))
            .expect("dated");
        assert!(take(&store, &copy).expect("there"));
        let modified = fs::metadata(&copy).and_then(|metadata| metadata.modified());
        assert!(modified.expect("time") > old);
    }
}
