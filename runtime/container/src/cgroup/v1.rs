//! In: one version-1 hierarchy, a path and limits. Out: the directory, its limits, its state and its counters.
//! **Invariant:** `cpuset.cpus` and `cpuset.mems` are never left empty: entering such a group fails with ENOSPC.

use std::path::Path;
use std::time::{Duration, Instant};

use super::control_file::{block_device, field, make_directory, quota, read, write, write_if_present};
use super::layout::Hierarchy;
use super::{CgroupError, PATIENCE, Statistics};
use crate::device::DeviceAccess;
use crate::spec::CgroupSpec;

/// Makes the directory.
pub(super) fn make(hierarchy: &Hierarchy, path: &str) -> Result<(), CgroupError> {
    make_directory(&hierarchy.mount, path)?;
    if hierarchy
        .controllers
        .iter()
        .any(|controller| controller == "cpuset")
    {
        let mut parent = hierarchy.mount.clone();
        for component in Path::new(path) {
            let directory = parent.join(component);
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if read(&directory.join(file))?.trim().is_empty() {
                    write(&directory.join(file), read(&parent.join(file))?.trim())?;
                }
            }
            parent = directory;
        }
    }
    Ok(())
}

/// Writes the limits this hierarchy's controllers are for.
pub(super) fn limit(
    hierarchy: &Hierarchy,
    path: &str,
    spec: &CgroupSpec,
    devices: &DeviceAccess,
) -> Result<(), CgroupError> {
    let directory = hierarchy.mount.join(path);
    for controller in &hierarchy.controllers {
        match controller.as_str() {
            "memory" => limit_memory(&directory, spec)?,
            "cpu" => {
                if let Some(shares) = spec.cpu_shares {
                    write(&directory.join("cpu.shares"), &shares.to_string())?;
                }
                if let Some((quota, period)) = quota(spec) {
                    write_if_present(&directory.join("cpu.cfs_period_us"), &period.to_string())?;
                    write_if_present(&directory.join("cpu.cfs_quota_us"), &quota.to_string())?;
                }
            }
            "cpuset" => {
                if let Some(list) = &spec.cpuset {
                    write(&directory.join("cpuset.cpus"), list)?;
                }
            }
            "pids" => {
                if let Some(maximum) = spec.pids_max {
                    let value = if maximum <= 0 {
                        "max".into()
                    } else {
                        maximum.to_string()
                    };
                    write(&directory.join("pids.max"), &value)?;
                }
            }
            "blkio" => limit_block(&directory, spec)?,
            "devices" => limit_devices(&directory, devices)?,
            _ => {}
        }
    }
    Ok(())
}

fn limit_memory(directory: &Path, spec: &CgroupSpec) -> Result<(), CgroupError> {
    let swap = directory.join("memory.memsw.limit_in_bytes");
    if let Some(maximum) = spec.memory_max {
        let file = directory.join("memory.limit_in_bytes");
        if write(&file, &maximum.to_string()).is_err() {
            // Memory plus swap may never be below memory: an older, lower value is in the way.
            write_if_present(&swap, "-1")?;
            write(&file, &maximum.to_string())?;
        }
    }
    if let Some(maximum) = spec.memory_swap_max {
        write_if_present(&swap, &maximum.to_string())?;
    }
    if let Some(reservation) = spec.memory_reservation {
        write(
            &directory.join("memory.soft_limit_in_bytes"),
            &reservation.to_string(),
        )?;
    }
    if let Some(swappiness) = spec.memory_swappiness {
        write(&directory.join("memory.swappiness"), &swappiness.to_string())?;
    }
    if spec.oom_kill_disable == Some(true) {
        write(&directory.join("memory.oom_control"), "1")?;
    }
    Ok(())
}

fn limit_block(directory: &Path, spec: &CgroupSpec) -> Result<(), CgroupError> {
    if let Some(weight) = spec.blkio_weight {
        write_if_present(&directory.join("blkio.weight"), &weight.to_string())?;
        write_if_present(&directory.join("blkio.bfq.weight"), &weight.to_string())?;
    }
    for (kind, path, rate) in &spec.blkio_rates {
        let file = format!("blkio.throttle.{kind}_device");
        write_if_present(&directory.join(file), &format!("{} {rate}", block_device(path)?))?;
    }
    Ok(())
}

fn limit_devices(directory: &Path, devices: &DeviceAccess) -> Result<(), CgroupError> {
    match devices {
        DeviceAccess::Everything => write(&directory.join("devices.allow"), "a"),
        DeviceAccess::Only(rules) => {
            write(&directory.join("devices.deny"), "a")?;
            rules
                .iter()
                .try_for_each(|rule| write(&directory.join("devices.allow"), &rule.to_string()))
        }
    }
}

/// Freezes and waits: the state stays `FREEZING` while a task is on its way into the freezer.
pub(super) fn freeze(directory: &Path, path: &str) -> Result<(), CgroupError> {
    let file = directory.join("freezer.state");
    let deadline = Instant::now() + PATIENCE;
    loop {
        write(&file, "FROZEN")?;
        if read(&file)?.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() >= deadline {
            // A half-frozen group is worse than a running one.
            drop(write(&file, "THAWED"));
            return Err(CgroupError::Timeout {
                path: path.to_owned(),
                state: "frozen",
                seconds: PATIENCE.as_secs(),
            });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A limit at or above this is none: the kernel rounds "unlimited" to whole pages.
const UNLIMITED: u64 = 1 << 62;

/// Adds what this hierarchy counts.
pub(super) fn measure(hierarchy: &Hierarchy, path: &str, statistics: &mut Statistics) {
    let directory = hierarchy.mount.join(path);
    let number = |file: &str| {
        read(&directory.join(file))
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
    };
    for controller in &hierarchy.controllers {
        match controller.as_str() {
            "memory" => {
                statistics.memory_bytes = number("memory.usage_in_bytes");
                statistics.memory_limit_bytes =
                    number("memory.limit_in_bytes").filter(|limit| *limit < UNLIMITED);
                let detail = read(&directory.join("memory.stat")).ok();
                statistics.inactive_file_bytes = detail.and_then(|text| field(&text, "total_inactive_file"));
            }
            "cpuacct" => statistics.cpu_nanoseconds = number("cpuacct.usage"),
            "pids" => statistics.pids = number("pids.current"),
            "blkio" => {
                if let Ok(text) = read(&directory.join("blkio.throttle.io_service_bytes_recursive")) {
                    statistics.block_bytes = Some((sum(&text, "Read"), sum(&text, "Write")));
                }
            }
            _ => {}
        }
    }
}

/// The sum over all devices of the lines `major:minor operation bytes`.
fn sum(text: &str, operation: &str) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            (fields.next() == Some(operation))
                .then(|| fields.next()?.parse::<u64>().ok())
                .flatten()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_bytes_are_summed_over_devices() {
        let text = "8:0 Read 100\n8:0 Write 7\n8:0 Total 107\n254:0 Read 11\nTotal 118\n";
        assert_eq!((sum(text, "Read"), sum(text, "Write")), (111, 7));
    }
}
