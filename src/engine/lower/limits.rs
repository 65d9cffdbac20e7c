//! In: limits of a service. Out: the same in the units of the runtime.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rcompose_runtime::request::LimitsRequest;

use crate::model::Service;

pub(super) fn limits(service: &Service) -> LimitsRequest {
    let limits = &service.limits;
    LimitsRequest {
        cpu_millis: limits.cpus.map(thousandths),
        memory: limits.memory,
        memory_reservation: limits.memory_reservation,
        memory_swap: limits.memory_swap,
        memory_swappiness: limits.memory_swappiness,
        pids: limits.pids,
        cpu_shares: limits.cpu_shares,
        cpu_quota: limits.cpu_quota,
        cpu_period: limits.cpu_period,
        cpuset: limits.cpuset.clone(),
        blkio_weight: limits.blkio_weight,
        blkio_rates: limits.blkio_rates.clone(),
        oom_kill_disable: service.oom_kill_disable,
    }
}

/// At least one thousandth: less would mean no limit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and processors are counted in thousands at most"
)]
fn thousandths(cpus: f64) -> u64 {
    ((cpus * 1000.0).round() as u64).max(1)
}
