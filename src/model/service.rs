//! In: decoded keys. Out: [`Service`], one entry of `services:`.
//! **Invariant:** values are final: interpolated, merged, with absolute host paths.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use camino::Utf8PathBuf;
use indexmap::IndexMap;

use super::build::Build;
use super::deploy::Deploy;
use super::develop::WatchRule;
use super::file_object::FileMount;
use super::health::Healthcheck;
use super::key_span::KeySpans;
use super::mount::Mount;
use super::name::{NetworkKey, ServiceName};
use super::port::Port;
use crate::source::span::Span;

/// One service.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the specification")]
pub struct Service {
    /// Its key.
    pub name: ServiceName,
    /// Where the key stands.
    pub span: Span,
    /// Where its keys stand, for later stages that complain about one.
    pub key_spans: KeySpans,
    /// `image:`; a service with only `build` gets `<project>-<service>` when lowered.
    pub image: Option<String>,
    /// `build:`.
    pub build: Option<Build>,
    /// When to pull.
    pub pull_policy: PullPolicy,
    /// `platform:` as written.
    pub platform: Option<String>,
    /// `command:`; `Some(vec![])` clears the image's.
    pub command: Option<Vec<String>>,
    /// `entrypoint:`; `Some(vec![])` clears the image's, and its command.
    pub entrypoint: Option<Vec<String>>,
    /// Final environment, with what `env_file` says: a name without value is taken out of the container's environment.
    pub environment: IndexMap<String, Option<String>>,
    /// `env_file:` entries, in order; read when lowered.
    pub env_files: Vec<EnvFile>,
    /// `label_file:` entries, absolute.
    pub label_files: Vec<Utf8PathBuf>,
    /// Labels.
    pub labels: IndexMap<String, String>,
    /// Annotations.
    pub annotations: IndexMap<String, String>,
    /// Dependencies, explicit and implied.
    pub depends_on: IndexMap<ServiceName, Dependency>,
    /// `networks:`; empty exactly when `network_mode` is set.
    pub networks: IndexMap<NetworkKey, ServiceNetwork>,
    /// `network_mode:`.
    pub network_mode: Option<NetworkMode>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// `expose:`, `port[/protocol]`.
    pub expose: Vec<String>,
    /// Legacy links: service, alias.
    pub links: Vec<(ServiceName, String)>,
    /// Volumes, binds, tmpfs of the long syntax, and the `tmpfs:` key.
    pub mounts: Vec<Mount>,
    /// `volumes_from:`: source and read-only.
    pub volumes_from: Vec<(NamespaceRef, bool)>,
    /// Configs mounted.
    pub configs: Vec<FileMount>,
    /// Secrets mounted.
    pub secrets: Vec<FileMount>,
    /// The health probe; none when the image's holds.
    pub healthcheck: Option<Healthcheck>,
    /// `deploy:`.
    pub deploy: Deploy,
    /// Number of replicas (`scale` or `deploy.replicas`), default 1.
    pub scale: u32,
    /// `develop.watch` rules.
    pub watch: Vec<WatchRule>,
    /// Lifecycle commands.
    pub post_start: Vec<Hook>,
    /// Run inside before the stop signal.
    pub pre_stop: Vec<Hook>,
    /// `container_name:`.
    pub container_name: Option<String>,
    /// `hostname:`.
    pub hostname: Option<String>,
    /// `domainname:`.
    pub domainname: Option<String>,
    /// `user:`.
    pub user: Option<String>,
    /// `group_add:`.
    pub group_add: Vec<String>,
    /// `working_dir:`.
    pub working_dir: Option<String>,
    /// `init:`.
    pub init: bool,
    /// `tty:`.
    pub tty: bool,
    /// `stdin_open:`.
    pub stdin_open: bool,
    /// `privileged:`.
    pub privileged: bool,
    /// `read_only:`.
    pub read_only: bool,
    /// `restart:` or `deploy.restart_policy`.
    pub restart: Restart,
    /// `stop_signal:`.
    pub stop_signal: Option<String>,
    /// `stop_grace_period:`.
    pub stop_grace_period: Option<Duration>,
    /// `attach:` (default true): show its output in a foreground `up`.
    pub attach: bool,
    /// `cap_add:`.
    pub cap_add: Vec<String>,
    /// `cap_drop:`.
    pub cap_drop: Vec<String>,
    /// `security_opt:`.
    pub security_opt: Vec<String>,
    /// `devices:`: host path, container path, permissions.
    pub devices: Vec<(String, String, String)>,
    /// `device_cgroup_rules:`.
    pub device_cgroup_rules: Vec<String>,
    /// `dns:`.
    pub dns: Vec<String>,
    /// `dns_opt:`.
    pub dns_opt: Vec<String>,
    /// `dns_search:`.
    pub dns_search: Vec<String>,
    /// `extra_hosts:`: name and addresses (`host-gateway` kept as such).
    pub extra_hosts: Vec<(String, String)>,
    /// `ipc:`.
    pub ipc: Option<NamespaceMode>,
    /// `pid:`.
    pub pid: Option<NamespaceMode>,
    /// `uts: host`.
    pub uts_host: bool,
    /// `cgroup: host`.
    pub cgroup_host: bool,
    /// `cgroup_parent:`.
    pub cgroup_parent: Option<String>,
    /// `userns_mode:`.
    pub userns_mode: Option<String>,
    /// `sysctls:`.
    pub sysctls: IndexMap<String, String>,
    /// `ulimits:`: name, soft, hard; -1 unlimited.
    pub ulimits: IndexMap<String, (i64, i64)>,
    /// `shm_size:` in bytes.
    pub shm_size: Option<u64>,
    /// Limits, from legacy keys and `deploy.resources` alike.
    pub limits: Limits,
    /// `oom_score_adj:`.
    pub oom_score_adj: Option<i32>,
    /// `oom_kill_disable:`.
    pub oom_kill_disable: Option<bool>,
    /// `logging:`.
    pub logging: Logging,
    /// `profiles:`.
    pub profiles: Vec<String>,
    /// `mac_address:` of the service.
    pub mac_address: Option<String>,
    /// `runtime:`.
    pub runtime: Option<String>,
}

