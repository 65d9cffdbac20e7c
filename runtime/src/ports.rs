//! In: ports to publish, ports that containers publish already. Out: the host port of each, free or shared with a replica.
//! **Invariant:** called under the firewall's lock: between choice and lease nobody else chooses.

use std::net::{IpAddr, Ipv4Addr};

use rcompose_network::published::{PortReservation, overlap};
use rcompose_network::{Lease, NetworkError, NetworkState, Protocol, PublishedPort};

use crate::network::network_error;
use crate::request::{ContainerRequest, PortRequest};
use crate::runtime::RuntimeError;

/// Chooses the host ports of a container beside those in `networks`.
pub(crate) fn choose(
    request: &ContainerRequest,
    id: &str,
    networks: &[NetworkState],
) -> Result<Vec<PublishedPort>, RuntimeError> {
    let mut chosen: Vec<PublishedPort> = Vec::new();
    for port in &request.ports {
        let taken = |candidate: &PublishedPort| {
            let other = networks
                .iter()
                .flat_map(|network| &network.leases)
                .filter(|leased| leased.lease.container_id != id)
                .find(|leased| leased.lease.ports.iter().any(|other| overlap(candidate, other)));
            other.map(|leased| &leased.lease)
        };
        let own = |candidate: &PublishedPort| chosen.iter().any(|earlier| overlap(candidate, earlier));
        chosen.push(choose_one(request, port, &taken, &own)?);
    }
    Ok(chosen)
}

fn choose_one<'leases>(
    request: &ContainerRequest,
    port: &PortRequest,
    taken: &dyn Fn(&PublishedPort) -> Option<&'leases Lease>,
    own: &dyn Fn(&PublishedPort) -> bool,
) -> Result<PublishedPort, RuntimeError> {
    let protocol = match port.protocol.as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        other => {
            return Err(RuntimeError::Invalid(format!(
                "container {}: ports of protocol {other:?} cannot be published",
                request.name
            )));
        }
    };
    let host_ip = port.host_ip.filter(|ip| !ip.is_unspecified());
    let published = |host_port| PublishedPort {
        host_ip,
        host_port,
        container_port: port.target,
        protocol,
    };
    let Some((first, last)) = port.published else {
        loop {
            let reserved = PortReservation::bind(host_ip, 0, protocol).map_err(network_error)?;
            let candidate = published(reserved.port());
            // What another container publishes is bound by its shim, unless that was killed.
            if taken(&candidate).is_none() && !own(&candidate) {
                return Ok(candidate);
            }
        }
    };
    let mut refused = None;
    for host_port in first..=last {
        let candidate = published(host_port);
        if own(&candidate) {
            continue;
        }
        if let Some(lease) = taken(&candidate) {
            if first == last && is_replica(request, lease, &candidate) {
                return Ok(candidate);
            }
            refused.get_or_insert_with(|| {
                port_taken(&candidate, &format!("container {}", lease.container_name))
            });
            continue;
        }
        match PortReservation::bind(host_ip, host_port, protocol) {
            Ok(_free) => {
                return Ok(candidate);
            }
            Err(error @ NetworkError::PortInUse { .. }) => {
                refused.get_or_insert_with(|| network_error(error));
            }
            Err(error) => return Err(network_error(error)),
        }
    }
    Err(refused.unwrap_or_else(|| port_taken(&published(first), "the same container")))
}

/// Whether a lease is that of another replica with the very same publication: their connections are spread.
fn is_replica(request: &ContainerRequest, lease: &Lease, candidate: &PublishedPort) -> bool {
    lease.project.as_deref() == Some(&request.project)
        && lease.service.as_deref() == Some(&request.service)
        && !request.one_off
        && lease.ports.contains(candidate)
}

fn port_taken(port: &PublishedPort, owner: &str) -> RuntimeError {
    let host_ip = port.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    RuntimeError::PortTaken {
        port: format!("{host_ip}:{}/{}", port.host_port, port.protocol),
        owner: Some(owner.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rcompose_network::{Leased, NetworkSpec};

    use super::*;

    fn request(service: &str, range: Option<(u16, u16)>) -> ContainerRequest {
        ContainerRequest {
            service: service.to_owned(),
            ports: vec![PortRequest {
                host_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                published: range,
                target: 80,
                protocol: "tcp".to_owned(),
            }],
            ..ContainerRequest::minimal("p", "img")
        }
    }

    fn held(service: &str, port: u16) -> NetworkState {
        let subnet = "10.1.2.0/24".parse().unwrap();
        let spec = NetworkSpec {
            name: "n".into(),
            bridge: "b".into(),
            subnet,
            gateway: Ipv4Addr::new(10, 1, 2, 1),
            ip_range: None,
            reserved: vec![],
            internal: false,
            mtu: None,
            isolated: false,
        };
        let lease = Lease {
            container_id: "other".into(),
            container_name: format!("p-{service}-1"),
            project: Some("p".into()),
            service: Some(service.to_owned()),
            names: vec![],
            ports: vec![PublishedPort {
                host_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                host_port: port,
                container_port: 80,
                protocol: Protocol::Tcp,
            }],
        };
        NetworkState {
            spec,
            leases: vec![Leased {
                address: Ipv4Addr::new(10, 1, 2, 3),
                lease,
            }],
        }
    }

    #[test]
    fn a_taken_port_names_its_owner_and_a_range_steps_over_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let busy = listener.local_addr().unwrap().port();
        let error = choose(&request("web", Some((busy, busy))), "me", &[]).unwrap_err();
        assert!(
            matches!(&error, RuntimeError::PortTaken { port, owner: Some(_) } if *port == format!("127.0.0.1:{busy}/tcp")),
            "{error:?}"
        );
        if busy < u16::MAX {
            let chosen = choose(&request("web", Some((busy, u16::MAX))), "me", &[]).unwrap();
            assert!(chosen[0].host_port > busy);
        }
    }

    #[test]
    fn replicas_share_a_port_and_others_do_not() {
        let networks = [held("web", 40123)];
        let shared = choose(&request("web", Some((40123, 40123))), "me", &networks).unwrap();
        assert_eq!(shared[0], networks[0].leases[0].lease.ports[0]);
        let error = choose(&request("api", Some((40123, 40123))), "me", &networks).unwrap_err();
        assert!(
            matches!(&error, RuntimeError::PortTaken { owner: Some(owner), .. } if owner == "container p-web-1"),
            "{error:?}"
        );
        let again = choose(&request("api", Some((40123, 40123))), "other", &networks).unwrap();
        assert_eq!(again[0].host_port, 40123, "its own lease is not in its way");
    }

    #[test]
    fn a_port_left_to_the_host_is_free() {
        let chosen = choose(&request("web", None), "me", &[]).unwrap();
        assert!(TcpListener::bind(("127.0.0.1", chosen[0].host_port)).is_ok());
    }
}
