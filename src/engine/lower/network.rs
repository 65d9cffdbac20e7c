//! In: networks, links and ports of a service. Out: its interfaces with their DNS names, and its published ports.
//! **Invariant:** every name a container is found by is in its own request, whoever asked for it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Reverse;
use std::collections::BTreeSet;

use rcompose_runtime::request::{EndpointRequest, NetworkingRequest, PortRequest};

use super::relations::Relations;
use super::{joined_name, place};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::name::NetworkKey;
use crate::model::service::{NetworkMode, ServiceNetwork};
use crate::model::{Project, Service};

/// `container_name:`, or `<project>-<service>-<number>`.
pub fn container_name(project: &Project, service: &Service, number: u32) -> String {
    let numbered = || format!("{}-{}-{number}", project.name, service.name);
    service.container_name.clone().unwrap_or_else(numbered)
}

pub(super) fn networking(
    project: &Project,
    relations: &Relations<'_>,
    service: &Service,
    diagnostics: &mut Diagnostics,
) -> NetworkingRequest {
    match &service.network_mode {
        Some(NetworkMode::None) => return NetworkingRequest::None,
        Some(NetworkMode::Host) => return NetworkingRequest::Host,
        Some(NetworkMode::Join(who)) => return NetworkingRequest::Container(joined_name(project, who)),
        None => {}
    }
    let mut networks: Vec<(&NetworkKey, &ServiceNetwork)> = service.networks.iter().collect();
    networks.sort_by_key(|(key, network)| (Reverse((network.gateway_priority, network.priority)), *key));
    let mut endpoints = Vec::new();
    for (position, (key, network)) in networks.into_iter().enumerate() {
        let Some(name) = project.networks.get(key).map(|network| network.name.clone()) else {
            continue;
        };
        let address = match network.ipv4_address.as_deref().map(str::parse) {
            None => None,
            Some(Ok(address)) => Some(address),
            Some(Err(_)) => {
                let message = format!("ipv4_address of service {} is not an IPv4 address", service.name);
                diagnostics.push(Diagnostic::error("bad-value", message).at(network.span));
                None
            }
        };
        if address.is_some() && service.scale > 1 {
            let message = format!(
                "service {} has one ipv4_address for {} replicas",
                service.name, service.scale
            );
            diagnostics.push(Diagnostic::error("scaled-address", message).at(network.span));
        }
        let service_mac = service.mac_address.as_ref().filter(|_| position == 0);
        endpoints.push(EndpointRequest {
            network: name,
            names: names(relations, service, key, network),
            address,
            mac: network.mac_address.as_ref().or(service_mac).cloned(),
            interface: network.interface_name.clone(),
        });
    }
    NetworkingRequest::Bridges(endpoints)
}

/// Service, aliases, `tasks.<service>`, and the names others link it by on this network.
fn names(
    relations: &Relations<'_>,
    service: &Service,
    key: &NetworkKey,
    network: &ServiceNetwork,
) -> Vec<String> {
    let mut names = vec![service.name.to_string()];
    names.extend(network.aliases.iter().cloned());
    names.push(format!("tasks.{}", service.name));
    names.extend(relations.link_names(&service.name, key).map(str::to_owned));
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// Leaves a container found by its own name alone.
pub(super) fn forget_names(network: &mut NetworkingRequest) {
    match network {
        NetworkingRequest::Bridges(endpoints) => {
            for endpoint in endpoints {
                endpoint.names.clear();
                endpoint.address = None;
                endpoint.mac = None;
            }
        }
        NetworkingRequest::None | NetworkingRequest::Host | NetworkingRequest::Container(_) => {}
    }
}

/// Published ports; without a network of its own a service has none to publish.
pub(super) fn ports(service: &Service, diagnostics: &mut Diagnostics) -> Vec<PortRequest> {
    if let (Some(mode), Some(port)) = (&service.network_mode, service.ports.first()) {
        let why = match mode {
            NetworkMode::Host => "it is on the host's network, where its ports are open anyway",
            NetworkMode::None => "it has no network",
            NetworkMode::Join(_) => "it shares the network of another container, which has to publish them",
        };
        let message = format!(
            "published ports of service {} have no effect: {why}",
            service.name
        );
        let diagnostic = Diagnostic::warning("ports-without-network", message).at(port.span);
        diagnostics.push(diagnostic.secondary(place(service, "network_mode"), "this mode"));
        return Vec::new();
    }
    service
        .ports
        .iter()
        .map(|port| PortRequest {
            host_ip: port.host_ip,
            published: port.published,
            target: port.target,
            protocol: port.protocol.as_str().to_owned(),
        })
        .collect()
}
