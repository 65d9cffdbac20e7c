//! In: the host's resolv.conf. Out: the servers a resolver forwards to, and the resolv.conf a container sees (resolv.conf(5)).
//!
//! **Invariant:** a line that is not understood is left out, never an error: the host's own resolver does the same.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// Where the host's configuration is.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where systemd-resolved keeps the real servers behind its stub.
pub const SYSTEMD_RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";

const SYSTEMD_STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));

/// A resolver's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, in order.
    pub nameservers: Vec<IpAddr>,
    /// The domains appended to short names, in order.
    pub search: Vec<String>,
    /// Options such as `ndots:1`.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads the text of a resolv.conf. Servers with a zone (`fe80::1%eth0`) are left out: the zone means nothing elsewhere.
    pub fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines() {
            let mut words = line
                .split(['#', ';'])
                .next()
                .unwrap_or_default()
                .split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    parsed
                        .nameservers
                        .extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                // The last of `search` and `domain` counts.
                Some("search" | "domain") => parsed.search = words.map(str::to_owned).collect(),
                Some("options") => parsed.options.extend(words.map(str::to_owned)),
                Some(_) | None => {}
            }
        }
        parsed
    }

    /// The host's configuration: `host` is the text of [`RESOLV_CONF`], `systemd` that of [`SYSTEMD_RESOLV_CONF`], read
    /// instead when the host only names systemd's stub.
    pub fn of_host(host: &str, systemd: Option<&str>) -> Self {
        let parsed = Self::parse(host);
        let only_stub = parsed.nameservers.iter().all(|server| *server == SYSTEMD_STUB);
        match systemd.map(Self::parse) {
            Some(real) if only_stub && !parsed.nameservers.is_empty() && !real.nameservers.is_empty() => real,
            Some(_) | None => parsed,
        }
    }

    /// The text a container finds in /etc/resolv.conf.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        for server in &self.nameservers {
            let _ = writeln!(text, "nameserver {server}");
        }
        if !self.search.is_empty() {
            let _ = writeln!(text, "search {}", self.search.join(" "));
        }
        if !self.options.is_empty() {
            let _ = writeln!(text, "options {}", self.options.join(" "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_is_read_as_the_libc_does_and_written_back() {
        let text = "# made by hand\nnameserver 192.0.2.53 ; first\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n\
            domain old.example\nsearch a.example b.example\noptions ndots:2\noptions timeout:1 rotate\nsortlist x\n";
        let parsed = ResolvConf::parse(text);
        assert_eq!(
            parsed.to_text(),
            "nameserver 192.0.2.53\nnameserver 2001:db8::1\nsearch a.example b.example\noptions ndots:2 timeout:1 rotate\n"
        );
        assert_eq!(ResolvConf::parse(&parsed.to_text()), parsed);
    }

    #[test]
    fn systemds_stub_gives_way_to_the_servers_behind_it() {
        let stub = "nameserver 127.0.0.53\noptions edns0\n";
        let real = "nameserver 198.51.100.1\n";
        let servers = |host, systemd| ResolvConf::of_host(host, systemd).nameservers;
        assert_eq!(
            servers(stub, Some(real)),
            ["198.51.100.1".parse::<IpAddr>().expect("ip")]
        );
        assert_eq!(servers(stub, None), [SYSTEMD_STUB]);
        assert_eq!(servers(stub, Some("")), [SYSTEMD_STUB]);
        let own = "nameserver 192.0.2.1\n";
        assert_eq!(
            servers(own, Some(real)),
            ["192.0.2.1".parse::<IpAddr>().expect("ip")]
        );
    }
}
