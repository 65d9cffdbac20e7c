//! In: an address and a prefix length, or their text. Out: one IPv4 prefix, host bits always zero.
//!
//! **Invariant:** the address of a prefix made here never has host bits set.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 prefix such as `10.89.0.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cfg_attr(feature = "engine", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "engine", serde(try_from = "String", into = "String"))]
#[cbor(map)]
pub struct Ipv4Net {
    #[n(0)]
    network: Ipv4Addr,
    #[n(1)]
    prefix: u8,
}

/// Why a text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNetError {
    /// Not of the form `a.b.c.d/n` with n at most 32.
    #[error("`{0}` is not an IPv4 prefix such as 10.89.0.0/24")]
    Syntax(String),
    /// An address within the prefix rather than the prefix itself.
    #[error("`{given}` has host bits set: the prefix is {meant}")]
    HostBits {
        /// The text as given.
        given: String,
        /// The prefix that the address lies in.
        meant: Ipv4Net,
    },
}

impl Ipv4Net {
    /// The prefix of `prefix` bits that `address` lies in; `None` when `prefix` is over 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self {
            network: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)),
            prefix,
        })
    }

    /// The lowest address, all host bits zero.
    pub fn network(self) -> Ipv4Addr {
        self.network
    }

    /// The prefix length in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The highest address, all host bits one.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | !mask(self.prefix))
    }

    /// How many addresses the prefix holds, network and broadcast included.
    pub fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix.min(32)))
    }

    /// The address `offset` places after the lowest one, when it is still inside.
    pub fn nth(self, offset: u64) -> Option<Ipv4Addr> {
        if offset >= self.size() {
            return None;
        }
        let offset = u32::try_from(offset).ok()?;
        self.network
            .to_bits()
            .checked_add(offset)
            .map(Ipv4Addr::from_bits)
    }

    /// Whether `address` lies inside.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.network.to_bits()
    }

    /// Whether all of `other` lies inside.
    pub fn covers(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.network)
    }

    /// Whether some address lies in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Whether a host may have `address` here: inside, and neither network nor broadcast address (RFC 3021 lets /31
    /// and /32 use all of theirs).
    pub fn is_host(self, address: Ipv4Addr) -> bool {
        self.contains(address)
            && (self.prefix >= 31 || (address != self.network && address != self.broadcast()))
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX
        .checked_shl(32_u32.saturating_sub(u32::from(prefix)))
        .unwrap_or(0)
}

impl fmt::Display for Ipv4Net {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Ipv4Net {
    type Err = ParseNetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || ParseNetError::Syntax(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(syntax)?;
        let address: Ipv4Addr = address.parse().map_err(|_| syntax())?;
        if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(syntax());
        }
        let prefix: u8 = prefix.parse().map_err(|_| syntax())?;
        let meant = Self::new(address, prefix).ok_or_else(syntax)?;
        if meant.network == address {
            Ok(meant)
        } else {
            Err(ParseNetError::HostBits {
                given: text.to_owned(),
                meant,
            })
        }
    }
}

impl TryFrom<String> for Ipv4Net {
    type Error = ParseNetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Ipv4Net> for String {
    fn from(net: Ipv4Net) -> Self {
        net.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect(text)
    }

    #[test]
    fn text_round_trips_and_host_bits_name_the_prefix() {
        assert_eq!(net("10.89.0.0/24").to_string(), "10.89.0.0/24");
        assert_eq!(
            "10.89.0.7/24".parse::<Ipv4Net>(),
            Err(ParseNetError::HostBits {
                given: "10.89.0.7/24".into(),
                meant: net("10.89.0.0/24")
            })
        );
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "::/0",
            "a/8",
        ] {
            assert_eq!(
                bad.parse::<Ipv4Net>(),
                Err(ParseNetError::Syntax(bad.into())),
                "{bad}"
            );
        }
    }

    #[test]
    fn overlap_is_covering_one_way_or_the_other() {
        assert!(net("10.0.0.0/8").overlaps(net("10.89.0.0/24")));
        assert!(net("10.89.0.0/24").overlaps(net("10.0.0.0/8")));
        assert!(!net("10.89.0.0/24").overlaps(net("10.89.1.0/24")));
        assert!(net("0.0.0.0/0").covers(net("255.255.255.255/32")));
    }

    #[test]
    fn edges_of_the_address_space_are_reached_without_overflow() {
        assert_eq!(net("0.0.0.0/0").size(), 1 << 32);
        assert_eq!(net("0.0.0.0/0").nth((1 << 32) - 1), Some(Ipv4Addr::BROADCAST));
        assert_eq!(net("255.255.255.254/31").nth(2), None);
        assert_eq!(net("10.89.0.0/24").broadcast(), Ipv4Addr::new(10, 89, 0, 255));
        assert!(!net("10.89.0.0/24").is_host(Ipv4Addr::new(10, 89, 0, 0)));
        assert!(net("10.89.0.0/31").is_host(Ipv4Addr::new(10, 89, 0, 0)));
    }
}
