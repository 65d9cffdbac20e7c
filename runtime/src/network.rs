//! In: requests for networks. Out: their subnets, their bridges and what the firewall is computed from.
//! **Invariant:** a bridge that was there before us is never removed, and a subnet is chosen by one process at a time.

use std::error::Error;
use std::fs::OpenOptions;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcompose_network::ipam::{self, Holder, SubnetRequest, Taken};
use rcompose_network::{Netlink, NetworkError, NetworkRun, NetworkSpec, ensure_bridge, host_prefixes, name};
use rcompose_shim::spawn_bridge_removal;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::container::GONE;
use crate::local::LocalRuntime;
use crate::request::NetworkRequest;
use crate::root::{self, failed};
use crate::runtime::RuntimeError;
use crate::state::NetworkState;

/// Name of the record in a network's directory.
const FILE: &str = "network.json";

/// `network.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    pub(crate) request: NetworkRequest,
    pub(crate) spec: NetworkSpec,
    /// The bridge was there before the network and stays after it.
    pub(crate) bridge_is_foreign: bool,
}

impl LocalRuntime {
    pub(crate) fn observe_networks(&self, project: &str) -> Result<Vec<NetworkState>, RuntimeError> {
        let mut records = self.network_records()?;
        records.retain(|record| record.request.project == project);
        records.iter().map(|record| self.network_state(record)).collect()
    }

    pub(crate) fn observe_network(&self, name: &str) -> Result<Option<NetworkState>, RuntimeError> {
        self.network_record(name)?
            .map(|record| self.network_state(&record))
            .transpose()
    }

    /// All networks of the data root, by name.
    pub(crate) fn network_records(&self) -> Result<Vec<NetworkRecord>, RuntimeError> {
        let mut names = root::entries(&self.roots.networks())?;
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        let mut records = Vec::new();
        for name in names {
            records.extend(self.network_record(&name)?);
        }
        Ok(records)
    }

    fn network_record(&self, name: &str) -> Result<Option<NetworkRecord>, RuntimeError> {
        atomic::read_json(&self.roots.network(name)?.join(FILE))
    }

    pub(crate) fn network_run(&self, name: &str) -> NetworkRun {
        NetworkRun::new(self.roots.run(), name)
    }

    fn network_state(&self, record: &NetworkRecord) -> Result<NetworkState, RuntimeError> {
        let leases = self
            .network_run(&record.spec.name)
            .leases()
            .map_err(network_error)?;
        Ok(NetworkState {
            request: record.request.clone(),
            bridge: record.spec.bridge.clone(),
            subnet: record.spec.subnet.to_string(),
            gateway: record.spec.gateway,
            users: leases
                .into_iter()
                .map(|leased| leased.lease.container_id)
                .collect(),
        })
    }

    pub(crate) fn make_network(&self, request: &NetworkRequest) -> Result<NetworkState, RuntimeError> {
        self.host()?;
        let directory = self.roots.network(&request.name)?;
        let _lock = lock_file(&self.roots.networks_lock())?;
        let mut netlink = Netlink::route().map_err(network_error)?;
        take_back(request, &directory, &mut netlink)?;
        if let Some(existing) = self.network_record(&request.name)? {
            if existing.request.config_hash != request.config_hash {
                let reason = format!(
                    "network {} exists with other settings: remove it first",
                    request.name
                );
                return Err(RuntimeError::Invalid(reason));
            }
            ensure_bridge(&mut netlink, &existing.spec).map_err(network_error)?;
            return self.network_state(&existing);
        }
        let record = self.decide(request, &mut netlink)?;
        root::directory(&directory, 0o700)?;
        atomic::write_json(&directory.join(FILE), &record)?;
        if let Err(error) = ensure_bridge(&mut netlink, &record.spec) {
            // Whatever there is of the bridge stays for the next attempt to complete, but for one that cannot be ours.
            if matches!(error, NetworkError::NotABridge { .. }) {
                root::remove_directory(&directory)?;
            }
            return Err(network_error(error));
        }
        self.network_state(&record)
    }

