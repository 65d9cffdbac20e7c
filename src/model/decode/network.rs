//! In: an entry of the top-level `networks:`, or of a service's. Out: [`Network`] and [`ServiceNetwork`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::unsupported;
use crate::diagnostic::Diagnostics;
use crate::model::fields::Fields;
use crate::model::network::{IpamPool, Network};
use crate::model::schema::NETWORK;
use crate::model::service::ServiceNetwork;

/// The drivers that exist here.
const DRIVERS: [&str; 3] = ["bridge", "host", "none"];

pub(super) fn decode(fields: &Fields<'_>, findings: &mut Diagnostics) -> Option<Network> {
    unsupported::check(fields, &NETWORK, findings);
    let driver = fields.owned("driver");
    if let Some(driver) = driver.as_deref().filter(|driver| !DRIVERS.contains(driver)) {
        let why = format!("there is no network driver `{driver}`; use `bridge`");
        findings.push(unsupported::essential(fields, "driver", &why));
    }
    if fields.flag("enable_ipv6") {
        findings.push(unsupported::bearable(
            fields,
            "enable_ipv6",
            "addresses are IPv4 only",
        ));
    }
    if fields.choice("enable_ipv4") == Some(false) {
        findings.push(unsupported::essential(
            fields,
            "enable_ipv4",
            "addresses are IPv4 only",
        ));
    }
    let ipam = fields.child("ipam");
    if let Some(ipam) = &ipam
        && ipam.text("driver").is_some_and(|driver| driver != "default")
    {
        findings.push(unsupported::bearable(
            ipam,
            "driver",
            "addresses are given by rcompose",
        ));
    }
    let pools = ipam.iter().flat_map(|ipam| ipam.items("config"));
    Some(Network {
        name: unsupported::name(fields, findings)?,
        span: fields.span(),
        external: fields.flag("external"),
        driver,
        driver_opts: fields.pairs("driver_opts"),
        internal: fields.flag("internal"),
        attachable: fields.flag("attachable"),
        enable_ipv6: fields.choice("enable_ipv6"),
        ipam: pools
            .map(|pool| IpamPool {
                subnet: pool.owned("subnet"),
                gateway: pool.owned("gateway"),
                ip_range: pool.owned("ip_range"),
                aux_addresses: pool.pairs("aux_addresses"),
            })
            .collect(),
        labels: fields.pairs("labels"),
    })
}

/// How a service is attached to a network.
pub(super) fn attachment(fields: &Fields<'_>) -> ServiceNetwork {
    ServiceNetwork {
        aliases: fields.texts("aliases"),
        ipv4_address: fields.owned("ipv4_address"),
        ipv6_address: fields.owned("ipv6_address"),
        mac_address: fields.owned("mac_address"),
        interface_name: fields.owned("interface_name"),
        priority: fields.integer("priority").unwrap_or_default(),
        gateway_priority: fields.integer("gw_priority").unwrap_or_default(),
        span: fields.span(),
    }
}
