//! Everything that can go wrong with a network, each naming the object and the step.
//!
//! **Invariant:** a message is a fragment that fits after `error:`; its cause is in `source`, not repeated.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use rustix::io::Errno;

use crate::ipam::Taken;
use crate::ipv4_net::Ipv4Net;
use crate::port_owner::PortOwner;
use crate::spec::Protocol;

/// An error of the network room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The kernel refused a request.
    #[error("{action}")]
    Kernel {
        /// What was asked, such as ``create bridge `rc-web` ``.
        action: String,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// A part of the kernel is missing.
    #[error("this kernel lacks {feature}: {remedy}")]
    KernelLacks {
        /// What is missing, by its configuration names.
        feature: &'static str,
        /// What to do about it.
        remedy: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// An interface of that name is there and is not a bridge.
    #[error(
        "interface `{name}` exists and is a {kind}, not a bridge: choose another network name or remove it"
    )]
    NotABridge {
        /// The interface's name.
        name: String,
        /// What it is.
        kind: String,
    },
    /// A name that no interface can have.
    #[error(
        "`{name}` cannot name an interface: 1 to 15 printable characters, none of `/`, `:`, `%` or space"
    )]
    InterfaceName {
        /// The name.
        name: String,
    },
    /// An interface that should be there is not.
    #[error("no interface `{name}`")]
    NoInterface {
        /// The interface's name.
        name: String,
    },
    /// A file or directory could not be read or written.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried, such as `write`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A kernel setting could not be changed.
    #[error("set {} to {value}", path.display())]
    Sysctl {
        /// The file under /proc/sys.
        path: PathBuf,
        /// The value wanted.
        value: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A lease could not be understood.
    #[error("lease {} is damaged: {reason}", path.display())]
    Lease {
        /// The lease file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A zone file could not be understood.
    #[error("zone {}, line {line}: {reason}", path.display())]
    Zone {
        /// The zone file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The subnet asked for is in use.
    #[error("network `{network}`: subnet {subnet} overlaps {clash}")]
    SubnetClash {
        /// The network.
        network: String,
        /// The subnet asked for.
        subnet: Ipv4Net,
        /// Who has it.
        clash: Taken,
    },
    /// Every subnet of the pools overlaps something.
    #[error(
        "network `{network}`: no free subnet left in the pools {pools}: remove unused networks or give one with `ipam.config.subnet`"
    )]
    PoolsExhausted {
        /// The network.
        network: String,
        /// The pools, as text.
        pools: String,
    },
    /// A subnet in which no container fits.
    #[error("network `{network}`: subnet {subnet} has no room for a gateway and a container")]
    SubnetTooSmall {
        /// The network.
        network: String,
        /// The subnet.
        subnet: Ipv4Net,
    },
    /// A gateway, range or address outside the subnet.
    #[error("network `{network}`: {what} {given} is not in subnet {subnet}")]
    OutsideSubnet {
        /// The network.
        network: String,
        /// `gateway`, `ip_range`, `ipv4_address`.
        what: &'static str,
        /// What was given.
        given: String,
        /// The subnet.
        subnet: Ipv4Net,
    },
    /// The address asked for has a holder.
    #[error("network `{network}`: address {address} is taken by {holder}")]
    AddressTaken {
        /// The network.
        network: String,
        /// The address asked for.
        address: Ipv4Addr,
        /// Container, gateway or reservation.
        holder: String,
    },
    /// No address is left.
    #[error("network `{network}`: all addresses of {range} are taken")]
    NetworkFull {
        /// The network.
        network: String,
        /// Where an address was looked for.
        range: Ipv4Net,
    },
    /// A host port has another user.
    #[error("port {port}/{protocol} on {host_ip} is already in use{}", by(owner.as_ref()))]
    PortInUse {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The host address asked for.
        host_ip: IpAddr,
        /// Who has it, when /proc tells.
        owner: Option<PortOwner>,
    },
    /// A port cannot be reserved for another reason.
    #[error("reserve port {port}/{protocol} on {host_ip}")]
    PortUnavailable {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The host address asked for.
        host_ip: IpAddr,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The program `nft` is not installed.
    #[error("the program `nft` is not installed: install the package `nftables`")]
    NftMissing,
    /// `nft` could not be run.
    #[error("run {}", path.display())]
    NftStart {
        /// The program.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// `nft` refused the ruleset.
    #[error("nft refused the ruleset: {message}")]
    NftRefused {
        /// What it wrote.
        message: String,
    },
}

fn by(owner: Option<&PortOwner>) -> String {
    owner.map(|owner| format!(" by {owner}")).unwrap_or_default()
}

impl NetworkError {
    /// For `map_err`: the kernel refused what `action` names.
    pub(crate) fn kernel(action: impl Into<String>) -> impl FnOnce(Errno) -> Self {
        let action = action.into();
        move |source| Self::Kernel { action, source }
    }

    /// For `map_err`: a file operation failed.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
