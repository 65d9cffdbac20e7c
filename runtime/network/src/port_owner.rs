//! In: a port of the host. Out: the process that has it, as far as /proc tells: for error messages only.
//!
//! **Invariant:** no answer is an error: what cannot be read is not the owner.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use crate::spec::Protocol;

/// `TCP_LISTEN` in /proc/net/tcp.
const LISTEN: &str = "0A";

/// A process that has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOwner {
    /// Its id.
    pub pid: u32,
    /// Its command name.
    pub command: String,
}

impl fmt::Display for PortOwner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` (pid {})", self.command, self.pid)
    }
}

/// The process that listens on (TCP) or is bound to (UDP) `port` in the calling thread's network namespace.
pub fn owner_of_port(port: u16, protocol: Protocol) -> Option<PortOwner> {
    let tables = match protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
    };
    let sockets: BTreeSet<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).ok())
        .flat_map(|text| sockets_on(&text, port, protocol))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| holds(*pid, &sockets)).map(|pid| PortOwner {
        pid,
        command: command(pid),
    })
}

/// Whether some socket listens on TCP `port` in the calling thread's network namespace.
pub(crate) fn has_listener(port: u16) -> bool {
    let suffix = format!(":{port:04X}");
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).ok())
        .any(|text| {
            text.lines().skip(1).any(|line| {
                let mut fields = line.split_whitespace().skip(1);
                fields.next().is_some_and(|local| local.ends_with(&suffix)) && fields.nth(1) == Some(LISTEN)
            })
        })
}

/// The inodes of the sockets on `port` in the text of a /proc/net table (`proc_net_tcp` in the kernel's documentation);
/// those that listen come first, a bound socket that does not will do.
fn sockets_on(text: &str, port: u16, protocol: Protocol) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let mut found: Vec<(bool, String)> = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listening = protocol == Protocol::Udp || *fields.get(3)? == LISTEN;
            (fields.get(1)?.ends_with(&suffix)).then_some((listening, (*fields.get(9)?).to_owned()))
        })
        .filter(|(_, inode)| inode != "0")
        .collect();
    if found.iter().any(|(listening, _)| *listening) {
        found.retain(|(listening, _)| *listening);
    }
    found.into_iter().map(|(_, inode)| inode).collect()
}

fn holds(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(Result::ok)
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

fn command(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn a_listening_process_is_named() {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("bound");
        let owner = owner_of_port(tcp.local_addr().expect("bound").port(), Protocol::Tcp).expect("found");
        assert_eq!(owner.pid, std::process::id());
        assert!(!owner.command.is_empty());
        let udp = UdpSocket::bind("[::1]:0").expect("bound");
        let owner = owner_of_port(udp.local_addr().expect("bound").port(), Protocol::Udp).expect("found");
        assert_eq!(owner.pid, std::process::id());
    }

    #[test]
    fn a_listener_is_preferred_to_the_connections_it_took() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 111 1\n\
            \x20  1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1\n\
            \x20  2: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1\n";
        assert_eq!(sockets_on(table, 8080, Protocol::Tcp), ["222"]);
        assert!(sockets_on(table, 80, Protocol::Tcp).is_empty());
    }
}
