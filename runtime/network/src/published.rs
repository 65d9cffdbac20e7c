//! In: a port to publish. Out: a socket bound to it and never used, which keeps other programs off the port; or who has it.
//!
//! **Invariant:** a connection of yesterday (`TIME_WAIT`) is no conflict, a second reservation always is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

use crate::error::NetworkError;
use crate::port_owner::{has_listener, owner_of_port};
use crate::spec::{Protocol, PublishedPort};

/// A host port held by a bound socket. Packets never reach it: they are translated before a socket is looked up.
#[derive(Debug)]
pub struct PortReservation {
    socket: OwnedFd,
    port: u16,
}

impl PortReservation {
    /// Reserves `port` (0: any free one) on `host_ip` (`None`: all IPv4 addresses) in the calling thread's network
    /// namespace, for the caller alone.
    ///
    /// # Errors
    /// [`NetworkError::PortInUse`] with its owner; [`NetworkError::PortUnavailable`], for one when the host has no such
    /// address.
    pub fn bind(host_ip: Option<IpAddr>, port: u16, protocol: Protocol) -> Result<Self, NetworkError> {
        Self::reserve(host_ip, port, protocol, exclusive)
    }

    /// Like [`Self::bind`], but for one of several replicas behind the port: reservations made so by one user share the
    /// port (`SO_REUSEPORT`, socket(7)), all else is kept off. Whether the others are replicas of the same service is for
    /// the caller to know, from their leases.
    pub fn bind_shared(host_ip: Option<IpAddr>, port: u16, protocol: Protocol) -> Result<Self, NetworkError> {
        Self::reserve(host_ip, port, protocol, shared)
    }

    fn reserve(
        host_ip: Option<IpAddr>,
        port: u16,
        protocol: Protocol,
        bind: fn(&OwnedFd, SocketAddr, Protocol) -> Result<(), Errno>,
    ) -> Result<Self, NetworkError> {
        let host_ip = host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let failed = |source| match source {
            Errno::ADDRINUSE => NetworkError::PortInUse {
                port,
                protocol,
                host_ip,
                owner: owner_of_port(port, protocol),
            },
            source => NetworkError::PortUnavailable {
                port,
                protocol,
                host_ip,
                source,
            },
        };
        let address = SocketAddr::new(host_ip, port);
        let socket = open(address, protocol).map_err(failed)?;
        bind(&socket, address, protocol).map_err(failed)?;
        let bound = getsockname(&socket)
            .and_then(SocketAddr::try_from)
            .map_err(failed)?;
        Ok(Self {
            socket,
            port: bound.port(),
        })
    }

    /// The port reserved.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket, to be kept for as long as the port is published.
    pub fn into_fd(self) -> OwnedFd {
        self.socket
    }
}

