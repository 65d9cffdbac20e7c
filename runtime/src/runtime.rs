//! In: requests. Out: effects on containers, networks and volumes, behind one trait that the executor drives.
//! Implemented by `LocalRuntime` (the kernel) and `FakeRuntime` (pure tests).
//! **Invariant:** calls are idempotent: doing one again after a cut gives the same end.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::request::{ContainerRequest, ExecRequest, NetworkRequest, VolumeRequest};
use crate::state::{ContainerState, NetworkState, VolumeState};

/// What went wrong in the runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Something named does not exist.
    #[error("no such {kind}: {name}")]
    NotFound {
        /// `container`, `network`, `volume`, `image`.
        kind: &'static str,
        /// Name or id.
        name: String,
    },
    /// A container could not be started.
    #[error("container {name}: {stage}{}", why(*.errno, .detail))]
    Start {
        /// Container.
        name: String,
        /// The step that failed.
        stage: String,
        /// errno(3), 0 when none applies.
        errno: i32,
        /// More.
        detail: String,
    },
    /// A host port is taken.
    #[error("port {port} of the host is taken{}", .owner.as_ref().map(|o| format!(" by {o}")).unwrap_or_default())]
    PortTaken {
        /// `127.0.0.1:8080/tcp`.
        port: String,
        /// Process id and command, where /proc tells.
        owner: Option<String>,
    },
    /// Something still uses it.
    #[error("{kind} {name} is in use by {user}")]
    InUse {
        /// `network`, `volume`, `image`.
        kind: &'static str,
        /// Name.
        name: String,
        /// Who.
        user: String,
    },
    /// The host lacks something.
    #[error("{what}: {remedy}")]
    Host {
        /// What is missing.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A request that this host cannot honour.
    #[error("{0}")]
    Invalid(String),
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The deadline passed.
    #[error("{what}: not within {}", humantime(.after))]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// A file or a system call.
    #[error("{what}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// What the step says, and the system call.
fn why(errno: i32, detail: &str) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match (errno, detail) {
        (0, "") => String::new(),
        (_, "") => format!(": {text}"),
        (0, detail) => format!(": {detail}"),
        (_, detail) if detail.contains(text) => format!(": {detail}"),
        (_, detail) => format!(": {detail} ({text})"),
    }
}

fn humantime(duration: &Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// How a wait for a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// Healthy, or running without a probe.
    Healthy,
    /// A probe failed for good; its last output.
    Unhealthy(String),
    /// It ended with this code.
    Exited(i32),
}

/// How a container is to be stopped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StopOptions {
    /// Overrides the container's.
    pub signal: Option<String>,
    /// Overrides the container's.
    pub grace: Option<Duration>,
    /// `pre_stop` commands.
    pub before: Vec<ExecRequest>,
}

/// Everything the executor needs of a host.
pub trait Runtime: Send + Sync {
    /// Containers of a project, one-off ones included, ordered by service and number.
    fn containers(&self, project: &str) -> Result<Vec<ContainerState>, RuntimeError>;
    /// Networks made for a project.
    fn networks(&self, project: &str) -> Result<Vec<NetworkState>, RuntimeError>;
    /// One network by its name on the host.
    fn network(&self, name: &str) -> Result<Option<NetworkState>, RuntimeError>;
    /// Volumes made for a project.
    fn volumes(&self, project: &str) -> Result<Vec<VolumeState>, RuntimeError>;
    /// One volume by its name on the host.
    fn volume(&self, name: &str) -> Result<Option<VolumeState>, RuntimeError>;
    /// Digest of the configuration of a local image; `@host` has a constant one.
    fn image_id(&self, reference: &str) -> Result<Option<String>, RuntimeError>;

    /// Mends what killed processes left behind; under the project's lock, before anything is decided.
    fn repair(&self, _project: &str) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// Makes a network. An equal one that exists is success.
    fn create_network(&self, request: &NetworkRequest) -> Result<NetworkState, RuntimeError>;
    /// Removes a network. Its absence is success; users make it [`RuntimeError::InUse`].
    fn remove_network(&self, name: &str) -> Result<(), RuntimeError>;
    /// Makes a volume. One that exists is success.
    fn create_volume(&self, request: &VolumeRequest) -> Result<VolumeState, RuntimeError>;
    /// Removes a volume and its data. Its absence is success.
    fn remove_volume(&self, name: &str) -> Result<(), RuntimeError>;

    /// Writes a container's record; nothing runs yet. Returns its id. `inherit` names an older container whose anonymous volumes move over.
    fn create_container(
        &self,
        request: &ContainerRequest,
        inherit: Option<&str>,
    ) -> Result<String, RuntimeError>;
    /// What of a request this host cannot honour though it starts, each as a sentence for the user: limits without a controller, mostly.
    fn unsupported(&self, _request: &ContainerRequest) -> Vec<String> {
        Vec::new()
    }
    /// Gives the containers their addresses, names and ports, all in one firewall transaction; before their start.
    fn wire(&self, ids: &[String]) -> Result<(), RuntimeError>;
    /// Takes addresses, names and ports back, all in one transaction; after their stop.
    fn unwire(&self, ids: &[String]) -> Result<(), RuntimeError>;
    /// Starts a wired container; returns when its first process was executed. A running one is success.
    fn start(&self, id: &str) -> Result<(), RuntimeError>;
    /// Stops a container for good; returns when it is down. A stopped one is success.
    fn stop(&self, id: &str, options: &StopOptions) -> Result<(), RuntimeError>;
    /// Stops and starts it in place.
    fn restart(&self, id: &str, options: &StopOptions) -> Result<(), RuntimeError>;
    /// Sends a signal (name or number) to its first process.
    fn kill(&self, id: &str, signal: &str) -> Result<(), RuntimeError>;
    /// Freezes it.
    fn pause(&self, id: &str) -> Result<(), RuntimeError>;
    /// Thaws it.
    fn unpause(&self, id: &str) -> Result<(), RuntimeError>;
    /// Removes a stopped container, with its anonymous volumes when asked. Its absence is success.
    fn remove_container(&self, id: &str, volumes: bool) -> Result<(), RuntimeError>;
    /// Gives a container a new name.
    fn rename_container(&self, id: &str, name: &str) -> Result<(), RuntimeError>;

    /// Waits until healthy, ended, cancelled or late.
    fn wait_healthy(
        &self,
        id: &str,
        deadline: Option<Instant>,
        cancel: &AtomicBool,
    ) -> Result<Waited, RuntimeError>;
    /// Waits until ended (no restart follows); its exit code.
    fn wait_exited(
        &self,
        id: &str,
        deadline: Option<Instant>,
        cancel: &AtomicBool,
    ) -> Result<i32, RuntimeError>;
    /// Runs a command inside and waits for it; exit code and output (both streams, at most 64 KiB).
    fn run_inside(&self, id: &str, request: &ExecRequest) -> Result<(i32, Vec<u8>), RuntimeError>;
}
