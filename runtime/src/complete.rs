//! In: what is wanted of a container, its image, and facts of this host. Out: the record its shim builds it from.
//! **Invariant:** the image only gives defaults: nothing in it grants a right, and what the request says wins.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use rcompose_container::spec::{
    CgroupSpec, ContainerSpec, DeviceSpec, HealthSpec, LogSpec, NamespaceChoice, NamespaceSpec, ProcessSpec,
    ResolverSpec, RestartPolicy, RootfsSpec,
};
use rcompose_container::{capability, defaults, rlimit, signal};
use rcompose_image::ImageConfig;

use crate::image::HOST;
use crate::request::{ContainerRequest, LimitsRequest, NamespaceRequest, NetworkingRequest, RestartRequest};
use crate::root::short_id;
use crate::runtime::RuntimeError;
use crate::state::MountState;

pub mod etc;
mod mounts;
mod process;
#[cfg(test)]
mod tests;

/// What the directory of marks is called in that of a container.
pub(crate) const MARKS: &str = "marks";
/// Between SIGTERM and SIGKILL unless asked otherwise, milliseconds.
const STOP_GRACE_MS: u64 = 10_000;
/// An image as far as a container needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageView {
    /// Digest of its configuration.
    pub id: String,
    /// Defaults of its containers.
    pub config: ImageConfig,
    /// Read-only layers, top-most first, absolute host paths.
    pub layers: Vec<String>,
    /// The host's root lies below them.
    pub stands_on_host: bool,
}

impl ImageView {
    /// Whether it is the host's own root and nothing else.
    pub(crate) fn is_host(&self) -> bool {
        self.id == HOST
    }

    /// What an overlay of it stands on; `marks` is the directory of what hides parts of the host.
    pub(crate) fn lower(&self, marks: &str) -> Vec<String> {
        let mut lower = self.layers.clone();
        if self.stands_on_host {
            lower.extend([marks.to_owned(), "/".to_owned()]);
        }
        lower
    }

    /// The same for a container's own root. Over the host alone its own layer bears the marks: one overlay less, which works where the
    /// host's root is an overlay itself.
    fn root(&self, marks: &str) -> Vec<String> {
        if self.is_host() {
            vec!["/".to_owned()]
        } else {
            self.lower(marks)
        }
    }
}

/// What this host is like.
pub struct HostFacts<'host> {
    /// Its name.
    pub hostname: String,
    /// Its name servers, `ip[:port]`.
    pub upstreams: Vec<String>,
    /// How many processors it has.
    pub processors: usize,
    /// Compiles the seccomp profile for a set of capabilities.
    pub seccomp: &'host dyn Fn(&[u8]) -> Vec<u8>,
}

/// Another container whose namespaces are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: String,
    /// Its host name.
    pub hostname: String,
    /// Its run directory.
    pub run: String,
}

/// Where things of one container are, and what its names stand for.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Its data directory.
    pub container: String,
    /// Its run directory.
    pub run: String,
    /// Its control group.
    pub cgroup: String,
    /// Data directories of volumes by name.
    pub volumes: BTreeMap<String, String>,
    /// Where volumes not made yet will have their data directory: `{volume_root}/<name>/_data`.
    pub volume_root: String,
    /// Layers of images mounted, by reference, top-most first.
    pub images: BTreeMap<String, Vec<String>>,
    /// Containers whose namespaces are shared, by name.
    pub peers: BTreeMap<String, Peer>,
    /// Anonymous volumes taken over from an older container: path inside and name.
    pub inherited: BTreeMap<String, String>,
}

impl Places {
    /// The directory of what hides parts of the host from the container; there if something of it stands on the host.
    pub(crate) fn marks(&self) -> String {
        format!("{}/{MARKS}", self.container)
    }
}

/// A container decided to the last detail.
#[derive(Debug, Clone, PartialEq)]
pub struct Completed {
    /// What the shim builds.
    pub spec: ContainerSpec,
    /// Mounts as people are told of them.
    pub mounts: Vec<MountState>,
    /// Its own volumes, by name; some may exist already.
    pub anonymous_volumes: Vec<String>,
    /// Ports the image or the request exposes.
    pub exposed: Vec<String>,
}