impl AsFd for PortReservation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open(address: SocketAddr, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

/// Binds strictly. If that fails it may be for `TIME_WAIT` alone, which `SO_REUSEADDR` passes over (socket(7)); the option is
/// taken back at once, since two sockets that both have it and do not listen would share the port.
fn exclusive(socket: &OwnedFd, address: SocketAddr, protocol: Protocol) -> Result<(), Errno> {
    match bind(socket, &address) {
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp => {
            sockopt::set_socket_reuseaddr(socket, true)?;
            bind(socket, &address)?;
            sockopt::set_socket_reuseaddr(socket, false)
        }
        result => result,
    }
}

/// Binds with `SO_REUSEPORT`. Ours never listen: one that does is another program with the same option.
fn shared(socket: &OwnedFd, address: SocketAddr, protocol: Protocol) -> Result<(), Errno> {
    sockopt::set_socket_reuseport(socket, true)?;
    bind(socket, &address)?;
    if protocol == Protocol::Tcp && has_listener(address.port()) {
        Err(Errno::ADDRINUSE)
    } else {
        Ok(())
    }
}

/// Whether a packet to the host could match both: same protocol and port, and one address or any.
pub fn overlap(one: &PublishedPort, other: &PublishedPort) -> bool {
    let any = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
    one.protocol == other.protocol
        && one.host_port == other.host_port
        && (any(one.host_ip) || any(other.host_ip) || one.host_ip == other.host_ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    const LOCALHOST: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

    #[test]
    fn a_listener_is_a_conflict_and_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let error = PortReservation::bind(None, port, Protocol::Tcp).expect_err("taken");
        let own = std::process::id();
        assert!(
            error
                .to_string()
                .starts_with(&format!("port {port}/tcp on 0.0.0.0 is already in use by `"))
                && error.to_string().ends_with(&format!("(pid {own})")),
            "{error}"
        );
        let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let port = udp.local_addr().expect("bound").port();
        assert!(matches!(
            PortReservation::bind(LOCALHOST, port, Protocol::Udp),
            Err(NetworkError::PortInUse { .. })
        ));
    }

    #[test]
    fn a_reservation_keeps_others_off_and_is_itself_a_conflict() {
        let first = PortReservation::bind(LOCALHOST, 0, Protocol::Tcp).expect("free");
        assert!(PortReservation::bind(LOCALHOST, first.port(), Protocol::Tcp).is_err());
        assert!(PortReservation::bind(None, first.port(), Protocol::Tcp).is_err());
        // The standard library sets SO_REUSEADDR, as most servers do.
        assert!(TcpListener::bind(("127.0.0.1", first.port())).is_err());
        let port = first.port();
        drop(first);
        PortReservation::bind(LOCALHOST, port, Protocol::Tcp).expect("free again");
    }

    #[test]
    fn time_wait_is_no_conflict_and_even_then_there_is_one_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let mut client = TcpStream::connect(address).expect("connected");
        let (server, _) = listener.accept().expect("accepted");
        drop(server);
        std::io::copy(&mut client, &mut std::io::sink()).expect("closed by the server first");
        drop((client, listener));
        assert!(
            TcpListener::bind(address).is_ok(),
            "nobody listens on {address} any more, whatever waits there"
        );
        let held =
            PortReservation::bind(LOCALHOST, address.port(), Protocol::Tcp).expect("free but for TIME_WAIT");
        assert!(PortReservation::bind(LOCALHOST, address.port(), Protocol::Tcp).is_err());
        assert!(TcpListener::bind(address).is_err());
        drop(held);
    }

    #[test]
    fn replicas_share_a_port_and_nobody_else_gets_it() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let first = PortReservation::bind_shared(LOCALHOST, 0, protocol).expect("free");
            let second = PortReservation::bind_shared(LOCALHOST, first.port(), protocol).expect("shared");
            assert!(PortReservation::bind(LOCALHOST, first.port(), protocol).is_err());
            drop(first);
            let port = second.port();
            assert!(
                PortReservation::bind(None, port, protocol).is_err(),
                "the second still holds it"
            );
        }
        let alone = PortReservation::bind(LOCALHOST, 0, Protocol::Tcp).expect("free");
        assert!(PortReservation::bind_shared(LOCALHOST, alone.port(), Protocol::Tcp).is_err());
    }

    #[test]
    fn a_foreign_listener_with_the_same_option_is_still_a_conflict() {
        let server = PortReservation::bind_shared(LOCALHOST, 0, Protocol::Tcp).expect("free");
        rustix::net::listen(&server, 1).expect("listening");
        assert!(matches!(
            PortReservation::bind_shared(LOCALHOST, server.port(), Protocol::Tcp),
            Err(NetworkError::PortInUse { owner: Some(_), .. })
        ));
    }

    #[test]
    fn an_address_of_another_host_is_not_in_use_but_unavailable() {
        let elsewhere = Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)));
        assert!(matches!(
            PortReservation::bind(elsewhere, 0, Protocol::Tcp),
            Err(NetworkError::PortUnavailable { .. })
        ));
    }

    #[test]
    fn ports_overlap_by_protocol_number_and_address() {
        let port = |host_ip: Option<&str>, host_port, protocol| PublishedPort {
            host_ip: host_ip.map(|ip| ip.parse().expect("an address")),
            host_port,
            container_port: 1,
            protocol,
        };
        let web = port(None, 80, Protocol::Tcp);
        assert!(overlap(&web, &port(Some("127.0.0.1"), 80, Protocol::Tcp)));
        assert!(!overlap(&web, &port(None, 80, Protocol::Udp)));
        assert!(!overlap(
            &port(Some("127.0.0.2"), 80, Protocol::Tcp),
            &port(Some("127.0.0.1"), 80, Protocol::Tcp)
        ));
    }
}
