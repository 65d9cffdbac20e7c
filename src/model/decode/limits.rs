//! In: limits of a service, in the legacy keys and under `deploy.resources`. Out: [`Limits`] and ulimits.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use indexmap::IndexMap;

use crate::model::fields::Fields;
use crate::model::service::Limits;

const RATES: [(&str, &str); 4] = [
    ("device_read_bps", "read_bps"),
    ("device_read_iops", "read_iops"),
    ("device_write_bps", "write_bps"),
    ("device_write_iops", "write_iops"),
];

/// Both forms say the same where both are there (validation checked it).
pub(super) fn decode(service: &Fields<'_>) -> Limits {
    let resources = service
        .child("deploy")
        .and_then(|deploy| deploy.child("resources"));
    let limits = resources.as_ref().and_then(|resources| resources.child("limits"));
    let reservations = resources
        .as_ref()
        .and_then(|resources| resources.child("reservations"));
    let limits = limits.as_ref();
    let blkio = service.child("blkio_config");
    let mut blkio_rates = Vec::new();
    for (key, kind) in RATES {
        for rate in blkio.iter().flat_map(|blkio| blkio.items(key)) {
            if let (Some(path), Some(bytes)) = (rate.owned("path"), rate.bytes("rate")) {
                blkio_rates.push((kind.to_owned(), path, bytes));
            }
        }
    }
    Limits {
        cpus: limits
            .and_then(|limits| limits.decimal("cpus"))
            .or_else(|| service.decimal("cpus")),
        memory: limits
            .and_then(|limits| limits.bytes("memory"))
            .or_else(|| service.bytes("mem_limit")),
        memory_reservation: reservations
            .and_then(|reservations| reservations.bytes("memory"))
            .or_else(|| service.bytes("mem_reservation")),
        memory_swap: service.signed_bytes("memswap_limit"),
        memory_swappiness: service.bytes("mem_swappiness"),
        pids: limits
            .and_then(|limits| limits.integer("pids"))
            .or_else(|| service.integer("pids_limit")),
        cpu_shares: service.number("cpu_shares"),
        cpu_quota: service.integer("cpu_quota"),
        cpu_period: service.number("cpu_period"),
        cpuset: service.owned("cpuset"),
        blkio_weight: blkio.as_ref().and_then(|blkio| blkio.number("weight")),
        blkio_rates,
    }
}

/// A single number is both the soft and the hard limit.
pub(super) fn ulimits(section: &Fields<'_>) -> IndexMap<String, (i64, i64)> {
    let Some(ulimits) = section.child("ulimits") else {
        return IndexMap::new();
    };
    let mut found = IndexMap::new();
    for (name, limit) in section.members("ulimits") {
        let single = ulimits.integer(name);
        let soft = single.or(limit.integer("soft")).unwrap_or_default();
        let hard = single.or(limit.integer("hard")).unwrap_or_default();
        found.insert(name.to_owned(), (soft, hard));
    }
    found
}
