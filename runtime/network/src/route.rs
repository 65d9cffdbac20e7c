//! IPv4 routes over rtnetlink (rtnetlink(7), `linux/rtnetlink.h`).
//!
//! **Invariant:** only routes of type unicast outside the local table are reported: those a new subnet could shadow.

use std::net::Ipv4Addr;

use crate::attribute::{CREATE, Message, REPLACE, array, attributes};
use crate::error::NetworkError;
use crate::ipv4_net::Ipv4Net;
use crate::netlink::Netlink;

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const AF_INET: u8 = 2;
const RT_TABLE_MAIN: u8 = 254;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RTN_UNICAST: u8 = 1;

/// A route: where to, and through which interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The destination.
    pub(crate) destination: Ipv4Net,
    /// The index of the interface it leaves by, when it leaves by one.
    pub(crate) interface: Option<u32>,
}

/// `struct rtmsg`.
fn rtmsg(prefix: u8, table: u8, protocol: u8, kind: u8) -> [u8; 12] {
    [
        AF_INET,
        prefix,
        0,
        0,
        table,
        protocol,
        RT_SCOPE_UNIVERSE,
        kind,
        0,
        0,
        0,
        0,
    ]
}

fn parse(payload: &[u8]) -> Option<Route> {
    let [family, prefix, _, _, table, _, _, kind] = array(payload, 0)?;
    if family != AF_INET || table == RT_TABLE_LOCAL || kind != RTN_UNICAST {
        return None;
    }
    let mut destination = Ipv4Addr::UNSPECIFIED;
    let mut interface = None;
    for (attribute, value) in attributes(payload.get(12..)?) {
        match attribute {
            RTA_DST => destination = Ipv4Addr::from(array::<4>(value, 0)?),
            RTA_OIF => interface = Some(u32::from_ne_bytes(array(value, 0)?)),
            _ => {}
        }
    }
    Some(Route {
        destination: Ipv4Net::new(destination, prefix)?,
        interface,
    })
}

impl Netlink {
    /// Adds or replaces a route to `destination` by `gateway` on interface `index`.
    pub fn add_route(
        &mut self,
        destination: Ipv4Net,
        gateway: Ipv4Addr,
        index: u32,
    ) -> Result<(), NetworkError> {
        let mut message = Message::new(RTM_NEWROUTE, CREATE | REPLACE).fixed(&rtmsg(
            destination.prefix(),
            RT_TABLE_MAIN,
            RTPROT_BOOT,
            RTN_UNICAST,
        ));
        if destination.prefix() > 0 {
            message = message.attribute(RTA_DST, &destination.network().octets());
        }
        let message = message
            .attribute(RTA_GATEWAY, &gateway.octets())
            .u32(RTA_OIF, index);
        self.request(message).map_err(NetworkError::kernel(format!(
            "add a route to {destination} by {gateway}"
        )))
    }

    /// The unicast routes of all tables but the local one, default routes included.
    pub(crate) fn routes(&mut self) -> Result<Vec<Route>, NetworkError> {
        let mut routes = Vec::new();
        self.dump(
            Message::new(RTM_GETROUTE, 0).fixed(&rtmsg(0, 0, 0, 0)),
            |payload| {
                routes.extend(parse(payload));
            },
        )
        .map_err(NetworkError::kernel("list routes"))?;
        Ok(routes)
    }

    /// The MTU in bytes of the interface the default route leaves by, if there is such a route.
    pub fn default_route_mtu(&mut self) -> Result<Option<u32>, NetworkError> {
        let interface = self
            .routes()?
            .into_iter()
            .find(|route| route.destination.prefix() == 0)
            .and_then(|route| route.interface);
        let links = self.links("")?;
        Ok(links
            .into_iter()
            .find(|link| Some(link.index) == interface)
            .map(|link| link.mtu))
    }
}
