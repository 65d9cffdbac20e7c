//! In: what the engine wants of one container, network or volume, in the terms of its users. Out: the request value.
//! Names (image, network, volume, other containers) are still names; [`crate::LocalRuntime`] turns them into paths and ids.
//! **Invariant:** plain data; its serialised form is the material of the config hash, so its order is stable.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A container to be created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of its own in a compose file"
)]
pub struct ContainerRequest {
    /// Unique on the data root.
    pub name: String,
    /// Project.
    pub project: String,
    /// Service.
    pub service: String,
    /// Replica number from 1; 0 for one-off containers.
    pub number: u32,
    /// Made by `run`.
    pub one_off: bool,
    /// Hash of everything below; a different hash means recreate.
    pub config_hash: String,
    /// Docker-compatible labels, the service's own included.
    pub labels: BTreeMap<String, String>,
    /// Reference in the local store, or `@host`.
    pub image: String,
    /// Overrides the image's; empty clears it.
    pub command: Option<Vec<String>>,
    /// Overrides the image's and clears its command; empty clears both.
    pub entrypoint: Option<Vec<String>>,
    /// Added to the image's; a name without value is taken out.
    pub environment: Vec<(String, Option<String>)>,
    /// Overrides the image's.
    pub working_directory: Option<String>,
    /// Overrides the image's.
    pub user: Option<String>,
    /// `group_add`.
    pub additional_groups: Vec<String>,
    /// None: the first 12 characters of the id.
    pub hostname: Option<String>,
    /// NIS domain name.
    pub domainname: Option<String>,
    /// Pseudo terminal.
    pub tty: bool,
    /// Columns and rows of the terminal at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_size: Option<(u16, u16)>,
    /// Keep standard input open.
    pub stdin_open: bool,
    /// Reaper as first process.
    pub init: bool,
    /// All capabilities, no seccomp, all devices.
    pub privileged: bool,
    /// Read-only root.
    pub read_only: bool,
    /// Mounts in order.
    pub mounts: Vec<MountRequest>,
    /// Small files in memory (configs and secrets by content).
    pub files: Vec<FileRequest>,
    /// Network.
    pub network: NetworkingRequest,
    /// Published ports.
    pub ports: Vec<PortRequest>,
    /// Ports open to other containers, shown with those of the image: `80`, `53/udp`, `3000-3005`. Left out of records when
    /// there are none, so that older containers keep their hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    /// Name and address of `/etc/hosts`; `host-gateway` is the first bridge's address.
    pub extra_hosts: Vec<(String, String)>,
    /// `dns`, overrides the host's servers.
    pub dns: Vec<String>,
    /// `dns_search`.
    pub dns_search: Vec<String>,
    /// `dns_opt`.
    pub dns_options: Vec<String>,
    /// Process ids.
    pub pid: NamespaceRequest,
    /// IPC.
    pub ipc: NamespaceRequest,
    /// Share the host's host name.
    pub uts_host: bool,
    /// See the host's control groups.
    pub cgroup_host: bool,
    /// `cap_add` as written.
    pub cap_add: Vec<String>,
    /// `cap_drop` as written.
    pub cap_drop: Vec<String>,
    /// `security_opt: no-new-privileges`.
    pub no_new_privileges: bool,
    /// `security_opt: seccomp=unconfined`.
    pub seccomp_unconfined: bool,
    /// Host path, container path, permissions.
    pub devices: Vec<(String, String, String)>,
    /// `c 1:3 rwm` form.
    pub device_rules: Vec<String>,
    /// Dotted name and value.
    pub sysctls: BTreeMap<String, String>,
    /// Name, soft, hard; -1 unlimited.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Bytes.
    pub shm_size: Option<u64>,
    /// Limits.
    pub limits: LimitsRequest,
    /// `oom_score_adj`.
    pub oom_score_adj: Option<i32>,
    /// Name or number; none is the image's, then SIGTERM.
    pub stop_signal: Option<String>,
    /// None is 10 s.
    pub stop_grace: Option<Duration>,
    /// Restart policy.
    pub restart: RestartRequest,
    /// None is the image's.
    pub health: Option<HealthRequest>,
    /// Log file.
    pub log: LogRequest,
}

