//! In: the mount targets of a RUN, before and after it. Out: a layer without the mount points made for them.
//! **Invariant:** only what is empty and was not there before goes, and no link is followed (CVE-2024-23652).

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};

use super::destination::Destination;
use super::overlay::{INSIDE, Tree};
use super::stage_state::LayerDirectories;
use super::step::StepMount;

/// For each mount target, how much of its path was there before.
pub(super) fn existing(directories: &LayerDirectories, mounts: &[StepMount]) -> BTreeMap<PathBuf, PathBuf> {
    let Ok(tree) = Tree::readable(&directories.lower) else {
        return BTreeMap::new();
    };
    let Ok(whole) = Destination::new(&directories.lower, directories.upper()) else {
        return BTreeMap::new();
    };
    // The directories of /proc, /sys and /dev stay: every image needs them.
    let always = ["/etc/hosts", "/etc/resolv.conf"];
    let targets = mounts.iter().map(|mount| mount.target.as_str()).chain(always);
    targets
        .filter_map(|target| {
            // Where links in the image lead to.
            let target = whole.resolve(Path::new(target)).ok()?;
            let there = target
                .ancestors()
                .find(|path| tree.open(path, OFlags::PATH | OFlags::NOFOLLOW).is_ok())?;
            (there != target).then(|| (target.clone(), there.to_owned()))
        })
        .collect()
}

/// Removes the mount points made for the command, and the parents made for them: only what is empty, and only what was not there before
/// (no link is followed: CVE-2024-23652).
pub(super) fn remove_stubs(
    directories: &LayerDirectories,
    before: &BTreeMap<PathBuf, PathBuf>,
) -> Result<(), String> {
    let upper = Tree::directory(directories.upper()).map_err(|error| error.to_string())?;
    for (target, there) in before {
        for path in target.ancestors().take_while(|path| *path != there) {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                break;
            };
            let relative = parent.strip_prefix("/").unwrap_or(parent);
            let relative = if relative.as_os_str().is_empty() {
                Path::new(".")
            } else {
                relative
            };
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            let resolve = INSIDE | ResolveFlags::NO_SYMLINKS;
            let Ok(parent) =
                rustix::fs::openat2(upper.root().as_fd(), relative, flags, Mode::empty(), resolve)
            else {
                break;
            };
            let Ok(status) = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) else {
                break;
            };
            let kind = FileType::from_raw_mode(status.st_mode);
            let removed = if kind == FileType::Directory {
                rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)
            } else if kind == FileType::RegularFile && status.st_size == 0 && path == target {
                rustix::fs::unlinkat(&parent, name, AtFlags::empty())
            } else {
                break;
            };
            if removed.is_err() {
                break;
            }
        }
    }
    Ok(())
}
