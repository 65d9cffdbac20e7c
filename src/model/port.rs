//! In: decoded keys. Out: [`Port`], one published port.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::IpAddr;

use crate::source::span::Span;

/// One entry of `ports:`, long form; short ranges are already several entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Port inside the container.
    pub target: u16,
    /// Ports of the host to choose from; none lets the host choose.
    pub published: Option<(u16, u16)>,
    /// Address of the host; none is every address.
    pub host_ip: Option<IpAddr>,
    /// Transport.
    pub protocol: Protocol,
    /// Where the entry stands.
    pub span: Span,
}

/// Transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}