/// `pull_policy:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullPolicy {
    /// When the image is not there (default).
    Missing,
    /// Before every `up`.
    Always,
    /// Never.
    Never,
    /// Build it, even when it is there.
    Build,
    /// When the last pull is older than this.
    Every(Duration),
}

/// One entry of `env_file:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    /// Absolute path.
    pub path: Utf8PathBuf,
    /// A missing file is an error.
    pub required: bool,
    /// `format: raw`.
    pub raw: bool,
    /// Where the entry stands.
    pub span: Span,
}

/// One entry of `depends_on:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// What is waited for.
    pub condition: Condition,
    /// Restart this service when the dependency is recreated or restarted by command.
    pub restart: bool,
    /// A missing or disabled dependency is an error.
    pub required: bool,
    /// Where the entry stands.
    pub span: Span,
}

/// `condition:` of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Its containers were started.
    Started,
    /// They are healthy.
    Healthy,
    /// They ended with exit code 0.
    CompletedSuccessfully,
}

impl Condition {
    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::CompletedSuccessfully => "service_completed_successfully",
        }
    }
}

/// One entry of a service's `networks:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceNetwork {
    /// Further DNS names.
    pub aliases: Vec<String>,
    /// Static address.
    pub ipv4_address: Option<String>,
    /// Static IPv6 address.
    pub ipv6_address: Option<String>,
    /// MAC address.
    pub mac_address: Option<String>,
    /// Interface name inside the container.
    pub interface_name: Option<String>,
    /// Order of connection, highest first.
    pub priority: i64,
    /// Which network gives the default route, highest first.
    pub gateway_priority: i64,
    /// Where the entry stands.
    pub span: Span,
}

/// `network_mode:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    /// No interface but `lo`.
    None,
    /// The host's namespace.
    Host,
    /// The namespace of another container.
    Join(NamespaceRef),
}

/// `ipc:` and `pid:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceMode {
    /// A new namespace.
    Private,
    /// The host's.
    Host,
    /// That of another container.
    Join(NamespaceRef),
}

/// `service:NAME` or `container:NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceRef {
    /// The first replica of a service of this project.
    Service(ServiceName),
    /// A container by name or id.
    Container(String),
}

/// `post_start`, `pre_stop` and `exec` of a watch rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Program and arguments.
    pub command: Vec<String>,
    /// User; none is the container's.
    pub user: Option<String>,
    /// With every capability.
    pub privileged: bool,
    /// Working directory; none is the container's.
    pub working_dir: Option<String>,
    /// Further environment.
    pub environment: IndexMap<String, Option<String>>,
}

/// `restart:` and `deploy.restart_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// `no`.
    No,
    /// `always`.
    Always,
    /// `unless-stopped`.
    UnlessStopped,
    /// `on-failure[:N]`; 0 is without limit.
    OnFailure(u32),
    /// `deploy.restart_policy`.
    Deploy {
        /// `any` instead of `on-failure`.
        any: bool,
        /// Wait before each attempt.
        delay: Duration,
        /// 0 is without limit.
        maximum: u32,
        /// Zero is for ever.
        window: Duration,
    },
}

/// Resource limits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    /// CPUs.
    pub cpus: Option<f64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes.
    pub memory_reservation: Option<u64>,
    /// Bytes of memory and swap; -1 unlimited.
    pub memory_swap: Option<i64>,
    /// 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// Processes; -1 unlimited.
    pub pids: Option<i64>,
    /// `cpu_shares`.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// `cpuset`.
    pub cpuset: Option<String>,
    /// `blkio_config.weight`.
    pub blkio_weight: Option<u16>,
    /// `blkio_config.device_*`: kind (`read_bps`, …), device path, rate.
    pub blkio_rates: Vec<(String, String, u64)>,
}

/// `logging:`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Logging {
    /// `json-file`, `local` or `none`; none is the default.
    pub driver: Option<String>,
    /// Options as written.
    pub options: IndexMap<String, String>,
}
