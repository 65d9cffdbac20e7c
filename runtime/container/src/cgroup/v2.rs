//! In: the version-2 hierarchy, a path and limits. Out: the directory, its limits, its state and its counters.
//! **Invariant:** processes live in leaves only (the "no internal processes" rule of cgroups(7)).

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use super::control_file::{block_device, field, make_directory, quota, read, write, write_if_present};
use super::layout::Layout;
use super::{CgroupError, PATIENCE, Statistics, device_filter};
use crate::device::DeviceAccess;
use crate::spec::CgroupSpec;

/// Makes the directory, its parents handing their controllers down.
pub(super) fn make(root: &Path, path: &str, controllers: &[String]) -> Result<(), CgroupError> {
    let directory = make_directory(root, path)?;
    let mut parents: Vec<&Path> = directory
        .ancestors()
        .skip(1)
        .take_while(|parent| parent.starts_with(root))
        .collect();
    parents.reverse();
    for parent in parents {
        let enabled = read(&parent.join("cgroup.subtree_control"))?;
        for controller in controllers {
            if !enabled.split_whitespace().any(|name| name == controller) {
                // One that is busy elsewhere (a version-1 hierarchy took it, real-time tasks) is missed by its own limit alone.
                drop(write(
                    &parent.join("cgroup.subtree_control"),
                    &format!("+{controller}"),
                ));
            }
        }
    }
    Ok(())
}

/// Writes the limits of version 2's own controllers; `devices` is none where version 1 controls them.
pub(super) fn limit(
    root: &Path,
    path: &str,
    spec: &CgroupSpec,
    layout: &Layout,
    devices: Option<&DeviceAccess>,
) -> Result<(), CgroupError> {
    let directory = root.join(path);
    if layout.unified_has("memory") {
        limit_memory(&directory, spec)?;
    }
    if layout.unified_has("cpu") {
        if let Some(shares) = spec.cpu_shares {
            write_if_present(
                &directory.join("cpu.weight"),
                &weight_of_shares(shares).to_string(),
            )?;
        }
        if let Some((quota, period)) = quota(spec) {
            let quota = if quota < 0 {
                "max".into()
            } else {
                quota.to_string()
            };
            write(&directory.join("cpu.max"), &format!("{quota} {period}"))?;
        }
    }
    if let Some(list) = spec.cpuset.as_ref().filter(|_| layout.unified_has("cpuset")) {
        write(&directory.join("cpuset.cpus"), list)?;
    }
    if let Some(maximum) = spec.pids_max.filter(|_| layout.unified_has("pids")) {
        let value = if maximum <= 0 {
            "max".into()
        } else {
            maximum.to_string()
        };
        write(&directory.join("pids.max"), &value)?;
    }
    if layout.unified_has("io") {
        limit_block(&directory, spec)?;
    }
    if let Some(DeviceAccess::Only(rules)) = devices {
        let opened = File::open(&directory).map_err(|source| CgroupError::read(&directory, source))?;
        rcompose_sys::bpf::attach_device_filter(opened.as_fd(), &device_filter::compile(rules)).map_err(
            |source| CgroupError::Write {
                path: directory,
                value: "device filter".into(),
                source,
            },
        )?;
    }
    Ok(())
}

fn limit_memory(directory: &Path, spec: &CgroupSpec) -> Result<(), CgroupError> {
    if let Some(maximum) = spec.memory_max {
        write(&directory.join("memory.max"), &maximum.to_string())?;
    }
    if let Some(total) = spec.memory_swap_max {
        // The user's figure is memory plus swap; version 2 counts swap alone.
        let swap = u64::try_from(total)
            .ok()
            .map(|total| total.saturating_sub(spec.memory_max.unwrap_or(0)));
        write_if_present(
            &directory.join("memory.swap.max"),
            &swap.map_or_else(|| "max".into(), |swap| swap.to_string()),
        )?;
    }
    if let Some(reservation) = spec.memory_reservation {
        write(&directory.join("memory.low"), &reservation.to_string())?;
    }
    Ok(())
}

