//! In: a host netlink socket and a container's attachments. Out: the network namespace of the calling thread, ready for the
//! container: loopback, interfaces, routes, settings; then its resolver's sockets and the rules that lead to them.
//!
//! **Invariant:** nothing of the host is changed but the host ends of the veths, which go with the namespace.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::AsFd;

use crate::dns_redirect;
use crate::error::NetworkError;
use crate::ipv4_net::Ipv4Net;
use crate::link::VethRequest;
use crate::netlink::Netlink;
use crate::spec::Attachment;
use crate::sysctl;

/// Where every container finds its resolver, on port 53.
pub const RESOLVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// The container's own view of the calling thread, also when the thread is not the process's first.
const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";
/// The kernel numbers loopback first in every network namespace.
const LOOPBACK: u32 = 1;
/// How often a port free for UDP may turn out to be in use for TCP.
const PORT_ATTEMPTS: u32 = 32;

/// Makes the calling thread's network namespace, which must be new, into the container's. `host` was opened in the host's
/// network namespace. Without attachments there is a loopback and nothing else.
///
/// # Errors
/// The first step that failed; drop the namespace then, nothing of it stays.
pub fn build(host: &mut Netlink, attachments: &[Attachment]) -> Result<(), NetworkError> {
    let mut inside = Netlink::route()?;
    // Before the interfaces exist, so that none gets an IPv6 address; loopback keeps ::1.
    sysctl::set_if_present("net/ipv6/conf/default/disable_ipv6", "1")?;
    // Neighbours and the bridge learn at once who has an address now that another container had before.
    sysctl::set("net/ipv4/conf/default/arp_notify", "1")?;
    // What Docker gives every container: low ports and ping without privileges.
    sysctl::set("net/ipv4/ip_unprivileged_port_start", "0")?;
    sysctl::set("net/ipv4/ping_group_range", "0 2147483647")?;
    inside.set_link_up(LOOPBACK)?;
    if attachments.is_empty() {
        return Ok(());
    }
    let namespace = File::open(OWN_NAMESPACE).map_err(NetworkError::file("open", OWN_NAMESPACE))?;
    for attachment in attachments {
        attach(host, &mut inside, &namespace, attachment)?;
    }
    Ok(())
}

fn attach(
    host: &mut Netlink,
    inside: &mut Netlink,
    namespace: &File,
    attachment: &Attachment,
) -> Result<(), NetworkError> {
    let bridge = host.link_index(&attachment.bridge)?;
    host.create_veth(&VethRequest {
        host_name: &attachment.host_interface,
        bridge,
        mtu: attachment.mtu,
        peer_name: &attachment.container_interface,
        peer_mac: attachment.mac,
        peer_namespace: namespace.as_fd(),
    })?;
    // Hairpin: where bridged packets pass the firewall (bridge-nf-call-iptables), a container that asks for its own
    // published port gets its packet back by the port it left by.
    host.set_bridge_port(&attachment.host_interface, attachment.isolated)?;
    let interface = inside.link_index(&attachment.container_interface)?;
    // The address first: going up announces it.
    inside.add_address(interface, attachment.address, attachment.prefix)?;
    inside.set_link_up(interface)?;
    if let (true, Some(gateway)) = (attachment.default_route, attachment.gateway)
        && let Some(everywhere) = Ipv4Net::new(Ipv4Addr::UNSPECIFIED, 0)
    {
        inside.add_route(everywhere, gateway, interface)?;
    }
    Ok(())
}

/// Binds the resolver's sockets on [`RESOLVER_ADDRESS`], both on one port: `port`, or any when it is `None`. The calling
/// thread is in the container's network namespace and [`build`] is done.
///
/// # Errors
/// `port` is in use, or no port is free for both.
pub fn bind_resolver(port: Option<u16>) -> Result<(UdpSocket, TcpListener), NetworkError> {
    let at = |port| SocketAddrV4::new(RESOLVER_ADDRESS, port);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let sockets = UdpSocket::bind(at(port.unwrap_or(0))).and_then(|udp| {
            let tcp = TcpListener::bind(udp.local_addr()?)?;
            Ok((udp, tcp))
        });
        match sockets {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && port.is_none() && attempts < PORT_ATTEMPTS => {
            }
            result => {
                return result.map_err(NetworkError::file(
                    "bind the resolver to",
                    RESOLVER_ADDRESS.to_string(),
                ));
            }
        }
    }
}

/// Leads port 53 of [`RESOLVER_ADDRESS`] to the resolver's ports. The calling thread is in the container's network
/// namespace; the sockets are bound.
///
/// # Errors
/// [`NetworkError::KernelLacks`] without nftables NAT.
pub fn redirect_dns(udp_port: u16, tcp_port: u16) -> Result<(), NetworkError> {
    dns_redirect::redirect(udp_port, tcp_port)
}