    /// Chooses subnet and bridge. The caller holds the lock of the networks.
    fn decide(&self, request: &NetworkRequest, netlink: &mut Netlink) -> Result<NetworkRecord, RuntimeError> {
        let invalid = |what: &str, given: &str| {
            RuntimeError::Invalid(format!("network {}: {what} {given:?} is not valid", request.name))
        };
        let prefix = |what: &str, text: &Option<String>| {
            text.as_ref()
                .map(|text| text.parse().map_err(|_| invalid(what, text)))
                .transpose()
        };
        let wanted = SubnetRequest {
            subnet: prefix("subnet", &request.subnet)?,
            ip_range: prefix("ip_range", &request.ip_range)?,
            gateway: request
                .gateway
                .as_ref()
                .map(|text| text.parse::<Ipv4Addr>().map_err(|_| invalid("gateway", text)))
                .transpose()?,
        };
        let others = self.network_records()?;
        let bridge = match &request.bridge {
            Some(bridge) => bridge.clone(),
            None => name::bridge_name(&request.name, self.roots.data(), self.roots.is_default()),
        };
        if let Some(other) = others.iter().find(|other| other.spec.bridge == bridge) {
            let (bridge, other) = (&other.spec.bridge, &other.spec.name);
            return Err(RuntimeError::Invalid(format!(
                "network {}: bridge {bridge} is that of network {other}",
                request.name
            )));
        }
        let link = netlink.link(&bridge).map_err(network_error)?;
        let mut own_bridges: Vec<&str> = others.iter().map(|other| other.spec.bridge.as_str()).collect();
        own_bridges.push(&bridge);
        let mut taken = host_prefixes(netlink, &own_bridges).map_err(network_error)?;
        taken.extend(others.iter().map(|other| Taken {
            prefix: other.spec.subnet,
            holder: Holder::Network(other.spec.name.clone()),
        }));
        let chosen = ipam::choose_subnet(&request.name, &wanted, &ipam::default_pools(), &taken)
            .map_err(network_error)?;
        Ok(NetworkRecord {
            bridge_is_foreign: request.bridge.is_some() && link.is_some(),
            spec: NetworkSpec {
                name: request.name.clone(),
                bridge,
                subnet: chosen.subnet,
                gateway: chosen.gateway,
                ip_range: chosen.ip_range,
                reserved: request.reserved.clone(),
                internal: request.internal,
                mtu: request.mtu,
                isolated: !request.icc,
            },
            request: request.clone(),
        })
    }

    /// The bridge itself goes in its own time, by another process.
    pub(crate) fn delete_network(&self, name: &str) -> Result<(), RuntimeError> {
        let directory = self.roots.network(name)?;
        let Some(record) = self.network_record(name)? else {
            return root::remove_directory(&directory);
        };
        self.host()?;
        let lock = lock_file(&self.roots.networks_lock())?;
        let run = self.network_run(name);
        if let Some(user) = run.leases().map_err(network_error)?.first() {
            let user = format!("container {}", user.lease.container_name);
            return Err(RuntimeError::InUse {
                kind: "network",
                name: name.to_owned(),
                user,
            });
        }
        run.remove().map_err(network_error)?;
        let gone = directory.with_file_name(format!("{GONE}{name}"));
        root::remove_directory(&gone)?;
        // Held by this process and then by the one that removes the bridge: while it is, somebody sees to it.
        let file = directory.join(FILE);
        let held = OwnedFd::from(std::fs::File::open(&file).map_err(failed("open", &file))?);
        rustix::io::retry_on_intr(|| rustix::fs::flock(&held, FlockOperation::LockShared))
            .map_err(failed("lock", &file))?;
        std::fs::rename(&directory, &gone).map_err(failed("remove", &directory))?;
        if record.bridge_is_foreign {
            return root::remove_directory(&gone);
        }
        drop(lock);
        let program = self.shim_path()?;
        let lock = self.roots.networks_lock();
        spawn_bridge_removal(&program, &record.spec.bridge, &gone, &lock, held).map_err(|source| {
            RuntimeError::Io {
                what: format!("remove network {name}"),
                source: io::Error::other(source),
            }
        })
    }

