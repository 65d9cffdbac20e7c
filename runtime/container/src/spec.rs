//! In: what the engine decided about one container. Out: the flat, fully resolved record its shim builds it from.
//! Encoded as CBOR maps with numbered fields: fields are only ever appended, all later ones are optional,
//! so an old shim reads a newer record and the other way round.
//! **Invariant:** nothing here is looked up again: names, paths and limits are final and checked.

use minicbor::{Decode, Encode};

/// What one shim keeps alive.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Workload {
    /// An isolated container.
    #[n(0)]
    Container(#[n(0)] Box<ContainerSpec>),
    /// A plain host process, kept running whatever its exit status (the project's supervisor).
    #[n(1)]
    Process(#[n(0)] ProcessKeeper),
}

/// A plain process of the host that a shim restarts when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ProcessKeeper {
    /// Program and arguments; the program is an absolute path.
    #[n(0)]
    pub arguments: Vec<String>,
    /// The complete environment, `NAME=value`.
    #[n(1)]
    pub environment: Vec<String>,
    /// Absolute working directory.
    #[n(2)]
    pub working_directory: String,
    /// File that receives both output streams, appended.
    #[n(3)]
    pub log_path: String,
}

/// One container, immutable from its creation to its removal.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ContainerSpec {
    /// 64 lower-case hexadecimal characters.
    #[n(0)]
    pub id: String,
    /// The container's name, such as `shop-web-1`.
    #[n(1)]
    pub name: String,
    /// What is executed as the container's first process.
    #[n(2)]
    pub process: ProcessSpec,
    /// The root file system.
    #[n(3)]
    pub rootfs: RootfsSpec,
    /// Mounts made after `/proc`, `/dev`, `/sys` and friends, in this order.
    #[n(4)]
    pub mounts: Vec<MountSpec>,
    /// Which namespaces are new and which are shared.
    #[n(5)]
    pub namespaces: NamespaceSpec,
    /// Host name set in a private UTS namespace.
    #[n(6)]
    pub hostname: String,
    /// NIS domain name, when asked for.
    #[n(7)]
    pub domainname: Option<String>,
    /// Control-group path and limits.
    #[n(8)]
    pub cgroup: CgroupSpec,
    /// Device nodes of the host made visible, besides the standard ones.
    #[n(9)]
    pub devices: Vec<DeviceSpec>,
    /// Paths hidden from the container (absolute, inside it).
    #[n(10)]
    pub masked_paths: Vec<String>,
    /// Paths made read-only (absolute, inside it).
    #[n(11)]
    pub readonly_paths: Vec<String>,
    /// Kernel parameters, dotted name and value.
    #[n(12)]
    pub sysctls: Vec<(String, String)>,
    /// Size of `/dev/shm` in bytes.
    #[n(13)]
    pub shm_size: u64,
    /// Run a small reaper as the first process (`init: true`).
    #[n(14)]
    pub init: bool,
    /// Keep the container's standard input open for `attach`.
    #[n(15)]
    pub stdin_open: bool,
    /// The signal that asks the process to end.
    #[n(16)]
    pub stop_signal: i32,
    /// How long it may take to do so, in milliseconds, before SIGKILL.
    #[n(17)]
    pub stop_grace_ms: u64,
    /// What happens when the process ends by itself.
    #[n(18)]
    pub restart: RestartPolicy,
    /// The health probe.
    #[n(19)]
    pub health: Option<HealthSpec>,
    /// Where output goes.
    #[n(20)]
    pub log: LogSpec,
    /// Resolver of the container: answered by the shim on 127.0.0.11.
    #[n(21)]
    pub resolver: ResolverSpec,
    /// Published ports, reserved on the host for as long as the shim lives.
    #[n(22)]
    pub ports: Vec<PortSpec>,
    /// Everything is allowed: no seccomp, masks or device rules (`privileged: true`).
    #[n(23)]
    pub privileged: bool,
}

/// The program, its identity and its limits; also what `exec` and health probes run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ProcessSpec {
    /// Program and arguments. A program without `/` is looked up in the `PATH` of [`Self::environment`] inside the root.
    #[n(0)]
    pub arguments: Vec<String>,
    /// The complete environment, `NAME=value`. `HOME` is added from the image's passwd file when absent.
    #[n(1)]
    pub environment: Vec<String>,
    /// Working directory inside the container; made when missing.
    #[n(2)]
    pub working_directory: String,
    /// `user[:group]`, names or numbers, resolved against the image's own `/etc/passwd` and `/etc/group`; empty is 0:0.
    #[n(3)]
    pub user: String,
    /// Further groups, names or numbers.
    #[n(4)]
    pub additional_groups: Vec<String>,
    /// Capability numbers (linux/capability.h) of the bounding, permitted and effective sets. Inheritable and ambient stay empty.
    #[n(5)]
    pub capabilities: Vec<u8>,
    /// `no_new_privs` of prctl(2).
    #[n(6)]
    pub no_new_privileges: bool,
    /// Classic BPF program (array of 8-byte `sock_filter`), installed last; none when unconfined.
    #[n(7)]
    pub seccomp: Option<minicbor::bytes::ByteVec>,
    /// Resource limits: RLIMIT number, soft, hard. `u64::MAX` is unlimited.
    #[n(8)]
    pub rlimits: Vec<(u32, u64, u64)>,
    /// `oom_score_adj`, when asked for.
    #[n(9)]
    pub oom_score_adj: Option<i32>,
    /// Allocate a pseudo terminal as the process's standard streams.
    #[n(10)]
    pub terminal: bool,
    /// Initial terminal size, columns and rows.
    #[n(11)]
    pub terminal_size: Option<(u16, u16)>,
}

