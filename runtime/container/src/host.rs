//! Out: what this host lacks for running containers, each with its remedy.
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

/// One thing a host lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What is missing, a lower-case clause.
    pub what: String,
    /// What to do about it, a lower-case clause.
    pub remedy: String,
}

/// What is missing, the most important first; empty when containers can be run.
pub fn missing() -> Vec<Lack> {
    let mut missing = Vec::new();
    let mut require = |present: bool, what: String, remedy: &str| {
        if !present {
            missing.push(Lack {
                what,
                remedy: remedy.to_owned(),
            });
        }
    };
    let root = rustix::process::geteuid().is_root();
    require(
        root,
        "containers need root privileges".into(),
        "run the command with sudo",
    );
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let new_enough = version(&release).is_none_or(|version| version >= OLDEST);
    let what = format!("the kernel is {release}, older than {}.{}", OLDEST.0, OLDEST.1);
    require(new_enough, what, "install a newer kernel");
    for (name, option) in NAMESPACES {
        let present = Path::new("/proc/self/ns").join(name).exists();
        let remedy = format!("boot a kernel built with CONFIG_{option}");
        require(present, format!("this kernel has no {name} namespaces"), &remedy);
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let overlay = filesystems.lines().any(|line| line.ends_with("\toverlay"));
    require(
        overlay,
        "this kernel has no overlay file system".into(),
        "load it with `modprobe overlay`",
    );
    let filters = Path::new("/proc/sys/kernel/seccomp").exists();
    let remedy = "boot a kernel built with CONFIG_SECCOMP_FILTER";
    require(filters, "this kernel has no system-call filters".into(), remedy);
    if let Err(error) = Layout::detect() {
        let remedy = "mount them, such as with `mount -t cgroup2 none /sys/fs/cgroup`";
        require(false, format!("control groups are not usable: {error}"), remedy);
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
        assert_eq!(missing(), Vec::<Lack>::new());
    }
}
