//! In: networks and volumes of a project. Out: their requests, hashed without the engine's own labels.
//! **Invariant:** none for what is external.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rcompose_runtime::request::{NetworkRequest, VolumeRequest};

use super::hash::resource_hash;
use super::label::PREFIX;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::Project;
use crate::model::network::Network;
use crate::model::volume::Volume;

/// Options of Docker's bridge driver that are honoured.
const OPTIONS: [&str; 3] = [
    "com.docker.network.bridge.name",
    "com.docker.network.driver.mtu",
    "com.docker.network.bridge.enable_icc",
];

/// The request of a network; none when it is external, or wrong, which `diagnostics` then say.
pub fn network_request(
    project: &Project,
    key: &str,
    network: &Network,
    diagnostics: &mut Diagnostics,
) -> Option<NetworkRequest> {
    if network.external {
        return None;
    }
    if let Some(driver) = network
        .driver
        .as_deref()
        .filter(|driver| !matches!(*driver, "bridge" | "default" | ""))
    {
        let message = format!("network {key} has the driver {driver}, only bridge is supported");
        diagnostics.push(Diagnostic::error("unsupported-key", message).at(network.span));
        return None;
    }
    for option in network
        .driver_opts
        .keys()
        .filter(|option| !OPTIONS.contains(&option.as_str()))
    {
        let message = format!("option {option} of network {key} has no effect");
        diagnostics.push(Diagnostic::warning("network-option", message).at(network.span));
    }
    let option = |name: &str| network.driver_opts.get(name);
    let mut pools = network
        .ipam
        .iter()
        .filter(|pool| pool.subnet.as_deref().is_none_or(|subnet| !subnet.contains(':')));
    let pool = pools.next();
    if pools.next().is_some() {
        let message = format!("network {key} has several IPv4 subnets, the first is used");
        diagnostics.push(Diagnostic::warning("several-subnets", message).at(network.span));
    }
    let mut reserved = Vec::new();
    for (name, address) in pool.into_iter().flat_map(|pool| &pool.aux_addresses) {
        if let Ok(address) = address.parse() {
            reserved.push(address);
        } else {
            let message = format!("aux_addresses.{name} of network {key} is not an IPv4 address");
            diagnostics.push(Diagnostic::error("bad-value", message).at(network.span));
        }
    }
    let mtu = option(OPTIONS[1]).map(|text| (text, text.parse()));
    if let Some((text, Err(_))) = &mtu {
        let message = format!("mtu of network {key} is {text:?}, expected a number");
        diagnostics.push(Diagnostic::error("bad-value", message).at(network.span));
    }
    let mut request = NetworkRequest {
        name: network.name.clone(),
        project: project.name.to_string(),
        key: key.to_owned(),
        config_hash: String::new(),
        internal: network.internal,
        subnet: pool.and_then(|pool| pool.subnet.clone()),
        gateway: pool.and_then(|pool| pool.gateway.clone()),
        ip_range: pool.and_then(|pool| pool.ip_range.clone()),
        bridge: option(OPTIONS[0]).cloned(),
        mtu: mtu.and_then(|(_, mtu)| mtu.ok()),
        icc: option(OPTIONS[2]).is_none_or(|text| text != "false"),
        reserved,
        labels: own(&network.labels),
    };
    request.config_hash = resource_hash(&request);
    label(&mut request.labels, project, "network", key);
    Some(request)
}

/// The request of a volume; none when it is external, or wrong, which `diagnostics` then say.
pub fn volume_request(
    project: &Project,
    key: &str,
    volume: &Volume,
    diagnostics: &mut Diagnostics,
) -> Option<VolumeRequest> {
    if volume.external {
        return None;
    }
    if let Some(driver) = volume
        .driver
        .as_deref()
        .filter(|driver| !matches!(*driver, "local" | ""))
    {
        let message = format!("volume {key} has the driver {driver}, only local is supported");
        diagnostics.push(Diagnostic::error("unsupported-key", message).at(volume.span));
        return None;
    }
    let options = volume.driver_opts.clone().into_iter().collect();
    Some(make_volume(
        project,
        key,
        &volume.name,
        options,
        own(&volume.labels),
    ))
}

/// The request of a volume without settings.
pub(in crate::engine) fn plain_volume(project: &Project, name: &str) -> VolumeRequest {
    make_volume(project, name, name, BTreeMap::new(), BTreeMap::new())
}

fn make_volume(
    project: &Project,
    key: &str,
    name: &str,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
) -> VolumeRequest {
    let mut request = VolumeRequest {
        name: name.to_owned(),
        project: project.name.to_string(),
        key: key.to_owned(),
        config_hash: String::new(),
        options,
        labels,
    };
    request.config_hash = resource_hash(&request);
    label(&mut request.labels, project, "volume", key);
    request
}

pub(super) fn own(labels: &IndexMap<String, String>) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn label(labels: &mut BTreeMap<String, String>, project: &Project, kind: &str, key: &str) {
    labels.insert(format!("{PREFIX}project"), project.name.to_string());
    labels.insert(format!("{PREFIX}{kind}"), key.to_owned());
    labels.insert(format!("{PREFIX}version"), env!("CARGO_PKG_VERSION").to_owned());
}
