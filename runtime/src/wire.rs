//! In: containers about to start, or stopped. Out: their addresses, names, ports and files of `/etc`, made or taken back.
//! One firewall transaction for all of them; rules and zones are computed from the leases each time.
//! **Invariant:** under the firewall's lock from the first lease to the last `wiring.json`, which is what makes a container wired.

use std::collections::BTreeSet;

use rcompose_container::spec::{PortSpec, Workload};
use rcompose_network::dns::zone::Zone;
use rcompose_network::firewall::Firewall;
use rcompose_network::{
    Lease, Leased, Netlink, NetworkState, Protocol, PublishedPort as Published, conntrack, ensure_bridge,
    name,
};
use rcompose_shim::protocol::StartPlan;

use crate::atomic;
use crate::container::{read_spec, text, write_spec};
use crate::etc_files::write_etc;
use crate::local::{LocalRuntime, Located};
use crate::network::network_error;
use crate::observe::{Life, Wiring};
use crate::ports;
use crate::request::{ContainerRequest, EndpointRequest, NetworkingRequest};
use crate::root;
use crate::runtime::RuntimeError;
use crate::start;
use crate::start_plan::write_start_plan;
use crate::state::PublishedPort;

impl LocalRuntime {
    pub(crate) fn wire_containers(&self, ids: &[String]) -> Result<(), RuntimeError> {
        let host = self.host()?;
        let mut waiting = Vec::new();
        for id in ids {
            if self.wiring(id)?.is_none() {
                let mut located = self.locate(id)?;
                self.rejoin(&mut located)?;
                waiting.push(located);
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        // Whoever asks for an address gets it before the others choose theirs.
        waiting.sort_by_key(|located| {
            !endpoints(&located.record.request)
                .iter()
                .any(|e| e.address.is_some())
        });
        let firewall = self.firewall(host.nft.clone());
        let lock = firewall.lock().map_err(network_error)?;
        let mut networks = self.all_networks()?;
        let touched: BTreeSet<&str> = waiting
            .iter()
            .flat_map(|located| endpoints(&located.record.request))
            .map(|endpoint| endpoint.network.as_str())
            .collect();
        if !touched.is_empty() {
            let mut netlink = Netlink::route().map_err(network_error)?;
            for name in &touched {
                ensure_bridge(&mut netlink, &find(&networks, name)?.spec).map_err(network_error)?;
            }
        }
        let mut leased = Vec::new();
        for located in &waiting {
            match self.lease(located, &mut networks) {
                Ok(ports) => leased.push(ports),
                Err(error) => {
                    self.release(&waiting, &mut networks)?;
                    return Err(error);
                }
            }
        }
        // nft takes longer than all the files; it works meanwhile.
        let (published, prepared) = std::thread::scope(|scope| {
            let publishing = scope.spawn(|| {
                if touched.is_empty() {
                    Ok(())
                } else {
                    self.publish(&firewall, &lock, &networks, touched.iter().copied())
                }
            });
            let pairs = waiting.iter().zip(&leased);
            let prepared: Result<Vec<Wiring>, RuntimeError> = pairs
                .map(|(located, ports)| self.prepare_run_directory(located, ports, &networks))
                .collect();
            let published = publishing
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (published, prepared)
        });
        let wirings = match published.and(prepared) {
            Ok(wirings) => wirings,
            Err(error) => {
                self.release(&waiting, &mut networks)?;
                return Err(error);
            }
        };
        for (located, wiring) in waiting.iter().zip(&wirings) {
            let run = self.roots.run_container(&located.record.id);
            atomic::write_json(&run.join(Wiring::FILE), wiring)?;
        }
        Ok(())
    }

    pub(crate) fn unwire_containers(&self, ids: &[String]) -> Result<(), RuntimeError> {
        let mut leaving = Vec::new();
        for id in ids {
            let run = self.roots.run_container(id);
            if !run.exists() {
                continue;
            }
            let Some(located) = self.find(id)? else { continue };
            match self.life(&run)? {
                Life::Kept(_) | Life::Orphaned(_) => {
                    return Err(RuntimeError::Invalid(format!(
                        "container {} runs: stop it first",
                        located.record.name
                    )));
                }
                Life::Unsettled(_) | Life::Down(_) => {
                    start::await_last_shim(&run);
                    leaving.push(located);
                }
            }
        }
        if leaving.is_empty() {
            return Ok(());
        }
        let host = self.host()?;
        let firewall = self.firewall(host.nft.clone());
        let lock = firewall.lock().map_err(network_error)?;
        for located in &leaving {
            root::remove_file(&self.roots.run_container(&located.record.id).join(Wiring::FILE))?;
        }
        let mut networks = self.all_networks()?;
        let touched = self.release(&leaving, &mut networks)?;
        if !touched.is_empty() {
            self.publish(&firewall, &lock, &networks, touched.iter().map(String::as_str))?;
        }
        for located in &leaving {
            root::remove_directory(&self.roots.run_container(&located.record.id))?;
        }
        self.unmount_volumes(&leaving)
    }

    pub(crate) fn firewall(&self, nft: rcompose_network::firewall::Nft) -> Firewall {
        let table = name::table_name(self.roots.data(), self.roots.is_default());
        Firewall::new(table, self.roots.run(), nft)
    }

    /// All networks with their leases.
    pub(crate) fn all_networks(&self) -> Result<Vec<NetworkState>, RuntimeError> {
        let records = self.network_records()?;
        records
            .into_iter()
            .map(|record| {
                self.network_run(&record.spec.name)
                    .state(&record.spec)
                    .map_err(network_error)
            })
            .collect()
    }

    /// Replaces the zones of some networks and the firewall of all.
    pub(crate) fn publish<'names>(
        &self,
        firewall: &Firewall,
        lock: &rcompose_network::HostLock,
        networks: &[NetworkState],
        touched: impl Iterator<Item = &'names str>,
    ) -> Result<(), RuntimeError> {
        for name in touched {
            // A network that is being removed has no zone any more.
            if let Ok(network) = find(networks, name) {
                self.network_run(name)
                    .write_zone(&Zone::of(network))
                    .map_err(network_error)?;
            }
        }
        let in_use: Vec<NetworkState> = networks
            .iter()
            .filter(|network| !network.leases.is_empty())
            .cloned()
            .collect();
        firewall.synchronise(lock, &in_use).map_err(network_error)?;
        Ok(())
    }

    /// Takes addresses and ports of one container; in `networks` too.
    fn lease(
        &self,
        located: &Located,
        networks: &mut [NetworkState],
    ) -> Result<Vec<Published>, RuntimeError> {
        let record = &located.record;
        let endpoints = endpoints(&record.request);
        let mut gateway = None;
        for (index, endpoint) in endpoints.iter().enumerate() {
            if !find(networks, &endpoint.network)?.spec.internal {
                gateway = gateway.or(Some(index));
            }
        }
        // Without a way in nothing can be published.
        let chosen = if gateway.is_some() {
            ports::choose(&record.request, &record.id, networks)?
        } else {
            Vec::new()
        };
        for (index, endpoint) in endpoints.iter().enumerate() {
            let network = networks
                .iter_mut()
                .find(|network| network.spec.name == endpoint.network)
                .ok_or_else(|| RuntimeError::NotFound {
                    kind: "network",
                    name: endpoint.network.clone(),
                })?;
            let mut names = endpoint.names.clone();
            names.push(record.name.clone());
            let lease = Lease {
                container_id: record.id.clone(),
                container_name: record.name.clone(),
                project: Some(record.request.project.clone()),
                service: Some(record.request.service.clone())
                    .filter(|name| !name.is_empty() && !record.request.one_off),
                names,
                ports: if gateway == Some(index) {
                    chosen.clone()
                } else {
                    Vec::new()
                },
            };
            let run = self.network_run(&network.spec.name);
            let address = run
                .take(&network.spec, &lease, endpoint.address)
                .map_err(network_error)?;
            network.leases.retain(|leased| leased.address != address);
            network.leases.push(Leased { address, lease });
        }
        let udp: Vec<u16> = chosen
            .iter()
            .filter(|c| c.protocol == Protocol::Udp)
            .map(|c| c.host_port)
            .collect();
        conntrack::flush_udp(&udp).map_err(network_error)?;
        Ok(chosen)
    }

    /// Gives back what the containers hold on any network, in `networks` too; the names of the networks that changed.
    fn release(
        &self,
        leaving: &[Located],
        networks: &mut [NetworkState],
    ) -> Result<BTreeSet<String>, RuntimeError> {
        let ids: BTreeSet<&str> = leaving.iter().map(|located| located.record.id.as_str()).collect();
        let mut touched = BTreeSet::new();
        for network in networks {
            let run = self.network_run(&network.spec.name);
            for leased in &network.leases {
                if ids.contains(leased.lease.container_id.as_str()) {
                    run.release(leased.address, &leased.lease.container_id)
                        .map_err(network_error)?;
                    touched.insert(network.spec.name.clone());
                }
            }
            network
                .leases
                .retain(|leased| !ids.contains(leased.lease.container_id.as_str()));
        }
        Ok(touched)
    }

    /// Everything in the run directory but `wiring.json`, which is returned.
    fn prepare_run_directory(
        &self,
        located: &Located,
        ports: &[Published],
        networks: &[NetworkState],
    ) -> Result<Wiring, RuntimeError> {
        let record = &located.record;
        self.mount_volumes(located)?;
        let run = self.roots.run_container(&record.id);
        root::remove_directory(&run)?;
        root::directory(&run, 0o700)?;
        let attachments = self.attachments(record, networks)?;
        write_etc(&run, &record.request, &record.hostname, &attachments, networks)?;
        if !record.request.ports.is_empty() {
            let mut spec = read_spec(&located.directory)?;
            spec.ports = ports.iter().map(port_spec).collect();
            write_spec(&located.directory, &Workload::Container(Box::new(spec)))?;
        }
        let wiring = Wiring {
            boot_id: self.roots.boot_id().to_owned(),
            addresses: attachments
                .iter()
                .map(|a| (a.network.clone(), a.address))
                .collect(),
            ports: ports.iter().map(published).collect(),
        };
        write_start_plan(
            &run,
            &StartPlan {
                attachments,
                boot_id: self.roots.boot_id().to_owned(),
                wait_for_attach: false,
                container_directory: text(&located.directory)?,
            },
        )?;
        Ok(wiring)
    }
}

/// The interfaces a request asks for.
pub(crate) fn endpoints(request: &ContainerRequest) -> &[EndpointRequest] {
    match &request.network {
        NetworkingRequest::Bridges(endpoints) => endpoints,
        NetworkingRequest::None | NetworkingRequest::Host | NetworkingRequest::Container(_) => &[],
    }
}

/// The network of a name.
pub(crate) fn find<'networks>(
    networks: &'networks [NetworkState],
    name: &str,
) -> Result<&'networks NetworkState, RuntimeError> {
    networks
        .iter()
        .find(|network| network.spec.name == name)
        .ok_or_else(|| RuntimeError::NotFound {
            kind: "network",
            name: name.to_owned(),
        })
}

fn port_spec(chosen: &Published) -> PortSpec {
    PortSpec {
        host_ip: chosen.host_ip.map(|ip| ip.to_string()),
        host_port: chosen.host_port,
        container_port: chosen.container_port,
        protocol: chosen.protocol.to_string(),
    }
}

fn published(chosen: &Published) -> PublishedPort {
    PublishedPort {
        host_ip: chosen
            .host_ip
            .map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string()),
        host_port: chosen.host_port,
        target: chosen.container_port,
        protocol: chosen.protocol.to_string(),
    }
}
