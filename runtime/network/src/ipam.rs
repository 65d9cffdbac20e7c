//! In: what a network or container asks for and what is taken. Out: a free subnet, and the order in which to try addresses.
//!
//! **Invariant:** nothing chosen here overlaps what is taken; nothing asked for is silently replaced by something else.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::net::Ipv4Addr;

use crate::error::NetworkError;
use crate::ipv4_net::Ipv4Net;
use crate::name;
use crate::spec::NetworkSpec;

/// A prefix that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The prefix.
    pub prefix: Ipv4Net,
    /// Who uses it.
    pub holder: Holder,
}

/// Who uses a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An interface of the host has an address in it.
    Interface(String),
    /// A route of the host leads there, by the named interface.
    Route(String),
    /// Another network of ours, by name.
    Network(String),
}

impl fmt::Display for Taken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.holder {
            Holder::Interface(name) => write!(formatter, "{} of the host's interface `{name}`", self.prefix),
            Holder::Route(name) => write!(formatter, "the host's route to {} by `{name}`", self.prefix),
            Holder::Network(name) => write!(formatter, "{} of network `{name}`", self.prefix),
        }
    }
}

/// Where subnets are cut from when the user names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// All of the pool.
    pub base: Ipv4Net,
    /// The prefix length of each subnet cut from it.
    pub size: u8,
}

/// The pools used unless configured: 10.89.0.0/16 first, then others far apart so that one VPN does not cover them all.
pub fn default_pools() -> Vec<Pool> {
    let bases = [
        ([10, 89, 0, 0], 16),
        ([10, 90, 0, 0], 15),
        ([172, 28, 0, 0], 14),
        ([192, 168, 192, 0], 18),
    ];
    bases
        .into_iter()
        .filter_map(|(base, prefix)| Ipv4Net::new(base.into(), prefix))
        .map(|base| Pool { base, size: 24 })
        .collect()
}

/// What the user asked of a network's addresses (`ipam.config`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubnetRequest {
    /// The subnet; chosen from the pools when absent.
    pub subnet: Option<Ipv4Net>,
    /// The part of it that containers' addresses come from.
    pub ip_range: Option<Ipv4Net>,
    /// The gateway; the subnet's first address when absent.
    pub gateway: Option<Ipv4Addr>,
}

/// A subnet as chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The subnet.
    pub subnet: Ipv4Net,
    /// The gateway, inside it.
    pub gateway: Ipv4Addr,
    /// The range, inside it.
    pub ip_range: Option<Ipv4Net>,
}

