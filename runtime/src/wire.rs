//! In: containers about to start, or stopped. Out: their addresses, names, ports and files of `/etc`, made or taken back.
//! One firewall transaction for all of them; rules and zones are computed from the leases each time.
//! **Invariant:** under the firewall's lock from the first lease to the last `wiring.json`, which is what makes a container wired.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcompose_container::spec::{PortSpec, Workload};
use rcompose_network::dns::zone::Zone;
use rcompose_network::firewall::Firewall;
use rcompose_network::{
    Attachment, Lease, Leased, Netlink, NetworkSpec, NetworkState, Protocol, conntrack, ensure_bridge, name,
};
use rcompose_shim::protocol::StartPlan;

use crate::atomic;
use crate::complete::etc;
use crate::container::{read_spec, text, write_spec};
use crate::host;
use crate::local::{LocalRuntime, Located};
use crate::network::network_error;
use crate::observe::{Life, Wiring};
use crate::ports::{self, ChosenPort};
use crate::request::{ContainerRequest, EndpointRequest, NetworkingRequest};
use crate::root::{self, failed};
use crate::runtime::RuntimeError;
use crate::state::PublishedPort;

/// MTU of a network that does not say, in bytes.
const MTU: u32 = 1500;

impl LocalRuntime {
    pub(crate) fn wire_containers(&self, ids: &[String]) -> Result<(), RuntimeError> {
        let host = self.host()?;
        let mut waiting = Vec::new();
        for id in ids {
            if self.wiring(id)?.is_none() {
                waiting.push(self.locate(id)?);
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
        if !touched.is_empty() {
            self.publish(&firewall, &lock, &networks, touched.iter().copied())?;
        }
        for (located, ports) in waiting.iter().zip(&leased) {
            self.prepare_run_directory(located, ports, &networks)?;
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
                Life::Unsettled(_) | Life::Down(_) => leaving.push(located),
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
    ) -> Result<Vec<ChosenPort>, RuntimeError> {
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
                    chosen.iter().map(|c| c.port.clone()).collect()
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
            .filter(|c| c.port.protocol == Protocol::Udp)
            .map(|c| c.port.host_port)
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

    /// Everything in the run directory, `wiring.json` last.
    fn prepare_run_directory(
        &self,
        located: &Located,
        ports: &[ChosenPort],
        networks: &[NetworkState],
    ) -> Result<(), RuntimeError> {
        let record = &located.record;
        self.mount_volumes(located)?;
        let run = self.roots.run_container(&record.id);
        root::remove_directory(&run)?;
        root::directory(&run, 0o700)?;
        let attachments = self.attachments(record, networks)?;
        let mut spec = read_spec(&located.directory)?;
        let reserved: Vec<PortSpec> = ports
            .iter()
            .filter(|chosen| !chosen.shared)
            .map(port_spec)
            .collect();
        write_etc(&run, &record.request, &spec.hostname, &attachments, networks)?;
        if spec.ports != reserved {
            spec.ports = reserved;
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
        atomic::write_json(&run.join(Wiring::FILE), &wiring)
    }

    fn attachments(
        &self,
        record: &crate::record::ContainerRecord,
        networks: &[NetworkState],
    ) -> Result<Vec<Attachment>, RuntimeError> {
        let mut attachments: Vec<Attachment> = Vec::new();
        for (index, endpoint) in endpoints(&record.request).iter().enumerate() {
            let network = find(networks, &endpoint.network)?;
            let spec: &NetworkSpec = &network.spec;
            let address = network
                .leases
                .iter()
                .find(|leased| leased.lease.container_id == record.id)
                .map(|leased| leased.address)
                .ok_or_else(|| RuntimeError::NotFound {
                    kind: "lease",
                    name: record.name.clone(),
                })?;
            let first_way_out = !spec.internal && !attachments.iter().any(|a| a.default_route);
            attachments.push(Attachment {
                network: spec.name.clone(),
                bridge: spec.bridge.clone(),
                host_interface: name::veth_name(&record.id, &spec.name, fresh()?),
                container_interface: endpoint
                    .interface
                    .clone()
                    .unwrap_or_else(|| format!("eth{index}")),
                mac: match &endpoint.mac {
                    Some(mac) => parse_mac(mac)?,
                    None => name::mac_address(address),
                },
                address,
                prefix: spec.subnet.prefix(),
                gateway: (!spec.internal).then_some(spec.gateway),
                default_route: first_way_out,
                mtu: spec.mtu.unwrap_or(MTU),
                zone_path: text(&self.network_run(&spec.name).zone_path())?,
                internal: spec.internal,
                isolated: spec.isolated,
            });
        }
        Ok(attachments)
    }
}

/// Prepares the plan of a wired container for another start: interfaces of new names, since the kernel takes the old ones apart in its own time.
pub(crate) fn refresh_start_plan(run: &Path, id: &str, wait_for_attach: bool) -> Result<(), RuntimeError> {
    let path = run.join("start.cbor");
    let bytes = fs::read(&path).map_err(failed("read", &path))?;
    let mut plan: StartPlan =
        minicbor::decode(&bytes).map_err(|error| failed("decode", &path)(io::Error::other(error)))?;
    let used = run.join("state.json").exists();
    if !used && plan.wait_for_attach == wait_for_attach {
        return Ok(());
    }
    plan.wait_for_attach = wait_for_attach;
    for attachment in &mut plan.attachments {
        attachment.host_interface = name::veth_name(id, &attachment.network, fresh()?);
    }
    write_start_plan(run, &plan)
}

pub(crate) fn write_start_plan(run: &Path, plan: &StartPlan) -> Result<(), RuntimeError> {
    let path = run.join("start.cbor");
    let bytes = minicbor::to_vec(plan).map_err(|error| failed("encode", &path)(io::Error::other(error)))?;
    atomic::write(&path, &bytes, 0o600)
}

/// A number no earlier start had.
fn fresh() -> Result<u32, RuntimeError> {
    let mut bytes = [0_u8; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(failed("read", "random bytes"))?;
    Ok(u32::from_ne_bytes(bytes))
}

/// The interfaces a request asks for.
fn endpoints(request: &ContainerRequest) -> &[EndpointRequest] {
    match &request.network {
        NetworkingRequest::Bridges(endpoints) => endpoints,
        NetworkingRequest::None | NetworkingRequest::Host | NetworkingRequest::Container(_) => &[],
    }
}

fn find<'networks>(
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

/// Writes the files that are mounted over `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
fn write_etc(
    run: &Path,
    request: &ContainerRequest,
    hostname: &str,
    attachments: &[Attachment],
    networks: &[NetworkState],
) -> Result<(), RuntimeError> {
    let on_host = request.network == NetworkingRequest::Host;
    let host_gateway = attachments
        .first()
        .and_then(|attachment| find(networks, &attachment.network).ok())
        .map_or(Ipv4Addr::LOCALHOST, |network| network.spec.gateway);
    let extra: Vec<(String, String)> = request
        .extra_hosts
        .iter()
        .map(|(name, address)| {
            let address = if address == "host-gateway" {
                host_gateway.to_string()
            } else {
                address.clone()
            };
            (name.clone(), address)
        })
        .collect();
    let own: Vec<Ipv4Addr> = attachments.iter().map(|attachment| attachment.address).collect();
    let full = match &request.domainname {
        Some(domain) => format!("{hostname}.{domain} {hostname}"),
        None => hostname.to_owned(),
    };
    let base = if on_host {
        fs::read_to_string("/etc/hosts").ok()
    } else {
        None
    };
    let (resolver_text, resolver) = host::resolver();
    let search = if request.dns_search.is_empty() {
        &resolver.search
    } else {
        &request.dns_search
    };
    let resolv_conf = if attachments.is_empty() {
        etc::host_resolver_configuration(
            &resolver_text,
            &request.dns,
            &request.dns_search,
            &request.dns_options,
        )
    } else {
        etc::resolver_configuration(search, &request.dns_options)
    };
    for (name, text) in [
        ("hosts", etc::hosts(base.as_deref(), &extra, &own, &full)),
        ("hostname", format!("{hostname}\n")),
        ("resolv.conf", resolv_conf),
    ] {
        let path = run.join(name);
        // Everybody in the container reads these, whatever the umask of this process.
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)))
            .map_err(failed("write", &path))?;
    }
    Ok(())
}

fn port_spec(chosen: &ChosenPort) -> PortSpec {
    PortSpec {
        host_ip: chosen.port.host_ip.map(|ip| ip.to_string()),
        host_port: chosen.port.host_port,
        container_port: chosen.port.container_port,
        protocol: chosen.port.protocol.to_string(),
    }
}

fn published(chosen: &ChosenPort) -> PublishedPort {
    PublishedPort {
        host_ip: chosen
            .port
            .host_ip
            .map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string()),
        host_port: chosen.port.host_port,
        target: chosen.port.container_port,
        protocol: chosen.port.protocol.to_string(),
    }
}

/// `aa:bb:cc:dd:ee:ff`, also with dashes.
fn parse_mac(text: &str) -> Result<[u8; 6], RuntimeError> {
    let mut mac = [0_u8; 6];
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let parsed = parts.len() == mac.len()
        && mac.iter_mut().zip(&parts).all(|(byte, part)| {
            let value = (part.len() == 2)
                .then(|| u8::from_str_radix(part, 16).ok())
                .flatten();
            value.map(|value| *byte = value).is_some()
        });
    if parsed {
        Ok(mac)
    } else {
        Err(RuntimeError::Invalid(format!(
            "{text:?} is not a MAC address such as 02:42:ac:11:00:02"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_read_as_people_write_them() {
        assert_eq!(
            parse_mac("02:42:ac:11:00:FE").unwrap(),
            [2, 0x42, 0xac, 0x11, 0, 0xfe]
        );
        assert_eq!(
            parse_mac("02-42-ac-11-00-02").unwrap(),
            [2, 0x42, 0xac, 0x11, 0, 2]
        );
        for wrong in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "02:42:ac:11:00:+2",
            "2:42:ac:11:00:02",
        ] {
            assert!(parse_mac(wrong).is_err(), "{wrong}");
        }
    }
}
