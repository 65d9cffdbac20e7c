//! The words the engine, the shim and this crate share: a network, one container's attachment to it, a published port.
//!
//! **Invariant:** field numbers of the CBOR records are never reused nor given another meaning.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::ipv4_net::Ipv4Net;
use crate::lease::Leased;

/// A network as it must be on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "engine", derive(serde::Serialize, serde::Deserialize))]
pub struct NetworkSpec {
    /// The network's full name, such as `shop_default`.
    pub name: String,
    /// The bridge's interface name, at most 15 bytes ([`crate::name::bridge_name`] or the user's own).
    pub bridge: String,
    /// The prefix all addresses come from.
    pub subnet: Ipv4Net,
    /// The bridge's own address, and the containers' default gateway unless the network is internal.
    pub gateway: Ipv4Addr,
    /// The part of the subnet that addresses are chosen from; all of it when absent.
    #[cfg_attr(feature = "engine", serde(default))]
    pub ip_range: Option<Ipv4Net>,
    /// Addresses never given to a container (`aux_addresses`).
    #[cfg_attr(feature = "engine", serde(default))]
    pub reserved: Vec<Ipv4Addr>,
    /// No way out and none in, except from and to this host itself.
    #[cfg_attr(feature = "engine", serde(default))]
    pub internal: bool,
    /// The bridge's MTU in bytes; the kernel's default when absent.
    #[cfg_attr(feature = "engine", serde(default))]
    pub mtu: Option<u32>,
    /// Containers of this network cannot reach each other (`com.docker.network.bridge.enable_icc: "false"`).
    #[cfg_attr(feature = "engine", serde(default))]
    pub isolated: bool,
}

/// A network with everyone who holds an address in it: all that names and firewall are computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkState {
    /// The network.
    pub spec: NetworkSpec,
    /// Its leases, in any order.
    pub leases: Vec<Leased>,
}

/// One interface of one container, as its shim makes it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub struct Attachment {
    /// The network's name.
    #[n(0)]
    pub network: String,
    /// The bridge the host end is a port of.
    #[n(1)]
    pub bridge: String,
    /// The host end's name, fresh for each start ([`crate::name::veth_name`]).
    #[n(2)]
    pub host_interface: String,
    /// The name inside the container, such as `eth0`.
    #[n(3)]
    pub container_interface: String,
    /// The hardware address inside the container ([`crate::name::mac_address`] unless the user gave one).
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub mac: [u8; 6],
    /// The leased address.
    #[n(5)]
    pub address: Ipv4Addr,
    /// The subnet's prefix length.
    #[n(6)]
    pub prefix: u8,
    /// The next hop for everything else; absent on internal networks.
    #[n(7)]
    pub gateway: Option<Ipv4Addr>,
    /// Whether this attachment carries the container's default route: true for one attachment at most.
    #[n(8)]
    pub default_route: bool,
    /// MTU of both ends in bytes.
    #[n(9)]
    pub mtu: u32,
    /// The network's zone file, answered from by the container's resolver.
    #[n(10)]
    pub zone_path: String,
    /// The network is internal: names outside it are not forwarded.
    #[n(11)]
    pub internal: bool,
    /// The bridge port may talk to the bridge itself only ([`NetworkSpec::isolated`]).
    #[n(12)]
    #[cbor(default)]
    pub isolated: bool,
}

/// The transport protocol of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cfg_attr(feature = "engine", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "engine", serde(rename_all = "lowercase"))]
#[cbor(index_only)]
pub enum Protocol {
    /// TCP.
    #[n(0)]
    Tcp,
    /// UDP.
    #[n(1)]
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`, as compose files and nft spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A port of the host that leads to a port of a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cfg_attr(feature = "engine", derive(serde::Serialize, serde::Deserialize))]
#[cbor(map)]
pub struct PublishedPort {
    /// The host's address it is published on; all of them when absent or unspecified. IPv6 addresses are reserved but
    /// not forwarded: networks are IPv4 only.
    #[n(0)]
    pub host_ip: Option<IpAddr>,
    /// The port on the host.
    #[n(1)]
    pub host_port: u16,
    /// The port in the container.
    #[n(2)]
    pub container_port: u16,
    /// The transport protocol of both.
    #[n(3)]
    pub protocol: Protocol,
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V6(address)) => write!(formatter, "[{address}]:")?,
            Some(IpAddr::V4(address)) => write!(formatter, "{address}:")?,
            None => {}
        }
        write!(
            formatter,
            "{}:{}/{}",
            self.host_port, self.container_port, self.protocol
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment() -> Attachment {
        Attachment {
            network: "n".into(),
            bridge: "rc-n".into(),
            host_interface: "rv0".into(),
            container_interface: "eth0".into(),
            mac: [2, 0, 10, 89, 0, 2],
            address: Ipv4Addr::new(10, 89, 0, 2),
            prefix: 24,
            gateway: Some(Ipv4Addr::new(10, 89, 0, 1)),
            default_route: true,
            mtu: 1500,
            zone_path: "/z".into(),
            internal: false,
            isolated: false,
        }
    }

    #[test]
    fn an_attachment_keeps_its_bytes_and_the_first_version_of_it_is_still_read() {
        // The record as its first version wrote it: twelve fields, no `isolated`.
        let first_version: &[u8] = b"\xac\x00\x61n\x01\x64rc-n\x02\x63rv0\x03\x64eth0\
            \x04\x46\x02\x00\x0a\x59\x00\x02\x05\x44\x0a\x59\x00\x02\x06\x18\x18\
            \x07\x44\x0a\x59\x00\x01\x08\xf5\x09\x19\x05\xdc\x0a\x62/z\x0b\xf4";
        assert_eq!(
            minicbor::decode::<Attachment>(first_version).expect("decodes"),
            attachment()
        );

        let mut current = first_version.to_vec();
        current[0] = 0xad;
        current.extend_from_slice(b"\x0c\xf4");
        assert_eq!(minicbor::to_vec(attachment()).expect("encodes"), current);
    }

    #[test]
    fn a_published_port_reads_as_in_a_compose_file() {
        let port = PublishedPort {
            host_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host_port: 8080,
            container_port: 80,
            protocol: Protocol::Tcp,
        };
        assert_eq!(port.to_string(), "127.0.0.1:8080:80/tcp");
        assert_eq!(
            PublishedPort {
                host_ip: None,
                ..port
            }
            .to_string(),
            "8080:80/tcp"
        );
    }
}
