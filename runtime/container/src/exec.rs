//! In: a running container and a process to add to it. Out: the process, as the caller's own child in the container's namespaces and group.
//! **Invariant:** nothing of the caller can be read from inside: it is not dumpable before it enters, and its descriptors close on execve.

use std::os::fd::{AsFd, BorrowedFd};

use rcompose_sys::process::{Cloned, clone3, exit_now};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};

use crate::cgroup::{Cgroup, Entry};
use crate::create::{Running, StandardStreams, StartError, await_execution, group_error};
use crate::identity;
use crate::init::enter_groups;
use crate::launch::{self, Launch, Streams};
use crate::message::{Channel, Stage, send_error, send_terminal};
use crate::namespace;
use crate::spec::ProcessSpec;
use crate::tty;

/// A container that runs.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Process descriptor of its first process.
    pub pidfd: BorrowedFd<'a>,
    /// Its control group.
    pub cgroup: &'a Cgroup,
}

/// Runs a process in a container. The caller has one thread. Returns once the program was executed.
///
/// # Errors
/// The step that failed; [`StartError::exit_code`] tells missing and unfit programs apart.
pub fn exec(
    target: &Target<'_>,
    process: &ProcessSpec,
    streams: StandardStreams<'_>,
) -> Result<Running, StartError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).stage("protect the own memory")?;
    let entry = target.cgroup.entry().map_err(|error| group_error(&error))?;
    let channel = Channel::new()?;
    let made = namespace::in_pid_namespace_of(target.pidfd, || {
        clone3(0, entry.unified.as_ref().map(AsFd::as_fd)).stage("make a process")
    })?;
    match made {
        Cloned::Child => {
            let channel = channel.child;
            let Err(error) = run(target, process, &streams, &entry, channel.as_fd());
            send_error(channel.as_fd(), &error);
            exit_now(error.exit_code())
        }
        Cloned::Parent { pid, pidfd } => {
            let (pid, pidfd, terminal) = await_execution(channel, pid, pidfd)?;
            Ok(Running {
                pid,
                pidfd,
                terminal,
                cgroup: target.cgroup.clone(),
            })
        }
    }
}

fn run(
    target: &Target<'_>,
    process: &ProcessSpec,
    streams: &StandardStreams<'_>,
    entry: &Entry,
    channel: BorrowedFd<'_>,
) -> Result<std::convert::Infallible, StartError> {
    enter_groups(entry)?;
    launch::adjust_oom_score(process.oom_score_adj);
    umask(Mode::empty());
    namespace::enter_all(target.pidfd)?;
    let root = open(
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .stage("open the container's root")?;
    let identity = identity::find(root.as_fd(), &process.user, &process.additional_groups)?;
    let streams = match streams {
        StandardStreams::Pipes {
            stdin,
            stdout,
            stderr,
        } => Streams::Pipes([*stdin, *stdout, *stderr]),
        StandardStreams::Terminal => {
            let terminal = tty::open_in(root.as_fd(), process.terminal_size)?;
            send_terminal(channel, terminal.master.as_fd())?;
            Streams::Terminal(terminal)
        }
    };
    launch::change_directory(root.as_fd(), &process.working_directory)?;
    Launch {
        process,
        identity,
        streams,
        channel,
        init: false,
    }
    .run()
}