impl ContainerRequest {
    /// A request for a container with one replica that asks for nothing but its image: private namespaces, no network, no restarts,
    /// three log files of 10 MB. Its name and service are empty.
    pub fn minimal(project: &str, image: &str) -> Self {
        Self {
            name: String::new(),
            project: project.to_owned(),
            service: String::new(),
            number: 1,
            one_off: false,
            config_hash: String::new(),
            labels: BTreeMap::new(),
            image: image.to_owned(),
            command: None,
            entrypoint: None,
            environment: Vec::new(),
            working_directory: None,
            user: None,
            additional_groups: Vec::new(),
            hostname: None,
            domainname: None,
            tty: false,
            terminal_size: None,
            stdin_open: false,
            init: false,
            privileged: false,
            read_only: false,
            mounts: Vec::new(),
            files: Vec::new(),
            network: NetworkingRequest::None,
            ports: Vec::new(),
            expose: Vec::new(),
            extra_hosts: Vec::new(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_options: Vec::new(),
            pid: NamespaceRequest::Private,
            ipc: NamespaceRequest::Private,
            uts_host: false,
            cgroup_host: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            no_new_privileges: false,
            seccomp_unconfined: false,
            devices: Vec::new(),
            device_rules: Vec::new(),
            sysctls: BTreeMap::new(),
            ulimits: BTreeMap::new(),
            shm_size: None,
            limits: LimitsRequest::default(),
            oom_score_adj: None,
            stop_signal: None,
            stop_grace: None,
            restart: RestartRequest::No,
            health: None,
            log: LogRequest::default(),
        }
    }
}

impl Default for LogRequest {
    /// Three files of 10 MB: Docker's unbounded default fills disks.
    fn default() -> Self {
        Self {
            discard: false,
            max_size: 10 * 1000 * 1000,
            max_files: 3,
        }
    }
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// Absolute path inside the container.
    pub target: String,
    /// Read-only.
    pub read_only: bool,
    /// What.
    pub source: MountRequestSource,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountRequestSource {
    /// Host path.
    Bind {
        /// Absolute.
        path: String,
        /// Make a missing directory.
        create: bool,
        /// `rshared` and the like.
        propagation: Option<String>,
        /// Mounts below come along.
        recursive: bool,
    },
    /// Volume by its name on the host.
    Volume {
        /// Name.
        name: String,
        /// Do not fill it from the image.
        no_copy: bool,
        /// Directory inside it.
        subpath: Option<String>,
    },
    /// A volume of this container alone, made and removed with it.
    Anonymous {
        /// Do not fill it from the image.
        no_copy: bool,
    },
    /// Memory.
    Tmpfs {
        /// Bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: Option<u32>,
        /// Owner.
        uid: Option<u32>,
        /// Group.
        gid: Option<u32>,
        /// Programs may run from it.
        exec: bool,
    },
    /// Another image, read-only.
    Image {
        /// Reference in the local store.
        image: String,
        /// Directory inside it.
        subpath: Option<String>,
    },
}

/// A small file made of given bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRequest {
    /// Absolute path inside the container.
    pub target: String,
    /// Content.
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The container's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkingRequest {
    /// `lo` only.
    None,
    /// The host's namespace.
    Host,
    /// Another container's, by its name.
    Container(String),
    /// Interfaces on bridges, in this order; the first carries the default route.
    Bridges(Vec<EndpointRequest>),
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRequest {
    /// Name of the network on the host.
    pub network: String,
    /// DNS names on that network: service, aliases; the container's own name is added by itself.
    pub names: Vec<String>,
    /// Static address.
    pub address: Option<Ipv4Addr>,
    /// MAC address, `aa:bb:…`.
    pub mac: Option<String>,
    /// Interface name inside.
    pub interface: Option<String>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// None is every address.
    pub host_ip: Option<IpAddr>,
    /// First and last port to choose from; none lets the host choose.
    pub published: Option<(u16, u16)>,
    /// Port inside.
    pub target: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceRequest {
    /// New.
    Private,
    /// The host's.
    Host,
    /// Another container's, by its name.
    Container(String),
}

/// Limits; see `rcompose_container::spec::CgroupSpec` for units.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LimitsRequest {
    /// Thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes.
    pub memory_reservation: Option<u64>,
    /// Bytes with swap; -1 unlimited.
    pub memory_swap: Option<i64>,
    /// 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// Processes; -1 unlimited.
    pub pids: Option<i64>,
    /// 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// List.
    pub cpuset: Option<String>,
    /// 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// Kind, device path, rate.
    pub blkio_rates: Vec<(String, String, u64)>,
    /// v1 only.
    pub oom_kill_disable: Option<bool>,
}

/// Restart policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartRequest {
    /// Never.
    No,
    /// Always.
    Always,
    /// Unless a person stopped it.
    UnlessStopped,
    /// After a failure; 0 is without limit.
    OnFailure(u32),
    /// `deploy.restart_policy`.
    Deploy {
        /// Also after exit 0.
        any: bool,
        /// Wait before each attempt.
        delay: Duration,
        /// 0 is without limit.
        maximum: u32,
        /// Zero is for ever.
        window: Duration,
    },
}

/// Health probe; absent parts fall back to the image's, then to Docker's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HealthRequest {
    /// No probe, not even the image's.
    pub disabled: bool,
    /// `CMD …` or `CMD-SHELL line`.
    pub test: Option<Vec<String>>,
    /// Between probes.
    pub interval: Option<Duration>,
    /// Of a probe.
    pub timeout: Option<Duration>,
    /// In a row.
    pub retries: Option<u32>,
    /// Failures do not count.
    pub start_period: Option<Duration>,
    /// Between probes during the start period.
    pub start_interval: Option<Duration>,
}

