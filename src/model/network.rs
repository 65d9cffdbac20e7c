//! In: decoded keys. Out: [`Network`], one entry of the top-level `networks:`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use indexmap::IndexMap;

use crate::source::span::Span;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Name on the host (`<project>_<key>` unless `name:` says otherwise).
    pub name: String,
    /// Where its key (or the service that implies it) stands.
    pub span: Span,
    /// Made elsewhere: it must exist, and is never removed.
    pub external: bool,
    /// `driver:`; none and `bridge` are the same.
    pub driver: Option<String>,
    /// `driver_opts:`.
    pub driver_opts: IndexMap<String, String>,
    /// No way out.
    pub internal: bool,
    /// `attachable:`.
    pub attachable: bool,
    /// `enable_ipv6:`.
    pub enable_ipv6: Option<bool>,
    /// `ipam.config`: subnet, gateway, range.
    pub ipam: Vec<IpamPool>,
    /// Labels.
    pub labels: IndexMap<String, String>,
}

/// One entry of `ipam.config`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpamPool {
    /// CIDR.
    pub subnet: Option<String>,
    /// Address of the bridge.
    pub gateway: Option<String>,
    /// CIDR addresses are taken from.
    pub ip_range: Option<String>,
    /// Reserved addresses by name.
    pub aux_addresses: IndexMap<String, String>,
}
