//! In: the host's root. Out: what a container of `@host` does not see of it, as marks in an overlay's directory and as masks.
//! Hidden is what is this host's own (state, homes, other engines) and, as a rule, whatever not everybody on the host may read.
//! **Invariant:** nothing of the host is changed; what cannot be looked at is hidden.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rcompose_container::spec::{MountSource, MountSpec};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr, statfs};

use crate::container::text;
use crate::root::{Roots, failed};
use crate::runtime::RuntimeError;

/// Directories that a container has empty and of its own, with their modes; a link such as `/var/run` stays what it is.
const FRESH: [(&str, u32); 15] = [
    ("dev", 0o755),
    ("proc", 0o755),
    ("sys", 0o755),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("media", 0o755),
    ("mnt", 0o755),
    ("root", 0o700),
    ("home", 0o755),
    ("var/tmp", 0o1777),
    ("var/run", 0o755),
    ("var/log", 0o755),
    ("var/mail", 0o2775),
    ("var/backups", 0o755),
    ("var/crash", 0o755),
];
/// What is hidden though everybody may read it: who this host is, and the state of engines and of what set it up.
const OWN: [&str; 14] = [
    "etc/machine-id",
    "etc/cloud",
    "etc/docker",
    "etc/kubernetes",
    "etc/rancher",
    "etc/rcompose",
    "var/lib/dbus/machine-id",
    "var/lib/docker",
    "var/lib/containerd",
    "var/lib/containers",
    "var/lib/kubelet",
    "var/lib/rancher",
    "var/lib/cloud",
    "var/lib/libvirt",
];
/// Where the rule holds, and how many directories deep it is looked for.
const SEARCHED: [(&str, usize); 5] = [("", 1), ("etc", 16), ("var", 4), ("opt", 2), ("srv", 2)];
/// Others may read a file, and enter a directory.
const READ: u32 = 0o004;
const ENTER: u32 = 0o005;

/// How something is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// It is not there.
    Gone,
    /// A directory is empty, with this mode.
    Empty(u32),
}

/// What is hidden below `host`, by path from it; nothing below something hidden.
pub(crate) fn hidden_parts(host: &Path, roots: &[&Path]) -> BTreeMap<PathBuf, Hidden> {
    let mut parts = BTreeMap::new();
    for (name, mode) in FRESH {
        if fs::symlink_metadata(host.join(name)).is_ok_and(|status| status.is_dir()) {
            parts.insert(PathBuf::from(name), Hidden::Empty(mode));
        }
    }
    let own = OWN.iter().map(PathBuf::from);
    let own_roots = roots
        .iter()
        .filter_map(|root| root.strip_prefix("/").ok().map(Path::to_owned));
    for path in own.chain(own_roots) {
        if !is_below(&parts, &path) && fs::symlink_metadata(host.join(&path)).is_ok() {
            parts.insert(path, Hidden::Gone);
        }
    }
    for (top, depth) in SEARCHED {
        search(host, Path::new(top), depth, &mut parts);
    }
    parts
}

pub(crate) fn is_below(parts: &BTreeMap<PathBuf, Hidden>, path: &Path) -> bool {
    path.ancestors().any(|above| parts.contains_key(above))
}

fn search(host: &Path, directory: &Path, depth: usize, parts: &mut BTreeMap<PathBuf, Hidden>) {
    let Ok(entries) = fs::read_dir(host.join(directory)) else {
        // Absent; or it cannot be looked at, and then root in a container, who is no more than we are, cannot either.
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = directory.join(entry.file_name());
        if is_below(parts, &path) {
            continue;
        }
        // Of a link nothing is shown but where it leads.
        let Ok(status) = entry.metadata() else { continue };
        let (mode, kind) = (status.mode() & 0o7777, status.file_type());
        if kind.is_dir() && mode & ENTER != ENTER {
            parts.insert(path, Hidden::Empty(mode));
        } else if kind.is_dir() && depth > 1 {
            search(host, &path, depth - 1, parts);
        } else if kind.is_file() && mode & READ == 0 {
            parts.insert(path, Hidden::Gone);
        }
    }
}

