//! In: every network with its leases. Out: the definition of the one nftables table that makes them so, as text.
//!
//! **Invariant:** the number of rules does not grow with containers or ports: they are elements of sets and maps. Only a
//! port with several replicas behind it has a rule of its own.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use crate::lease::Leased;
use crate::spec::{NetworkState, Protocol};

/// Where on the host a port is published: at one address, or at all of them.
type Published = (Option<Ipv4Addr>, Protocol, u16);

/// The definition of table `inet <table>` for `networks`; nothing when there are none.
pub(crate) fn table_definition(table: &str, networks: &[NetworkState]) -> String {
    if networks.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    let ports = published(networks);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "table inet {table} {{");
    sets(&mut text, networks);
    maps(&mut text, &ports);
    text.push_str(CHAINS);
    text.push_str("}\n");
    text
}

/// What does not depend on the networks. `inbound` is reached by packets that leave by one of our bridges.
const CHAINS: &str = r#"
	chain raw_prerouting {
		type filter hook prerouting priority raw; policy accept;
		iifname != "lo" ip daddr 127.0.0.0/8 drop comment "loopback addresses come from loopback only"
		iifname != "lo" ip daddr @subnets iifname . ip daddr != @own_subnet drop comment "no way to a container past its bridge"
	}
	chain nat_prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local jump publish
	}
	chain nat_output {
		type nat hook output priority -100; policy accept;
		fib daddr type local jump publish
	}
	chain publish {
		meta l4proto != { tcp, udp } return
		meta nfproto != ipv4 return
		ip daddr . meta l4proto . th dport vmap @balanced_at
		dnat ip to ip daddr . meta l4proto . th dport map @published_at
		meta l4proto . th dport vmap @balanced
		dnat ip to meta l4proto . th dport map @published
	}
	chain nat_postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		iifname @outgoing oifname != @bridges masquerade comment "containers to the world"
		ip saddr @subnets oifname @bridges ct status dnat masquerade comment "containers to published ports"
		oifname @bridges ct status dnat fib saddr type local masquerade comment "this host to published ports"
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname . oifname @within accept
		iifname @internal counter drop comment "internal networks: no way out"
		oifname @internal counter drop comment "internal networks: no way in"
		oifname @bridges jump inbound
	}
	chain inbound {
		ct state established,related accept
		ct status dnat accept comment "published ports"
		counter drop comment "networks are apart"
	}
"#;

fn sets(text: &mut String, networks: &[NetworkState]) {
    let bridge = |network: &NetworkState| format!("\"{}\"", network.spec.bridge);
    let of = |chosen: &dyn Fn(&NetworkState) -> bool, element: &dyn Fn(&NetworkState) -> String| {
        networks
            .iter()
            .filter(|network| chosen(network))
            .map(element)
            .collect::<BTreeSet<_>>()
    };
    let subnet = |network: &NetworkState| network.spec.subnet.to_string();
    let pair = |network: &NetworkState| format!("{0} . {0}", bridge(network));
    let owned = |network: &NetworkState| format!("{} . {}", bridge(network), subnet(network));
    let all = |_: &NetworkState| true;
    let internal = |network: &NetworkState| network.spec.internal;
    let outgoing = |network: &NetworkState| !network.spec.internal;
    let open = |network: &NetworkState| !network.spec.isolated;
    define(text, "set bridges", "ifname", of(&all, &bridge));
    define(text, "set outgoing", "ifname", of(&outgoing, &bridge));
    define(text, "set internal", "ifname", of(&internal, &bridge));
    define(text, "set within", "ifname . ifname", of(&open, &pair));
    define(
        text,
        "set subnets",
        "ipv4_addr; flags interval",
        of(&all, &subnet),
    );
    define(
        text,
        "set own_subnet",
        "ifname . ipv4_addr; flags interval",
        of(&all, &owned),
    );
}

fn define(text: &mut String, what: &str, kind: &str, elements: impl IntoIterator<Item = String>) {
    let elements: Vec<_> = elements.into_iter().collect();
    let _ = write!(text, "\t{what} {{ type {kind};");
    if !elements.is_empty() {
        let _ = write!(text, " elements = {{ {} }}", elements.join(", "));
    }
    text.push_str(" }\n");
}

/// The backends of each published port, in order. Containers of internal networks are not published; where two services
/// claim one port, the first by network and address has it.
fn published(networks: &[NetworkState]) -> BTreeMap<Published, Vec<SocketAddrV4>> {
    let mut leases: Vec<(&str, &Leased)> = networks
        .iter()
        .filter(|network| !network.spec.internal)
        .flat_map(|network| {
            network
                .leases
                .iter()
                .map(|leased| (network.spec.name.as_str(), leased))
        })
        .collect();
    leases.sort_by_key(|(network, leased)| (*network, leased.address));

    let mut owners: BTreeMap<Published, (Option<&str>, &str)> = BTreeMap::new();
    let mut ports: BTreeMap<Published, Vec<SocketAddrV4>> = BTreeMap::new();
    for (_, leased) in leases {
        let lease = &leased.lease;
        // Containers outside any service share a port with nobody.
        let owner = (
            lease.project.as_deref(),
            lease.service.as_deref().unwrap_or(&lease.container_id),
        );
        for port in &lease.ports {
            let at = match port.host_ip {
                Some(IpAddr::V6(_)) => continue,
                Some(IpAddr::V4(address)) if !address.is_unspecified() => Some(address),
                Some(IpAddr::V4(_)) | None => None,
            };
            let key = (at, port.protocol, port.host_port);
            if *owners.entry(key).or_insert(owner) != owner {
                continue;
            }
            let backends = ports.entry(key).or_default();
            let backend = SocketAddrV4::new(leased.address, port.container_port);
            if !backends.contains(&backend) {
                backends.push(backend);
            }
        }
    }
    ports
}

