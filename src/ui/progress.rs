//! In: events of a command. Out: what a person sees of it, on standard error unless asked otherwise: a live block on a terminal,
//! lines on a pipe, or JSON.
//! **Invariant:** telling never fails the work; after [`Progress::finish`] the terminal is as it was, below what was told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::style::Style;
use super::{print, report};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::event::{Event, Events};
use crate::source::span::SourceMap;

mod block;
mod words;

use block::Block;

/// Between two drawings of the block.
const FRAME: Duration = Duration::from_millis(100);

/// An event of the supervisor as a line; with `hot` what watch rules did, too. Ends of containers are told with their output.
pub fn news(event: &Event, hot: bool) -> Option<String> {
    match event {
        Event::StepDone { step, .. } if hot => words::hot(step),
        Event::Warning { message, .. } => Some(format!("warning: {message}")),
        Event::Synced { .. } if hot => words::news(event),
        Event::ReloadAccepted { .. } | Event::ReloadRejected { .. } => words::news(event),
        Event::Synced { .. }
        | Event::Planned { .. }
        | Event::StepStarted { .. }
        | Event::StepDone { .. }
        | Event::StepFailed { .. }
        | Event::WaitingForLock { .. }
        | Event::PullProgress { .. }
        | Event::PushProgress { .. }
        | Event::BuildOutput { .. }
        | Event::ContainerDied { .. }
        | Event::HealthChanged { .. }
        | Event::ReloadStarted { .. } => None,
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ProgressKind {
    /// A block on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// A block.
    Tty,
    /// One line an event.
    Plain,
    /// One JSON object an event.
    Json,
    /// Nothing but warnings.
    #[value(alias = "none")]
    Quiet,
}

/// What to show, and how.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Look {
    /// Kind; `Auto` is decided by `terminal`.
    pub kind: ProgressKind,
    /// The stream written to is a terminal.
    pub terminal: bool,
    /// Progress goes to standard output, warnings stay on standard error (`COMPOSE_STATUS_STDOUT`).
    pub to_stdout: bool,
    /// Colours.
    pub style: Style,
    /// Leave pulls out.
    pub quiet_pull: bool,
    /// Leave out what builds print.
    pub quiet_build: bool,
    /// Nothing is really done: say so.
    pub dry_run: bool,
    /// Leave warnings of orphans out.
    pub ignore_orphans: bool,
}

impl Look {
    /// Progress is no result: that nobody reads it is no reason to stop.
    fn write(self, text: &str) {
        if self.to_stdout {
            print::out(text).unwrap_or_default();
        } else {
            print::err(text);
        }
    }
}

/// Shows events.
#[derive(Debug)]
pub struct Progress {
    look: Look,
    kind: ProgressKind,
    block: Arc<Mutex<Block>>,
    ticker: Mutex<Option<Ticker>>,
    /// Texts that findings point into.
    sources: Option<SourceMap>,
}

#[derive(Debug)]
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Progress {
    /// Progress of the command called `title`; `sources` are the texts that its findings point into.
    pub fn new(title: &str, look: Look, sources: Option<SourceMap>) -> Self {
        let kind = match look.kind {
            ProgressKind::Auto if look.terminal => ProgressKind::Tty,
            ProgressKind::Auto => ProgressKind::Plain,
            ProgressKind::Tty | ProgressKind::Plain | ProgressKind::Json | ProgressKind::Quiet => look.kind,
        };
        Self {
            look,
            kind,
            block: Arc::new(Mutex::new(Block::new(title, look.style))),
            ticker: Mutex::new(None),
            sources,
        }
    }

    /// Prints lines above the block.
    pub fn say(&self, text: &str) {
        let mut block = self.block();
        let clear = block.clear();
        self.look.write(&clear);
        print::err(text);
    }

    /// Draws the block a last time; what comes later begins a new one.
    pub fn finish(&self) {
        let ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticker) = ticker {
            ticker.stop.store(true, Ordering::Relaxed);
            ticker.thread.thread().unpark();
            // A thread that panicked drew badly and did no other harm.
            ticker.thread.join().unwrap_or_default();
            let mut block = self.block();
            self.look.write(&block.last(Instant::now()));
        }
    }

    fn block(&self) -> MutexGuard<'_, Block> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_shown(&self, event: &Event) -> bool {
        match event {
            Event::PullProgress { .. } | Event::PushProgress { .. } => !self.look.quiet_pull,
            Event::BuildOutput { .. } => !self.look.quiet_build,
            Event::StepStarted { step } | Event::StepDone { step, .. } => {
                !(self.look.quiet_pull && step.verb == "pull")
            }
            Event::Planned { .. }
            | Event::StepFailed { .. }
            | Event::WaitingForLock { .. }
            | Event::Warning { .. }
            | Event::ContainerDied { .. }
            | Event::HealthChanged { .. }
            | Event::ReloadStarted { .. }
            | Event::ReloadAccepted { .. }
            | Event::ReloadRejected { .. }
            | Event::Synced { .. } => true,
        }
    }

    fn draw(&self, event: &Event) {
        self.block().take(event, Instant::now());
        let mut ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        if ticker.is_some() {
            return;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&self.block));
        let look = self.look;
        let draw = move || {
            while !stopped.load(Ordering::Relaxed) {
                {
                    let mut block = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    look.write(&block.frame(Instant::now()));
                }
                std::thread::park_timeout(FRAME);
            }
        };
        // Without a thread there is no animation; the block is drawn at the end all the same.
        if let Ok(thread) = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(draw)
        {
            *ticker = Some(Ticker { stop, thread });
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Events for Progress {
    fn emit(&self, event: Event) {
        if !self.is_shown(&event) {
            return;
        }
        if let Event::Warning { message, help } = &event
            && self.kind != ProgressKind::Json
        {
            self.say(&words::warning(message, help.as_deref(), self.look.style));
            return;
        }
        match self.kind {
            ProgressKind::Quiet => {}
            ProgressKind::Json => {
                if let Ok(line) = serde_json::to_string(&event) {
                    self.look.write(&format!("{line}\n"));
                }
            }
            ProgressKind::Tty => self.draw(&event),
            ProgressKind::Auto | ProgressKind::Plain => {
                if let Some(line) = words::line(&event) {
                    let mode = if self.look.dry_run { " DRY-RUN MODE - " } else { "" };
                    self.look.write(&format!("{mode}{line}\n"));
                }
            }
        }
    }

    fn note(&self, notes: &Diagnostics) {
        let shown = |note: &&Diagnostic| !(self.look.ignore_orphans && note.code == "orphan");
        let notes: &Diagnostics = &notes.iter().filter(shown).cloned().collect();
        if notes.is_empty() {
            return;
        }
        match &self.sources {
            Some(sources) if self.kind != ProgressKind::Json => {
                self.say("");
                report::print(notes, sources);
            }
            Some(_) | None => {
                for note in notes {
                    self.emit(Event::Warning {
                        message: note.message.clone(),
                        help: note.help.clone(),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
