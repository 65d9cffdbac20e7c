//! In: decisions. Out: [`Plan`]: steps, what each waits for, why it is taken, and what its failure means.
//! **Invariant:** a step waits only for steps before it in the list, so a plan cannot have a cycle.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rcompose_runtime::request::{ContainerRequest, ExecRequest, NetworkRequest, VolumeRequest};
use rcompose_runtime::runtime::StopOptions;

use crate::diagnostic::Diagnostics;
use crate::model::ServiceName;
use crate::model::service::Condition;

/// Position of a step in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// What will be done, and what is to be said about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// Warnings: orphans, resources left alone although they differ.
    pub notes: Diagnostics,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// Steps that must be done before.
    pub after: Vec<StepId>,
    /// What its failure means.
    pub on_failure: OnFailure,
}

/// What the failure of a step means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// No further step is taken.
    Abort,
    /// It is reported, and the steps after it are taken.
    Warn,
}

/// A container a step acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The id of one that exists, or the step that makes it.
    pub handle: Result<String, StepId>,
    /// Its name at the end of the plan, for people.
    pub name: String,
    /// Its service.
    pub service: ServiceName,
}

/// An effect on the host, or a wait for one.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Fetch an image.
    PullImage {
        /// Reference.
        reference: String,
        /// `os/arch[/variant]`.
        platform: Option<String>,
    },
    /// Build the image of a service.
    BuildImage {
        /// Whose `build:`.
        service: ServiceName,
        /// Name of the result.
        reference: String,
    },
    /// Bring an image to its registry.
    PushImage {
        /// Reference.
        reference: String,
    },
    /// Remove an image.
    RemoveImage {
        /// Reference.
        reference: String,
    },
    /// Make a network.
    CreateNetwork(NetworkRequest),
    /// Remove a network.
    RemoveNetwork {
        /// Name on the host.
        name: String,
    },
    /// Make a volume.
    CreateVolume(VolumeRequest),
    /// Remove a volume with its data.
    RemoveVolume {
        /// Name on the host.
        name: String,
    },
    /// Write the record of a container.
    CreateContainer {
        /// What it is; its name may be a temporary one.
        request: Box<ContainerRequest>,
        /// Its name once the plan is done.
        name: String,
        /// Id of the container it replaces, whose anonymous volumes move over.
        inherit: Option<String>,
        /// Whether it replaces one.
        replaces: bool,
    },
    /// Give containers their addresses, names and ports, in one transaction.
    Wire(Vec<Container>),
    /// Take them back, in one transaction.
    Unwire(Vec<Container>),
    /// Start a container.
    Start(Container),
    /// Stop a container.
    Stop(Container, StopOptions),
    /// Stop and start it in place.
    Restart(Container, StopOptions),
    /// Send a signal to its first process.
    Kill(Container, String),
    /// Freeze it.
    Pause(Container),
    /// Thaw it.
    Unpause(Container),
    /// Run a `post_start` command inside it.
    RunHook(Container, ExecRequest),
    /// Give it its name.
    Rename {
        /// Which.
        container: Container,
        /// The name before.
        from: String,
    },
    /// Remove a stopped container.
    RemoveContainer {
        /// Which.
        container: Container,
        /// Its anonymous volumes, too.
        volumes: bool,
    },
    /// Wait until a service's containers meet a condition.
    Wait {
        /// The service.
        service: ServiceName,
        /// Its containers.
        containers: Vec<Container>,
        /// The condition; never [`Condition::Started`], which is an edge.
        condition: Condition,
    },
}

impl Action {
    /// The service concerned, where there is one.
    pub fn service(&self) -> Option<&str> {
        match self {
            Self::CreateContainer { request, .. } => Some(&request.service),
            Self::BuildImage { service, .. } | Self::Wait { service, .. } => Some(service.as_str()),
            Self::Start(container)
            | Self::Stop(container, _)
            | Self::Restart(container, _)
            | Self::Kill(container, _)
            | Self::Pause(container)
            | Self::Unpause(container)
            | Self::RunHook(container, _)
            | Self::Rename { container, .. }
            | Self::RemoveContainer { container, .. } => Some(container.service.as_str()),
            Self::PullImage { .. }
            | Self::PushImage { .. }
            | Self::RemoveImage { .. }
            | Self::CreateNetwork(_)
            | Self::RemoveNetwork { .. }
            | Self::CreateVolume(_)
            | Self::RemoveVolume { .. }
            | Self::Wire(_)
            | Self::Unwire(_) => None,
        }
    }
}

/// Why a step is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is wanted and not there.
    Missing,
    /// It is there and not wanted.
    Unwanted,
    /// The command asked for it.
    Requested,
    /// The policy asks for it each time (`pull_policy`, `--build`).
    Policy(String),
    /// These keys of the service, network or volume changed.
    Changed(Vec<String>),
    /// The image's name now stands for another image.
    ImageChanged,
    /// Recreation was asked for.
    Forced,
    /// A network it is on is made anew.
    NetworkRecreated(String),
    /// It runs without an address on a network it should be on.
    Detached(String),
    /// A volume it uses is made anew.
    VolumeRecreated(String),
    /// It shares namespaces with a container that was replaced.
    ParentReplaced(String),
    /// A service it depends on with `restart: true` is recreated or restarted.
    DependencyRestarts(ServiceName),
    /// More of them are there than wanted.
    Surplus {
        /// How many are wanted.
        wanted: u32,
    },
    /// Its service is not in the files.
    Orphan,
    /// Another container takes its place.
    Replaced,
    /// An earlier command was cut short.
    LeftOver,
    /// It does not run.
    NotRunning,
    /// This plan makes it.
    Created,
    /// A service waits for it.
    NeededBy(ServiceName),
    /// `--wait`.
    Awaited,
    /// Its container starts.
    BeforeStart,
    /// Its container stopped.
    AfterStop,
    /// Its container was started.
    AfterStart,
}
