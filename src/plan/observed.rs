//! In: states of the runtime. Out: [`Observed`], all that a plan may know of the host.
//! **Invariant:** a snapshot; choices made on it stay right when it is a little old, because effects are idempotent.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::time::Duration;

use rcompose_runtime::state::{ContainerState, NetworkState, Status, VolumeState};

/// What is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Containers of the project, by service and number.
    pub containers: Vec<ContainerState>,
    /// Networks of the project, and others it names, by name on the host.
    pub networks: BTreeMap<String, NetworkState>,
    /// Volumes of the project, and others it names, by name on the host.
    pub volumes: BTreeMap<String, VolumeState>,
    /// Images it names that are in the local store, by reference.
    pub images: BTreeMap<String, ImageState>,
}

/// An image in the local store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageState {
    /// Digest of its configuration.
    pub id: String,
    /// Since its last pull or build, where that is known.
    pub age: Option<Duration>,
}

/// Whether a container has processes.
pub(super) fn is_up(container: &ContainerState) -> bool {
    match container.status {
        Status::Running | Status::Paused | Status::Restarting => true,
        Status::Created | Status::Exited { .. } => false,
    }
}

/// Whether a container holds addresses or ports, as far as its state shows.
pub(super) fn is_wired(container: &ContainerState) -> bool {
    !container.ports.is_empty() || container.networks.values().any(Option::is_some)
}
