//! In: the host's root, and what is hidden of it. Out: what is known of it, as a digest that the keys of builds on it begin with.
//! Known is what is soon looked at: which files are where programs, settings and packages of a host usually change, and when each was
//! changed last. Nothing is read, so another digest may mean the same content; and what is changed elsewhere goes unnoticed.
//! **Invariant:** what a build does not see does not count.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rcompose_image::Digest;

use crate::host_view::{Hidden, is_below};

/// Where is looked, and how many directories deep.
const WATCHED: [(&str, usize); 5] = [("", 1), ("usr", 2), ("usr/local", 16), ("opt", 2), ("etc", 16)];
/// What package managers write with every change: dpkg, rpm (three homes), apk (two), pacman.
const PACKAGES: [&str; 7] = [
    "var/lib/dpkg/status",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "lib/apk/db/installed",
    "usr/lib/apk/db/installed",
    "var/lib/pacman/local",
];
/// Every container has its own.
const REPLACED: [&str; 3] = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];

/// What is known of `host`.
pub(crate) fn identity(host: &Path, hidden: &BTreeMap<PathBuf, Hidden>) -> Digest {
    let mut known = BTreeMap::new();
    for path in PACKAGES {
        if let Ok(status) = fs::symlink_metadata(host.join(path)) {
            known.insert(PathBuf::from(path), dated(&status));
        }
    }
    for (top, depth) in WATCHED {
        look(host, Path::new(top), depth, hidden, &mut known);
    }
    let mut bytes = Vec::new();
    for (path, status) in known {
        bytes.extend_from_slice(path.as_os_str().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&status);
    }
    Digest::of(&bytes)
}

fn look(
    host: &Path,
    directory: &Path,
    depth: usize,
    hidden: &BTreeMap<PathBuf, Hidden>,
    known: &mut BTreeMap<PathBuf, Vec<u8>>,
) {
    // What is absent, or cannot be looked at, is not known.
    let Ok(entries) = fs::read_dir(host.join(directory)) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = directory.join(entry.file_name());
        if is_below(hidden, &path) || REPLACED.iter().any(|name| Path::new(name) == path) {
            continue;
        }
        let Ok(status) = entry.metadata() else { continue };
        // A directory that is looked into changes with what is in it; those at the root are anybody's.
        let looked_into = depth > 1 || directory.as_os_str().is_empty();
        if status.is_dir() && looked_into {
            known.insert(path.clone(), lasting(&status));
        } else {
            known.insert(path.clone(), dated(&status));
        }
        if status.is_dir() && depth > 1 {
            look(host, &path, depth - 1, hidden, known);
        }
    }
}

fn lasting(status: &Metadata) -> Vec<u8> {
    [status.mode(), status.uid(), status.gid()]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// With the time of the last change of any kind: nobody can set it.
fn dated(status: &Metadata) -> Vec<u8> {
    let mut known = lasting(status);
    known.extend_from_slice(&status.size().to_le_bytes());
    known.extend_from_slice(&status.ctime().to_le_bytes());
    known.extend_from_slice(&status.ctime_nsec().to_le_bytes());
    known
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_changes_where_hosts_change_makes_another_host() {
        let host = std::env::temp_dir().join(format!("rcompose-host-identity-{}", std::process::id()));
        let write = |name: &str| {
            let path = host.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "of one length").unwrap();
            // Longer than a tick of the clock of files.
            std::thread::sleep(Duration::from_millis(15));
        };
        for name in [
            "etc/app/conf",
            "etc/secret",
            "etc/resolv.conf",
            "usr/bin/tool",
            "usr/lib/python3/x.py",
            "usr/local/lib/deep/er/x",
            "opt/app/run",
            "var/lib/dpkg/status",
            "home/ann/x",
            "data/x",
        ] {
            write(name);
        }
        let hidden: BTreeMap<PathBuf, Hidden> = [
            ("etc/secret".into(), Hidden::Gone),
            ("home".into(), Hidden::Empty(0o755)),
        ]
        .into();
        let known = || identity(&host, &hidden);
        let first = known();
        assert_eq!(known(), first, "looking changes nothing");
        for unseen in [
            "etc/secret",
            "etc/resolv.conf",
            "home/ann/x",
            "home/ann/y",
            "data/x",
            "data/y",
            "usr/lib/python3/x.py",
        ] {
            write(unseen);
            assert_eq!(known(), first, "{unseen}");
        }
        let mut last = first;
        for seen in [
            "etc/app/conf",
            "etc/new",
            "usr/bin/tool",
            "usr/bin/new",
            "usr/lib/python3/new.py",
            "usr/local/lib/deep/er/x",
            "opt/app/run",
            "opt/new",
            "var/lib/dpkg/status",
            "new",
        ] {
            write(seen);
            let now = known();
            assert_ne!(now, last, "{seen}");
            last = now;
        }
        fs::set_permissions(host.join("usr"), fs::Permissions::from_mode(0o700)).unwrap();
        assert_ne!(known(), last, "a mode");
        fs::remove_dir_all(host).unwrap();
    }
}
