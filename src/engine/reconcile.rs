//! In: a prepared project and an intent. Out: reality as intended: lock, record, observe, plan, execute. `up`, `down`, every other
//! command and every reload go through here.
//! **Invariant:** under the project's lock from the first look to the last effect; the intent is on disk before its first effect.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rcompose_runtime::{Runtime, RuntimeError};

use super::execute::{Executor, Failure, Outcome};
use super::observe::observe;
use super::prepare::{Prepared, remembered};
use super::step::ImageSource;
use crate::diagnostic::Diagnostics;
use crate::event::{Event, Events};
use crate::model::ServiceName;
use crate::plan::{Intent, Observed, Plan, Remove, Starts, Up, Wanted, check, plan, plan_images};
use crate::state::{ProjectDir, ProjectLock, ProjectRecord, StateError};

/// Steps that work at once unless told otherwise.
pub const PARALLEL: usize = 8;

/// Everything a reconciliation acts with.
pub struct Engine<'a> {
    /// What is acted on.
    pub runtime: &'a dyn Runtime,
    /// Where images come from.
    pub images: &'a dyn ImageSource,
    /// Who is told.
    pub events: &'a dyn Events,
    /// Set by the user to stop.
    pub cancel: &'a AtomicBool,
    /// Root of all state.
    pub data_root: &'a Path,
    /// Steps that work at once; [`PARALLEL`] is the default.
    pub parallel: usize,
    /// How long conditions are waited for (`--wait-timeout`); none is for ever.
    pub wait_timeout: Option<Duration>,
}

/// Why an intent was not achieved.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It cannot be done; nothing was.
    #[error("the project cannot be brought up as it is")]
    Impossible(Diagnostics),
    /// The runtime's records cannot be read.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The project's records cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// Steps failed; what was done before stays and the next run goes on from there.
    #[error("{}", .0.iter().map(|failure| format!("{failure}: {}", failure.error.chain())).collect::<Vec<_>>().join("\n"))]
    Failed(Vec<Failure>),
    /// The user stopped it; the next run goes on from there.
    #[error("cancelled")]
    Cancelled,
}

/// What a reconciliation would do.
#[derive(Debug, Default)]
pub struct Preview {
    /// Images that would be fetched or built.
    pub images: Plan,
    /// The rest, as far as it does not depend on new images.
    pub plan: Plan,
}

impl std::fmt::Display for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.images, self.plan)
    }
}