/// Decides everything that is left open. Errors are [`RuntimeError::Invalid`] and name the container, or [`RuntimeError::NotFound`].
pub fn complete(
    request: &ContainerRequest,
    id: &str,
    image: &ImageView,
    host: &HostFacts<'_>,
    places: &Places,
) -> Result<Completed, RuntimeError> {
    let invalid = |reason: String| RuntimeError::Invalid(format!("container {}: {reason}", request.name));
    let hostname = hostname(request, id, host, places)?;
    let decided = mounts::decide(request, id, &image.config, places, &invalid)?;
    let stop_signal = match request
        .stop_signal
        .as_deref()
        .unwrap_or(&image.config.stop_signal)
    {
        "" => signal::TERM,
        name => signal::number(name).ok_or_else(|| invalid(format!("no signal is called {name:?}")))?,
    };
    let mut exposed: Vec<String> = image
        .config
        .exposed_ports
        .iter()
        .map(|port| with_protocol(port))
        .collect();
    exposed.extend(request.expose.iter().map(|port| with_protocol(port)));
    exposed.extend(
        request
            .ports
            .iter()
            .map(|port| format!("{}/{}", port.target, port.protocol)),
    );
    exposed.sort();
    exposed.dedup();
    let guarded = |paths: Vec<String>| if request.privileged { Vec::new() } else { paths };

    let spec = ContainerSpec {
        id: id.to_owned(),
        name: request.name.clone(),
        process: first_process(request, image, host, &hostname).map_err(&invalid)?,
        rootfs: RootfsSpec {
            lower: image.root(&places.marks()),
            upper: format!("{}/upper", places.container),
            work: format!("{}/work", places.container),
            read_only: request.read_only,
        },
        mounts: decided.specs,
        namespaces: namespaces(request, places)?,
        hostname,
        domainname: request.domainname.clone(),
        cgroup: limits(&request.limits, &request.device_rules, places.cgroup.clone()),
        devices: devices(request).map_err(&invalid)?,
        masked_paths: guarded(defaults::masked_paths(host.processors)),
        readonly_paths: guarded(defaults::readonly_paths()),
        sysctls: request.sysctls.clone().into_iter().collect(),
        shm_size: request.shm_size.unwrap_or(defaults::SHM_SIZE),
        init: request.init,
        stdin_open: request.stdin_open,
        stop_signal,
        stop_grace_ms: request.stop_grace.map_or(STOP_GRACE_MS, process::milliseconds),
        restart: restart(request.restart),
        health: health(request, &image.config).map_err(&invalid)?,
        log: LogSpec {
            path: (!request.log.discard).then(|| format!("{}/container.log", places.container)),
            max_size: request.log.max_size,
            max_files: request.log.max_files.max(1),
        },
        resolver: ResolverSpec {
            upstreams: if request.dns.is_empty() {
                host.upstreams.clone()
            } else {
                request.dns.clone()
            },
        },
        ports: Vec::new(),
        privileged: request.privileged,
    };
    Ok(Completed {
        spec,
        mounts: decided.states,
        anonymous_volumes: decided.own_volumes,
        exposed,
    })
}

/// The container whose namespaces are shared.
fn peer<'places>(places: &'places Places, name: &str) -> Result<&'places Peer, RuntimeError> {
    places.peers.get(name).ok_or_else(|| RuntimeError::NotFound {
        kind: "container",
        name: name.to_owned(),
    })
}

/// The name asked for, else that of whose network is shared, else the beginning of the id.
fn hostname(
    request: &ContainerRequest,
    id: &str,
    host: &HostFacts<'_>,
    places: &Places,
) -> Result<String, RuntimeError> {
    if let Some(name) = &request.hostname {
        return Ok(name.clone());
    }
    Ok(match &request.network {
        NetworkingRequest::Host => host.hostname.clone(),
        NetworkingRequest::Container(other) => peer(places, other)?.hostname.clone(),
        NetworkingRequest::None | NetworkingRequest::Bridges(_) if request.uts_host => host.hostname.clone(),
        NetworkingRequest::None | NetworkingRequest::Bridges(_) => short_id(id).to_owned(),
    })
}

