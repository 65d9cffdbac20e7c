//! In: the outcome of a stage, from whichever thread built it. Out: the same to every stage that takes files from it.
//! **Invariant:** a stage is built by one thread, once; whoever waits is woken however the building ends.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::stage_state::StageState;

/// Where the building of a stage is.
#[derive(Debug, Default)]
enum Progress {
    #[default]
    NotBegun,
    Going,
    Built(Box<StageState>),
    Failed,
}

/// One stage's outcome, to be waited for.
#[derive(Debug, Default)]
pub(super) struct StageOutcome {
    progress: Mutex<Progress>,
    told: Condvar,
}

/// The duty to build a stage; a failure is told when it is dropped without an outcome.
pub(super) struct Duty<'a>(&'a StageOutcome);

impl StageOutcome {
    fn locked(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The duty to build it, for the first who asks.
    pub(super) fn begin(&self) -> Option<Duty<'_>> {
        let mut progress = self.locked();
        if !matches!(*progress, Progress::NotBegun) {
            return None;
        }
        *progress = Progress::Going;
        Some(Duty(self))
    }

    /// What it has become, once somebody has built it; none when that failed.
    pub(super) fn wait(&self) -> Option<StageState> {
        let mut progress = self.locked();
        loop {
            match &*progress {
                Progress::Built(state) => return Some(StageState::clone(state)),
                Progress::Failed => return None,
                Progress::NotBegun | Progress::Going => {
                    progress = self.told.wait(progress).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn tell(&self, outcome: Progress) {
        *self.locked() = outcome;
        self.told.notify_all();
    }
}

impl Duty<'_> {
    /// The stage is built.
    pub(super) fn done(self, state: StageState) {
        self.0.tell(Progress::Built(Box::new(state)));
    }
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        if matches!(*self.0.locked(), Progress::Going) {
            self.0.tell(Progress::Failed);
        }
    }
}
