//! In: the text of `/proc/self/mounts`. Out: which control-group hierarchies this host has: version 2, version 1, or both (hybrid).
//! **Invariant:** a controller belongs to exactly one hierarchy, the first one mounted.

use std::path::{Path, PathBuf};

use super::CgroupError;

/// One mounted hierarchy of version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its controllers, several when mounted together; `name=…` for one without.
    pub controllers: Vec<String>,
}

/// The control groups of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Where version 2 is mounted.
    pub unified: Option<PathBuf>,
    /// Controllers of version 2 (`cgroup.controllers` of its root).
    pub unified_controllers: Vec<String>,
    /// Hierarchies of version 1, in the order of their mounting.
    pub hierarchies: Vec<Hierarchy>,
}

/// Options of a version-1 mount that are no controllers (cgroups(7), Linux 6.18).
const NOT_CONTROLLERS: [&str; 12] = [
    "rw",
    "ro",
    "nosuid",
    "nodev",
    "noexec",
    "relatime",
    "noatime",
    "nodiratime",
    "strictatime",
    "xattr",
    "clone_children",
    "noprefix",
];

impl Layout {
    /// What is mounted now.
    ///
    /// # Errors
    /// When `/proc/self/mounts` cannot be read or no hierarchy is mounted at all.
    pub fn detect() -> Result<Self, CgroupError> {
        let mounts = "/proc/self/mounts";
        let text = std::fs::read_to_string(mounts).map_err(|source| CgroupError::read(mounts, source))?;
        let mut layout = Self::parse(&text);
        if let Some(unified) = &layout.unified {
            let path = unified.join("cgroup.controllers");
            let controllers =
                std::fs::read_to_string(&path).map_err(|source| CgroupError::read(&path, source))?;
            layout.unified_controllers = controllers.split_whitespace().map(str::to_owned).collect();
        }
        if layout.unified.is_none() && layout.hierarchies.is_empty() {
            return Err(CgroupError::NotMounted);
        }
        Ok(layout)
    }

    /// From the lines of `/proc/self/mounts`; version 2's controllers are not in there.
    pub fn parse(mounts: &str) -> Self {
        let mut layout = Self::default();
        for line in mounts.lines() {
            let mut fields = line.split(' ').skip(1);
            let (Some(mount), Some(kind), Some(options)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let mount = PathBuf::from(unescape(mount));
            if kind == "cgroup2" && layout.unified.is_none() {
                layout.unified = Some(mount);
            } else if kind == "cgroup" {
                let controllers: Vec<String> = options
                    .split(',')
                    .filter(|option| {
                        !NOT_CONTROLLERS.contains(option) && !option.starts_with("release_agent=")
                    })
                    .map(str::to_owned)
                    .collect();
                if !controllers.is_empty() && layout.hierarchy(&controllers[0]).is_none() {
                    layout.hierarchies.push(Hierarchy { mount, controllers });
                }
            }
        }
        layout
    }

    /// The version-1 hierarchy of a controller.
    pub fn hierarchy(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchies
            .iter()
            .find(|hierarchy| hierarchy.controllers.iter().any(|name| name == controller))
    }

    /// Whether version 2 has this controller.
    pub fn unified_has(&self, controller: &str) -> bool {
        self.unified_controllers.iter().any(|name| name == controller)
    }

    /// The roots of all hierarchies.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Path> {
        self.hierarchies
            .iter()
            .map(|hierarchy| hierarchy.mount.as_path())
            .chain(self.unified.as_deref())
    }
}

/// Undoes the octal escapes of the kernel's mount tables (`\040` for a space).
fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let octal = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            text.push(char::from(byte));
            rest = &rest[at + 4..];
        } else {
            text.push('\\');
            rest = &rest[at + 1..];
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_host_has_both_versions() {
        let layout = Layout::parse(
            "tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0\n\
             cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0\n\
             cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
             cgroup /again cgroup rw,relatime,memory 0 0\n\
             cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,release_agent=/lib/x,name=systemd 0 0\n\
             cgroup2 /sys/fs/cgroup/uni\\040fied cgroup2 rw,relatime 0 0\n",
        );
        assert_eq!(layout.unified, Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
        assert_eq!(layout.hierarchies.len(), 3);
        assert_eq!(
            layout.hierarchy("cpuacct").unwrap().controllers,
            ["cpu", "cpuacct"]
        );
        assert_eq!(
            layout.hierarchy("memory").unwrap().mount,
            PathBuf::from("/sys/fs/cgroup/memory")
        );
        assert_eq!(layout.hierarchies[2].controllers, ["name=systemd"]);
        assert!(layout.hierarchy("pids").is_none());
    }

    #[test]
    fn a_unified_host_has_one() {
        let layout = Layout::parse("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nsdelegate 0 0\n");
        assert_eq!(layout.unified, Some(PathBuf::from("/sys/fs/cgroup")));
        assert!(layout.hierarchies.is_empty());
    }
}
