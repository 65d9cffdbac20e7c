//! Links over rtnetlink: bridges, veth pairs, names, flags (rtnetlink(7), `linux/if_link.h`).
//!
//! **Invariant:** a veth is complete when it appears: named, moved, enslaved and its host end up in one message.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::attribute::{CREATE, EXCLUSIVE, Message, array, attributes, find, text};
use crate::error::NetworkError;
use crate::name::is_interface_name;
use crate::netlink::Netlink;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
/// Hairpin mode.
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;

const AF_UNSPEC: u8 = 0;
const AF_BRIDGE: u8 = 7;
const IFF_UP: u32 = 1;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in its network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its kind, such as `bridge`; empty for hardware and loopback.
    pub kind: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The index of the bridge it is a port of.
    pub master: Option<u32>,
}

/// A veth pair to make: host end here, peer in another network namespace.
#[derive(Clone, Copy, Debug)]
pub struct VethRequest<'a> {
    /// The host end's name.
    pub host_name: &'a str,
    /// The bridge that the host end becomes a port of, by index.
    pub bridge: u32,
    /// MTU of both ends in bytes.
    pub mtu: u32,
    /// The peer's name.
    pub peer_name: &'a str,
    /// The peer's hardware address.
    pub peer_mac: [u8; 6],
    /// The network namespace the peer is made in.
    pub peer_namespace: BorrowedFd<'a>,
}

/// `struct ifinfomsg`.
fn ifinfo(family: u8, index: u32, flags: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = family;
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    // `ifi_change`: only what is set here is changed.
    bytes[12..16].copy_from_slice(&flags.to_ne_bytes());
    bytes
}

fn parse(payload: &[u8]) -> Option<Link> {
    let flags = u32::from_ne_bytes(array(payload, 8)?);
    let mut link = Link {
        index: u32::from_ne_bytes(array(payload, 4)?),
        name: String::new(),
        kind: String::new(),
        up: flags & IFF_UP != 0,
        mtu: 0,
        master: None,
    };
    for (kind, value) in attributes(payload.get(16..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = array(value, 0).map_or(0, u32::from_ne_bytes),
            IFLA_MASTER => link.master = array(value, 0).map(u32::from_ne_bytes),
            IFLA_LINKINFO => link.kind = find(value, IFLA_INFO_KIND).map(text).unwrap_or_default(),
            _ => {}
        }
    }
    Some(link)
}

fn valid(name: &str) -> Result<(), NetworkError> {
    if is_interface_name(name) {
        Ok(())
    } else {
        Err(NetworkError::InterfaceName {
            name: name.to_owned(),
        })
    }
}

