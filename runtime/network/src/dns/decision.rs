//! In: the bytes of a query and the zones of the networks its sender is attached to. Out: the reply, or what else to do.
//!
//! **Invariant:** a query from networks that are all internal is never forwarded (CVE-2024-29018).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::Ipv4Addr;

use crate::dns::message::{
    CLASS_ANY, CLASS_IN, Query, QueryError, Record, ResponseCode, TYPE_A, TYPE_ANY, TYPE_PTR, parse, refusal,
};
use crate::dns::zone::Zone;

/// How the query came, which limits the reply's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// In a stream, after its length.
    Tcp,
}

/// What to do with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Send this back.
    Reply(Vec<u8>),
    /// Ask an upstream server of the host.
    Forward,
    /// Nothing: it is no query.
    Drop,
}

/// Decides on `query`. `counter` grows with each query, so that several addresses of a name take turns. `zones` are in
/// the order of the container's attachments: the first that knows a name answers for it.
pub fn answer(query: &[u8], zones: &[&Zone], counter: u32, transport: Transport) -> Answer {
    let parsed = match parse(query) {
        Ok(parsed) => parsed,
        Err(QueryError::NotAQuery) => return Answer::Drop,
        Err(QueryError::Answer(code)) => return refusal(query, code).map_or(Answer::Drop, Answer::Reply),
    };
    let limit = match transport {
        Transport::Udp => parsed.udp_limit(),
        Transport::Tcp => usize::from(u16::MAX),
    };
    match known(&parsed, zones, counter) {
        Some((code, records)) => Answer::Reply(parsed.respond(code, &records, limit)),
        None if !zones.is_empty() && zones.iter().all(|zone| zone.internal) => {
            Answer::Reply(parsed.respond(ResponseCode::NoSuchName, &[], limit))
        }
        None => Answer::Forward,
    }
}

fn known(query: &Query<'_>, zones: &[&Zone], counter: u32) -> Option<(ResponseCode, Vec<Record>)> {
    if query.class != CLASS_IN && query.class != CLASS_ANY {
        return None;
    }
    if let Some(address) = reverse_address(&query.name) {
        return known_address(query, zones, address);
    }
    let addresses = zones.iter().find_map(|zone| zone.lookup(&query.name, counter))?;
    // The name is ours, so AAAA and all else are empty here, never asked upstream.
    let wanted = query.kind == TYPE_A || query.kind == TYPE_ANY;
    let records = if wanted {
        addresses.into_iter().map(Record::Address).collect()
    } else {
        Vec::new()
    };
    Some((ResponseCode::NoError, records))
}

fn known_address(
    query: &Query<'_>,
    zones: &[&Zone],
    address: Ipv4Addr,
) -> Option<(ResponseCode, Vec<Record>)> {
    let name = zones.iter().find_map(|zone| zone.reverse(address));
    let ours = zones
        .iter()
        .any(|zone| zone.subnet.is_some_and(|subnet| subnet.contains(address)));
    match name {
        Some(name) if query.kind == TYPE_PTR || query.kind == TYPE_ANY => {
            Some((ResponseCode::NoError, vec![Record::Pointer(name)]))
        }
        Some(_) => Some((ResponseCode::NoError, Vec::new())),
        None if ours => Some((ResponseCode::NoSuchName, Vec::new())),
        None => None,
    }
}

/// The address in `d.c.b.a.in-addr.arpa` (RFC 1035 §3.5).
fn reverse_address(name: &str) -> Option<Ipv4Addr> {
    let reversed: Ipv4Addr = name.strip_suffix(".in-addr.arpa")?.parse().ok()?;
    let [d, c, b, a] = reversed.octets();
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::message::wire_name;

    const AAAA: u16 = 28;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
        bytes.extend_from_slice(&wire_name(name).expect(name));
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
        bytes
    }

    fn zone(text: &str) -> Zone {
        text.parse().expect(text)
    }

    /// Response code and the last four bytes of each answer record.
    fn reply(answer: Answer) -> (u8, Vec<[u8; 4]>) {
        let Answer::Reply(bytes) = answer else {
            panic!("a reply, not {answer:?}")
        };
        let count = usize::from(bytes[7]);
        let records = bytes.len() - 16 * count;
        let data = bytes[records..]
            .chunks(16)
            .map(|record| record[12..].try_into().expect("four"))
            .collect();
        (bytes[3] & 15, data)
    }

    #[test]
    fn a_name_is_answered_by_the_first_zone_that_knows_it_and_takes_turns() {
        let front = zone("@network front\nweb 10.1.0.2 10.1.0.3\n");
        let back = zone("@network back\nweb 10.2.0.2\ndb 10.2.0.9\n");
        let ask = |name: &str, counter| {
            reply(answer(
                &query(name, TYPE_A),
                &[&front, &back],
                counter,
                Transport::Udp,
            ))
        };
        assert_eq!(ask("web", 0), (0, vec![[10, 1, 0, 2], [10, 1, 0, 3]]));
        assert_eq!(ask("web", 1), (0, vec![[10, 1, 0, 3], [10, 1, 0, 2]]));
        assert_eq!(ask("DB.back", 0), (0, vec![[10, 2, 0, 9]]));
    }

    #[test]
    fn other_types_of_a_known_name_are_empty_and_unknown_names_are_forwarded() {
        let zone = zone("web 10.1.0.2\n");
        let ask = |name: &str, kind| answer(&query(name, kind), &[&zone], 0, Transport::Udp);
        assert_eq!(reply(ask("web", AAAA)), (0, Vec::new()));
        assert_eq!(ask("example.org", AAAA), Answer::Forward);
        assert_eq!(ask("nosuch", TYPE_A), Answer::Forward);
    }

    #[test]
    fn nothing_leaves_when_every_network_is_internal() {
        let inner = zone("@internal\nweb 10.1.0.2\n");
        let outer = zone("db 10.2.0.2\n");
        let ask = |zones: &[&Zone]| answer(&query("example.org", TYPE_A), zones, 0, Transport::Udp);
        assert_eq!(reply(ask(&[&inner])), (3, Vec::new()));
        assert_eq!(ask(&[&inner, &outer]), Answer::Forward);
        assert_eq!(ask(&[]), Answer::Forward);
    }

    #[test]
    fn reverse_look_ups_stay_inside_for_our_subnets_only() {
        let zone = zone("@network shop\n@subnet 10.89.0.0/24\nweb 10.89.0.2\n10.89.0.2 shop-web-1\n");
        let ask = |name: &str| answer(&query(name, TYPE_PTR), &[&zone], 0, Transport::Udp);
        let Answer::Reply(bytes) = ask("2.0.89.10.in-addr.arpa") else {
            panic!("a reply")
        };
        assert!(bytes.ends_with(b"\x0ashop-web-1\x04shop\x00"));
        assert_eq!(reply(ask("3.0.89.10.in-addr.arpa")).0, 3);
        assert_eq!(ask("8.8.8.8.in-addr.arpa"), Answer::Forward);
        assert_eq!(ask("x.0.89.10.in-addr.arpa"), Answer::Forward);
    }

    #[test]
    fn what_is_no_query_is_dropped_and_what_is_malformed_is_told_so() {
        let zone = zone("web 10.1.0.2\n");
        assert_eq!(answer(b"short", &[&zone], 0, Transport::Udp), Answer::Drop);
        let mut looped = query("web", TYPE_A);
        looped[12] = 0xc0;
        assert_eq!(reply(answer(&looped, &[&zone], 0, Transport::Udp)).0, 1);
    }
}
