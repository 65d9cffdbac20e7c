//! In: an attached root. Out: `/proc`, `/sys`, `/sys/fs/cgroup`, `/dev` and what belongs into it.
//! **Invariant:** each is mounted on a real directory of that very name; an image that has a link there is refused.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::io::Errno;

use crate::beneath::{self, Missing};
use crate::cgroup::Cgroup;
use crate::device::HostDevice;
use crate::message::{Stage, StartError};
use crate::mount::{attach, attribute, copy, make_read_only, new_filesystem};
use crate::spec::DeviceSpec;

const NO_SUID_EXEC_DEVICES: u64 = attribute::NO_SUID | attribute::NO_EXEC | attribute::NO_DEVICES;
const MOUNT_ATTR_STRICTATIME: u64 = 0x20;

/// A directory of the image that one of the kernel's file systems is about to cover.
pub(crate) fn place(root: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, StartError> {
    beneath::real_directory(root, name).map_err(|errno| match errno {
        Errno::LOOP | Errno::NOTDIR => StartError::new(
            format!("mount /{name}"),
            errno.raw_os_error(),
            "the image has something else than a directory there",
        ),
        errno => StartError::new(format!("mount /{name}"), errno.raw_os_error(), ""),
    })
}

/// `/sys`, read-only unless `writable`.
pub(crate) fn mount_sys(root: BorrowedFd<'_>, writable: bool) -> Result<(), StartError> {
    let access = if writable { 0 } else { attribute::READ_ONLY };
    let mount = new_filesystem("sysfs", &[], NO_SUID_EXEC_DEVICES | access).stage("mount /sys")?;
    attach(mount.as_fd(), place(root, "sys")?.as_fd()).stage("mount /sys")
}

/// `/sys/fs/cgroup`: the container's own group and nothing above it.
pub(crate) fn mount_cgroups(
    root: BorrowedFd<'_>,
    cgroup: &Cgroup,
    private: bool,
    writable: bool,
) -> Result<(), StartError> {
    let step = "mount /sys/fs/cgroup";
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY;
    let target = match beneath::open_without_links(root, "sys/fs/cgroup", flags) {
        // A kernel without control groups in sysfs has no place for them.
        Err(Errno::NOENT) => return Ok(()),
        other => other.stage(step)?,
    };
    let access = if writable { 0 } else { attribute::READ_ONLY };
    let layout = cgroup.layout();
    if layout.hierarchies.is_empty() {
        // In a namespace of its own, a new mount shows the container's group as its root.
        let mount = if private {
            new_filesystem("cgroup2", &[], NO_SUID_EXEC_DEVICES | access).stage(step)?
        } else {
            bind_group(cgroup.directories().last(), access)?
        };
        return attach(mount.as_fd(), target.as_fd()).stage(step);
    }
    let options = [("mode", "0755"), ("size", "1m")];
    let tmpfs = new_filesystem("tmpfs", &options, NO_SUID_EXEC_DEVICES).stage(step)?;
    attach(tmpfs.as_fd(), target.as_fd()).stage(step)?;
    for (hierarchy, directory) in layout.hierarchies.iter().zip(cgroup.directories()) {
        let name = hierarchy.controllers.join(",").replace("name=", "");
        mkdirat(&tmpfs, name.as_str(), Mode::from_raw_mode(0o755)).stage_of(step, &name)?;
        let below =
            openat(&tmpfs, name.as_str(), flags | OFlags::CLOEXEC, Mode::empty()).stage_of(step, &name)?;
        attach(bind_group(Some(directory), access)?.as_fd(), below.as_fd()).stage_of(step, &name)?;
        if hierarchy.controllers.len() > 1 {
            for controller in &hierarchy.controllers {
                symlinkat(name.as_str(), &tmpfs, controller.as_str()).stage_of(step, controller)?;
            }
        }
    }
    if let Some(root) = &layout.unified {
        mkdirat(&tmpfs, "unified", Mode::from_raw_mode(0o755)).stage(step)?;
        let below = openat(&tmpfs, "unified", flags | OFlags::CLOEXEC, Mode::empty()).stage(step)?;
        attach(
            bind_group(Some(root.join(cgroup.path())), access)?.as_fd(),
            below.as_fd(),
        )
        .stage(step)?;
    }
    if writable {
        Ok(())
    } else {
        make_read_only(tmpfs.as_fd(), false).stage(step)
    }
}

fn bind_group(directory: Option<std::path::PathBuf>, access: u64) -> Result<OwnedFd, StartError> {
    let step = "mount the control group";
    let directory = directory.ok_or_else(|| StartError::refused(step, "there is none"))?;
    let opened = rustix::fs::open(
        &directory,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .stage(step)?;
    let mount = copy(opened.as_fd(), false).stage(step)?;
    let attributes = NO_SUID_EXEC_DEVICES | access;
    rcompose_sys::mount::set_attributes(
        mount.as_fd(),
        attributes,
        rcompose_sys::mount::Propagation::Private,
        false,
    )
    .stage(step)?;
    Ok(mount)
}

/// Nodes of every container: name and numbers, all character devices, mode 0666.
const NODES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];
/// Links of every container: name and target.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// The parts of a container's `/dev` that later steps need.
pub(crate) struct DeviceDirectory {
    /// The tmpfs at `/dev`.
    pub(crate) directory: OwnedFd,
    /// The devpts at `/dev/pts`.
    pub(crate) terminals: OwnedFd,
}

/// `/dev`, with `shm` given as a mount (a private tmpfs, or another container's).
pub(crate) fn mount_dev(root: BorrowedFd<'_>, shm: BorrowedFd<'_>) -> Result<DeviceDirectory, StartError> {
    let options = [("mode", "0755"), ("size", "64m")];
    let dev =
        new_filesystem("tmpfs", &options, attribute::NO_SUID | MOUNT_ATTR_STRICTATIME).stage("mount /dev")?;
    attach(dev.as_fd(), place(root, "dev")?.as_fd()).stage("mount /dev")?;
    for (name, major, minor) in NODES {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(&dev, name, FileType::CharacterDevice, mode, makedev(major, minor))
            .stage_of("make /dev node", name)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name).stage_of("make /dev link", name)?;
    }
    let options = [
        ("newinstance", ""),
        ("ptmxmode", "0666"),
        ("mode", "0620"),
        ("gid", "5"),
    ];
    let terminals = new_filesystem("devpts", &options, attribute::NO_SUID | attribute::NO_EXEC)
        .stage("mount /dev/pts")?;
    let queues = new_filesystem("mqueue", &[], NO_SUID_EXEC_DEVICES).stage("mount /dev/mqueue")?;
    for (name, mount) in [
        ("pts", terminals.as_fd()),
        ("shm", shm),
        ("mqueue", queues.as_fd()),
    ] {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755)).stage_of("make /dev directory", name)?;
        let place = openat(
            &dev,
            name,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .stage_of("open /dev directory", name)?;
        attach(mount, place.as_fd()).stage_of("mount into /dev", name)?;
    }
    Ok(DeviceDirectory {
        directory: dev,
        terminals,
    })
}

