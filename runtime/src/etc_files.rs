//! In: what a container asked of its names and servers. Out: its `hosts`, `hostname` and `resolv.conf` in the run directory.
//! **Invariant:** written before the container starts, and never changed while it runs.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcompose_network::{Attachment, NetworkState};

use crate::complete::etc;
use crate::host;
use crate::request::{ContainerRequest, NetworkingRequest};
use crate::root::failed;
use crate::runtime::RuntimeError;
use crate::wire::find;

/// Writes the files that are mounted over `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
pub(crate) fn write_etc(
    run: &Path,
    request: &ContainerRequest,
    hostname: &str,
    attachments: &[Attachment],
    networks: &[NetworkState],
) -> Result<(), RuntimeError> {
    let on_host = request.network == NetworkingRequest::Host;
    let host_gateway = attachments
        .first()
        .and_then(|attachment| find(networks, &attachment.network).ok())
        .map_or(Ipv4Addr::LOCALHOST, |network| network.spec.gateway);
    let extra: Vec<(String, String)> = request
        .extra_hosts
        .iter()
        .map(|(name, address)| {
            let address = if address == "host-gateway" {
                host_gateway.to_string()
            } else {
                address.clone()
            };
            (name.clone(), address)
        })
        .collect();
    let own: Vec<Ipv4Addr> = attachments.iter().map(|attachment| attachment.address).collect();
    let full = match &request.domainname {
        Some(domain) => format!("{hostname}.{domain} {hostname}"),
        None => hostname.to_owned(),
    };
    let base = if on_host {
        fs::read_to_string("/etc/hosts").ok()
    } else {
        None
    };
    let (resolver_text, resolver) = host::resolver();
    let search = if request.dns_search.is_empty() {
        &resolver.search
    } else {
        &request.dns_search
    };
    let resolv_conf = if attachments.is_empty() {
        etc::host_resolver_configuration(
            &resolver_text,
            &request.dns,
            &request.dns_search,
            &request.dns_options,
        )
    } else {
        etc::resolver_configuration(search, &request.dns_options)
    };
    for (name, text) in [
        ("hosts", etc::hosts(base.as_deref(), &extra, &own, &full)),
        ("hostname", format!("{hostname}\n")),
        ("resolv.conf", resolv_conf),
    ] {
        let path = run.join(name);
        // Everybody in the container reads these, whatever the umask of this process.
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)))
            .map_err(failed("write", &path))?;
    }
    Ok(())
}
