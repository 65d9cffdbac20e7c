//! In: a process just cloned into the container's namespaces. Out: the container around it, and its program running in it.
//! **Invariant:** flat and in order, one named error a step; what the image contains is looked at through descriptors only.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rcompose_sys::process::flag;
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::umask;

use crate::beneath::{self, Missing};
use crate::cgroup::{Cgroup, Entry};
use crate::create::StandardStreams;
use crate::device;
use crate::launch::{self, Launch, Streams};
use crate::message::{Stage, StartError, send_terminal};
use crate::mount::{attach, attribute, copy, make_read_only, new_filesystem};
use crate::namespace::{self, Joined};
use crate::rootfs::{self, Layers};
use crate::spec::{ContainerSpec, NamespaceChoice};
use crate::system_mounts::{self, DeviceDirectory};
use crate::{identity, mask, sysctl, tty, user_mounts};

/// All a container is built from, in its first process.
pub(crate) struct Init<'a> {
    pub(crate) spec: &'a ContainerSpec,
    pub(crate) streams: &'a StandardStreams<'a>,
    pub(crate) joined: Joined<'a>,
    pub(crate) cgroup: &'a Cgroup,
    pub(crate) entry: &'a Entry,
    pub(crate) channel: BorrowedFd<'a>,
}

/// Enters the version-1 groups: the kernel takes `0` for the writer, and a single thread needs no waiting for others.
pub(crate) fn enter_groups(entry: &Entry) -> Result<(), StartError> {
    for tasks in &entry.tasks {
        rustix::io::write(tasks, b"0").stage("enter the control group")?;
    }
    Ok(())
}

