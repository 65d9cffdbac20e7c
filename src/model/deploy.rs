//! In: decoded keys. Out: [`Deploy`], what `deploy:` says besides limits, replicas and restart policy.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use indexmap::IndexMap;

/// `deploy:`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deploy {
    /// `mode:`.
    pub mode: Mode,
    /// `endpoint_mode:` as written.
    pub endpoint_mode: Option<String>,
    /// Labels of the service (not of its containers).
    pub labels: IndexMap<String, String>,
    /// `update_config:`.
    pub update: Option<Update>,
    /// `rollback_config:`.
    pub rollback: Option<Update>,
    /// `placement.constraints:`.
    pub constraints: Vec<String>,
}

/// `deploy.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// `replicated`.
    #[default]
    Replicated,
    /// `global`: one on this host.
    Global,
    /// `replicated-job`.
    ReplicatedJob,
    /// `global-job`.
    GlobalJob,
}

/// `update_config:` and `rollback_config:` (swarm semantics).
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Replicas replaced at once; 0 is all.
    pub parallelism: u32,
    /// Wait between batches.
    pub delay: Duration,
    /// `pause`, `continue` or `rollback`.
    pub failure_action: Option<String>,
    /// How long a new replica is watched.
    pub monitor: Duration,
    /// Tolerated share of failures.
    pub max_failure_ratio: f64,
    /// New replica first.
    pub start_first: bool,
}