fn namespaces(request: &ContainerRequest, places: &Places) -> Result<NamespaceSpec, RuntimeError> {
    let choice = |namespace: &NamespaceRequest| {
        Ok::<_, RuntimeError>(match namespace {
            NamespaceRequest::Private => NamespaceChoice::Private,
            NamespaceRequest::Host => NamespaceChoice::Host,
            NamespaceRequest::Container(name) => NamespaceChoice::Container(peer(places, name)?.id.clone()),
        })
    };
    Ok(NamespaceSpec {
        network: match &request.network {
            NetworkingRequest::None | NetworkingRequest::Bridges(_) => NamespaceChoice::Private,
            NetworkingRequest::Host => NamespaceChoice::Host,
            NetworkingRequest::Container(name) => NamespaceChoice::Container(peer(places, name)?.id.clone()),
        },
        pid: choice(&request.pid)?,
        ipc: choice(&request.ipc)?,
        uts: if request.uts_host {
            NamespaceChoice::Host
        } else {
            NamespaceChoice::Private
        },
        cgroup: if request.cgroup_host {
            NamespaceChoice::Host
        } else {
            NamespaceChoice::Private
        },
    })
}

fn first_process(
    request: &ContainerRequest,
    image: &ImageView,
    host: &HostFacts<'_>,
    hostname: &str,
) -> Result<ProcessSpec, String> {
    let capabilities = capability::effective(&request.cap_add, &request.cap_drop, request.privileged)
        .map_err(|error| error.to_string())?;
    let confined = !request.privileged && !request.seccomp_unconfined;
    Ok(ProcessSpec {
        arguments: process::command_line(request, &image.config)?,
        environment: process::environment(request, &image.config, hostname),
        working_directory: process::working_directory(request, &image.config)?,
        user: request.user.clone().unwrap_or_else(|| image.config.user.clone()),
        additional_groups: request.additional_groups.clone(),
        seccomp: confined.then(|| (host.seccomp)(&capabilities).into()),
        capabilities,
        no_new_privileges: request.no_new_privileges,
        rlimits: rlimits(request)?,
        oom_score_adj: request.oom_score_adj,
        terminal: request.tty,
        terminal_size: request.terminal_size,
    })
}

