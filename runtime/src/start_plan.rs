//! In: the leases of a container. Out: `start.cbor`, what is only known, and only true, for its next start.
//! **Invariant:** no two starts have interfaces of one name: the kernel takes those of an ended container apart in its own time.

use std::fs;
use std::io;
use std::path::Path;

use rcompose_network::{Attachment, NetworkSpec, NetworkState, name};
use rcompose_shim::protocol::StartPlan;

use crate::atomic;
use crate::container::text;
use crate::local::LocalRuntime;
use crate::record::ContainerRecord;
use crate::root::failed;
use crate::runtime::RuntimeError;
use crate::wire::{endpoints, find};

/// MTU of a network that does not say, in bytes.
const MTU: u32 = 1500;

impl LocalRuntime {
    /// The interfaces of a container, by the leases it holds in `networks`.
    pub(crate) fn attachments(
        &self,
        record: &ContainerRecord,
        networks: &[NetworkState],
    ) -> Result<Vec<Attachment>, RuntimeError> {
        let mut attachments: Vec<Attachment> = Vec::new();
        for (index, endpoint) in endpoints(&record.request).iter().enumerate() {
            let network = find(networks, &endpoint.network)?;
            let spec: &NetworkSpec = &network.spec;
            let address = network
                .leases
                .iter()
                .find(|leased| leased.lease.container_id == record.id)
                .map(|leased| leased.address)
                .ok_or_else(|| RuntimeError::NotFound {
                    kind: "lease",
                    name: record.name.clone(),
                })?;
            let first_way_out = !spec.internal && !attachments.iter().any(|a| a.default_route);
            attachments.push(Attachment {
                network: spec.name.clone(),
                bridge: spec.bridge.clone(),
                host_interface: name::veth_name(&record.id, &spec.name, fresh()?),
                container_interface: endpoint
                    .interface
                    .clone()
                    .unwrap_or_else(|| format!("eth{index}")),
                mac: match &endpoint.mac {
                    Some(mac) => parse_mac(mac)?,
                    None => name::mac_address(address),
                },
                address,
                prefix: spec.subnet.prefix(),
                gateway: (!spec.internal).then_some(spec.gateway),
                default_route: first_way_out,
                mtu: spec.mtu.unwrap_or(MTU),
                zone_path: text(&self.network_run(&spec.name).zone_path())?,
                internal: spec.internal,
                isolated: spec.isolated,
            });
        }
        Ok(attachments)
    }
}

/// Prepares the plan of a wired container for another start: interfaces of new names, since the kernel takes the old ones apart in its own time.
pub(crate) fn refresh_start_plan(run: &Path, id: &str, wait_for_attach: bool) -> Result<(), RuntimeError> {
    let path = run.join("start.cbor");
    let bytes = fs::read(&path).map_err(failed("read", &path))?;
    let mut plan: StartPlan =
        minicbor::decode(&bytes).map_err(|error| failed("decode", &path)(io::Error::other(error)))?;
    let used = run.join("state.json").exists();
    if !used && plan.wait_for_attach == wait_for_attach {
        return Ok(());
    }
    plan.wait_for_attach = wait_for_attach;
    for attachment in &mut plan.attachments {
        attachment.host_interface = name::veth_name(id, &attachment.network, fresh()?);
    }
    write_start_plan(run, &plan)
}

pub(crate) fn write_start_plan(run: &Path, plan: &StartPlan) -> Result<(), RuntimeError> {
    let path = run.join("start.cbor");
    let bytes = minicbor::to_vec(plan).map_err(|error| failed("encode", &path)(io::Error::other(error)))?;
    atomic::write(&path, &bytes, 0o600)
}

/// A number no earlier start had.
fn fresh() -> Result<u32, RuntimeError> {
    let mut bytes = [0_u8; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(failed("read", "random bytes"))?;
    Ok(u32::from_ne_bytes(bytes))
}

/// `aa:bb:cc:dd:ee:ff`, also with dashes.
fn parse_mac(text: &str) -> Result<[u8; 6], RuntimeError> {
    let mut mac = [0_u8; 6];
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let parsed = parts.len() == mac.len()
        && mac.iter_mut().zip(&parts).all(|(byte, part)| {
            let digits = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            let value = digits.then(|| u8::from_str_radix(part, 16).ok()).flatten();
            value.map(|value| *byte = value).is_some()
        });
    if parsed {
        Ok(mac)
    } else {
        Err(RuntimeError::Invalid(format!(
            "{text:?} is not a MAC address such as 02:42:ac:11:00:02"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_read_as_people_write_them() {
        assert_eq!(
            parse_mac("02:42:ac:11:00:FE").unwrap(),
            [2, 0x42, 0xac, 0x11, 0, 0xfe]
        );
        assert_eq!(
            parse_mac("02-42-ac-11-00-02").unwrap(),
            [2, 0x42, 0xac, 0x11, 0, 2]
        );
        for wrong in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "02:42:ac:11:00:+2",
            "2:42:ac:11:00:02",
        ] {
            assert!(parse_mac(wrong).is_err(), "{wrong}");
        }
    }
}
