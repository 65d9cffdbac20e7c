//! Networks of containers: what one is (spec), which addresses it gets (ipam, lease), the kernel objects that make it
//! (bridge, sandbox, firewall) and the names found in it (dns). Linked into the engine and into each container's shim.
//!
//! **Invariant:** no veth is ever deleted: it goes with its network namespace.

mod address;
mod atomic_file;
mod attribute;
mod bridge;
pub mod conntrack;
pub mod dns;
mod dns_redirect;
mod docker_user;
mod error;
pub mod firewall;
mod host_lock;
mod host_prefixes;
pub mod ipam;
mod ipv4_net;
mod lease;
mod link;
pub mod name;
mod netlink;
mod nf_tables;
mod port_owner;
pub mod published;
mod route;
mod ruleset;
mod ruleset_change;
pub mod sandbox;
mod spec;
mod sysctl;
pub mod upstream;
mod zone_file;

#[cfg(test)]
mod privileged_tests;

pub use bridge::{ensure_bridge, remove_bridge};
pub use error::NetworkError;
pub use host_lock::HostLock;
pub use host_prefixes::host_prefixes;
pub use ipv4_net::{Ipv4Net, ParseNetError};
pub use lease::{Lease, Leased, NetworkRun};
pub use link::{Link, VethRequest};
pub use netlink::Netlink;
pub use port_owner::{PortOwner, owner_of_port};
pub use spec::{Attachment, NetworkSpec, NetworkState, Protocol, PublishedPort};
pub use zone_file::ZoneFile;
