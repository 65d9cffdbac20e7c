//! Out: what this host lacks for running containers, each as a sentence with its remedy.
//! **Invariant:** only looks; nothing is made to find out.

use std::path::Path;

use crate::cgroup::Layout;

/// Oldest kernel: `mount_setattr`, on which every container's walls are built.
const OLDEST: (u32, u32) = (5, 12);

/// Namespaces a container cannot do without, and the kernel option of each.
const NAMESPACES: [(&str, &str); 5] = [
    ("mnt", "NAMESPACES"),
    ("pid", "PID_NS"),
    ("ipc", "IPC_NS"),
    ("uts", "UTS_NS"),
    ("net", "NET_NS"),
];

/// What is missing; empty when containers can be run.
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    let mut require = |present: bool, sentence: String| {
        if !present {
            missing.push(sentence);
        }
    };
    require(
        rustix::process::geteuid().is_root(),
        "containers can only be made by root; run it with sudo".into(),
    );
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let new_enough = version(&release).is_none_or(|version| version >= OLDEST);
    require(
        new_enough,
        format!(
            "the kernel is {release}, but {}.{} is needed; install a newer one",
            OLDEST.0, OLDEST.1
        ),
    );
    for (name, option) in NAMESPACES {
        let present = Path::new("/proc/self/ns").join(name).exists();
        require(
            present,
            format!("the kernel has no {name} namespaces; use one built with CONFIG_{option}"),
        );
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let knows = |name: &str| {
        filesystems
            .lines()
            .any(|line| line.trim_start_matches("nodev").trim() == name)
    };
    let module = |name: &str| {
        knows(name)
            || Path::new("/lib/modules")
                .join(&release)
                .join("kernel/fs")
                .join(format!("{name}fs"))
                .exists()
    };
    require(
        module("overlay"),
        "the kernel has no overlay file system; load it with `modprobe overlay`".into(),
    );
    let filters = Path::new("/proc/sys/kernel/seccomp").exists();
    require(
        filters,
        "the kernel has no system-call filters; use one built with CONFIG_SECCOMP_FILTER".into(),
    );
    if let Err(error) = Layout::detect() {
        require(false, error.to_string());
    }
    missing
}

/// Major and minor number of a release such as `6.18.44-x`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert!(version("5.9.0").unwrap() < OLDEST && version("5.12-rc1").unwrap() >= OLDEST);
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn a_host_that_runs_the_container_tests_lacks_nothing() {
        assert_eq!(missing(), Vec::<String>::new());
    }
}