fn maps(text: &mut String, ports: &BTreeMap<Published, Vec<SocketAddrV4>>) {
    let at = |(address, protocol, port): &Published| match address {
        Some(address) => format!("{address} . {protocol} . {port}"),
        None => format!("{protocol} . {port}"),
    };
    let backend = |backend: &SocketAddrV4| format!("{} . {}", backend.ip(), backend.port());
    let chain = |(address, protocol, port): &Published| match address {
        Some(address) => {
            format!(
                "balance_{}_{protocol}_{port}",
                address.to_string().replace('.', "_")
            )
        }
        None => format!("balance_{protocol}_{port}"),
    };
    let select = |bound: bool, balanced: bool| {
        ports.iter().filter(move |((address, _, _), backends)| {
            address.is_some() == bound && (backends.len() > 1) == balanced
        })
    };
    let single = |bound| {
        select(bound, false).map(|(key, backends)| format!("{} : {}", at(key), backend(&backends[0])))
    };
    let balanced = |bound| select(bound, true).map(|(key, _)| format!("{} : jump {}", at(key), chain(key)));

    for (key, backends) in ports.iter().filter(|(_, backends)| backends.len() > 1) {
        let elements: Vec<_> = backends
            .iter()
            .enumerate()
            .map(|(i, to)| format!("{i} : {}", backend(to)))
            .collect();
        let _ = writeln!(
            text,
            "\tchain {} {{\n\t\tmeta l4proto {} dnat ip to numgen inc mod {} map {{ {} }}\n\t}}",
            chain(key),
            key.1,
            backends.len(),
            elements.join(", ")
        );
    }
    let to = "ipv4_addr . inet_service";
    define(
        text,
        "map published",
        &format!("inet_proto . inet_service : {to}"),
        single(false),
    );
    define(
        text,
        "map published_at",
        &format!("ipv4_addr . inet_proto . inet_service : {to}"),
        single(true),
    );
    define(
        text,
        "map balanced",
        "inet_proto . inet_service : verdict",
        balanced(false),
    );
    define(
        text,
        "map balanced_at",
        "ipv4_addr . inet_proto . inet_service : verdict",
        balanced(true),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Lease;
    use crate::spec::{NetworkSpec, PublishedPort};

    fn network(name: &str, subnet: &str, internal: bool, leases: Vec<Leased>) -> NetworkState {
        let subnet: crate::Ipv4Net = subnet.parse().expect(subnet);
        NetworkState {
            spec: NetworkSpec {
                name: name.into(),
                bridge: format!("rc-{name}"),
                subnet,
                gateway: subnet.nth(1).expect("room"),
                ip_range: None,
                reserved: Vec::new(),
                internal,
                mtu: None,
                isolated: false,
            },
            leases,
        }
    }

    fn leased(address: &str, service: &str, ports: &[(Option<&str>, u16, u16, Protocol)]) -> Leased {
        Leased {
            address: address.parse().expect(address),
            lease: Lease {
                container_id: address.into(),
                container_name: address.into(),
                project: Some("shop".into()),
                service: Some(service.into()),
                names: Vec::new(),
                ports: ports
                    .iter()
                    .map(|(host_ip, host_port, container_port, protocol)| PublishedPort {
                        host_ip: host_ip.map(|ip| ip.parse().expect("an address")),
                        host_port: *host_port,
                        container_port: *container_port,
                        protocol: *protocol,
                    })
                    .collect(),
            },
        }
    }

    #[test]
    fn the_ruleset_is_reviewed_as_a_whole() {
        use Protocol::{Tcp, Udp};
        let web = [
            (None, 8080, 80, Tcp),
            (Some("127.0.0.1"), 9000, 90, Tcp),
            (Some("0.0.0.0"), 53, 53, Udp),
        ];
        let networks = [
            network(
                "web",
                "10.89.0.0/24",
                false,
                vec![
                    leased("10.89.0.3", "web", &[(None, 8080, 80, Tcp)]),
                    leased("10.89.0.2", "web", &web),
                    leased(
                        "10.89.0.4",
                        "thief",
                        &[(None, 8080, 1, Tcp), (Some("::1"), 7, 7, Tcp)],
                    ),
                ],
            ),
            network(
                "db",
                "10.89.1.0/24",
                true,
                vec![leased("10.89.1.2", "db", &[(None, 3306, 3306, Tcp)])],
            ),
        ];
        assert_eq!(
            table_definition("rcompose", &networks),
            include_str!("ruleset/reviewed.nft")
        );
    }

    #[test]
    fn rules_do_not_grow_with_containers() {
        let rules = |count: u8| {
            let leases = (2..2 + count)
                .map(|last| {
                    let port = 8000 + u16::from(last);
                    leased(
                        &format!("10.89.0.{last}"),
                        &format!("s{last}"),
                        &[(None, port, 80, Protocol::Tcp)],
                    )
                })
                .collect();
            table_definition("rcompose", &[network("web", "10.89.0.0/24", false, leases)])
                .lines()
                .count()
        };
        assert_eq!(rules(1), rules(200));
    }
}