    /// Ends the removals of bridges that were killed on their way; those whose time has not come are left alone.
    pub(crate) fn finish_removals(&self) -> Result<(), RuntimeError> {
        let is_gone = |name: &String| {
            name.starts_with(GONE) && !is_seen_to(&self.roots.networks().join(name).join(FILE))
        };
        if !root::entries(&self.roots.networks())?.iter().any(is_gone) {
            return Ok(());
        }
        // One that is under way holds the lock; what is there afterwards is nobody's.
        let _lock = lock_file(&self.roots.networks_lock())?;
        for name in root::entries(&self.roots.networks())?.into_iter().filter(is_gone) {
            let directory = self.roots.networks().join(name);
            if let Some(record) = atomic::read_json::<NetworkRecord>(&directory.join(FILE))? {
                let mut netlink = Netlink::route().map_err(network_error)?;
                rcompose_network::remove_bridge(&mut netlink, &record.spec).map_err(network_error)?;
            }
            root::remove_directory(&directory)?;
        }
        Ok(())
    }
}

/// A network of the same name that is on its way out: an equal one is taken back with its bridge, another one goes now. The caller holds
/// the lock of the networks.
fn take_back(request: &NetworkRequest, directory: &Path, netlink: &mut Netlink) -> Result<(), RuntimeError> {
    let gone = directory.with_file_name(format!("{GONE}{}", request.name));
    let Some(record) = atomic::read_json::<NetworkRecord>(&gone.join(FILE))? else {
        return Ok(());
    };
    if record.request == *request && !directory.exists() {
        return std::fs::rename(&gone, directory).map_err(failed("take back", &gone));
    }
    rcompose_network::remove_bridge(netlink, &record.spec).map_err(network_error)?;
    root::remove_directory(&gone)
}

/// An open file at `path` with an exclusive lock, waited for; whoever inherits the file inherits the lock.
fn lock_file(path: &Path) -> Result<OwnedFd, RuntimeError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed("open", path))?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))
        .map_err(failed("lock", path))?;
    Ok(file.into())
}

/// Whether a process holds the record of a network that is on its way out.
fn is_seen_to(record: &Path) -> bool {
    std::fs::File::open(record).is_ok_and(|file| {
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            == Err(rustix::io::Errno::WOULDBLOCK)
    })
}

/// An error of the network room as one of the runtime.
pub(crate) fn network_error(error: NetworkError) -> RuntimeError {
    let error = match port_error(error) {
        Ok(taken) => return taken,
        Err(error) => error,
    };
    if matches!(error, NetworkError::NftMissing) {
        let (what, remedy) = (
            "the program nft is missing".to_owned(),
            "install the package nftables".to_owned(),
        );
        return RuntimeError::Host { what, remedy };
    }
    let Some(cause) = error.source() else {
        return RuntimeError::Invalid(error.to_string());
    };
    let source = match cause.downcast_ref::<rustix::io::Errno>() {
        Some(errno) => (*errno).into(),
        None => io::Error::other(cause.to_string()),
    };
    RuntimeError::Io {
        what: error.to_string(),
        source,
    }
}

/// A port that is in use, or the error as it was.
fn port_error(error: NetworkError) -> Result<RuntimeError, NetworkError> {
    if let NetworkError::PortInUse {
        port,
        protocol,
        host_ip,
        owner,
    } = error
    {
        let (port, owner) = (
            format!("{host_ip}:{port}/{protocol}"),
            owner.map(|owner| owner.to_string()),
        );
        Ok(RuntimeError::PortTaken { port, owner })
    } else {
        Err(error)
    }
}