impl Netlink {
    /// The interface called `name`, if there is one.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, NetworkError> {
        valid(name)?;
        let message = Message::new(RTM_GETLINK, 0)
            .fixed(&ifinfo(AF_UNSPEC, 0, 0))
            .text(IFLA_IFNAME, name);
        match self.query(message, parse) {
            Ok(link) => Ok(Some(link)),
            Err(Errno::NODEV) => Ok(None),
            Err(source) => Err(NetworkError::kernel(format!("look up interface `{name}`"))(
                source,
            )),
        }
    }

    /// The index of `name`.
    ///
    /// # Errors
    /// [`NetworkError::NoInterface`] when there is none.
    pub fn link_index(&mut self, name: &str) -> Result<u32, NetworkError> {
        self.link(name)?
            .map(|link| link.index)
            .ok_or_else(|| NetworkError::NoInterface {
                name: name.to_owned(),
            })
    }

    /// All interfaces whose name begins with `prefix`.
    pub fn links(&mut self, prefix: &str) -> Result<Vec<Link>, NetworkError> {
        let mut links = Vec::new();
        self.dump(
            Message::new(RTM_GETLINK, 0).fixed(&ifinfo(AF_UNSPEC, 0, 0)),
            |payload| {
                links.extend(parse(payload).filter(|link| link.name.starts_with(prefix)));
            },
        )
        .map_err(NetworkError::kernel("list interfaces"))?;
        Ok(links)
    }

    /// Makes a bridge, down, with a fixed hardware address so that it does not change with its ports.
    ///
    /// # Errors
    /// `EEXIST` as [`NetworkError::Kernel`] when the name is taken.
    pub fn create_bridge(&mut self, name: &str, mac: [u8; 6], mtu: Option<u32>) -> Result<(), NetworkError> {
        valid(name)?;
        let mut message = Message::new(RTM_NEWLINK, CREATE | EXCLUSIVE)
            .fixed(&ifinfo(AF_UNSPEC, 0, 0))
            .text(IFLA_IFNAME, name)
            .attribute(IFLA_ADDRESS, &mac);
        if let Some(mtu) = mtu {
            message = message.u32(IFLA_MTU, mtu);
        }
        let message = message.nest(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, "bridge"));
        self.request(message).map_err(|source| match source {
            Errno::OPNOTSUPP => NetworkError::KernelLacks {
                feature: "bridges (CONFIG_BRIDGE)",
                remedy: "load the module bridge",
                source,
            },
            source => NetworkError::kernel(format!("create bridge `{name}`"))(source),
        })
    }

    /// Removes an interface; not there is as good as removed.
    pub fn delete_link(&mut self, name: &str) -> Result<(), NetworkError> {
        valid(name)?;
        let message = Message::new(RTM_DELLINK, 0)
            .fixed(&ifinfo(AF_UNSPEC, 0, 0))
            .text(IFLA_IFNAME, name);
        match self.request(message) {
            Ok(()) | Err(Errno::NODEV) => Ok(()),
            Err(source) => Err(NetworkError::kernel(format!("remove interface `{name}`"))(source)),
        }
    }

    /// Makes a veth pair: host end in this socket's namespace, a port of the bridge and up; peer named and addressed in its
    /// own, to be set up from there.
    pub fn create_veth(&mut self, veth: &VethRequest<'_>) -> Result<(), NetworkError> {
        valid(veth.host_name)?;
        valid(veth.peer_name)?;
        let namespace = veth.peer_namespace.as_raw_fd().to_ne_bytes();
        let message = Message::new(RTM_NEWLINK, CREATE | EXCLUSIVE)
            .fixed(&ifinfo(AF_UNSPEC, 0, IFF_UP))
            .text(IFLA_IFNAME, veth.host_name)
            .u32(IFLA_MTU, veth.mtu)
            .u32(IFLA_MASTER, veth.bridge)
            .nest(IFLA_LINKINFO, |info| {
                info.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
                    data.nest(VETH_INFO_PEER, |peer| {
                        // Up comes later: a peer cannot be opened before its other end exists (`veth_open`).
                        peer.fixed(&ifinfo(AF_UNSPEC, 0, 0))
                            .text(IFLA_IFNAME, veth.peer_name)
                            .attribute(IFLA_ADDRESS, &veth.peer_mac)
                            .u32(IFLA_MTU, veth.mtu)
                            .attribute(IFLA_NET_NS_FD, &namespace)
                    })
                })
            });
        self.request(message).map_err(|source| match source {
            Errno::OPNOTSUPP => NetworkError::KernelLacks {
                feature: "veth pairs (CONFIG_VETH)",
                remedy: "load the module veth",
                source,
            },
            source => NetworkError::kernel(format!(
                "create veth `{}` with peer `{}`",
                veth.host_name, veth.peer_name
            ))(source),
        })
    }

    /// Sets an interface up.
    pub fn set_link_up(&mut self, index: u32) -> Result<(), NetworkError> {
        self.request(Message::new(RTM_NEWLINK, 0).fixed(&ifinfo(AF_UNSPEC, index, IFF_UP)))
            .map_err(NetworkError::kernel(format!("set interface {index} up")))
    }

    /// Renames an interface.
    pub fn rename_link(&mut self, index: u32, name: &str) -> Result<(), NetworkError> {
        valid(name)?;
        let message = Message::new(RTM_NEWLINK, 0)
            .fixed(&ifinfo(AF_UNSPEC, index, 0))
            .text(IFLA_IFNAME, name);
        self.request(message).map_err(NetworkError::kernel(format!(
            "rename interface {index} to `{name}`"
        )))
    }

    /// Sets a bridge port: hairpin, so that a frame may leave by the port it came from; and, when `isolated`, kept from the
    /// other isolated ports, while the bridge itself stays reachable.
    pub fn set_bridge_port(&mut self, name: &str, isolated: bool) -> Result<(), NetworkError> {
        let index = self.link_index(name)?;
        let message = Message::new(RTM_SETLINK, 0)
            .fixed(&ifinfo(AF_BRIDGE, index, 0))
            .nest(IFLA_PROTINFO, |port| {
                port.attribute(IFLA_BRPORT_MODE, &[1])
                    .attribute(IFLA_BRPORT_ISOLATED, &[u8::from(isolated)])
            });
        self.request(message)
            .map_err(NetworkError::kernel(format!("set bridge port `{name}`")))
    }
}