/// A tmpfs of its own for `/dev/shm`.
pub(crate) fn new_shm(size: u64) -> Result<OwnedFd, StartError> {
    let size = size.to_string();
    new_filesystem(
        "tmpfs",
        &[("mode", "1777"), ("size", &size)],
        NO_SUID_EXEC_DEVICES,
    )
    .stage("mount /dev/shm")
}

/// Makes a device of the host visible.
pub(crate) fn make_device(root: BorrowedFd<'_>, device: &DeviceSpec) -> Result<(), StartError> {
    let step = "make the device";
    let path = device.container_path.as_str();
    let host = HostDevice::find(device).map_err(|detail| StartError::refused(step, detail))?;
    let (parent, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
    if name.is_empty() || name == ".." {
        return Err(StartError::refused(
            format!("{step} {path}"),
            "the path names no file",
        ));
    }
    let directory = beneath::resolve(root, parent, Missing::Directory).stage_of(step, path)?;
    match mknodat(
        &directory,
        name,
        host.kind,
        Mode::from_raw_mode(host.mode),
        makedev(host.major, host.minor),
    ) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            // The standard node of that name, or the image's: only a node of the same numbers will do.
            let found =
                rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).stage_of(step, path)?;
            if FileType::from_raw_mode(found.st_mode) != host.kind
                || found.st_rdev != makedev(host.major, host.minor)
            {
                return Err(StartError::refused(
                    format!("{step} {path}"),
                    "the image has something else there",
                ));
            }
        }
        Err(errno) => return Err(errno).stage_of(step, path),
    }
    rustix::fs::chownat(
        &directory,
        name,
        Some(rustix::fs::Uid::from_raw(host.uid)),
        Some(rustix::fs::Gid::from_raw(host.gid)),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .stage_of(step, path)?;
    chmodat(&directory, name, Mode::from_raw_mode(host.mode), AtFlags::empty()).stage_of(step, path)
}