/// Chooses the subnet of `network`.
///
/// A subnet the user names may lie within a wider route of the host (as Docker allows: the connected route wins), but may
/// overlap no address of the host, no route as narrow as itself and no other network.
///
/// # Errors
/// A clash, naming both sides; a range or gateway outside; exhausted pools.
pub fn choose_subnet(
    network: &str,
    request: &SubnetRequest,
    pools: &[Pool],
    taken: &[Taken],
) -> Result<Subnet, NetworkError> {
    let subnet = match request.subnet {
        Some(subnet) => {
            if let Some(clash) = taken.iter().find(|taken| clashes(subnet, taken)) {
                return Err(NetworkError::SubnetClash {
                    network: network.to_owned(),
                    subnet,
                    clash: clash.clone(),
                });
            }
            subnet
        }
        None => pools
            .iter()
            .flat_map(|pool| subnets(*pool))
            .filter(|subnet| request.ip_range.is_none_or(|range| subnet.covers(range)))
            .filter(|subnet| request.gateway.is_none_or(|gateway| subnet.is_host(gateway)))
            .find(|subnet| !taken.iter().any(|taken| taken.prefix.overlaps(*subnet)))
            .ok_or_else(|| NetworkError::PoolsExhausted {
                network: network.to_owned(),
                pools: pools
                    .iter()
                    .map(|pool| pool.base.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            })?,
    };
    if subnet.prefix() > 30 {
        return Err(NetworkError::SubnetTooSmall {
            network: network.to_owned(),
            subnet,
        });
    }
    let outside = |what, given: String| NetworkError::OutsideSubnet {
        network: network.to_owned(),
        what,
        given,
        subnet,
    };
    if let Some(range) = request.ip_range.filter(|range| !subnet.covers(*range)) {
        return Err(outside("ip_range", range.to_string()));
    }
    let gateway = match request.gateway {
        Some(gateway) if !subnet.is_host(gateway) => return Err(outside("gateway", gateway.to_string())),
        Some(gateway) => gateway,
        None => Ipv4Addr::from_bits(subnet.network().to_bits() | 1),
    };
    Ok(Subnet {
        subnet,
        gateway,
        ip_range: request.ip_range,
    })
}

fn clashes(subnet: Ipv4Net, taken: &Taken) -> bool {
    match taken.holder {
        Holder::Interface(_) | Holder::Network(_) => taken.prefix.overlaps(subnet),
        Holder::Route(_) => subnet.covers(taken.prefix),
    }
}

fn subnets(pool: Pool) -> impl Iterator<Item = Ipv4Net> {
    let size = pool.size.clamp(pool.base.prefix(), 32);
    let step = 1_u64 << (32 - u32::from(size));
    (0..pool.base.size() / step).filter_map(move |i| Ipv4Net::new(pool.base.nth(i * step)?, size))
}

/// The address a container asked for, when it may have it.
///
/// # Errors
/// Outside the subnet, or the gateway's or a reserved one.
pub fn check_address(spec: &NetworkSpec, address: Ipv4Addr) -> Result<Ipv4Addr, NetworkError> {
    let taken = |holder: &str| NetworkError::AddressTaken {
        network: spec.name.clone(),
        address,
        holder: holder.to_owned(),
    };
    if !spec.subnet.is_host(address) {
        return Err(NetworkError::OutsideSubnet {
            network: spec.name.clone(),
            what: "ipv4_address",
            given: address.to_string(),
            subnet: spec.subnet,
        });
    }
    if address == spec.gateway {
        return Err(taken("the gateway"));
    }
    if spec.reserved.contains(&address) {
        return Err(taken("`aux_addresses`"));
    }
    Ok(address)
}

/// The addresses to try for a container, the same one first whenever it comes back: each usable address of the range
/// once, from a place its name decides.
pub fn candidates<'a>(spec: &'a NetworkSpec, container_name: &str) -> impl Iterator<Item = Ipv4Addr> + 'a {
    let range = spec.ip_range.unwrap_or(spec.subnet);
    let size = range.size();
    let start = name::hash(&[container_name.as_bytes()]) % size;
    (0..size)
        .filter_map(move |i| range.nth((start + i) % size))
        .filter(|address| check_address(spec, *address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect(text)
    }

    fn taken(prefix: &str, holder: Holder) -> Taken {
        Taken {
            prefix: net(prefix),
            holder,
        }
    }

    fn spec(subnet: &str) -> NetworkSpec {
        let subnet = net(subnet);
        NetworkSpec {
            name: "web".into(),
            bridge: "rc-web".into(),
            subnet,
            gateway: subnet.nth(1).expect("room"),
            ip_range: None,
            reserved: Vec::new(),
            internal: false,
            mtu: None,
            isolated: false,
        }
    }

    #[test]
    fn the_first_free_subnet_steps_over_hosts_routes_and_other_networks() {
        let taken = [
            taken("10.89.0.0/24", Holder::Network("db".into())),
            taken("10.89.1.128/25", Holder::Route("wg0".into())),
            taken("10.89.2.7/32", Holder::Interface("eth0".into())),
        ];
        let chosen = choose_subnet("web", &SubnetRequest::default(), &default_pools(), &taken).expect("free");
        assert_eq!(chosen.subnet, net("10.89.3.0/24"));
        assert_eq!(chosen.gateway, Ipv4Addr::new(10, 89, 3, 1));
    }

    #[test]
    fn a_vpn_over_all_of_ten_leaves_the_other_pools() {
        let taken = [taken("10.0.0.0/8", Holder::Route("tun0".into()))];
        let chosen = choose_subnet("web", &SubnetRequest::default(), &default_pools(), &taken).expect("free");
        assert_eq!(chosen.subnet, net("172.28.0.0/24"));
    }

    #[test]
    fn exhausted_pools_are_named() {
        let pools = [Pool {
            base: net("10.1.0.0/23"),
            size: 24,
        }];
        let taken = [
            taken("10.1.0.0/24", Holder::Network("a".into())),
            taken("10.1.1.0/24", Holder::Network("b".into())),
        ];
        let error = choose_subnet("web", &SubnetRequest::default(), &pools, &taken).expect_err("full");
        assert!(
            error
                .to_string()
                .starts_with("network `web`: no free subnet left in the pools 10.1.0.0/23")
        );
    }

    #[test]
    fn a_user_subnet_may_lie_in_a_wider_route_but_on_no_interface_or_network() {
        let request = SubnetRequest {
            subnet: Some(net("10.5.0.0/16")),
            ..SubnetRequest::default()
        };
        let choose = |taken: Taken| choose_subnet("web", &request, &default_pools(), &[taken]);
        assert!(choose(taken("10.0.0.0/8", Holder::Route("tun0".into()))).is_ok());
        let clash = choose(taken("10.5.7.0/24", Holder::Route("tun0".into()))).expect_err("narrower route");
        assert_eq!(
            clash.to_string(),
            "network `web`: subnet 10.5.0.0/16 overlaps the host's route to 10.5.7.0/24 by `tun0`"
        );
        assert!(choose(taken("10.0.0.0/8", Holder::Interface("eth0".into()))).is_err());
        assert!(choose(taken("10.5.7.0/24", Holder::Network("db".into()))).is_err());
    }

    #[test]
    fn gateway_and_range_must_be_inside_the_subnet() {
        let request = |gateway: &str, range: Option<&str>| SubnetRequest {
            subnet: Some(net("10.5.0.0/24")),
            ip_range: range.map(net),
            gateway: Some(gateway.parse().expect(gateway)),
        };
        let choose = |request: SubnetRequest| choose_subnet("web", &request, &[], &[]);
        assert_eq!(
            choose(request("10.5.0.254", Some("10.5.0.128/25")))
                .expect("inside")
                .gateway,
            Ipv4Addr::new(10, 5, 0, 254)
        );
        for gateway in ["10.5.1.1", "10.5.0.0", "10.5.0.255"] {
            let error = choose(request(gateway, None)).expect_err(gateway);
            assert_eq!(
                error.to_string(),
                format!("network `web`: gateway {gateway} is not in subnet 10.5.0.0/24")
            );
        }
        assert!(choose(request("10.5.0.1", Some("10.6.0.0/25"))).is_err());
        let small = SubnetRequest {
            subnet: Some(net("10.5.0.0/31")),
            ..SubnetRequest::default()
        };
        assert!(matches!(choose(small), Err(NetworkError::SubnetTooSmall { .. })));
    }

    #[test]
    fn an_address_asked_for_is_given_or_refused_by_name() {
        let mut spec = spec("10.5.0.0/24");
        spec.reserved.push(Ipv4Addr::new(10, 5, 0, 9));
        let check = |last| check_address(&spec, Ipv4Addr::new(10, 5, 0, last));
        assert!(check(7).is_ok());
        assert!(check(0).is_err() && check(255).is_err());
        assert_eq!(
            check(1).expect_err("gateway").to_string(),
            "network `web`: address 10.5.0.1 is taken by the gateway"
        );
        assert!(
            check(9)
                .expect_err("reserved")
                .to_string()
                .ends_with("taken by `aux_addresses`")
        );
    }

    proptest! {
        #[test]
        fn every_usable_address_is_tried_exactly_once_and_the_first_one_sticks(
            name in "[a-z]{1,12}", prefix in 24_u8..=30, third in any::<u8>(),
        ) {
            let spec = spec(&Ipv4Net::new(Ipv4Addr::new(10, 5, third, 0), prefix).expect("valid").to_string());
            let tried: Vec<_> = candidates(&spec, &name).collect();
            let distinct: BTreeSet<_> = tried.iter().copied().collect();
            prop_assert_eq!(tried.len(), distinct.len());
            prop_assert_eq!(u64::try_from(tried.len()).expect("small"), spec.subnet.size() - 3);
            prop_assert!(!distinct.contains(&spec.gateway));
            prop_assert_eq!(candidates(&spec, &name).next(), tried.first().copied());
        }

        #[test]
        fn a_chosen_subnet_overlaps_nothing_taken(
            taken in proptest::collection::vec((any::<u32>(), 8_u8..=32), 0..40)
        ) {
            let taken: Vec<_> = taken
                .into_iter()
                .filter_map(|(bits, prefix)| Ipv4Net::new(Ipv4Addr::from_bits(0x0a58_0000 | bits & 0x000f_ffff), prefix))
                .map(|prefix| Taken { prefix, holder: Holder::Route("x".into()) })
                .collect();
            if let Ok(chosen) = choose_subnet("web", &SubnetRequest::default(), &default_pools(), &taken) {
                prop_assert!(!taken.iter().any(|taken| taken.prefix.overlaps(chosen.subnet)));
            }
        }
    }
}
