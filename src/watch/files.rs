//! In: files and directories to watch (inotify). Out: batches of changed paths, once the disk has been quiet for a moment.
//! Single files are watched through their directory, because editors replace them by rename.
//! **Invariant:** an overflow of the kernel's queue is reported, never swallowed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use notify::event::{EventKind, Flag};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::rules::Change;

/// Why something cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel's limit of watches is reached.
    #[error(
        "cannot watch {path}: the limit of inotify watches is reached; raise fs.inotify.max_user_watches with sysctl"
    )]
    Limit {
        /// Path.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot watch {path}")]
    Notify {
        /// Path.
        path: PathBuf,
        /// Cause.
        #[source]
        source: notify::Error,
    },
}

/// What a wait brought.
#[derive(Debug, Default)]
pub struct Batch {
    /// Paths, each once, in order.
    pub changes: BTreeSet<Change>,
    /// Events were lost: everything may have changed.
    pub overflow: bool,
    /// Somebody called the waker.
    pub woken: bool,
}

enum Message {
    Event(notify::Result<notify::Event>),
    Wake,
}

/// Ends a wait from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Sender<Message>);

impl Waker {
    /// Ends the current or the next wait.
    pub fn wake(&self) {
        // A watcher that is gone needs no waking.
        let _gone = self.0.send(Message::Wake);
    }
}

/// Watches files and trees.
pub struct FileWatcher {
    watcher: RecommendedWatcher,
    receiver: Receiver<Message>,
    sender: Sender<Message>,
    watched: BTreeMap<PathBuf, RecursiveMode>,
}

impl FileWatcher {
    /// A watcher of nothing yet.
    pub fn new() -> Result<Self, WatchError> {
        let (sender, receiver) = channel();
        let events = sender.clone();
        let watcher = notify::recommended_watcher(move |event| {
            let _gone = events.send(Message::Event(event));
        })
        .map_err(|source| WatchError::Notify {
            path: PathBuf::new(),
            source,
        })?;
        Ok(Self {
            watcher,
            receiver,
            sender,
            watched: BTreeMap::new(),
        })
    }

    /// A handle that ends waits.
    pub fn waker(&self) -> Waker {
        Waker(self.sender.clone())
    }

    /// Watches exactly these files and trees from now on; what is already watched stays so without a gap.
    pub fn watch(&mut self, files: &[PathBuf], trees: &[PathBuf]) -> Result<(), WatchError> {
        let mut wanted: BTreeMap<PathBuf, RecursiveMode> = BTreeMap::new();
        for file in files {
            if let Some(directory) = existing_parent(file) {
                wanted.entry(directory).or_insert(RecursiveMode::NonRecursive);
            }
        }
        for tree in trees {
            if tree.is_dir() {
                wanted.insert(tree.clone(), RecursiveMode::Recursive);
            } else if let Some(directory) = existing_parent(tree) {
                wanted.entry(directory).or_insert(RecursiveMode::NonRecursive);
            }
        }
        for (path, mode) in &wanted {
            if self.watched.get(path) == Some(mode) {
                continue;
            }
            self.watcher
                .watch(path, *mode)
                .map_err(|source| match source.kind {
                    notify::ErrorKind::MaxFilesWatch => WatchError::Limit { path: path.clone() },
                    notify::ErrorKind::Generic(_)
                    | notify::ErrorKind::Io(_)
                    | notify::ErrorKind::PathNotFound
                    | notify::ErrorKind::WatchNotFound
                    | notify::ErrorKind::InvalidConfig(_) => WatchError::Notify {
                        path: path.clone(),
                        source,
                    },
                })?;
        }
        let superfluous: Vec<PathBuf> = self
            .watched
            .keys()
            .filter(|path| !wanted.contains_key(*path))
            .cloned()
            .collect();
        for path in superfluous {
            // The directory may be gone, and its watch with it.
            let _gone = self.watcher.unwatch(&path);
        }
        self.watched = wanted;
        Ok(())
    }

    /// Waits for a change, then until `quiet` has passed without another, at most until `deadline`.
    pub fn next_batch(&self, quiet: Duration, deadline: Option<Instant>) -> Batch {
        let mut batch = Batch::default();
        let mut until = deadline;
        loop {
            let message = match until {
                Some(until) => match self
                    .receiver
                    .recv_timeout(until.saturating_duration_since(Instant::now()))
                {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return batch,
                },
                None => match self.receiver.recv() {
                    Ok(message) => message,
                    Err(_) => return batch,
                },
            };
            match message {
                Message::Wake => batch.woken = true,
                Message::Event(Err(_)) => batch.overflow = true,
                Message::Event(Ok(event)) => add(&mut batch, event),
            }
            if batch.woken || batch.overflow || !batch.changes.is_empty() {
                until = Some(Instant::now() + quiet);
            }
        }
    }
}

fn add(batch: &mut Batch, event: notify::Event) {
    if event.flag() == Some(Flag::Rescan) {
        batch.overflow = true;
    }
    if matches!(event.kind, EventKind::Access(_)) {
        return;
    }
    for path in event.paths {
        let removed = !path.exists() && path.symlink_metadata().is_err();
        if let Ok(path) = Utf8PathBuf::from_path_buf(path) {
            batch.changes.remove(&Change {
                path: path.clone(),
                removed: !removed,
            });
            batch.changes.insert(Change { path, removed });
        }
    }
}

fn existing_parent(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .skip(1)
        .find(|directory| directory.is_dir())
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const QUIET: Duration = Duration::from_millis(20);

    fn changed(watcher: &FileWatcher) -> Vec<(String, bool)> {
        let batch = watcher.next_batch(QUIET, Some(Instant::now() + Duration::from_secs(2)));
        let name = |change: &Change| change.path.file_name().unwrap_or_default().to_owned();
        batch
            .changes
            .iter()
            .map(|change| (name(change), change.removed))
            .collect()
    }

    #[test]
    fn a_file_replaced_by_rename_is_seen_again_and_again() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = directory.path().join("compose.yaml");
        fs::write(&file, "1").expect("write");
        let mut watcher = FileWatcher::new().expect("watcher");
        watcher.watch(std::slice::from_ref(&file), &[]).expect("watch");
        for round in ["2", "3"] {
            let temporary = directory.path().join("tmp");
            fs::write(&temporary, round).expect("write");
            fs::rename(&temporary, &file).expect("rename");
            assert!(changed(&watcher).contains(&("compose.yaml".to_owned(), false)));
        }
        fs::remove_file(&file).expect("remove");
        assert!(changed(&watcher).contains(&("compose.yaml".to_owned(), true)));
    }

    #[test]
    fn a_tree_includes_directories_made_later() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut watcher = FileWatcher::new().expect("watcher");
        watcher.watch(&[], &[directory.path().to_owned()]).expect("watch");
        fs::create_dir(directory.path().join("new")).expect("directory");
        assert!(changed(&watcher).iter().any(|(name, _)| name == "new"));
        fs::write(directory.path().join("new/file"), "x").expect("write");
        assert!(changed(&watcher).contains(&("file".to_owned(), false)));
    }

    #[test]
    fn a_waker_ends_the_wait() {
        let watcher = FileWatcher::new().expect("watcher");
        watcher.waker().wake();
        assert!(watcher.next_batch(QUIET, None).woken);
    }
}
