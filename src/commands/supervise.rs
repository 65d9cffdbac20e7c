//! In: `rcompose supervise PROJECT`, started by `up` and kept alive by a shim. Out: reality kept equal to the files, containers kept by shims.
//! One loop: wait for saved files or the next look; hot rules first, the reload once the disk was quiet, the guard last.
//! **Invariant:** holds nothing that is not on disk: killed at any point, the next one starts from the record and goes on.

mod guard;
mod hot;
mod reload;
mod watched;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use self::guard::Guard;
use self::watched::Watched;
use super::{Context, supervisor};
use crate::error::{CliError, chain};
use crate::event::{Event, Events};
use crate::state::event_log::EventLog;
use crate::ui::progress::ProgressKind;
use crate::watch::files::{Batch, FileWatcher};
use crate::watch::rules::Change;

/// Options of `rcompose supervise`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Project
    #[arg(value_name = "PROJECT")]
    pub project: String,
}

/// How long the disk must be quiet before hot rules fire: editors write, rename and touch within it.
const HOT_QUIET: Duration = Duration::from_millis(8);
/// How long it must be quiet before the files are loaded again.
const RELOAD_QUIET: Duration = Duration::from_millis(60);
/// How long a reload waits for quiet at most.
const RELOAD_LATEST: Duration = Duration::from_millis(150);
/// Between two looks at the containers.
const GUARD_INTERVAL: Duration = Duration::from_millis(700);

/// A save that is not in force yet.
#[derive(Debug)]
struct Saved {
    first: Instant,
    last: Instant,
    files: BTreeSet<String>,
}

impl Saved {
    fn due(&self) -> Instant {
        (self.last + RELOAD_QUIET).min(self.first + RELOAD_LATEST)
    }
}

/// Supervises until the project is gone.
pub fn run(mut context: Context, args: &Args) -> Result<(), CliError> {
    context.globals.progress = Some(ProgressKind::Quiet);
    let dir = context.project_dir(&args.project)?;
    let log = EventLog::new(dir.path());
    let mut watcher = FileWatcher::new()?;
    // What has begun is brought to an end of a step; between two things it ends at once.
    context.interrupts.wake(watcher.waker());
    let cancel = context.cancel()?;
    let mut guard = Guard::default();
    let mut watched: Option<Watched> = None;
    let mut saved: Option<Saved> = None;
    let mut next_look = Instant::now();
    let (mut first, mut reloaded) = (true, false);
    while !cancel.load(Ordering::Relaxed) {
        let Some(record) = dir.read()? else {
            return supervisor::leave(&context, &args.project);
        };
        let now = match watched.take() {
            Some(now) if now.generation == record.generation && !reloaded => now,
            before => {
                reloaded = false;
                let now = Watched::of(&context, &dir, &record, before, &log);
                if let Err(error) = watcher.watch(&now.all_files(), &now.hot.trees()) {
                    warn(&log, chain(&error));
                }
                // What was saved while nobody watched: before this process was there, or a file is new to it.
                let record = dir.path().join("project.json");
                note(&mut saved, now.newer_files(first.then_some(&record)));
                first = false;
                now
            }
        };
        let wake = saved
            .as_ref()
            .map_or(next_look, |saved| saved.due().min(next_look));
        let batch = watcher.next_batch(HOT_QUIET, Some(wake));
        if batch.overflow {
            note(&mut saved, now.file_names());
        }
        note(&mut saved, now.concerned(&batch));
        let changes = if batch.woken {
            Vec::new()
        } else {
            changes(batch, &now)
        };
        hot::fire(&context, &now, &record, &changes, &log);
        if !record.live_reload {
            saved = None;
        }
        watched = Some(now);
        if let Some(due) = saved.take_if(|saved| Instant::now() >= saved.due()) {
            log.emit(Event::ReloadStarted {
                files: due.files.into_iter().collect(),
            });
            reload::reload(&context, &dir, &record, due.first, &log)?;
            // What is watched may have changed with the files.
            reloaded = true;
        }
        if Instant::now() >= next_look {
            next_look = Instant::now() + GUARD_INTERVAL;
            guard.look(&context, &args.project, &log);
            if let Some(now) = &mut watched {
                hot::copy_initially(&context, now, &args.project, &log);
            }
        }
    }
    Ok(())
}

/// The changes of a batch; after a loss of events, as if everything had been saved.
fn changes(batch: Batch, now: &Watched) -> Vec<Change> {
    let mut changes: Vec<Change> = batch.changes.into_iter().collect();
    if batch.overflow {
        changes.extend(now.hot.everything());
    }
    changes
}

fn note(saved: &mut Option<Saved>, files: Vec<String>) {
    if files.is_empty() {
        return;
    }
    let now = Instant::now();
    let saved = saved.get_or_insert_with(|| Saved {
        first: now,
        last: now,
        files: BTreeSet::new(),
    });
    saved.last = now;
    saved.files.extend(files);
}

fn warn(log: &dyn Events, message: String) {
    log.emit(Event::Warning { message, help: None });
}