/// `80` is `80/tcp`.
fn with_protocol(port: &str) -> String {
    if port.contains('/') {
        port.to_owned()
    } else {
        format!("{port}/tcp")
    }
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// The limits a request asks for: those of its control group and those of its processes.
pub(crate) fn asked_limits(request: &ContainerRequest) -> (CgroupSpec, Vec<(u32, u64, u64)>) {
    let group = limits(&request.limits, &request.device_rules, String::new());
    (group, rlimits(request).unwrap_or_default())
}

/// The limits asked for; the others are inherited. One above the host's own hard limit is cut down to it when it is set.
fn rlimits(request: &ContainerRequest) -> Result<Vec<(u32, u64, u64)>, String> {
    let mut limits = Vec::new();
    for (name, (soft, hard)) in &request.ulimits {
        let resource = rlimit::number(name).ok_or_else(|| format!("no limit is called {name:?}"))?;
        let value = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
        let (soft, hard) = (value(*soft), value(*hard));
        if soft > hard {
            return Err(format!("ulimit {name}: the soft limit is above the hard one"));
        }
        limits.push((resource, soft, hard));
    }
    Ok(limits)
}

fn limits(request: &LimitsRequest, device_rules: &[String], path: String) -> CgroupSpec {
    CgroupSpec {
        path,
        memory_max: request.memory,
        memory_reservation: request.memory_reservation,
        memory_swap_max: request.memory_swap,
        cpu_millis: request.cpu_millis,
        cpu_shares: request.cpu_shares,
        cpu_quota: request.cpu_quota,
        cpu_period: request.cpu_period,
        cpuset: request.cpuset.clone(),
        pids_max: request.pids,
        blkio_weight: request.blkio_weight,
        device_rules: device_rules.to_vec(),
        memory_swappiness: request.memory_swappiness,
        oom_kill_disable: request.oom_kill_disable,
        blkio_rates: request.blkio_rates.clone(),
    }
}

fn devices(request: &ContainerRequest) -> Result<Vec<DeviceSpec>, String> {
    let mut devices = Vec::new();
    for (host_path, container_path, permissions) in &request.devices {
        if !host_path.starts_with('/') || !container_path.starts_with('/') {
            return Err(format!(
                "device {host_path}:{container_path}: both paths must be absolute"
            ));
        }
        let permissions = if permissions.is_empty() {
            "rwm"
        } else {
            permissions.as_str()
        };
        if !permissions.bytes().all(|letter| b"rwm".contains(&letter)) {
            return Err(format!(
                "device {host_path}: permissions {permissions:?} are not made of r, w and m"
            ));
        }
        devices.push(DeviceSpec {
            host_path: host_path.clone(),
            container_path: container_path.clone(),
            permissions: permissions.to_owned(),
        });
    }
    Ok(devices)
}

fn restart(request: RestartRequest) -> RestartPolicy {
    match request {
        RestartRequest::No => RestartPolicy::No,
        RestartRequest::Always => RestartPolicy::Always,
        RestartRequest::UnlessStopped => RestartPolicy::UnlessStopped,
        RestartRequest::OnFailure(maximum) => RestartPolicy::OnFailure { maximum },
        RestartRequest::Deploy {
            any,
            delay,
            maximum,
            window,
        } => RestartPolicy::Deploy {
            any,
            delay_ms: process::milliseconds(delay),
            maximum,
            window_ms: process::milliseconds(window),
        },
    }
}

/// The probe: each part the request leaves open is the image's, then Docker's default.
fn health(request: &ContainerRequest, image: &ImageConfig) -> Result<Option<HealthSpec>, String> {
    let asked = request.health.clone().unwrap_or_default();
    let given = image.healthcheck.clone().unwrap_or_default();
    let test = asked.test.as_ref().unwrap_or(&given.test);
    if asked.disabled {
        return Ok(None);
    }
    let shell = || image.shell.clone().unwrap_or_else(|| owned(&["/bin/sh", "-c"]));
    let arguments = match test.split_first().map(|(kind, rest)| (kind.as_str(), rest)) {
        None | Some(("NONE", _)) => return Ok(None),
        Some(("CMD", [])) => return Err("healthcheck: CMD without a program".to_owned()),
        Some(("CMD", arguments)) => arguments.to_vec(),
        Some(("CMD-SHELL", [line])) => shell().into_iter().chain([line.clone()]).collect(),
        Some(("CMD-SHELL", _)) => return Err("healthcheck: CMD-SHELL takes exactly one line".to_owned()),
        Some((other, _)) => {
            return Err(format!(
                "healthcheck: test begins with {other:?}, not CMD, CMD-SHELL or NONE"
            ));
        }
    };
    // The image's times are nanoseconds, and zero is Docker's default.
    let time = |own: Option<std::time::Duration>, image: i64, default_ms: u64| {
        let image_ms = u64::try_from(image / 1_000_000).unwrap_or(0);
        own.map(process::milliseconds)
            .filter(|ms| *ms > 0)
            .unwrap_or(if image_ms > 0 { image_ms } else { default_ms })
    };
    let image_retries = u32::try_from(given.retries).unwrap_or(0);
    Ok(Some(HealthSpec {
        arguments,
        interval_ms: time(asked.interval, given.interval, 30_000),
        timeout_ms: time(asked.timeout, given.timeout, 30_000),
        retries: asked.retries.filter(|n| *n > 0).unwrap_or(if image_retries > 0 {
            image_retries
        } else {
            3
        }),
        start_period_ms: time(asked.start_period, given.start_period, 0),
        start_interval_ms: time(asked.start_interval, given.start_interval, 5_000),
    }))
}
