//! In: a container's spec and its standard streams. Out: its first process, running the program, or the step that failed.
//! **Invariant:** when starting fails nothing is left: no process, no mount (they live in its namespace), no control group.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rcompose_sys::process::{Cloned, clone3, exit_now, flag};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, WaitId, WaitIdOptions, set_dumpable_behavior, waitid};

use crate::cgroup::{Cgroup, CgroupError, Entry};
use crate::device;
use crate::init::Init;
pub use crate::message::StartError;
use crate::message::{Channel, Stage, send_error, wait_for_execution};
use crate::namespace;
use crate::spec::ContainerSpec;

/// What a process reads from and writes to.
#[derive(Debug, Clone, Copy)]
pub enum StandardStreams<'a> {
    /// Three open descriptors; they are copied, the caller's stay as they are. FIFOs are given to the process's user.
    Pipes {
        /// Standard input.
        stdin: BorrowedFd<'a>,
        /// Standard output.
        stdout: BorrowedFd<'a>,
        /// Standard error.
        stderr: BorrowedFd<'a>,
    },
    /// A new pseudo terminal of the container's own devpts; its master side is [`Running::terminal`].
    Terminal,
}

/// What only the caller knows at this moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct StartContext<'a> {
    /// For every [`crate::spec::NamespaceChoice::Container`]: the container's id and a process descriptor of its first process.
    pub joined: &'a [(String, OwnedFd)],
}

/// A process that was started and is the caller's child.
#[derive(Debug)]
pub struct Running {
    /// Its id in the caller's pid namespace.
    pub pid: i32,
    /// Its process descriptor, close-on-exec; readable once it ended, then to be reaped by waitid(2).
    pub pidfd: OwnedFd,
    /// The master side of its terminal, close-on-exec.
    pub terminal: Option<OwnedFd>,
    /// The group it is in.
    pub cgroup: Cgroup,
}

/// Builds a container and starts its program. The caller has one thread, is in the container's network namespace when that is private, and in the host's
/// otherwise. Returns once the program was executed.
///
/// # Errors
/// The step that failed; [`StartError::exit_code`] tells missing and unfit programs apart.
pub fn start(
    spec: &ContainerSpec,
    streams: StandardStreams<'_>,
    context: &StartContext<'_>,
) -> Result<Running, StartError> {
    let access = device::access_of(spec).map_err(|detail| StartError::refused("allow devices", detail))?;
    let started = Cgroup::create(&spec.cgroup, &access)
        .map_err(|error| group_error(&error))
        .and_then(|cgroup| {
            let entry = cgroup.entry().map_err(|error| group_error(&error))?;
            let (pid, pidfd, terminal) = start_in(spec, streams, context, &cgroup, &entry)?;
            Ok(Running {
                pid,
                pidfd,
                terminal,
                cgroup,
            })
        });
    if started.is_err()
        && let Ok(cgroup) = Cgroup::at(&spec.cgroup.path)
    {
        drop(cgroup.remove());
    }
    started
}

fn start_in(
    spec: &ContainerSpec,
    streams: StandardStreams<'_>,
    context: &StartContext<'_>,
    cgroup: &Cgroup,
    entry: &Entry,
) -> Result<(i32, OwnedFd, Option<OwnedFd>), StartError> {
    // Until it executes its program, nobody in the container may look into the child (CVE-2016-9962).
    set_dumpable_behavior(DumpableBehavior::NotDumpable).stage("protect the own memory")?;
    let channel = Channel::new()?;
    let flags = namespace::new_flags(&spec.namespaces);
    let made = match namespace::shared_pid(&spec.namespaces, context.joined)? {
        Some(process) => namespace::in_pid_namespace_of(process, || make_process(flags, entry))?,
        None => make_process(flags, entry)?,
    };
    match made {
        Cloned::Child => {
            let channel = channel.child;
            let init = Init {
                spec,
                streams: &streams,
                joined: context.joined,
                cgroup,
                entry,
                channel: channel.as_fd(),
            };
            let Err(error) = init.run();
            send_error(channel.as_fd(), &error);
            exit_now(error.exit_code())
        }
        Cloned::Parent { pid, pidfd } => await_execution(channel, pid, pidfd),
    }
}

/// clone3 with a time namespace where the kernel has them.
fn make_process(flags: u64, entry: &Entry) -> Result<Cloned, StartError> {
    let unified = entry.unified.as_ref().map(AsFd::as_fd);
    let made = match clone3(flags, unified) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
            clone3(flags & !flag::NEW_TIME, unified)
        }
        other => other,
    };
    made.stage("make the container's first process")
}

/// In the parent: the child's program runs, or the child is reaped and its error returned.
pub(crate) fn await_execution(
    channel: Channel,
    pid: i32,
    pidfd: OwnedFd,
) -> Result<(i32, OwnedFd, Option<OwnedFd>), StartError> {
    drop(channel.child);
    match wait_for_execution(&channel.parent) {
        Ok(terminal) => Ok((pid, pidfd, terminal)),
        Err(error) => {
            drop(rcompose_sys::pidfd::send_signal(
                pidfd.as_fd(),
                rustix::process::Signal::KILL.as_raw(),
            ));
            while matches!(
                waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED),
                Err(Errno::INTR)
            ) {}
            Err(error)
        }
    }
}

/// A group's error as a step of starting.
pub(crate) fn group_error(error: &CgroupError) -> StartError {
    let errno = error.errno();
    StartError::new(error.to_string(), errno, "")
}
