//! In: the mounts a user asked for. Out: detached sources opened on the host's side, then attached inside the container.
//! **Invariant:** nothing covers `/proc`, and an image's own volumes cover nothing of `/sys` either: its masks and attributes must stay true.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rcompose_sys::mount::{Propagation as Events, set_attributes};
use rustix::fs::{FileType, Gid, Mode, OFlags, Uid, fchmod, fchown, fstatfs, open, openat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::beneath::{self, Missing};
use crate::copy_up;
use crate::message::{Stage, StartError};
use crate::mount::{attach, attribute, copy, make_read_only, new_filesystem};
use crate::rootfs::Layers;
use crate::spec::{MountSource, MountSpec, Propagation};

/// statfs(2) types.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;
const SYSFS_MAGIC: u64 = 0x6265_6572;

/// Files of `/proc` that may be covered from the host: what lxcfs provides.
const COVERABLE: [&str; 8] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/slabinfo",
];

/// One mount's source.
pub(crate) struct Source {
    /// The detached tree; none for what is made only when it is attached.
    tree: Option<OwnedFd>,
    /// Layers of a tree that is made once the mount namespace is cut off.
    layers: Option<Layers>,
    /// The data directory of a volume that may have to be filled first.
    fill: Option<OwnedFd>,
    is_directory: bool,
}

/// Opens the sources, before the mount namespace is cut off from the host's: what shall share mounts with the host must be copied while the
/// host's tree is still shared.
pub(crate) fn open_sources(mounts: &[MountSpec]) -> Result<Vec<Source>, StartError> {
    mounts.iter().map(open_source).collect()
}

fn open_source(mount: &MountSpec) -> Result<Source, StartError> {
    let step = "open the source of the mount";
    let target = mount.target.as_str();
    match &mount.source {
        MountSource::Bind {
            path,
            recursive,
            create,
        } => {
            if *create && matches!(rustix::fs::stat(path.as_str()), Err(Errno::NOENT)) {
                std::fs::create_dir_all(path).stage_of("make the directory", path)?;
            }
            let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            if *recursive {
                flags |= OpenTreeFlags::AT_RECURSIVE;
            }
            let tree =
                open_tree(rustix::fs::CWD, path.as_str(), flags).stage_of("open the mount source", path)?;
            let events = match mount.propagation {
                None | Some(Propagation::Private) => Events::Private,
                Some(Propagation::Slave) => Events::Slave,
                Some(Propagation::Shared) => Events::Unchanged,
            };
            set_attributes(tree.as_fd(), 0, events, *recursive).stage_of(step, target)?;
            let is_directory = beneath::is(tree.as_fd(), FileType::Directory).stage_of(step, target)?;
            Ok(Source {
                tree: Some(tree),
                layers: None,
                fill: None,
                is_directory,
            })
        }
        MountSource::Volume {
            path,
            copy_up,
            subpath,
        } => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let data = open(path.as_str(), flags, Mode::empty()).stage_of("open the volume", path)?;
            let shown = match subpath {
                Some(subpath) => Some(
                    beneath::open(data.as_fd(), subpath, OFlags::PATH)
                        .stage_of("open in the volume", subpath)?,
                ),
                None => None,
            };
            let shown = shown.as_ref().map_or(data.as_fd(), AsFd::as_fd);
            let is_directory = beneath::is(shown, FileType::Directory).stage_of(step, target)?;
            let tree = copy(shown, false).stage_of(step, target)?;
            set_attributes(tree.as_fd(), 0, Events::Private, false).stage_of(step, target)?;
            let fill = if *copy_up && subpath.is_none() {
                Some(data)
            } else {
                None
            };
            Ok(Source {
                tree: Some(tree),
                layers: None,
                fill,
                is_directory,
            })
        }
        MountSource::Tmpfs {
            size,
            mode,
            uid,
            gid,
            noexec,
        } => {
            let mut options = vec![("mode", format!("{:o}", mode.unwrap_or(0o1777)))];
            options.extend(size.map(|size| ("size", size.to_string())));
            options.extend(uid.map(|uid| ("uid", uid.to_string())));
            options.extend(gid.map(|gid| ("gid", gid.to_string())));
            let options: Vec<(&str, &str)> = options
                .iter()
                .map(|(key, value)| (*key, value.as_str()))
                .collect();
            let attributes =
                attribute::NO_SUID | attribute::NO_DEVICES | if *noexec { attribute::NO_EXEC } else { 0 };
            let tree = new_filesystem("tmpfs", &options, attributes).stage_of("mount a tmpfs at", target)?;
            Ok(Source {
                tree: Some(tree),
                layers: None,
                fill: None,
                is_directory: true,
            })
        }
        MountSource::Content { .. } => Ok(Source {
            tree: None,
            layers: None,
            fill: None,
            is_directory: false,
        }),
        MountSource::Layers { lower, .. } => Ok(Source {
            tree: None,
            layers: Some(Layers::open_read_only(lower)?),
            fill: None,
            is_directory: true,
        }),
    }
}

