//! In: the host's interfaces and routes. Out: the prefixes a new network must keep clear of, each with its owner.
//!
//! **Invariant:** default routes, whole or split in halves by a VPN, claim nothing.

use std::collections::BTreeMap;

use crate::error::NetworkError;
use crate::ipam::{Holder, Taken};
use crate::ipv4_net::Ipv4Net;
use crate::netlink::Netlink;

/// A route shorter than this is a default route in disguise (`0.0.0.0/1` and `128.0.0.0/1`).
const SHORTEST_CLAIM: u8 = 4;

/// What the host's addresses and routes claim, leaving out the interfaces in `own_bridges`.
pub fn host_prefixes(netlink: &mut Netlink, own_bridges: &[&str]) -> Result<Vec<Taken>, NetworkError> {
    let names: BTreeMap<u32, String> = netlink
        .links("")?
        .into_iter()
        .map(|link| (link.index, link.name))
        .collect();
    let foreign = |index: &u32| {
        names
            .get(index)
            .filter(|name| !own_bridges.contains(&name.as_str()))
            .cloned()
    };

    let mut taken = Vec::new();
    for (index, address, prefix) in netlink.addresses()? {
        if let (Some(interface), Some(prefix)) = (foreign(&index), Ipv4Net::new(address, prefix)) {
            taken.push(Taken {
                prefix,
                holder: Holder::Interface(interface),
            });
        }
    }
    for route in netlink.routes()? {
        let interface = match route.interface {
            Some(index) => match foreign(&index) {
                Some(name) => name,
                None => continue,
            },
            None => "several interfaces".to_owned(),
        };
        if route.destination.prefix() >= SHORTEST_CLAIM {
            taken.push(Taken {
                prefix: route.destination,
                holder: Holder::Route(interface),
            });
        }
    }
    Ok(taken)
}