/// Fills a directory that lies over the host's root with marks that hide the parts. Overlay marks: an opaque directory hides
/// what is below it, a character device 0:0 hides a name (kernel, overlayfs.rst).
pub(crate) fn mark(upper: &Path, parts: &BTreeMap<PathBuf, Hidden>) -> Result<(), RuntimeError> {
    for (path, hidden) in parts {
        match hidden {
            Hidden::Empty(mode) => {
                let directory = mirror_directories(upper, path)?;
                fs::set_permissions(&directory, fs::Permissions::from_mode(*mode))
                    .map_err(failed("open up", &directory))?;
                setxattr(&directory, "trusted.overlay.opaque", b"y", XattrFlags::empty())
                    .map_err(failed("mark", &directory))?;
            }
            Hidden::Gone => {
                let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                    continue;
                };
                let whiteout = mirror_directories(upper, parent)?.join(name);
                mknodat(
                    CWD,
                    &whiteout,
                    FileType::CharacterDevice,
                    Mode::empty(),
                    makedev(0, 0),
                )
                .map_err(failed("hide", &whiteout))?;
            }
        }
    }
    Ok(())
}

/// Makes the directories of `path` below `upper`, with the owners and modes they have on the host.
fn mirror_directories(upper: &Path, path: &Path) -> Result<PathBuf, RuntimeError> {
    let (mut host, mut mirror) = (PathBuf::from("/"), upper.to_owned());
    for part in path.components() {
        host.push(part);
        mirror.push(part);
        if mirror.is_dir() {
            continue;
        }
        let status = fs::symlink_metadata(&host).map_err(failed("look at", &host))?;
        fs::create_dir(&mirror)
            .and_then(|()| chown(&mirror, Some(status.uid()), Some(status.gid())))
            .and_then(|()| fs::set_permissions(&mirror, fs::Permissions::from_mode(status.mode() & 0o7777)))
            .map_err(failed("make directory", &mirror))?;
    }
    Ok(mirror)
}

/// Other file systems of the host's that its root is made of (`/usr` or `/var` on a partition of their own), as read-only mounts: an
/// overlay sees only the file system its lower directory is on. The kernel's own, and what is fresh anyway, are left out.
pub(crate) fn submounts() -> Result<Vec<MountSpec>, RuntimeError> {
    let table = "/proc/self/mountinfo";
    let text = fs::read_to_string(table).map_err(failed("read", table))?;
    let mut targets: Vec<String> = text.lines().filter_map(submount).collect();
    targets.sort();
    targets.dedup();
    let bind = |target: String| MountSpec {
        source: MountSource::Bind {
            path: target.clone(),
            recursive: false,
            create: false,
        },
        target,
        read_only: true,
        propagation: None,
    };
    Ok(targets.into_iter().map(bind).collect())
}

/// statfs(2) type of an overlay.
const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;

/// Whether layers can stand on this host's root.
///
/// # Errors
/// They cannot, with the reason.
pub(crate) fn can_be_base() -> Result<(), RuntimeError> {
    let status = statfs("/").map_err(failed("look at", "/"))?;
    let is_overlay = u64::try_from(status.f_type) == Ok(OVERLAYFS_SUPER_MAGIC);
    let submounts = submounts()?;
    let others: Vec<&str> = submounts.iter().map(|mount| mount.target.as_str()).collect();
    no_base(is_overlay, &others).map_or(Ok(()), |why| Err(RuntimeError::Invalid(why)))
}

/// Why a root like this is nothing that layers can stand on.
fn no_base(is_overlay: bool, submounts: &[&str]) -> Option<String> {
    let why = if is_overlay {
        "its root is an overlay itself, as a container's or a live system's is, and the kernel stacks no more than two".to_owned()
    } else if submounts.is_empty() {
        return None;
    } else {
        format!(
            "{} lies on another file system than `/`, and a layer is of one",
            submounts.join(", ")
        )
    };
    Some(format!(
        "no image can stand on the @host of this machine: {why}; `image: \"@host\"` runs, and `rcompose image bootstrap debian:bookworm-slim` \
         makes a base without a registry"
    ))
}

/// The hidden parts that lie on such a mount, where no mark of an overlay reaches: they are masked in the container.
pub(crate) fn masks(
    parts: &BTreeMap<PathBuf, Hidden>,
    submounts: &[MountSpec],
) -> Result<Vec<String>, RuntimeError> {
    let whole = parts.keys().map(|path| Path::new("/").join(path));
    let on_mount = |path: &PathBuf| submounts.iter().any(|mount| path.starts_with(&mount.target));
    whole.filter(on_mount).map(|path| text(&path)).collect()
}

