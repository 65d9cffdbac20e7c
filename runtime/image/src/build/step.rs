//! The wall between the builder and whatever runs a RUN: what is to be run, and who runs it.
//! **Invariant:** the builder knows no kernel; the runner knows no Dockerfile.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::on_host::HostBase;

/// A command to run on top of layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStep {
    /// Layers, top-most first; may be empty (`FROM scratch`). At the end [`HostBase::lower`], if they stand on the host.
    pub lower: Vec<PathBuf>,
    /// An empty directory that receives what the command changes.
    pub upper: PathBuf,
    /// An empty directory beside it.
    pub work: PathBuf,
    /// Program and arguments.
    pub arguments: Vec<String>,
    /// The complete environment, `NAME=value`.
    pub environment: Vec<String>,
    /// `user[:group]`.
    pub user: String,
    /// Absolute.
    pub working_directory: String,
    /// Further mounts.
    pub mounts: Vec<StepMount>,
    /// Network.
    pub network: StepNetwork,
    /// Further lines of `/etc/hosts`: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Bytes of memory it may use.
    pub memory: Option<u64>,
    /// Resource limits by name: soft and hard, -1 for none.
    pub ulimits: BTreeMap<String, (i64, i64)>,
}

/// A mount of one RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepMount {
    /// Absolute path inside.
    pub target: String,
    /// Read-only.
    pub read_only: bool,
    /// What.
    pub source: StepMountSource,
}

/// What a mount of a RUN shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepMountSource {
    /// A directory or file of the host.
    Bind(PathBuf),
    /// What a directory of the host has at a path: looked up inside it when it is mounted, so that no link leads out (CVE-2024-23651).
    Inside(PathBuf, String),
    /// The merged tree of layers, top-most first, and a path below its root; changes are thrown away.
    Layers(Vec<PathBuf>, String),
    /// Memory.
    Tmpfs(Option<u64>),
    /// A file with this content, mode, owner and group.
    Content(Vec<u8>, u32, u32, u32),
}

/// Network of a RUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepNetwork {
    /// A bridge of its own, with a way out.
    Default,
    /// None.
    None,
    /// The host's.
    Host,
}

/// Runs commands, and knows the host.
pub trait StepRunner: Sync {
    /// Runs the step to its end, handing on what it prints (standard error: `true`). Returns its exit code; an error says why it could not run.
    /// Once `stopped` says so (it is asked many times a second) the command is killed.
    fn run(
        &self,
        step: &RunStep,
        output: &mut dyn FnMut(bool, &[u8]),
        stopped: &dyn Fn() -> bool,
    ) -> Result<i32, String>;

    /// No further step comes: takes away what the steps left, while the image is recorded.
    fn clear(&self);

    /// What `FROM @host` starts from; its directories are there as long as the runner is. An error says why this host is no base.
    fn host(&self) -> Result<HostBase, String>;
}
