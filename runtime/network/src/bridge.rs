//! In: a network. Out: its bridge on this host with address and settings, whatever of it was there already.
//!
//! **Invariant:** an interface of that name that is no bridge is never touched.

use rustix::io::Errno;

use crate::error::NetworkError;
use crate::link::Link;
use crate::name;
use crate::netlink::Netlink;
use crate::spec::NetworkSpec;
use crate::sysctl;

/// Makes the network's bridge or completes it, and lets the host forward. Returns the bridge's index. The calling thread
/// and `netlink` are in the host's network namespace.
pub fn ensure_bridge(netlink: &mut Netlink, spec: &NetworkSpec) -> Result<u32, NetworkError> {
    let link = match existing(netlink, &spec.bridge)? {
        Some(link) => link,
        None => create(netlink, spec)?,
    };
    settings(&spec.bridge)?;
    netlink.add_address(link.index, spec.gateway, spec.subnet.prefix())?;
    if !link.up {
        netlink.set_link_up(link.index)?;
    }
    Ok(link.index)
}

fn create(netlink: &mut Netlink, spec: &NetworkSpec) -> Result<Link, NetworkError> {
    match netlink.create_bridge(&spec.bridge, name::mac_address(spec.gateway), spec.mtu) {
        // Another process was first.
        Ok(())
        | Err(NetworkError::Kernel {
            source: Errno::EXIST, ..
        }) => {}
        Err(error) => return Err(error),
    }
    existing(netlink, &spec.bridge)?.ok_or_else(|| NetworkError::NoInterface {
        name: spec.bridge.clone(),
    })
}

/// Removes the network's bridge, if it is there.
pub fn remove_bridge(netlink: &mut Netlink, spec: &NetworkSpec) -> Result<(), NetworkError> {
    match existing(netlink, &spec.bridge)? {
        Some(_) => netlink.delete_link(&spec.bridge),
        None => Ok(()),
    }
}

fn existing(netlink: &mut Netlink, bridge: &str) -> Result<Option<Link>, NetworkError> {
    match netlink.link(bridge)? {
        Some(link) if link.kind != "bridge" => Err(NetworkError::NotABridge {
            name: bridge.to_owned(),
            kind: if link.kind.is_empty() {
                "hardware interface".to_owned()
            } else {
                link.kind
            },
        }),
        link => Ok(link),
    }
}

fn settings(bridge: &str) -> Result<(), NetworkError> {
    sysctl::set("net/ipv4/ip_forward", "1")?;
    // Lets packets from 127.0.0.1 to a published port leave by the bridge; the ruleset guards the other direction.
    sysctl::set(&format!("net/ipv4/conf/{bridge}/route_localnet"), "1")?;
    // Loose: a container in several networks may answer by another one.
    sysctl::set(&format!("net/ipv4/conf/{bridge}/rp_filter"), "2")?;
    // Written while the bridge is down: no link-local address, no duplicate detection, no router listened to.
    sysctl::set_if_present(&format!("net/ipv6/conf/{bridge}/disable_ipv6"), "1")
}