/// The mount point of a line of mountinfo, if it is a part of the system on a disk (`proc_pid_mountinfo(5)`: field 5, and the type after ` - `).
fn submount(line: &str) -> Option<String> {
    let (left, right) = line.split_once(" - ")?;
    let point = left.split(' ').nth(4)?;
    let kind = right.split(' ').next()?;
    let on_disk = matches!(
        kind,
        "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "f2fs" | "zfs" | "squashfs" | "erofs" | "overlay"
    );
    let part = point.strip_prefix('/')?;
    let of_system = ["usr", "opt", "var", "etc", "lib", "srv"]
        .iter()
        .any(|top| Path::new(part).starts_with(top));
    let fresh = FRESH.iter().any(|(name, _)| Path::new(part).starts_with(name));
    let plain = !point.contains('\\') && Path::new(point).is_dir() && !fresh;
    // Mounts of other engines' containers are below /var/lib and are not the system's.
    let foreign = Path::new(part).starts_with("var/lib") && part != "var/lib";
    (on_disk && of_system && plain && !foreign).then(|| point.to_owned())
}

/// The roots of this rcompose, of which no container sees anything.
pub(crate) fn parts_of_this_host(roots: &Roots) -> BTreeMap<PathBuf, Hidden> {
    hidden_parts(Path::new("/"), &[roots.data(), roots.run()])
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn parts_of_the_system_on_other_disks_are_told_from_everything_else() {
        let line = |point: &str, kind: &str| {
            format!("36 25 254:1 / {point} rw,relatime shared:1 - {kind} /dev/vda2 rw")
        };
        assert_eq!(submount(&line("/usr", "ext4")).as_deref(), Some("/usr"));
        for (point, kind) in [
            ("/", "ext4"),
            ("/proc", "proc"),
            ("/usr", "tmpfs"),
            ("/home", "ext4"),
            ("/var/log", "ext4"),
            ("/var/lib/docker/overlay2/1/merged", "overlay"),
            ("/usr/no such", "ext4"),
        ] {
            assert_eq!(submount(&line(point, kind)), None, "{point} {kind}");
        }
    }

    #[test]
    fn a_root_of_one_file_system_is_a_base() {
        assert_eq!(no_base(false, &[]), None);
        assert!(no_base(true, &[]).is_some_and(|why| why.contains("stacks no more than two")));
        assert!(no_base(false, &["/usr", "/var"]).is_some_and(|why| why.contains("/usr, /var lies")));
    }

    #[test]
    fn what_not_everybody_may_read_is_hidden() -> io::Result<()> {
        let host = std::env::temp_dir().join(format!("rcompose-host-view-{}", std::process::id()));
        let file = |name: &str, mode: u32| -> io::Result<()> {
            let path = host.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&host))?;
            fs::write(&path, "")?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        };
        let directory = |name: &str, mode: u32| -> io::Result<()> {
            fs::create_dir_all(host.join(name))?;
            fs::set_permissions(host.join(name), fs::Permissions::from_mode(mode))
        };
        for (name, mode) in [
            ("etc/passwd", 0o644),
            ("etc/shadow", 0o640),
            ("etc/ssh/ssh_host_rsa_key", 0o600),
            ("etc/ssh/ssh_host_rsa_key.pub", 0o644),
            ("etc/NetworkManager/system-connections/wifi", 0o600),
            ("etc/ssl/private/key.pem", 0o644),
            ("etc/machine-id", 0o444),
            ("root/.ssh/id", 0o644),
            ("run/secret", 0o644),
            ("var/lib/docker/x", 0o644),
            ("var/lib/app/deep/token", 0o600),
            ("var/lib/data/x", 0o644),
            ("usr/bin/tool", 0o700),
            ("swapfile", 0o600),
            ("data/images/x", 0o644),
        ] {
            file(name, mode)?;
        }
        directory("etc/ssl/private", 0o710)?;
        directory("var/lib/data", 0o750)?;
        let parts = hidden_parts(&host, &[Path::new("/data")]);
        let told: Vec<(&str, Hidden)> = parts
            .iter()
            .filter_map(|(path, hidden)| Some((path.to_str()?, *hidden)))
            .collect();
        assert_eq!(
            told,
            [
                ("data", Hidden::Gone),
                ("etc/NetworkManager/system-connections/wifi", Hidden::Gone),
                ("etc/machine-id", Hidden::Gone),
                ("etc/shadow", Hidden::Gone),
                ("etc/ssh/ssh_host_rsa_key", Hidden::Gone),
                ("etc/ssl/private", Hidden::Empty(0o710)),
                ("root", Hidden::Empty(0o700)),
                ("run", Hidden::Empty(0o755)),
                ("swapfile", Hidden::Gone),
                ("var/lib/app/deep/token", Hidden::Gone),
                ("var/lib/data", Hidden::Empty(0o750)),
                ("var/lib/docker", Hidden::Gone),
            ]
        );
        fs::remove_dir_all(&host)
    }
}
