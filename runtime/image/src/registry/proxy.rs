//! The environment's proxies in, the one for a URL out (the rules are those of Go's `golang.org/x/net/http/httpproxy`, which
//! docker follows).
//! **Invariant:** pure; bytes to a loopback address never go through a proxy.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::IpAddr;

use crate::configuration::{authority, host, is_loopback};

/// The proxies of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://` URLs.
    pub http: Option<String>,
    /// For `https://` URLs.
    pub https: Option<String>,
    /// Hosts that are reached without one: names with all below them, `.name` for those below only, addresses, networks, each with an
    /// optional port; `*` is all.
    pub none: Vec<String>,
}

impl Proxies {
    /// Reads the variables, which `variable` looks up.
    pub fn of_environment<'v>(variable: &dyn Fn(&str) -> Option<&'v str>) -> Self {
        let either = |name: &str| {
            let set = variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
            set.filter(|value| !value.is_empty())
        };
        let proxy = |name: &str| either(name).or_else(|| either("ALL_PROXY")).map(str::to_owned);
        let none = either("NO_PROXY").unwrap_or_default().split(',');
        Self {
            http: proxy("HTTP_PROXY"),
            https: proxy("HTTPS_PROXY"),
            none: none
                .map(|entry| entry.trim().to_ascii_lowercase())
                .filter(|entry| !entry.is_empty())
                .collect(),
        }
    }

    /// The proxy that leads to `url`.
    pub(crate) fn of(&self, url: &str) -> Option<&str> {
        let is_https = url.starts_with("https://");
        let proxy = if is_https { &self.https } else { &self.http };
        let proxy = proxy.as_deref()?;
        let authority = authority(url).rsplit('@').next()?.to_ascii_lowercase();
        let port = port(&authority).unwrap_or(if is_https { "443" } else { "80" });
        let name = host(&authority);
        let direct = is_loopback(&authority) || self.none.iter().any(|entry| covers(entry, name, port));
        (!direct).then_some(proxy)
    }
}

fn port(authority: &str) -> Option<&str> {
    let after = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    after.rsplit_once(':').map(|(_, port)| port)
}

/// Whether an entry of `NO_PROXY` means this host and port.
fn covers(entry: &str, name: &str, port: &str) -> bool {
    if entry == "*" {
        return true;
    }
    let address: Option<IpAddr> = name.parse().ok();
    if let (Some((network, bits)), Some(address)) = (entry.split_once('/'), address) {
        let bits = bits.parse().ok();
        let network = network.parse().ok();
        return network
            .zip(bits)
            .is_some_and(|(network, bits)| is_within(address, network, bits));
    }
    if let Ok(only) = entry.parse::<IpAddr>() {
        return address == Some(only);
    }
    let (entry, wanted_port) = match entry.strip_prefix('[') {
        Some(_) => (host(entry), self::port(entry)),
        None => entry
            .split_once(':')
            .map_or((entry, None), |(entry, port)| (entry, Some(port))),
    };
    if wanted_port.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let entry = entry.strip_prefix('*').unwrap_or(entry);
    match entry.strip_prefix('.') {
        Some(_) => name.ends_with(entry),
        None => {
            name == entry
                || address.is_none() && name.strip_suffix(entry).is_some_and(|rest| rest.ends_with('.'))
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V4(_) | IpAddr::V6(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &'static str)]) -> Proxies {
        Proxies::of_environment(&|name| {
            pairs
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| *value)
        })
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let both = environment(&[("HTTP_PROXY", "http://p:1"), ("https_proxy", "http://p:2")]);
        assert_eq!(both.of("http://a.example/v2/"), Some("http://p:1"));
        assert_eq!(both.of("https://a.example/v2/"), Some("http://p:2"));
        let secure = environment(&[("HTTPS_PROXY", "p:2"), ("HTTP_PROXY", "")]);
        assert_eq!(secure.of("http://a.example"), None);
        let all = environment(&[("ALL_PROXY", "p:3")]);
        assert_eq!(
            (all.of("http://a.example"), all.of("https://a.example")),
            (Some("p:3"), Some("p:3"))
        );
        for loopback in [
            "http://localhost:5000/",
            "https://127.0.0.2/",
            "http://[::1]:5000/v2/",
        ] {
            assert_eq!(all.of(loopback), None, "{loopback}");
        }
    }

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        for (entries, direct, proxied) in [
            ("*", "https://a.example", ""),
            ("other, a.example", "https://a.example:444", "https://ba.example"),
            ("a.example", "https://x.a.example", "https://a.example.evil"),
            (".a.example", "https://x.a.example", "https://a.example"),
            ("*.a.example", "https://x.a.example", "https://a.example"),
            ("a.example:5000", "https://a.example:5000", "https://a.example"),
            ("a.example:443", "https://A.example/v2/", "https://a.example:80"),
            ("10.0.0.0/8", "https://10.9.8.7:5000", "https://11.0.0.1"),
            ("10.1.2.3", "https://10.1.2.3", "https://10.1.2.4"),
            ("0.0.0.0/0", "https://9.9.9.9", "https://nine.example"),
            ("fd00::/8", "https://[fd12::1]:5000", "https://[fe80::1]"),
            ("fd12::1", "https://[fd12::1]", "https://[fd12::2]"),
            ("2.3", "", "https://10.1.2.3"),
        ] {
            let mut proxies = environment(&[("HTTPS_PROXY", "p")]);
            proxies.none = environment(&[("NO_PROXY", entries)]).none;
            if !direct.is_empty() {
                assert_eq!(proxies.of(direct), None, "{entries}: {direct}");
            }
            if !proxied.is_empty() {
                assert_eq!(proxies.of(proxied), Some("p"), "{entries}: {proxied}");
            }
        }
    }
}
