//! In: a network's leases, or the text of a zone file. Out: which addresses a name has, and which name an address has.
//! The text has a line per name, `name address [address…]`, a line `address name` per container, and `@` directives.
//!
//! **Invariant:** what is printed parses to the same zone.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::ipv4_net::Ipv4Net;
use crate::spec::NetworkState;

/// The names of one network. Names are lower case and without a final dot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// The network's name; `<name>.<network>` is found too.
    pub network: String,
    /// Names outside the zone are not forwarded.
    pub internal: bool,
    /// The network's subnet: reverse look-ups in it are answered here and nowhere else.
    pub subnet: Option<Ipv4Net>,
    names: BTreeMap<String, Vec<Ipv4Addr>>,
    reverse: BTreeMap<Ipv4Addr, String>,
}

/// Why a text is not a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ZoneError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl Zone {
    /// A zone without names, for when none could be read yet.
    pub fn empty(internal: bool) -> Self {
        Self {
            internal,
            ..Self::default()
        }
    }

    /// The zone of a network: every lease under every name it has.
    pub fn of(state: &NetworkState) -> Self {
        let mut zone = Self {
            network: state.spec.name.to_ascii_lowercase(),
            internal: state.spec.internal,
            subnet: Some(state.spec.subnet),
            ..Self::default()
        };
        for leased in &state.leases {
            for name in leased.lease.names.iter().filter(|name| is_name(name)) {
                zone.add(name, leased.address);
            }
            if is_name(&leased.lease.container_name) {
                zone.reverse
                    .insert(leased.address, leased.lease.container_name.to_ascii_lowercase());
            }
        }
        zone
    }

    fn add(&mut self, name: &str, address: Ipv4Addr) {
        let addresses = self.names.entry(name.to_ascii_lowercase()).or_default();
        if let Err(place) = addresses.binary_search(&address) {
            addresses.insert(place, address);
        }
    }

    /// The addresses of `name` in any case, turned by `counter` so that each of several comes first in turn; `None` when
    /// the name is not in the zone.
    pub fn lookup(&self, name: &str, counter: u32) -> Option<Vec<Ipv4Addr>> {
        let name = name.to_ascii_lowercase();
        let unqualified = || {
            name.strip_suffix(&self.network)?
                .strip_suffix('.')
                .and_then(|name| self.names.get(name))
        };
        let mut addresses = self.names.get(&name).or_else(unqualified)?.clone();
        let turn = usize::try_from(counter).unwrap_or(0) % addresses.len().max(1);
        addresses.rotate_left(turn);
        Some(addresses)
    }

    /// The container that holds `address`, as `<container>.<network>`.
    pub fn reverse(&self, address: Ipv4Addr) -> Option<String> {
        let name = self.reverse.get(&address)?;
        Some(if self.network.is_empty() {
            name.clone()
        } else {
            format!("{name}.{}", self.network)
        })
    }
}

/// Whether a zone line can hold `name`: printable, no space, not an address, no directive or comment; labels of 1 to 63
/// bytes, 253 in all (RFC 1035 §2.3.4).
fn is_name(name: &str) -> bool {
    name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_graphic())
        && !name.starts_with(['@', '#'])
        && name.split('.').all(|label| (1..=63).contains(&label.len()))
        && name.parse::<Ipv4Addr>().is_err()
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.network.is_empty() {
            writeln!(formatter, "@network {}", self.network)?;
        }
        if let Some(subnet) = self.subnet {
            writeln!(formatter, "@subnet {subnet}")?;
        }
        if self.internal {
            writeln!(formatter, "@internal")?;
        }
        for (name, addresses) in &self.names {
            write!(formatter, "{name}")?;
            for address in addresses {
                write!(formatter, " {address}")?;
            }
            writeln!(formatter)?;
        }
        for (address, name) in &self.reverse {
            writeln!(formatter, "{address} {name}")?;
        }
        Ok(())
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut zone = Self::default();
        for (index, line) in text.lines().enumerate() {
            zone.parse_line(line).map_err(|reason| ZoneError {
                line: index + 1,
                reason,
            })?;
        }
        Ok(zone)
    }
}