impl Init<'_> {
    /// Everything up to execve.
    pub(crate) fn run(&self) -> Result<Infallible, StartError> {
        let spec = self.spec;
        enter_groups(self.entry)?;
        if spec.namespaces.cgroup == NamespaceChoice::Private {
            rcompose_sys::process::unshare(flag::NEW_CGROUP).stage("make the control-group namespace")?;
        }
        launch::adjust_oom_score(spec.process.oom_score_adj);
        namespace::join_shared(&spec.namespaces, self.joined)?;
        umask(Mode::empty());

        // The host's side: every source is opened before the root is touched.
        let null = rootfs::null_device()?;
        let shared_shm = namespace::shared_shm(&spec.namespaces, self.joined)?;
        let sources = user_mounts::open_sources(&spec.mounts)?;
        let layers = Layers::open(&spec.rootfs)?;
        mount_change(
            "/",
            MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
        )
        .stage("keep mounts from the host")?;

        // The root, attached over the overlay's scratch directory, which nothing needs in this namespace.
        let root = layers.mount()?;
        let step = "attach the root";
        attach(
            root.as_fd(),
            layers
                .work()
                .ok_or_else(|| StartError::refused(step, "it has no scratch directory"))?,
        )
        .stage(step)?;
        let scratch = new_filesystem(
            "tmpfs",
            &[("mode", "0700")],
            attribute::NO_SUID | attribute::NO_DEVICES,
        )
        .stage("mount a scratch tmpfs")?;
        let step = "attach the scratch tmpfs";
        attach(
            scratch.as_fd(),
            layers
                .upper()
                .ok_or_else(|| StartError::refused(step, "there is no place for it"))?,
        )
        .stage(step)?;

        let dev = self.mount_system(root.as_fd(), shared_shm)?;

        // What the user asked for.
        for (number, (mount, source)) in spec.mounts.iter().zip(sources).enumerate() {
            user_mounts::attach_one(root.as_fd(), mount, source, scratch.as_fd(), number)?;
        }
        let directory = spec.process.working_directory.as_str();
        beneath::resolve(root.as_fd(), directory, Missing::Directory)
            .stage_of("make the working directory", directory)?;
        let identity = identity::find(root.as_fd(), &spec.process.user, &spec.process.additional_groups)?;
        let streams = match self.streams {
            StandardStreams::Pipes {
                stdin,
                stdout,
                stderr,
            } => Streams::Pipes([*stdin, *stdout, *stderr]),
            StandardStreams::Terminal => {
                let terminal = tty::open(dev.terminals.as_fd(), spec.process.terminal_size)?;
                mount_console(dev.directory.as_fd(), terminal.slave.as_fd())?;
                send_terminal(self.channel, terminal.master.as_fd())?;
                Streams::Terminal(terminal)
            }
        };

        // Walls.
        if !spec.privileged {
            mask::protect(root.as_fd(), &spec.readonly_paths)?;
            mask::hide(root.as_fd(), &spec.masked_paths, null.as_fd(), scratch.as_fd())?;
        }
        if spec.rootfs.read_only {
            make_read_only(root.as_fd(), false).stage("make the root read-only")?;
        }
        rootfs::enter(root.as_fd())?;
        if spec.namespaces.uts == NamespaceChoice::Private {
            rustix::system::sethostname(spec.hostname.as_bytes())
                .stage_of("set the host name", &spec.hostname)?;
            if let Some(domain) = &spec.domainname {
                rustix::system::setdomainname(domain.as_bytes()).stage_of("set the domain name", domain)?;
            }
        }
        launch::change_directory(root.as_fd(), directory)?;
        Launch {
            process: &spec.process,
            identity,
            streams,
            channel: self.channel,
            init: spec.init,
        }
        .run()
    }

    /// `/proc`, `/sys` and `/dev`, and the devices.
    fn mount_system(
        &self,
        root: BorrowedFd<'_>,
        shared_shm: Option<OwnedFd>,
    ) -> Result<DeviceDirectory, StartError> {
        let spec = self.spec;
        // The kernel's file systems. Parameters are written while the procfs is still detached and nobody can put anything over it.
        let proc = new_filesystem(
            "proc",
            &[],
            attribute::NO_SUID | attribute::NO_EXEC | attribute::NO_DEVICES,
        )
        .stage("mount /proc")?;
        write_parameters(proc.as_fd(), spec)?;
        attach(proc.as_fd(), system_mounts::place(root, "proc")?.as_fd()).stage("mount /proc")?;
        system_mounts::mount_sys(root, spec.privileged)?;
        let own_groups = spec.namespaces.cgroup == NamespaceChoice::Private;
        system_mounts::mount_cgroups(root, self.cgroup, own_groups, spec.privileged)?;
        let shm = match shared_shm {
            Some(shared) => shared,
            None => system_mounts::new_shm(spec.shm_size)?,
        };
        let dev = system_mounts::mount_dev(root, shm.as_fd())?;
        if spec.privileged {
            for device in device::all_of_host() {
                system_mounts::make_device(root, &device)?;
            }
        }
        for device in &spec.devices {
            system_mounts::make_device(root, device)?;
        }
        Ok(dev)
    }
}

/// Writes kernel parameters through a procfs that nobody else can see.
fn write_parameters(proc: BorrowedFd<'_>, spec: &ContainerSpec) -> Result<(), StartError> {
    for (name, value) in &spec.sysctls {
        let step = "set the kernel parameter";
        sysctl::check(name, &spec.namespaces)
            .map_err(|detail| StartError::refused(format!("{step} {name}"), detail))?;
        let path = if name.contains('/') {
            name.clone()
        } else {
            name.replace('.', "/")
        };
        let opened =
            beneath::open_without_links(proc, &format!("sys/{path}"), OFlags::WRONLY).stage_of(step, name)?;
        rustix::io::write(&opened, value.as_bytes()).stage_of(step, name)?;
    }
    Ok(())
}

/// `/dev/console` shows the container's terminal.
fn mount_console(dev: BorrowedFd<'_>, slave: BorrowedFd<'_>) -> Result<(), StartError> {
    let step = "mount /dev/console";
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    drop(openat(dev, "console", flags, Mode::from_raw_mode(0o600)).stage(step)?);
    let place = openat(
        dev,
        "console",
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .stage(step)?;
    attach(copy(slave, false).stage(step)?.as_fd(), place.as_fd()).stage(step)
}
