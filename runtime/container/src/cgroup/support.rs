//! In: the host's hierarchies and limits asked for. Out: those that this host cannot honour, in words.
//! **Invariant:** what is not named here is written or fails the start; never dropped in silence.

use super::Layout;
use crate::spec::CgroupSpec;

/// The limits of `spec` that this host cannot honour, each as a sentence for the user. Empty when all will be written.
pub fn unsupported(layout: &Layout, spec: &CgroupSpec) -> Vec<String> {
    let has = |controller: &str| layout.hierarchy(controller).is_some() || layout.unified_has(controller);
    let v1_file = |controller: &str, file: &str| {
        layout
            .hierarchy(controller)
            .map(|hierarchy| hierarchy.mount.join(file).exists())
    };
    let mut missing = Vec::new();
    let mut require = |asked: bool, available: bool, sentence: &str| {
        if asked && !available {
            missing.push(sentence.to_owned());
        }
    };
    let memory = spec.memory_max.is_some() || spec.memory_reservation.is_some();
    require(
        memory,
        has("memory"),
        "memory limits: the host has no memory controller",
    );
    let swap = spec.memory_swap_max.is_some_and(|swap| swap >= 0);
    let swap_accounting = v1_file("memory", "memory.memsw.limit_in_bytes").unwrap_or_else(|| has("memory"));
    require(
        swap,
        swap_accounting,
        "memory plus swap limit: the host does not account swap (swapaccount=1)",
    );
    let cpu = spec.cpu_millis.is_some() || spec.cpu_quota.is_some() || spec.cpu_shares.is_some();
    require(
        cpu,
        has("cpu"),
        "processor limits: the host has no cpu controller",
    );
    let quota = spec.cpu_millis.is_some() || spec.cpu_quota.is_some();
    require(
        quota && has("cpu"),
        v1_file("cpu", "cpu.cfs_quota_us").unwrap_or(true),
        "cpu quota: CFS bandwidth control is not built in",
    );
    require(
        spec.cpuset.is_some(),
        has("cpuset"),
        "cpuset: the host has no cpuset controller",
    );
    require(
        spec.pids_max.is_some_and(|pids| pids > 0),
        has("pids"),
        "pids limit: the host has no pids controller",
    );
    let weight = v1_file("blkio", "blkio.weight").unwrap_or(false)
        || v1_file("blkio", "blkio.bfq.weight").unwrap_or_else(|| layout.unified_has("io"));
    require(
        spec.blkio_weight.is_some(),
        weight,
        "block I/O weight: no scheduler of the host knows weights (bfq)",
    );
    require(
        !spec.blkio_rates.is_empty(),
        has("blkio") || has("io"),
        "block I/O rates: the host has no io controller",
    );
    let v1_memory = layout.hierarchy("memory").is_some();
    require(
        spec.memory_swappiness.is_some(),
        v1_memory,
        "mem_swappiness: control groups version 2 have no such limit",
    );
    require(
        spec.oom_kill_disable == Some(true),
        v1_memory,
        "oom_kill_disable: control groups version 2 have no such switch",
    );
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_lacks_is_named() {
        let layout = Layout {
            unified: Some("/sys/fs/cgroup".into()),
            unified_controllers: vec!["memory".into()],
            hierarchies: Vec::new(),
        };
        let spec = CgroupSpec {
            memory_max: Some(1 << 20),
            pids_max: Some(10),
            cpu_millis: Some(500),
            memory_swappiness: Some(10),
            oom_kill_disable: Some(true),
            ..CgroupSpec::default()
        };
        let missing = unsupported(&layout, &spec).join("\n");
        assert_eq!(missing.lines().count(), 4, "{missing}");
        for word in [
            "pids limit",
            "processor limits",
            "mem_swappiness",
            "oom_kill_disable",
        ] {
            assert!(missing.contains(word), "{word}: {missing}");
        }
        assert!(
            unsupported(
                &layout,
                &CgroupSpec {
                    pids_max: Some(-1),
                    ..CgroupSpec::default()
                }
            )
            .is_empty()
        );
    }
}