/// Log file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRequest {
    /// `driver: none`.
    pub discard: bool,
    /// Bytes.
    pub max_size: u64,
    /// Files.
    pub max_files: u32,
}

/// A network to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRequest {
    /// Name on the host.
    pub name: String,
    /// Project that owns it.
    pub project: String,
    /// Key in the file.
    pub key: String,
    /// Hash of everything below.
    pub config_hash: String,
    /// No way out.
    pub internal: bool,
    /// CIDR; none lets the engine choose.
    pub subnet: Option<String>,
    /// Address of the bridge.
    pub gateway: Option<String>,
    /// CIDR addresses are taken from.
    pub ip_range: Option<String>,
    /// `com.docker.network.bridge.name`.
    pub bridge: Option<String>,
    /// `com.docker.network.driver.mtu`.
    pub mtu: Option<u32>,
    /// `com.docker.network.bridge.enable_icc`, default true.
    pub icc: bool,
    /// Addresses kept free.
    pub reserved: Vec<Ipv4Addr>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRequest {
    /// Name on the host.
    pub name: String,
    /// Project that owns it.
    pub project: String,
    /// Key in the file.
    pub key: String,
    /// Hash of everything below.
    pub config_hash: String,
    /// `driver_opts` of the local driver (`type`, `o`, `device`).
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A process to run inside a running container: `exec`, hooks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Added to the container's environment.
    pub environment: Vec<(String, Option<String>)>,
    /// None is the container's.
    pub user: Option<String>,
    /// None is the container's.
    pub working_directory: Option<String>,
    /// With every capability.
    pub privileged: bool,
    /// With a pseudo terminal.
    pub tty: bool,
}
