//! Out: what every container gets unless told otherwise: hidden and read-only paths, and the path programs are looked up in.
//! **Invariant:** constants, and one list that grows with the number of processors.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Paths that tell a container too much about the host or let it reach the host's firmware.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths through which a container could change the host's kernel.
pub const READONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// `PATH` of a process whose environment has none.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Size of `/dev/shm` in bytes.
pub const SHM_SIZE: u64 = 64 << 20;

/// [`MASKED_PATHS`] and the thermal throttle counters of every processor, a side channel.
pub fn masked_paths(processors: usize) -> Vec<String> {
    let throttles =
        (0..processors).map(|number| format!("/sys/devices/system/cpu/cpu{number}/thermal_throttle"));
    MASKED_PATHS
        .iter()
        .map(ToString::to_string)
        .chain(throttles)
        .collect()
}

/// [`READONLY_PATHS`], owned.
pub fn readonly_paths() -> Vec<String> {
    READONLY_PATHS.iter().map(ToString::to_string).collect()
}
