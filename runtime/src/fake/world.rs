//! In: single changes of the model. Out: the model host's objects and their rules.
//! **Invariant:** an effect is recorded, or refused before anything changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::container::shared_with;
use crate::fake::Behaviour;
use crate::request::{ContainerRequest, MountRequestSource, NetworkingRequest};
use crate::runtime::RuntimeError;
use crate::state::{ContainerState, Health, MountState, NetworkState, PublishedPort, Status, VolumeState};

/// Addresses by network.
type Addresses = BTreeMap<String, Option<Ipv4Addr>>;

#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) containers: BTreeMap<String, Container>,
    pub(super) networks: BTreeMap<String, NetworkState>,
    pub(super) volumes: BTreeMap<String, VolumeState>,
    pub(super) images: BTreeMap<String, String>,
    pub(super) behaviours: BTreeMap<String, Behaviour>,
    pub(super) failures: BTreeMap<(String, String), String>,
    pub(super) log: Vec<String>,
    pub(super) budget: Option<usize>,
    serial: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) request: ContainerRequest,
    pub(super) state: ContainerState,
    pub(super) wired: bool,
}

impl Container {
    pub(super) fn is_up(&self) -> bool {
        match self.state.status {
            Status::Running | Status::Paused | Status::Restarting => true,
            Status::Created | Status::Exited { .. } => false,
        }
    }

    pub(super) fn end(&mut self, code: i32, by_user: bool) {
        self.state.status = Status::Exited { code };
        self.state.health = Health::None;
        self.state.pid = None;
        self.state.finished_at = self.state.started_at.clone();
        self.state.stopped_by_user = by_user;
    }

    pub(super) fn unwire(&mut self) {
        self.wired = false;
        self.state.ports.clear();
        self.state
            .networks
            .values_mut()
            .for_each(|address| *address = None);
    }
}

impl World {
    /// One change of the host: refused after a cut, recorded otherwise.
    pub(super) fn effect(&mut self, method: &str, name: &str) -> Result<(), RuntimeError> {
        if let Some(message) = self.failures.get(&(method.to_owned(), name.to_owned())) {
            return Err(if method == "start" {
                RuntimeError::Start {
                    name: name.to_owned(),
                    stage: message.clone(),
                    errno: 0,
                    detail: String::new(),
                }
            } else {
                RuntimeError::Invalid(message.clone())
            });
        }
        match &mut self.budget {
            Some(0) => return Err(RuntimeError::Cancelled),
            Some(left) => *left -= 1,
            None => {}
        }
        self.log.push(format!("{method} {name}"));
        Ok(())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn now(&mut self) -> String {
        let serial = self.next();
        format!(
            "2000-01-01T{:02}:{:02}:{:02}Z",
            serial / 3600 % 24,
            serial / 60 % 60,
            serial % 60
        )
    }

    pub(super) fn container(&mut self, id: &str) -> Result<&mut Container, RuntimeError> {
        self.containers
            .get_mut(id)
            .ok_or_else(|| not_found("container", id))
    }

    pub(super) fn name_of(&mut self, id: &str) -> Result<String, RuntimeError> {
        Ok(self.container(id)?.state.name.clone())
    }

    /// An address that no container holds on the network, and the host ports of a container.
    pub(super) fn leases(&mut self, id: &str) -> Result<(Addresses, Vec<PublishedPort>), RuntimeError> {
        let request = self.container(id)?.request.clone();
        let mut networks = BTreeMap::new();
        if let NetworkingRequest::Bridges(endpoints) = &request.network {
            for endpoint in endpoints {
                let network = self
                    .networks
                    .get(&endpoint.network)
                    .ok_or_else(|| not_found("network", &endpoint.network))?;
                let [a, b, c, _] = network.gateway.octets();
                let used: BTreeSet<Ipv4Addr> = self
                    .containers
                    .values()
                    .filter_map(|other| other.state.networks.get(&endpoint.network).copied().flatten())
                    .collect();
                let address = endpoint.address.or_else(|| {
                    (2..=254)
                        .map(|d| Ipv4Addr::new(a, b, c, d))
                        .find(|address| !used.contains(address))
                });
                networks.insert(endpoint.network.clone(), address);
            }
        }
        let mut ports = Vec::new();
        for port in &request.ports {
            let (first, last) = port.published.unwrap_or((32768, 60999));
            let owner = |number: u16| {
                self.containers.values().find(|other| {
                    other.state.id != id
                        && other
                            .state
                            .ports
                            .iter()
                            .any(|p| p.host_port == number && p.protocol == port.protocol)
                })
            };
            let Some(host_port) = (first..=last).find(|number| owner(*number).is_none()) else {
                return Err(RuntimeError::PortTaken {
                    port: format!("{first}/{}", port.protocol),
                    owner: owner(first).map(|other| format!("container {}", other.state.name)),
                });
            };
            ports.push(PublishedPort {
                host_ip: port
                    .host_ip
                    .map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string()),
                host_port,
                target: port.target,
                protocol: port.protocol.clone(),
            });
        }
        Ok((networks, ports))
    }