/// The overlay that becomes `/`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RootfsSpec {
    /// Read-only layers, top-most first, absolute host paths. At least one. A list that ends in a directory of marks and `/` stands on the
    /// host's root without what the marks hide.
    #[n(0)]
    pub lower: Vec<String>,
    /// The container's own layer.
    #[n(1)]
    pub upper: String,
    /// The overlay's scratch directory, on the same file system as `upper`.
    #[n(2)]
    pub work: String,
    /// Remount `/` read-only after everything is in place.
    #[n(3)]
    pub read_only: bool,
}

/// One mount inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MountSpec {
    /// Absolute path inside the container; made when missing; resolved inside the root without following links out of it.
    #[n(0)]
    pub target: String,
    /// What is mounted.
    #[n(1)]
    pub source: MountSource,
    /// Read-only.
    #[n(2)]
    pub read_only: bool,
    /// Mount flags asked for besides.
    #[n(3)]
    pub propagation: Option<Propagation>,
}

/// Where a mount's content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum MountSource {
    /// A file or directory of the host.
    #[n(0)]
    Bind {
        /// Absolute host path.
        #[n(0)]
        path: String,
        /// Mounts below the path come along.
        #[n(1)]
        recursive: bool,
        /// Make a missing directory (owned by root, 0755) instead of failing.
        #[n(2)]
        create: bool,
    },
    /// A volume's data directory.
    #[n(1)]
    Volume {
        /// Absolute host path of the data directory.
        #[n(0)]
        path: String,
        /// Fill an empty volume with what the image has at the target (content, owner and mode) before mounting.
        #[n(1)]
        copy_up: bool,
        /// Directory inside the volume that is mounted instead of its root.
        #[n(2)]
        subpath: Option<String>,
    },
    /// Memory.
    #[n(2)]
    Tmpfs {
        /// Bytes; none is the kernel's default (half of the memory).
        #[n(0)]
        size: Option<u64>,
        /// Permission bits; none is 01777.
        #[n(1)]
        mode: Option<u32>,
        /// Owner.
        #[n(2)]
        uid: Option<u32>,
        /// Group.
        #[n(3)]
        gid: Option<u32>,
        /// `noexec` was not lifted by an `exec` option.
        #[n(4)]
        noexec: bool,
    },
    /// A small file with this content (configs and secrets that are not files of the host, `/etc/hosts` and the like).
    #[n(3)]
    Content {
        /// The bytes.
        #[n(0)]
        bytes: minicbor::bytes::ByteVec,
        /// Permission bits.
        #[n(1)]
        mode: u32,
        /// Owner.
        #[n(2)]
        uid: u32,
        /// Group.
        #[n(3)]
        gid: u32,
    },
    /// The image's own root of another image, read-only (`type: image`).
    #[n(4)]
    Layers {
        /// Read-only layers, top-most first, absolute host paths; as [`RootfsSpec::lower`].
        #[n(0)]
        lower: Vec<String>,
        /// Directory inside it that is mounted instead of its root.
        #[n(1)]
        subpath: Option<String>,
    },
}

/// Mount propagation (`mount_namespaces(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Propagation {
    /// No events either way, recursively.
    #[n(0)]
    Private,
    /// Events from the host arrive.
    #[n(1)]
    Slave,
    /// Events travel both ways.
    #[n(2)]
    Shared,
}