fn limit_block(directory: &Path, spec: &CgroupSpec) -> Result<(), CgroupError> {
    if let Some(weight) = spec.blkio_weight {
        write_if_present(&directory.join("io.bfq.weight"), &weight.to_string())?;
        // 10 to 1000 becomes 1 to 10000.
        let weight = 1 + (u64::from(weight).max(10) - 10) * 9999 / 990;
        write_if_present(&directory.join("io.weight"), &format!("default {weight}"))?;
    }
    for (kind, path, rate) in &spec.blkio_rates {
        let key = match kind.as_str() {
            "read_bps" => "rbps",
            "write_bps" => "wbps",
            "read_iops" => "riops",
            _ => "wiops",
        };
        write(
            &directory.join("io.max"),
            &format!("{} {key}={rate}", block_device(path)?),
        )?;
    }
    Ok(())
}

/// Version 1's shares (2 to 262144) as version 2's weight (1 to 10000), linear as in the OCI runtimes' conversion.
fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

/// Freezes or thaws, and waits for freezing to be complete.
pub(super) fn freeze(directory: &Path, path: &str, frozen: bool) -> Result<(), CgroupError> {
    write(&directory.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
    let deadline = Instant::now() + PATIENCE;
    while frozen && field(&read(&directory.join("cgroup.events"))?, "frozen") != Some(1) {
        if Instant::now() >= deadline {
            drop(write(&directory.join("cgroup.freeze"), "0"));
            return Err(CgroupError::Timeout {
                path: path.to_owned(),
                state: "frozen",
                seconds: PATIENCE.as_secs(),
            });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Adds what version 2 counts and version 1 has not counted already.
pub(super) fn measure(directory: &Path, statistics: &mut Statistics) {
    let text = |file: &str| read(&directory.join(file)).ok();
    let number = |file: &str| text(file).and_then(|text| text.trim().parse::<u64>().ok());
    if statistics.memory_bytes.is_none() {
        statistics.memory_bytes = number("memory.current");
        statistics.memory_limit_bytes = number("memory.max");
        statistics.inactive_file_bytes = text("memory.stat").and_then(|text| field(&text, "inactive_file"));
    }
    if statistics.cpu_nanoseconds.is_none() {
        let microseconds = text("cpu.stat").and_then(|text| field(&text, "usage_usec"));
        statistics.cpu_nanoseconds = microseconds.map(|microseconds| microseconds.saturating_mul(1000));
    }
    if statistics.pids.is_none() {
        statistics.pids = number("pids.current");
    }
    if statistics.block_bytes.is_none() {
        statistics.block_bytes = text("io.stat").map(|text| (sum(&text, "rbytes="), sum(&text, "wbytes=")));
    }
}

/// The sum over all devices of a `key=` in `io.stat`.
fn sum(text: &str, key: &str) -> u64 {
    text.split_whitespace()
        .filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_over_the_whole_range() {
        assert_eq!(
            [2, 1024, 262_144, 0, u64::MAX].map(weight_of_shares),
            [1, 39, 10_000, 1, 10_000]
        );
    }

    #[test]
    fn the_kernel_takes_the_device_filter_and_obeys_it() {
        let layout = Layout::detect().unwrap();
        let Some(root) = &layout.unified else {
            panic!("no version-2 hierarchy is mounted to test with")
        };
        let path = format!("rcompose-test-filter-{}", std::process::id());
        make(root, &path, &layout.unified_controllers).unwrap();
        let access = DeviceAccess::Only(crate::device::default_rules());
        let unlimited = CgroupSpec::default();
        let outcome = limit(root, &path, &unlimited, &layout, Some(&access)).map(|()| {
            let script = format!(
                "echo 0 > {}/cgroup.procs && head -c 1 /dev/zero >/dev/null && echo zero; dd if=/dev/kmsg of=/dev/null count=0 2>/dev/null && echo kmsg",
                root.join(&path).display()
            );
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        });
        std::fs::remove_dir(root.join(&path)).unwrap();
        assert_eq!(outcome.unwrap(), "zero\n");
    }

    #[test]
    fn block_bytes_are_summed_over_devices() {
        let text = "8:0 rbytes=100 wbytes=7 rios=1\n254:0 rbytes=11 wbytes=0\n";
        assert_eq!((sum(text, "rbytes="), sum(text, "wbytes=")), (111, 7));
    }
}
