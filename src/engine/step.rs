//! In: one action. Out: its effect on the runtime or the image source.
//! **Invariant:** one call for one action; waiting is the runtime's, which is told of changes.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rcompose_runtime::runtime::Waited;
use rcompose_runtime::{Runtime, RuntimeError};

use crate::event::Events;
use crate::model::ServiceName;
use crate::model::service::Condition;
use crate::plan::{Action, Container};

/// Why an image could not be pulled, built or removed.
pub type ImageError = Box<dyn std::error::Error + Send + Sync>;

/// Where images come from.
pub trait ImageSource: Send + Sync {
    /// Fetches an image into the local store, telling of progress.
    fn pull(
        &self,
        reference: &str,
        platform: Option<&str>,
        events: &dyn Events,
        cancel: &AtomicBool,
    ) -> Result<(), ImageError>;
    /// Builds the image of a service and names it.
    fn build(
        &self,
        service: &ServiceName,
        reference: &str,
        events: &dyn Events,
        cancel: &AtomicBool,
    ) -> Result<(), ImageError>;
    /// Brings an image of the local store to its registry, telling of progress.
    fn push(&self, reference: &str, events: &dyn Events, cancel: &AtomicBool) -> Result<(), ImageError>;
    /// Removes an image from the local store; its absence is success.
    fn remove(&self, reference: &str) -> Result<(), ImageError>;
    /// Time since the last pull or build of an image, where that is known.
    fn age(&self, reference: &str) -> Option<Duration>;
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The runtime says so.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The image source says so.
    #[error("{0}")]
    Image(#[source] ImageError),
    /// A probe failed for good.
    #[error("container {container} is unhealthy{}{output}", if .output.is_empty() { "" } else { ": " })]
    Unhealthy {
        /// Which.
        container: String,
        /// What the last probe printed.
        output: String,
    },
    /// A container that should run, or end well, ended otherwise.
    #[error("container {container} exited with code {code}")]
    Exited {
        /// Which.
        container: String,
        /// Exit code.
        code: i32,
    },
    /// A hook failed.
    #[error("post_start command {command:?} ended with code {code}{}{output}", if .output.is_empty() { "" } else { ": " })]
    Hook {
        /// Program and arguments.
        command: String,
        /// Exit code.
        code: i32,
        /// What it printed.
        output: String,
    },
    /// A plan refers to a container that none of its steps made.
    #[error("container {0} was not made")]
    NotMade(String),
    /// The process has no room for another thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl StepError {
    /// Whether it is the user who ended it.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Runtime(RuntimeError::Cancelled))
    }

    /// The message with all its causes.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.ends_with(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            cause = error.source();
        }
        text
    }
}

/// What a step may use.
pub(super) struct Tools<'a> {
    pub(super) runtime: &'a dyn Runtime,
    pub(super) images: &'a dyn ImageSource,
    pub(super) events: &'a dyn Events,
    pub(super) cancel: &'a AtomicBool,
    pub(super) stop_waiting: &'a AtomicBool,
    pub(super) deadline: Option<Instant>,
    pub(super) id_of: &'a dyn Fn(&Container) -> Result<String, StepError>,
}

/// Does it; the id of a container that was made.
pub(super) fn perform(action: &Action, tools: &Tools<'_>) -> Result<Option<String>, StepError> {
    let runtime = tools.runtime;
    let id_of = tools.id_of;
    let ids = |containers: &[Container]| containers.iter().map(id_of).collect::<Result<Vec<String>, _>>();
    match action {
        Action::PullImage { reference, platform } => tools
            .images
            .pull(reference, platform.as_deref(), tools.events, tools.cancel)
            .map_err(StepError::Image)?,
        Action::BuildImage { service, reference } => tools
            .images
            .build(service, reference, tools.events, tools.cancel)
            .map_err(StepError::Image)?,
        Action::PushImage { reference } => tools
            .images
            .push(reference, tools.events, tools.cancel)
            .map_err(StepError::Image)?,
        Action::RemoveImage { reference } => tools.images.remove(reference).map_err(StepError::Image)?,
        Action::CreateNetwork(request) => drop(runtime.create_network(request)?),
        Action::RemoveNetwork { name } => runtime.remove_network(name)?,
        Action::CreateVolume(request) => drop(runtime.create_volume(request)?),
        Action::RemoveVolume { name } => runtime.remove_volume(name)?,
        Action::CreateContainer { request, inherit, .. } => {
            return Ok(Some(runtime.create_container(request, inherit.as_deref())?));
        }
        Action::Wire(containers) => runtime.wire(&ids(containers)?)?,
        Action::Unwire(containers) => runtime.unwire(&ids(containers)?)?,
        Action::Start(container) => runtime.start(&id_of(container)?)?,
        Action::Stop(container, options) => runtime.stop(&id_of(container)?, options)?,
        Action::Restart(container, options) => runtime.restart(&id_of(container)?, options)?,
        Action::Kill(container, signal) => runtime.kill(&id_of(container)?, signal)?,
        Action::Pause(container) => runtime.pause(&id_of(container)?)?,
        Action::Unpause(container) => runtime.unpause(&id_of(container)?)?,
        Action::RunHook(container, request) => {
            let (code, output) = runtime.run_inside(&id_of(container)?, request)?;
            if code != 0 {
                return Err(StepError::Hook {
                    command: request.command.join(" "),
                    code,
                    output: String::from_utf8_lossy(&output).trim().to_owned(),
                });
            }
        }
        Action::Rename { container, .. } => runtime.rename_container(&id_of(container)?, &container.name)?,
        Action::RemoveContainer { container, volumes } => {
            runtime.remove_container(&id_of(container)?, *volumes)?;
        }
        Action::Wait {
            containers,
            condition,
            ..
        } => {
            for container in containers {
                wait(container, *condition, tools)?;
            }
        }
    }
    Ok(None)
}

fn wait(container: &Container, condition: Condition, tools: &Tools<'_>) -> Result<(), StepError> {
    let id = (tools.id_of)(container)?;
    let name = || container.name.clone();
    match condition {
        Condition::Started => Ok(()),
        Condition::Healthy => match tools
            .runtime
            .wait_healthy(&id, tools.deadline, tools.stop_waiting)?
        {
            Waited::Healthy => Ok(()),
            Waited::Unhealthy(output) => Err(StepError::Unhealthy {
                container: name(),
                output: output.trim().to_owned(),
            }),
            Waited::Exited(code) => Err(StepError::Exited {
                container: name(),
                code,
            }),
        },
        Condition::CompletedSuccessfully => {
            match tools
                .runtime
                .wait_exited(&id, tools.deadline, tools.stop_waiting)?
            {
                0 => Ok(()),
                code => Err(StepError::Exited {
                    container: name(),
                    code,
                }),
            }
        }
    }
}
