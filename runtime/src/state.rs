//! In: records on disk and what the kernel says. Out: what exists, as values.
//! **Invariant:** a state is a snapshot; nobody decides by its age.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// A container that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerState {
    /// 64 hexadecimal characters.
    pub id: String,
    /// Name.
    pub name: String,
    /// Project.
    pub project: String,
    /// Service.
    pub service: String,
    /// Replica number.
    pub number: u32,
    /// Made by `run`.
    pub one_off: bool,
    /// Hash it was created from.
    pub config_hash: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Reference it was created from.
    pub image: String,
    /// Digest of the image's configuration.
    pub image_id: String,
    /// Complete command line.
    pub command: Vec<String>,
    /// RFC 3339.
    pub created_at: String,
    /// Status.
    pub status: Status,
    /// Health.
    pub health: Health,
    /// Restarts by policy so far.
    pub restart_count: u32,
    /// First process, host pid.
    pub pid: Option<i32>,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub finished_at: Option<String>,
    /// A person stopped it.
    pub stopped_by_user: bool,
    /// Networks it belongs to, and its address on each while it is up.
    pub networks: BTreeMap<String, Option<Ipv4Addr>>,
    /// Published ports, chosen ones while it is up.
    pub ports: Vec<PublishedPort>,
    /// Ports it exposes, `80/tcp`.
    pub exposed: Vec<String>,
    /// Mounts.
    pub mounts: Vec<MountState>,
    /// A terminal is attached to its first process.
    pub tty: bool,
    /// Names of the volumes it made for itself.
    pub anonymous_volumes: Vec<String>,
    /// The request it was created from, so that a plan can name what changed.
    #[serde(default)]
    pub request: Option<crate::request::ContainerRequest>,
    /// Containers whose namespaces its last start joined: name and id.
    #[serde(default)]
    pub joined: BTreeMap<String, String>,
}

/// Status of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Never started.
    Created,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// Ended and waits for its next start.
    Restarting,
    /// Ended.
    Exited {
        /// Exit code.
        code: i32,
    },
}

/// Health of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// No probe.
    None,
    /// Not decided.
    Starting,
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// `0.0.0.0` for every address.
    pub host_ip: String,
    /// Port of the host.
    pub host_port: u16,
    /// Port inside.
    pub target: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountState {
    /// `bind`, `volume`, `tmpfs`, `image`.
    pub kind: String,
    /// Host path, or the volume's name.
    pub source: String,
    /// Path inside.
    pub target: String,
}

/// A network that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkState {
    /// The request it was made from.
    pub request: crate::request::NetworkRequest,
    /// Interface name of the bridge.
    pub bridge: String,
    /// CIDR.
    pub subnet: String,
    /// Address of the bridge.
    pub gateway: Ipv4Addr,
    /// Containers that hold a lease on it, by id.
    pub users: Vec<String>,
}

/// A volume that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeState {
    /// The request it was made from.
    pub request: crate::request::VolumeRequest,
    /// Data directory.
    pub mountpoint: String,
    /// RFC 3339.
    pub created_at: String,
}
