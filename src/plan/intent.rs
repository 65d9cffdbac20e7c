//! In: a command with its flags, or a change that was noticed. Out: an [`Intent`], what is to be achieved.
//! **Invariant:** no services named means all of them.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::ServiceName;
use crate::model::service::PullPolicy;

/// What is to be achieved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// The project as its files say; also `create`, `scale` and every reload.
    Up(Up),
    /// Nothing left.
    Down(Down),
    /// Containers stopped, kept.
    Stop {
        /// Which.
        services: Vec<ServiceName>,
        /// Grace period instead of the containers' own.
        timeout: Option<Duration>,
    },
    /// Existing containers running.
    Start {
        /// Which.
        services: Vec<ServiceName>,
        /// Until they are running or healthy.
        wait: bool,
    },
    /// Containers stopped and started in place.
    Restart {
        /// Which.
        services: Vec<ServiceName>,
        /// Grace period instead of the containers' own.
        timeout: Option<Duration>,
        /// Leave dependents with `restart: true` alone.
        no_deps: bool,
    },
    /// A signal to every first process.
    Kill {
        /// Which.
        services: Vec<ServiceName>,
        /// Name or number.
        signal: String,
        /// Containers of services that are not in the files, too.
        remove_orphans: bool,
    },
    /// Stopped containers removed.
    Remove(Remove),
    /// Containers frozen.
    Pause {
        /// Which.
        services: Vec<ServiceName>,
    },
    /// Containers thawed.
    Unpause {
        /// Which.
        services: Vec<ServiceName>,
    },
}

/// `up` and its kin.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line, free of the others"
)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Up {
    /// The targets; their dependencies come along.
    pub services: Vec<ServiceName>,
    /// Services left alone altogether (a reload keeps what a person stopped).
    pub except: BTreeSet<ServiceName>,
    /// When targets are replaced.
    pub recreate: Recreate,
    /// Replace dependencies even when nothing changed.
    pub always_recreate_deps: bool,
    /// Only the targets.
    pub no_deps: bool,
    /// Replicas instead of the file's.
    pub scale: BTreeMap<ServiceName, u32>,
    /// Remove containers of services that are not in the files.
    pub remove_orphans: bool,
    /// What is started.
    pub start: Starts,
    /// New anonymous volumes instead of the replaced container's.
    pub renew_anonymous: bool,
    /// Grace period instead of the containers' own.
    pub timeout: Option<Duration>,
    /// Until everything is running or healthy.
    pub wait: bool,
    /// Where images come from.
    pub images: ImagePolicy,
}

impl Up {
    /// `scale SERVICE=N…`: those services and no replacements.
    pub fn scaled(scale: BTreeMap<ServiceName, u32>, no_deps: bool) -> Self {
        Self {
            services: scale.keys().cloned().collect(),
            scale,
            no_deps,
            recreate: Recreate::Never,
            ..Self::default()
        }
    }
}

/// When an existing container is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recreate {
    /// When it differs from what is wanted.
    #[default]
    Diverged,
    /// Always.
    Force,
    /// Never.
    Never,
}

/// Which containers are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Starts {
    /// All that do not run.
    #[default]
    All,
    /// New ones, and those a cut left stopped; what ended by itself stays so (reload).
    Interrupted,
    /// None (`--no-start`, `create`).
    Nothing,
}

/// Where images come from, over what the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImagePolicy {
    /// `--pull`.
    pub pull: Option<PullPolicy>,
    /// `--build`.
    pub build: bool,
    /// `--no-build`.
    pub no_build: bool,
}

/// `down`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Down {
    /// Which; their dependents go too.
    pub services: Vec<ServiceName>,
    /// Named volumes of the project and anonymous ones, too.
    pub volumes: bool,
    /// Images, too.
    pub images: RemoveImages,
    /// Containers of services that are not in the files, too.
    pub remove_orphans: bool,
    /// Grace period instead of the containers' own.
    pub timeout: Option<Duration>,
}

/// `--rmi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RemoveImages {
    /// None.
    #[default]
    Nothing,
    /// Those built without an `image:` of their own.
    Local,
    /// Those of every service.
    All,
}

/// `rm`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remove {
    /// Which.
    pub services: Vec<ServiceName>,
    /// Stop them first.
    pub stop: bool,
    /// Their anonymous volumes, too.
    pub volumes: bool,
    /// Containers made by `run`, too.
    pub one_off: bool,
}
