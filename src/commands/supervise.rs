//! In: `rcompose supervise PROJECT`, started by `up` and kept alive by a shim. Out: reality kept equal to the files, containers kept by shims.
//! One loop: wait for saved files or the next look, then hot rules first, the reload once the disk was quiet, the guard last.
//! **Invariant:** holds nothing that is not on disk: killed at any point, the next one starts from the record and goes on.

mod guard;
mod hot;
mod reload;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use hot::{HotRules, apply};

use super::Context;
use crate::error::CliError;
use crate::event::{Event, Events as _};
use crate::state::event_log::EventLog;
use crate::state::{ProjectDir, ProjectRecord};
use crate::ui::progress::ProgressKind;
use crate::watch::files::FileWatcher;
use crate::watch::rules::Change;

/// Options of `rcompose supervise`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Identity of the program that started it; another one replaces it.
    #[arg(long, value_name = "STAMP", hide = true)]
    pub program: Option<String>,
    /// Project
    #[arg(value_name = "PROJECT")]
    pub project: String,
}

/// How long the disk must be quiet before hot rules fire: editors write, rename and touch within it.
pub const HOT_QUIET: Duration = Duration::from_millis(8);
/// How long it must be quiet before the files are loaded again.
const RELOAD_QUIET: Duration = Duration::from_millis(80);
/// Between two looks at the containers.
const GUARD_INTERVAL: Duration = Duration::from_millis(700);

/// Supervises until the project is gone or it is asked to stop.
pub fn run(mut context: Context, args: &Args) -> Result<(), CliError> {
    context.globals.progress = Some(ProgressKind::Quiet);
    let dir = context.project_dir(&args.project)?;
    let mut watcher = FileWatcher::new()?;
    context.interrupts.leave_default();
    let log = EventLog::new(dir.path());
    let mut reload_due: Option<Instant> = None;
    let mut watched: Option<Watched> = None;
    loop {
        let Some(record) = dir.read()? else { return Ok(()) };
        if watched
            .as_ref()
            .is_none_or(|watched| watched.generation != record.generation)
        {
            watched = Some(Watched::of(&context, &dir, &record, &log));
            if let Some(watched) = &watched {
                watcher.watch(&watched.all_files(), &watched.hot.trees())?;
            }
        }
        let Some(now) = &watched else { return Ok(()) };
        let next_look = Instant::now() + GUARD_INTERVAL;
        let batch = watcher.next_batch(
            HOT_QUIET,
            Some(reload_due.map_or(next_look, |due| due.min(next_look))),
        );
        let changes: Vec<Change> = batch.changes.into_iter().collect();
        hot::fire(&context, now, &changes, &log);
        if record.live_reload && (batch.overflow || now.concerns_files(&changes)) {
            reload_due = Some(Instant::now() + RELOAD_QUIET);
        }
        if reload_due.is_some_and(|due| Instant::now() >= due) {
            reload_due = None;
            reload::reload(&context, &dir, &record, &log)?;
            // What is watched may have changed with the files.
            watched = None;
        }
        guard::look(&context, &args.project, &log);
    }
}

/// What the files say is to be watched.
struct Watched {
    generation: u64,
    record: PathBuf,
    files: Vec<PathBuf>,
    hot: HotRules,
}

impl Watched {
    fn of(context: &Context, dir: &ProjectDir, record: &ProjectRecord, log: &EventLog) -> Self {
        let mut watched = Self {
            generation: record.generation,
            record: dir.path().join("project.json"),
            files: record.config_files.clone(),
            hot: HotRules::default(),
        };
        let (files, hot) = reload::inputs(context, record);
        watched.files.extend(files);
        match hot {
            Ok(rules) => watched.hot = rules,
            Err(message) => log.emit(Event::Warning { message, help: None }),
        }
        watched
    }

    fn all_files(&self) -> Vec<PathBuf> {
        self.files.iter().cloned().chain([self.record.clone()]).collect()
    }

    fn concerns_files(&self, changes: &[Change]) -> bool {
        changes
            .iter()
            .any(|change| self.files.iter().any(|file| file == change.path.as_std_path()))
    }
}
