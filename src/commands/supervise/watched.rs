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
