//! In: UDP ports whose publication changed. Out: no tracked flow to them, so that the next packet meets the new rules.
//! TCP needs none of it: a new connection is a new flow.
//!
//! **Invariant:** only UDP flows to the ports given are forgotten (`linux/netfilter/nfnetlink_conntrack.h`).

use rustix::io::Errno;

use crate::attribute::{Message, array, find};
use crate::error::NetworkError;
use crate::netlink::Netlink;

const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
const AF_INET: u8 = 2;
const IPPROTO_UDP: u8 = 17;

/// Forgets every IPv4 UDP flow to one of `ports` in the calling thread's network namespace; returns how many.
pub fn flush_udp(ports: &[u16]) -> Result<usize, NetworkError> {
    if ports.is_empty() {
        return Ok(0);
    }
    let message = |kind| Message::new(NFNL_SUBSYS_CTNETLINK << 8 | kind, 0).fixed(&[AF_INET, 0, 0, 0]);
    let mut netlink = Netlink::netfilter()?;
    let mut stale: Vec<Vec<u8>> = Vec::new();
    netlink
        .dump(message(IPCTNL_MSG_CT_GET), |payload| {
            let tuple = payload
                .get(4..)
                .and_then(|attributes| find(attributes, CTA_TUPLE_ORIG));
            stale.extend(tuple.filter(|tuple| is_udp_to(tuple, ports)).map(<[u8]>::to_vec));
        })
        .map_err(NetworkError::kernel("list tracked connections"))?;
    let mut forgotten = 0;
    for tuple in stale {
        let delete = message(IPCTNL_MSG_CT_DELETE).nest(CTA_TUPLE_ORIG, |nested| nested.fixed(&tuple));
        match netlink.request(delete) {
            Ok(()) => forgotten += 1,
            // Expired in between.
            Err(Errno::NOENT) => {}
            Err(source) => return Err(NetworkError::kernel("forget a tracked connection")(source)),
        }
    }
    Ok(forgotten)
}

fn is_udp_to(tuple: &[u8], ports: &[u16]) -> bool {
    let Some(protocol) = find(tuple, CTA_TUPLE_PROTO) else {
        return false;
    };
    let number = find(protocol, CTA_PROTO_NUM).and_then(|value| value.first());
    let port = find(protocol, CTA_PROTO_DST_PORT)
        .and_then(|value| array(value, 0))
        .map(u16::from_be_bytes);
    number == Some(&IPPROTO_UDP) && port.is_some_and(|port| ports.contains(&port))
}
