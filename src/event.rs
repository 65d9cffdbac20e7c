//! In: what happens to a project, as it happens. Out: [`Event`], one enum for progress, logs, JSON and the event log.
//! **Invariant:** an event is told after the fact and decides nothing; losing one loses no state.

use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostics;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A plan is about to be carried out.
    Planned {
        /// Number of its steps.
        steps: usize,
    },
    /// A step begins.
    StepStarted {
        /// Which.
        step: StepInfo,
    },
    /// A step is done.
    StepDone {
        /// Which.
        step: StepInfo,
        /// Milliseconds it took.
        millis: u64,
    },
    /// A step failed.
    StepFailed {
        /// Which.
        step: StepInfo,
        /// Milliseconds it took.
        millis: u64,
        /// Why.
        error: String,
        /// Whether it ends the plan.
        fatal: bool,
    },
    /// Another command works on the project, this one waits.
    WaitingForLock {
        /// The other one, for people.
        holder: String,
    },
    /// Something the user should know.
    Warning {
        /// One sentence.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// Bytes of an image came in.
    PullProgress {
        /// Reference.
        image: String,
        /// Digest of the layer, shortened; empty for the whole.
        layer: String,
        /// What happens to it: `waiting`, `downloading`, `unpacking`, `done`, `exists`.
        phase: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// Bytes of an image went out.
    PushProgress {
        /// Reference.
        image: String,
        /// Digest of the uncompressed layer, shortened.
        layer: String,
        /// What happens to it: `waiting`, `packing`, `uploading`, `done`, `mounted`, `exists`.
        phase: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// A line of a build.
    BuildOutput {
        /// Whose image.
        service: String,
        /// The line.
        line: String,
    },
    /// A container ended by itself.
    ContainerDied {
        /// Its name.
        container: String,
        /// Its service.
        service: String,
        /// Exit code.
        code: i32,
    },
    /// A probe changed its mind.
    HealthChanged {
        /// The container's name.
        container: String,
        /// Its service.
        service: String,
        /// `healthy` or `unhealthy`.
        health: String,
    },
    /// Files were saved, and what they say is being applied.
    ReloadStarted {
        /// The files.
        files: Vec<String>,
    },
    /// What the files say is in force.
    ReloadAccepted {
        /// Number of the reload.
        generation: u64,
        /// What changed, one line each.
        changes: Vec<String>,
        /// Milliseconds since the save.
        millis: u64,
    },
    /// What the files say cannot be applied, and nothing was changed.
    ReloadRejected {
        /// The findings, rendered with file, line and column.
        rendered: String,
    },
    /// Files were copied into containers.
    Synced {
        /// The service.
        service: String,
        /// Paths inside the container.
        files: Vec<String>,
        /// Milliseconds since the save.
        millis: u64,
    },
}

impl Event {
    /// Whether it is worth keeping: progress is not.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::PullProgress { .. }
            | Self::PushProgress { .. }
            | Self::BuildOutput { .. }
            | Self::StepStarted { .. }
            | Self::WaitingForLock { .. } => false,
            Self::Planned { .. }
            | Self::StepDone { .. }
            | Self::StepFailed { .. }
            | Self::Warning { .. }
            | Self::ContainerDied { .. }
            | Self::HealthChanged { .. }
            | Self::ReloadStarted { .. }
            | Self::ReloadAccepted { .. }
            | Self::ReloadRejected { .. }
            | Self::Synced { .. } => true,
        }
    }
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepInfo {
    /// Its position in the plan.
    pub id: usize,
    /// What is done: `create`, `start`, `stop`, `pull`, …
    pub verb: String,
    /// What it is done to.
    pub kind: Kind,
    /// The name of that.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A kind of thing that steps act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One container.
    Container,
    /// Several at once.
    Containers,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// An image.
    Image,
    /// A service.
    Service,
}

/// Where events go.
pub trait Events: Send + Sync {
    /// Takes an event; must not block for long, the work waits for it.
    fn emit(&self, event: Event);

    /// Takes the notes of a plan; who can show places in files overrides this.
    fn note(&self, notes: &Diagnostics) {
        for diagnostic in notes {
            self.emit(Event::Warning {
                message: diagnostic.message.clone(),
                help: diagnostic.help.clone(),
            });
        }
    }
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Events for Silent {
    fn emit(&self, _event: Event) {}
}

/// Several listeners.
pub struct Fanout<'a>(pub Vec<&'a dyn Events>);

impl Events for Fanout<'_> {
    fn emit(&self, event: Event) {
        for sink in &self.0 {
            sink.emit(event.clone());
        }
    }

    fn note(&self, notes: &Diagnostics) {
        for sink in &self.0 {
            sink.note(notes);
        }
    }
}
