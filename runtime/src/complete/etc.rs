//! In: names and servers. Out: the text of a container's `/etc/hosts` and `/etc/resolv.conf`.
//! **Invariant:** nothing of the host's own names is told to a container, unless it shares the host's network.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Write;
use std::net::Ipv4Addr;

/// Where each container's resolver answers.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// The beginning of `/etc/hosts` of every container.
const LOCAL_NAMES: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// `/etc/hosts`: `base` (the host's file for a container in the host's network) or the local names, the extra ones in order, then
/// the container's own addresses with its host name.
pub fn hosts(base: Option<&str>, extra: &[(String, String)], own: &[Ipv4Addr], hostname: &str) -> String {
    let mut text = base.unwrap_or(LOCAL_NAMES).to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    for (name, address) in extra {
        let _infallible = writeln!(text, "{address}\t{name}");
    }
    for address in own {
        let _infallible = writeln!(text, "{address}\t{hostname}");
    }
    text
}

/// `/etc/resolv.conf` of a container with its own resolver. Of `ndots` and the like the container's own setting wins; without one
/// `ndots:0`, so that `db` is asked as it stands.
pub fn resolver_configuration(search: &[String], options: &[String]) -> String {
    let mut text = format!("nameserver {RESOLVER}\n");
    // A single dot means: no search list at all (docker run --dns-search=.).
    if !search.is_empty() && search != ["."] {
        let _infallible = writeln!(text, "search {}", search.join(" "));
    }
    let mut all: Vec<&str> = options.iter().map(String::as_str).collect();
    if !all.iter().any(|option| option.starts_with("ndots:")) {
        all.push("ndots:0");
    }
    let _infallible = writeln!(text, "options {}", all.join(" "));
    text
}

/// `/etc/resolv.conf` of a container in the host's network, or in none: the host's, with what was asked for in its place.
pub fn host_resolver_configuration(
    host: &str,
    servers: &[String],
    search: &[String],
    options: &[String],
) -> String {
    let mut text = String::new();
    for line in host.lines() {
        let kept = match line.split_ascii_whitespace().next() {
            Some("nameserver") => servers.is_empty(),
            Some("search" | "domain") => search.is_empty(),
            Some("options") => options.is_empty(),
            Some(_) | None => true,
        };
        if kept {
            text.push_str(line);
            text.push('\n');
        }
    }
    for server in servers {
        let _infallible = writeln!(text, "nameserver {server}");
    }
    if !search.is_empty() && search != ["."] {
        let _infallible = writeln!(text, "search {}", search.join(" "));
    }
    if !options.is_empty() {
        let _infallible = writeln!(text, "options {}", options.join(" "));
    }
    text
}

/// The search list of a `resolv.conf` (resolv.conf(5): the last one counts).
pub fn search_list(resolv_conf: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in resolv_conf.lines() {
        let mut words = line.split_ascii_whitespace();
        if matches!(words.next(), Some("search" | "domain")) {
            found = words.map(str::to_owned).collect();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_knows_itself_and_what_it_was_told() {
        let extra = [("db.local".to_owned(), "10.0.0.9".to_owned())];
        let text = hosts(None, &extra, &[Ipv4Addr::new(10, 89, 0, 2)], "web");
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"), "{text}");
        assert!(text.ends_with("10.0.0.9\tdb.local\n10.89.0.2\tweb\n"), "{text}");
        let text = hosts(Some("127.0.0.1 localhost\n10.1.1.1 nas"), &extra, &[], "host");
        assert_eq!(text, "127.0.0.1 localhost\n10.1.1.1 nas\n10.0.0.9\tdb.local\n");
    }

    #[test]
    fn resolver_options_of_the_user_win() {
        let none: [String; 0] = [];
        assert_eq!(
            resolver_configuration(&none, &none),
            "nameserver 127.0.0.11\noptions ndots:0\n"
        );
        let text = resolver_configuration(
            &["a.lan".into(), "lan".into()],
            &["ndots:2".into(), "rotate".into()],
        );
        assert_eq!(
            text,
            "nameserver 127.0.0.11\nsearch a.lan lan\noptions ndots:2 rotate\n"
        );
        assert_eq!(
            resolver_configuration(&[".".into()], &none),
            "nameserver 127.0.0.11\noptions ndots:0\n"
        );
    }

    #[test]
    fn in_the_hosts_network_only_what_was_asked_for_differs() {
        let host = "# made by hand\nnameserver 10.0.0.1\nsearch lan\noptions edns0\n";
        assert_eq!(host_resolver_configuration(host, &[], &[], &[]), host);
        assert_eq!(
            host_resolver_configuration(host, &["1.1.1.1".into()], &[".".into()], &[]),
            "# made by hand\noptions edns0\nnameserver 1.1.1.1\n"
        );
        assert_eq!(search_list("domain old\nsearch a b\n"), ["a", "b"]);
    }
}