/// Attaches one mount. `scratch` is an attached tmpfs that nobody else sees, `number` the mount's place in the list.
pub(crate) fn attach_one(
    root: BorrowedFd<'_>,
    mount: &MountSpec,
    source: Source,
    scratch: BorrowedFd<'_>,
    number: usize,
) -> Result<(), StartError> {
    let step = "mount";
    let target = mount.target.as_str();
    let made = match &source.layers {
        Some(layers) => Some(layers.mount()?),
        None => source.tree,
    };
    let (tree, is_directory) = match (made, &mount.source) {
        (
            Some(tree),
            MountSource::Layers {
                subpath: Some(subpath),
                ..
            },
        ) => {
            let part = part_of(tree.as_fd(), subpath, scratch, number).stage_of(step, target)?;
            let is_directory = beneath::is(part.as_fd(), FileType::Directory).stage_of(step, target)?;
            (part, is_directory)
        }
        (Some(tree), _) => (tree, source.is_directory),
        (
            None,
            MountSource::Content {
                bytes,
                mode,
                uid,
                gid,
            },
        ) => (
            content_file(bytes, *mode, *uid, *gid, scratch, number).stage_of(step, target)?,
            false,
        ),
        (None, _) => {
            return Err(StartError::refused(
                format!("{step} {target}"),
                "the mount has no source",
            ));
        }
    };
    if let Some(volume) = &source.fill {
        copy_up::fill(root, target, volume.as_fd())?;
    }
    let place = place(root, mount, is_directory)?;
    if mount.read_only || matches!(mount.source, MountSource::Layers { .. }) {
        let recursive = matches!(mount.source, MountSource::Bind { recursive: true, .. });
        make_read_only(tree.as_fd(), recursive).stage_of("make the mount read-only", target)?;
    }
    if beneath::is(place.as_fd(), FileType::Directory).stage_of(step, target)? != is_directory {
        let (this, other) = if is_directory {
            ("directory", "file")
        } else {
            ("file", "directory")
        };
        let detail = format!("a {this} cannot be mounted on a {other}");
        return Err(StartError::new(
            format!("{step} {target}"),
            Errno::NOTDIR.raw_os_error(),
            detail,
        ));
    }
    attach(tree.as_fd(), place.as_fd()).stage_of(step, target)
}

/// Resolves (and makes) the place of a mount, and refuses those that would undo the container's walls.
fn place(root: BorrowedFd<'_>, mount: &MountSpec, is_directory: bool) -> Result<OwnedFd, StartError> {
    let target = mount.target.as_str();
    let refuse = |detail: &str| Err(StartError::refused(format!("mount {target}"), detail));
    let missing = if is_directory {
        Missing::Directory
    } else {
        Missing::File
    };
    let place = beneath::resolve(root, target, missing).stage_of("find the place of the mount", target)?;
    let same = |other: BorrowedFd<'_>| -> Result<bool, Errno> {
        let (this, other) = (rustix::fs::fstat(&place)?, rustix::fs::fstat(other)?);
        Ok((this.st_dev, this.st_ino) == (other.st_dev, other.st_ino))
    };
    if same(root).stage_of("mount", target)? {
        return refuse("the root itself cannot be covered");
    }
    let user_bind = matches!(mount.source, MountSource::Bind { .. });
    let file_system = fstatfs(&place).stage_of("look at the place of the mount", target)?;
    match u64::try_from(file_system.f_type) {
        Ok(PROC_SUPER_MAGIC) if !(user_bind && COVERABLE.contains(&target)) => {
            refuse("nothing may be mounted over /proc")
        }
        Ok(SYSFS_MAGIC) if !user_bind => {
            refuse("nothing but a directory of the host may be mounted over /sys")
        }
        _ => Ok(place),
    }
}

/// A part of a detached tree: attached in `scratch` first, because kernels before 6.15 copy attached mounts only.
fn part_of(
    tree: BorrowedFd<'_>,
    subpath: &str,
    scratch: BorrowedFd<'_>,
    number: usize,
) -> Result<OwnedFd, Errno> {
    let name = format!("layers-{number}");
    rustix::fs::mkdirat(scratch, name.as_str(), Mode::from_raw_mode(0o700))?;
    let place = openat(
        scratch,
        name.as_str(),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    attach(tree, place.as_fd())?;
    copy(beneath::open(tree, subpath, OFlags::PATH)?.as_fd(), false)
}

/// A small file in memory, as a mount of its own.
fn content_file(
    bytes: &[u8],
    mode: u32,
    uid: u32,
    gid: u32,
    scratch: BorrowedFd<'_>,
    number: usize,
) -> Result<OwnedFd, Errno> {
    let name = format!("content-{number}");
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(scratch, name.as_str(), flags, Mode::from_raw_mode(0o600))?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    fchmod(&file, Mode::from_raw_mode(mode))?;
    let place = openat(
        scratch,
        name.as_str(),
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    copy(place.as_fd(), false)
}
