//! In: the record of a project. Out: the files whose change counts, and the hot rules they hold.
//! **Invariant:** a file that was looked for and is not there counts too: it may come.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::super::Context;
use super::hot::HotRules;
use super::reload::{self, Inputs};
use super::warn;
use crate::event::Events;
use crate::state::{ProjectDir, ProjectRecord};
use crate::watch::files::Batch;

/// How far the clock that stamps files is behind (the kernel takes it at its ticks, at most 10 ms apart).
const TICK: Duration = Duration::from_millis(10);

/// What is watched.
pub(super) struct Watched {
    pub(super) generation: u64,
    pub(super) hot: HotRules,
    record: PathBuf,
    files: BTreeSet<PathBuf>,
    /// When the files were read.
    read_at: SystemTime,
    /// Containers that have what rules copy at the start.
    pub(super) copied: BTreeSet<String>,
}

impl Watched {
    pub(super) fn of(
        context: &Context,
        dir: &ProjectDir,
        record: &ProjectRecord,
        before: Option<Self>,
        log: &dyn Events,
    ) -> Self {
        let read_at = SystemTime::now() - TICK;
        let Inputs { files: found, rules } = reload::inputs(context, record);
        let (known, rules_before) = before
            .map(|before| (before.files, before.hot))
            .unwrap_or_default();
        let mut files: BTreeSet<PathBuf> = record.config_files.iter().cloned().chain(found).collect();
        if rules.is_none() {
            files.extend(known);
        }
        // Saving a file behind a link changes the file, not the link.
        let targets: Vec<PathBuf> = files.iter().filter_map(|file| file.canonicalize().ok()).collect();
        files.extend(targets);
        if !record.live_reload {
            files.clear();
        }
        let hot = match rules {
            None => rules_before,
            Some(Ok(hot)) => {
                for warning in &hot.warnings {
                    warn(log, warning.message.clone());
                }
                hot
            }
            Some(Err(message)) => {
                warn(log, message);
                HotRules::default()
            }
        };
        Self {
            generation: record.generation,
            hot,
            record: dir.path().join("project.json"),
            files,
            read_at,
            copied: BTreeSet::new(),
        }
    }

    /// All files, and the record, which an `up` replaces.
    pub(super) fn all_files(&self) -> Vec<PathBuf> {
        self.files.iter().cloned().chain([self.record.clone()]).collect()
    }

    /// The files as text.
    pub(super) fn file_names(&self) -> Vec<String> {
        self.files.iter().map(|file| file.display().to_string()).collect()
    }

    /// Files saved since they were read, or since `record` was written.
    pub(super) fn newer_files(&self, record: Option<&PathBuf>) -> Vec<String> {
        let time = |path: &PathBuf| fs::metadata(path).and_then(|data| data.modified()).ok();
        let since = record.and_then(time).unwrap_or(self.read_at);
        let newer = self
            .files
            .iter()
            .filter(|file| time(file).is_some_and(|time| time >= since));
        newer.map(|file| file.display().to_string()).collect()
    }

    /// Files of the batch that count.
    pub(super) fn concerned(&self, batch: &Batch) -> Vec<String> {
        let changed = batch.changes.iter();
        changed
            .filter(|change| self.files.contains(change.path.as_std_path()))
            .map(|change| change.path.to_string())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::*;
    use crate::watch::rules::Change;

    fn watched(files: &[PathBuf], read_at: SystemTime) -> Watched {
        Watched {
            generation: 1,
            hot: HotRules::default(),
            record: PathBuf::new(),
            files: files.iter().cloned().collect(),
            read_at,
            copied: BTreeSet::new(),
        }
    }

    #[test]
    fn what_was_saved_while_nobody_watched_is_found_by_its_time() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| directory.path().join(name);
        let now = SystemTime::now();
        for (name, age) in [("old", 60), ("record", 30), ("new", 10)] {
            let file = File::create(path(name)).expect("create");
            file.set_times(FileTimes::new().set_modified(now - Duration::from_secs(age)))
                .expect("times");
        }
        let watched = watched(&[path("old"), path("new"), path("absent")], now);
        assert_eq!(
            watched.newer_files(None),
            [] as [String; 0],
            "all were read later"
        );
        let since_record = watched.newer_files(Some(&path("record")));
        assert_eq!(since_record, [path("new").display().to_string()]);
    }

    #[test]
    fn only_files_that_count_are_saves() {
        let watched = watched(&[PathBuf::from("/p/compose.yaml")], SystemTime::now());
        let change = |path: &str| Change {
            path: path.into(),
            removed: false,
        };
        let batch = Batch {
            changes: [change("/p/compose.yaml"), change("/p/.compose.yaml.swp")].into(),
            ..Batch::default()
        };
        assert_eq!(watched.concerned(&batch), ["/p/compose.yaml"]);
    }
}