impl Zone {
    fn parse_line(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { return Ok(()) };
        if first.starts_with('#') {
            return Ok(());
        }
        match first {
            "@internal" => self.internal = true,
            "@network" => words
                .next()
                .ok_or("`@network` needs a name")?
                .clone_into(&mut self.network),
            "@subnet" => {
                let subnet = words.next().ok_or("`@subnet` needs a prefix")?;
                self.subnet = Some(subnet.parse().map_err(|error| format!("{error}"))?);
            }
            // A directive of a later version says something more, nothing else.
            _ if first.starts_with('@') => {}
            _ => return self.parse_record(first, words),
        }
        Ok(())
    }

    fn parse_record<'a>(
        &mut self,
        first: &str,
        mut rest: impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        if let Ok(address) = first.parse() {
            let name = rest
                .next()
                .filter(|name| is_name(name))
                .ok_or("an address needs a name")?;
            self.reverse.insert(address, name.to_ascii_lowercase());
            return Ok(());
        }
        if !is_name(first) {
            return Err(format!("`{first}` cannot be a name"));
        }
        let mut rest = rest.peekable();
        if rest.peek().is_none() {
            return Err(format!("name `{first}` has no address"));
        }
        for address in rest {
            let address = address
                .parse()
                .map_err(|_| format!("`{address}` is not an IPv4 address"))?;
            self.add(first, address);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::{Lease, Leased};
    use crate::spec::NetworkSpec;
    use proptest::prelude::*;

    fn state() -> NetworkState {
        let lease = |last: u8, container: &str, names: &[&str]| Leased {
            address: Ipv4Addr::new(10, 89, 0, last),
            lease: Lease {
                container_id: "i".into(),
                container_name: container.into(),
                project: None,
                service: None,
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                ports: Vec::new(),
            },
        };
        NetworkState {
            spec: NetworkSpec {
                name: "shop_default".into(),
                bridge: "rc-shop".into(),
                subnet: "10.89.0.0/24".parse().expect("net"),
                gateway: Ipv4Addr::new(10, 89, 0, 1),
                ip_range: None,
                reserved: Vec::new(),
                internal: true,
                mtu: None,
                isolated: false,
            },
            leases: vec![
                lease(3, "shop-Web-2", &["web", "shop-Web-2", "bad name"]),
                lease(2, "shop-web-1", &["web", "shop-web-1"]),
            ],
        }
    }

    #[test]
    fn a_zone_reads_like_a_hosts_file_and_parses_back() {
        let zone = Zone::of(&state());
        let text = zone.to_string();
        assert_eq!(
            text,
            "@network shop_default\n@subnet 10.89.0.0/24\n@internal\n\
             shop-web-1 10.89.0.2\nshop-web-2 10.89.0.3\nweb 10.89.0.2 10.89.0.3\n\
             10.89.0.2 shop-web-1\n10.89.0.3 shop-web-2\n"
        );
        assert_eq!(text.parse::<Zone>(), Ok(zone));
    }

    #[test]
    fn look_ups_ignore_case_take_turns_and_know_the_network_as_domain() {
        let zone = Zone::of(&state());
        let one = Ipv4Addr::new(10, 89, 0, 2);
        let two = Ipv4Addr::new(10, 89, 0, 3);
        assert_eq!(zone.lookup("WEB", 0), Some(vec![one, two]));
        assert_eq!(zone.lookup("web.shop_default", 1), Some(vec![two, one]));
        assert_eq!(zone.lookup("webshop_default", 0), None);
        assert_eq!(zone.lookup("", 0), None);
        assert_eq!(zone.reverse(two), Some("shop-web-2.shop_default".into()));
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &str| text.parse::<Zone>().expect_err(text).to_string();
        assert_eq!(
            error("# c\n\nweb 10.0.0.1 x"),
            "line 3: `x` is not an IPv4 address"
        );
        assert_eq!(error("web"), "line 1: name `web` has no address");
        assert_eq!(error("10.0.0.1"), "line 1: an address needs a name");
        assert_eq!(
            error("@subnet 10.0.0.1/24"),
            "line 1: `10.0.0.1/24` has host bits set: the prefix is 10.0.0.0/24"
        );
        assert_eq!(error("a..b 10.0.0.1"), "line 1: `a..b` cannot be a name");
        assert_eq!("@later thing\n".parse::<Zone>(), Ok(Zone::default()));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_round_trips(text in "([@#a-z0-9./ ]{0,30}\n){0,6}") {
            if let Ok(zone) = text.parse::<Zone>() {
                prop_assert_eq!(zone.to_string().parse::<Zone>(), Ok(zone));
            }
        }
    }
}