    /// Names and ids of the containers whose namespaces a container shares.
    pub(super) fn joined(&mut self, id: &str) -> Result<BTreeMap<String, String>, RuntimeError> {
        let request = self.container(id)?.request.clone();
        let id_of = |name: &str| {
            let found = self.containers.values().find(|c| c.state.name == name);
            let id = found.map(|c| (name.to_owned(), c.state.id.clone()));
            id.ok_or_else(|| not_found("container", name))
        };
        shared_with(&request).into_iter().map(id_of).collect()
    }

    pub(super) fn start(&mut self, id: &str) -> Result<(), RuntimeError> {
        let container = self.container(id)?;
        if container.is_up() {
            return Ok(());
        }
        let name = container.state.name.clone();
        if !container.wired {
            return Err(RuntimeError::Invalid(format!("container {name} is not wired")));
        }
        let shared = match &container.request.network {
            NetworkingRequest::Container(other) => container.state.joined.get_key_value(other),
            NetworkingRequest::None | NetworkingRequest::Host | NetworkingRequest::Bridges(_) => None,
        };
        if let Some((other, id)) = shared.map(|(other, id)| (other.clone(), id.clone()))
            && !self.containers.get(&id).is_some_and(Container::is_up)
        {
            return Err(RuntimeError::Invalid(format!(
                "container {other}, whose network {name} shares, does not run"
            )));
        }
        self.effect("start", &name)?;
        let (now, pid) = (self.now(), i32::try_from(self.serial).unwrap_or(i32::MAX));
        let service = self.container(id)?.state.service.clone();
        let behaviour = self.behaviours.get(&service).cloned().unwrap_or_default();
        let container = self.container(id)?;
        container.state.status = Status::Running;
        container.state.pid = Some(pid);
        container.state.started_at = Some(now);
        container.state.finished_at = None;
        container.state.stopped_by_user = false;
        container.state.health = match &container.request.health {
            Some(health) if !health.disabled => Health::Starting,
            Some(_) | None => Health::None,
        };
        if let Behaviour::Exits(code) = behaviour {
            container.end(code, false);
        }
        Ok(())
    }
}

pub(super) fn not_found(kind: &'static str, name: &str) -> RuntimeError {
    RuntimeError::NotFound {
        kind,
        name: name.to_owned(),
    }
}

/// The containers' own name for a mount; anonymous volumes are named by the caller.
pub(super) fn mount_state(target: &str, source: &MountRequestSource, anonymous: &str) -> MountState {
    let (kind, from) = match source {
        MountRequestSource::Bind { path, .. } => ("bind", path.as_str()),
        MountRequestSource::Volume { name, .. } => ("volume", name.as_str()),
        MountRequestSource::Anonymous { .. } => ("volume", anonymous),
        MountRequestSource::Tmpfs { .. } => ("tmpfs", ""),
        MountRequestSource::Image { image, .. } => ("image", image.as_str()),
    };
    MountState {
        kind: kind.to_owned(),
        source: from.to_owned(),
        target: target.to_owned(),
    }
}