impl Engine<'_> {
    /// Makes reality what the intent asks. `record` replaces the project's record (`up`); without one the record is
    /// only brought up to date with what a person stopped and started.
    pub fn reconcile(
        &self,
        prepared: &Prepared,
        intent: &Intent,
        record: Option<&ProjectRecord>,
    ) -> Result<Outcome, EngineError> {
        let dir = ProjectDir::of(self.data_root, &prepared.wanted.project);
        let lock = self.lock(&dir)?;
        self.runtime.repair(&prepared.wanted.project)?;
        let intent = self.write_intent(&dir, &lock, intent, record)?;
        let done = self.reconcile_locked(prepared, &intent)?;
        if let Intent::Down(down) = &intent
            && down.services.is_empty()
            && self.runtime.containers(&prepared.wanted.project)?.is_empty()
        {
            dir.remove(lock)?;
        }
        Ok(done)
    }

    /// What [`Self::reconcile`] would do now.
    pub fn preview(&self, prepared: &Prepared, intent: &Intent) -> Result<Preview, EngineError> {
        let Prepared { wanted, graph, .. } = prepared;
        let mut intent = intent.clone();
        if let Some(record) = ProjectDir::of(self.data_root, &wanted.project).read()? {
            leave_stopped(&mut intent, &record);
        }
        let observed = observe(self.runtime, self.images, wanted)?;
        Self::possible(wanted, prepared, &observed, &intent)?;
        let mut images = Plan::default();
        if let Intent::Up(up) = &intent {
            images = plan_images(wanted, graph, &observed, up);
        }
        let plan = plan(wanted, graph, &observed, &intent);
        Ok(Preview { images, plan })
    }

    /// A project as its containers remember it, for commands without a file.
    pub fn remembered(&self, project: &str) -> Result<Prepared, EngineError> {
        let wanted = Wanted {
            project: project.to_owned(),
            ..Wanted::default()
        };
        let observed = observe(self.runtime, self.images, &wanted)?;
        Ok(remembered(project, &observed))
    }

    fn reconcile_locked(&self, prepared: &Prepared, intent: &Intent) -> Result<Outcome, EngineError> {
        let Prepared { wanted, graph, .. } = prepared;
        let executor = Executor {
            runtime: self.runtime,
            images: self.images,
            events: self.events,
            cancel: self.cancel,
            parallel: self.parallel,
            deadline: self.wait_timeout.map(|timeout| Instant::now() + timeout),
        };
        let mut observed = observe(self.runtime, self.images, wanted)?;
        Self::possible(wanted, prepared, &observed, intent)?;
        let mut total = Outcome::default();
        if let Intent::Up(up) = intent {
            let images = plan_images(wanted, graph, &observed, up);
            if !images.is_empty() {
                total.add(executor.execute(&images))?;
                observed = observe(self.runtime, self.images, wanted)?;
            }
        }
        let plan = plan(wanted, graph, &observed, intent);
        self.events.note(&plan.notes);
        total.add(executor.execute(&plan))?;
        Ok(total)
    }

    fn possible(
        wanted: &Wanted,
        prepared: &Prepared,
        observed: &Observed,
        intent: &Intent,
    ) -> Result<(), EngineError> {
        let found = check(wanted, &prepared.graph, observed, intent);
        if found.has_errors() {
            return Err(EngineError::Impossible(found));
        }
        Ok(())
    }

    fn lock(&self, dir: &ProjectDir) -> Result<ProjectLock, EngineError> {
        let events = self.events;
        dir.lock(self.cancel, &mut |holder| {
            events.emit(Event::WaitingForLock {
                holder: holder.to_owned(),
            });
        })?
        .ok_or(EngineError::Cancelled)
    }

    /// Puts the intent on disk. A reload leaves alone what a person stopped.
    fn write_intent(
        &self,
        dir: &ProjectDir,
        lock: &ProjectLock,
        intent: &Intent,
        record: Option<&ProjectRecord>,
    ) -> Result<Intent, EngineError> {
        let before = dir.read()?;
        let mut intent = intent.clone();
        let Some(mut now) = record.cloned().or_else(|| before.clone()) else {
            return Ok(intent);
        };
        if let (Some(before), Some(_)) = (&before, record) {
            now.generation = before.generation + 1;
            now.stopped.clone_from(&before.stopped);
        }
        leave_stopped(&mut intent, &now);
        match &intent {
            Intent::Up(up) if up.start == Starts::Interrupted => {}
            Intent::Up(Up { services, .. })
            | Intent::Start { services, .. }
            | Intent::Restart { services, .. } => {
                let started = |service: &ServiceName| services.is_empty() || services.contains(service);
                now.stopped.retain(|service| !started(service));
            }
            Intent::Stop { services, .. }
            | Intent::Kill { services, .. }
            | Intent::Remove(Remove { services, .. }) => {
                now.stopped.extend(services.iter().cloned());
                if services.is_empty() {
                    now.stopped.extend(self.services_of(&now.name)?);
                }
            }
            Intent::Down(_) | Intent::Pause { .. } | Intent::Unpause { .. } => {}
        }
        if before.as_ref() != Some(&now) {
            dir.write(lock, &now)?;
        }
        Ok(intent)
    }

    fn services_of(&self, project: &str) -> Result<Vec<ServiceName>, EngineError> {
        let containers = self.runtime.containers(project)?;
        Ok(containers
            .into_iter()
            .map(|state| ServiceName::new(state.service))
            .collect())
    }
}

/// A reload leaves alone what a person stopped.
fn leave_stopped(intent: &mut Intent, record: &ProjectRecord) {
    if let Intent::Up(up) = intent
        && up.start == Starts::Interrupted
    {
        up.except.extend(record.stopped.iter().cloned());
    }
}

impl Outcome {
    /// Adds the outcome of the next plan.
    ///
    /// # Errors
    /// It failed or was cancelled.
    fn add(&mut self, next: Outcome) -> Result<(), EngineError> {
        self.done += next.done;
        self.skipped += next.skipped;
        let (fatal, mild): (Vec<Failure>, Vec<Failure>) =
            next.failures.into_iter().partition(|failure| failure.fatal);
        self.failures.extend(mild);
        if next.cancelled {
            return Err(EngineError::Cancelled);
        }
        if !fatal.is_empty() {
            return Err(EngineError::Failed(fatal));
        }
        Ok(())
    }
}