/// Which namespaces the container gets.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NamespaceSpec {
    /// Network.
    #[n(0)]
    pub network: NamespaceChoice,
    /// Process ids.
    #[n(1)]
    pub pid: NamespaceChoice,
    /// System V IPC and POSIX queues, and with them `/dev/shm`.
    #[n(2)]
    pub ipc: NamespaceChoice,
    /// Host name.
    #[n(3)]
    pub uts: NamespaceChoice,
    /// Control-group view.
    #[n(4)]
    pub cgroup: NamespaceChoice,
}

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum NamespaceChoice {
    /// A new one.
    #[n(0)]
    Private,
    /// The host's.
    #[n(1)]
    Host,
    /// That of another container, by its id; resolved at start through its run directory.
    #[n(2)]
    Container(#[n(0)] String),
}

/// Control group: its path below every hierarchy, and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct CgroupSpec {
    /// Relative path, such as `rcompose-1a2b3c4d/0123456789ab`.
    #[n(0)]
    pub path: String,
    /// Bytes.
    #[n(1)]
    pub memory_max: Option<u64>,
    /// Bytes (soft limit: `memory.low`, `memory.soft_limit_in_bytes`).
    #[n(2)]
    pub memory_reservation: Option<u64>,
    /// Bytes of memory plus swap; -1 unlimited.
    #[n(3)]
    pub memory_swap_max: Option<i64>,
    /// Thousandths of a CPU.
    #[n(4)]
    pub cpu_millis: Option<u64>,
    /// v1 scale, 2 to 262144.
    #[n(5)]
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    #[n(6)]
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    #[n(7)]
    pub cpu_period: Option<u64>,
    /// List such as `0-1,3`.
    #[n(8)]
    pub cpuset: Option<String>,
    /// Processes and threads; -1 unlimited.
    #[n(9)]
    pub pids_max: Option<i64>,
    /// 10 to 1000.
    #[n(10)]
    pub blkio_weight: Option<u16>,
    /// Device rules beyond the default set: `c 1:3 rwm` form.
    #[n(11)]
    pub device_rules: Vec<String>,
    /// 0 to 100, v1 only.
    #[n(12)]
    pub memory_swappiness: Option<u64>,
    /// The OOM killer spares the container, v1 only.
    #[n(13)]
    pub oom_kill_disable: Option<bool>,
    /// Per-device rates: kind (`read_bps`, `write_bps`, `read_iops`, `write_iops`), host device path, rate.
    #[n(14)]
    pub blkio_rates: Vec<(String, String, u64)>,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeviceSpec {
    /// Absolute host path of a device node.
    #[n(0)]
    pub host_path: String,
    /// Absolute path inside the container.
    #[n(1)]
    pub container_path: String,
    /// Any of `r`, `w`, `m`.
    #[n(2)]
    pub permissions: String,
}

/// What the shim does when the first process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum RestartPolicy {
    /// Nothing.
    #[n(0)]
    No,
    /// Start it again, also after a reboot, even when a person had stopped it.
    #[n(1)]
    Always,
    /// Start it again unless a person stopped it.
    #[n(2)]
    UnlessStopped,
    /// Start it again after a non-zero exit.
    #[n(3)]
    OnFailure {
        /// 0 is without limit.
        #[n(0)]
        maximum: u32,
    },
    /// `deploy.restart_policy`: condition, wait between attempts, attempts within a sliding window.
    #[n(4)]
    Deploy {
        /// Also after exit 0.
        #[n(0)]
        any: bool,
        /// Milliseconds before each restart.
        #[n(1)]
        delay_ms: u64,
        /// 0 is without limit.
        #[n(2)]
        maximum: u32,
        /// Milliseconds over which attempts count; 0 is for ever.
        #[n(3)]
        window_ms: u64,
    },
}

/// A health probe.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HealthSpec {
    /// Program and arguments, run inside the container like `exec`.
    #[n(0)]
    pub arguments: Vec<String>,
    /// Milliseconds between probes.
    #[n(1)]
    pub interval_ms: u64,
    /// Milliseconds a probe may take.
    #[n(2)]
    pub timeout_ms: u64,
    /// Failures in a row that make it unhealthy.
    #[n(3)]
    pub retries: u32,
    /// Milliseconds during which failures do not count.
    #[n(4)]
    pub start_period_ms: u64,
    /// Milliseconds between probes during the start period; the shim probes eagerly (first probe at once, then backing off
    /// from 100 ms up to this) until first healthy.
    #[n(5)]
    pub start_interval_ms: u64,
}

/// The container's log file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LogSpec {
    /// JSON lines (`{"log":…,"stream":…,"time":…}`, Docker's json-file layout); none discards output.
    #[n(0)]
    pub path: Option<String>,
    /// Bytes at which the file is rotated.
    #[n(1)]
    pub max_size: u64,
    /// Files kept, the current one included.
    #[n(2)]
    pub max_files: u32,
}

/// What the container's resolver does with names that are not ours, and what its `resolv.conf` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct ResolverSpec {
    /// Servers of the host or of `dns:`, `ip[:port]`, asked in the host's network namespace.
    #[n(0)]
    pub upstreams: Vec<String>,
}

/// A port of the host that leads to the container.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PortSpec {
    /// Address of the host; none is every address.
    #[n(0)]
    pub host_ip: Option<String>,
    /// Port of the host, already chosen.
    #[n(1)]
    pub host_port: u16,
    /// Port of the container.
    #[n(2)]
    pub container_port: u16,
    /// `tcp` or `udp`.
    #[n(3)]
    pub protocol: String,
}
