//! IPv4 addresses of interfaces over rtnetlink (rtnetlink(7), `linux/if_addr.h`).
//!
//! **Invariant:** setting an address that is set already changes nothing and is no error.

use std::net::Ipv4Addr;

use crate::attribute::{CREATE, Message, REPLACE, array, attributes};
use crate::error::NetworkError;
use crate::ipv4_net::Ipv4Net;
use crate::netlink::Netlink;

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const AF_INET: u8 = 2;

/// `struct ifaddrmsg`.
fn ifaddr(prefix: u8, index: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[0] = AF_INET;
    bytes[1] = prefix;
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes
}

impl Netlink {
    /// Gives interface `index` the address; the kernel adds the connected route when the interface is up.
    pub fn add_address(&mut self, index: u32, address: Ipv4Addr, prefix: u8) -> Result<(), NetworkError> {
        let mut message = Message::new(RTM_NEWADDR, CREATE | REPLACE)
            .fixed(&ifaddr(prefix, index))
            .attribute(IFA_LOCAL, &address.octets())
            .attribute(IFA_ADDRESS, &address.octets());
        if let Some(net) = Ipv4Net::new(address, prefix).filter(|net| net.prefix() < 31) {
            message = message.attribute(IFA_BROADCAST, &net.broadcast().octets());
        }
        self.request(message).map_err(NetworkError::kernel(format!(
            "add address {address}/{prefix} to interface {index}"
        )))
    }

    /// Every IPv4 address as (interface index, address, prefix length).
    pub fn addresses(&mut self) -> Result<Vec<(u32, Ipv4Addr, u8)>, NetworkError> {
        let mut found = Vec::new();
        self.dump(Message::new(RTM_GETADDR, 0).fixed(&ifaddr(0, 0)), |payload| {
            found.extend(parse(payload));
        })
        .map_err(NetworkError::kernel("list addresses"))?;
        Ok(found)
    }
}

fn parse(payload: &[u8]) -> Option<(u32, Ipv4Addr, u8)> {
    let [family, prefix] = array(payload, 0)?;
    if family != AF_INET {
        return None;
    }
    let index = u32::from_ne_bytes(array(payload, 4)?);
    let address = attributes(payload.get(8..)?)
        .filter(|(kind, _)| *kind == IFA_LOCAL || *kind == IFA_ADDRESS)
        // On point-to-point links IFA_ADDRESS is the other side; IFA_LOCAL is always ours.
        .max_by_key(|(kind, _)| *kind)
        .and_then(|(_, value)| array::<4>(value, 0))?;
    Some((index, Ipv4Addr::from(address), prefix))
}
