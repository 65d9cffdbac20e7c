//! In: the workload of a shim. Out: its first process, further processes beside it, and what becomes of them: signals, freezing, cleaning up.
//! **Invariant:** a container and a plain host process look alike from the outside; who keeps them does not ask which it is.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rcompose_container::cgroup::Cgroup;
use rcompose_container::create::{self, StandardStreams, StartContext};
use rcompose_container::exec::{self, Target};
use rcompose_container::spec::{
    ContainerSpec, HealthSpec, NamespaceChoice, ProcessKeeper, ProcessSpec, RestartPolicy, Workload,
};
use rcompose_sys::pidfd;

use crate::clock;
use crate::error::ShimError;
use crate::process_identity;
use crate::siblings::Siblings;
use crate::stdio::ContainerIo;

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// Milliseconds a plain process gets between SIGTERM and SIGKILL.
const PROCESS_GRACE: u64 = 10_000;

/// The first process.
#[derive(Debug)]
pub(crate) struct First {
    /// In the host's pid namespace.
    pub(crate) pid: i32,
    /// Clock ticks since boot.
    pub(crate) start_time: u64,
    pub(crate) pidfd: OwnedFd,
    /// When it was executed, milliseconds of the monotonic clock.
    pub(crate) started: u64,
    /// An earlier shim started it: its end does not come as a child's.
    pub(crate) adopted: bool,
}

/// A further process in the container.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    /// Master side of its terminal.
    pub(crate) terminal: Option<OwnedFd>,
}

/// A container, and where to find others that it shares namespaces with.
#[derive(Debug)]
pub(crate) struct Contained {
    pub(crate) spec: Box<ContainerSpec>,
    siblings: Siblings,
    group: Cgroup,
}

/// What a shim keeps.
#[derive(Debug)]
pub(crate) enum Kept {
    /// A container.
    Container(Contained),
    /// A plain process of the host.
    Process(ProcessKeeper),
}

impl Kept {
    pub(crate) fn new(workload: Workload, siblings: Siblings) -> Result<Self, ShimError> {
        Ok(match workload {
            Workload::Container(spec) => {
                let group = Cgroup::at(&spec.cgroup.path)?;
                Kept::Container(Contained {
                    spec,
                    siblings,
                    group,
                })
            }
            Workload::Process(keeper) => Kept::Process(keeper),
        })
    }

    /// Starts the first process with its ends of `stdio`.
    pub(crate) fn start(&self, run: BorrowedFd<'_>, stdio: &mut ContainerIo) -> Result<First, ShimError> {
        let Contained { spec, siblings, .. } = match self {
            Kept::Container(container) => container,
            Kept::Process(keeper) => return start_plain(keeper),
        };
        let joined = siblings.joined(&spec.namespaces)?;
        let context = StartContext { joined: &joined };
        let running = if spec.process.terminal {
            create::start(spec, StandardStreams::Terminal, &context)?
        } else {
            stdio.open_ends(run, spec.stdin_open)?;
            let ends = stdio.process_ends(run, spec.stdin_open)?;
            let streams = StandardStreams::Pipes {
                stdin: ends.stdin.as_fd(),
                stdout: ends.stdout.as_fd(),
                stderr: ends.stderr.as_fd(),
            };
            create::start(spec, streams, &context)?
        };
        if let Some(terminal) = running.terminal {
            stdio.use_terminal(terminal)?;
        }
        first_of(running.pid, running.pidfd)
    }

    /// Executes a process beside the first one, with a terminal of its own or these streams: input, output, errors.
    pub(crate) fn execute(
        &self,
        first: &First,
        process: &ProcessSpec,
        streams: &[OwnedFd; 3],
    ) -> Result<Beside, ShimError> {
        let group = self.container_group()?;
        let target = Target {
            pidfd: first.pidfd.as_fd(),
            cgroup: group,
        };
        let [stdin, stdout, stderr] = streams;
        let streams = if process.terminal {
            StandardStreams::Terminal
        } else {
            StandardStreams::Pipes {
                stdin: stdin.as_fd(),
                stdout: stdout.as_fd(),
                stderr: stderr.as_fd(),
            }
        };
        let running = exec::exec(&target, process, streams)?;
        Ok(Beside {
            pid: running.pid,
            pidfd: running.pidfd,
            terminal: running.terminal,
        })
    }

    /// Ends what a shim that was killed may have left running, unknown to anybody.
    pub(crate) fn clear(&self) -> Result<(), ShimError> {
        if let Some(group) = self.group() {
            group.kill_all()?;
            group.remove()?;
        }
        Ok(())
    }

    pub(crate) fn policy(&self) -> RestartPolicy {
        match self {
            Kept::Container(container) => container.spec.restart,
            Kept::Process(_) => RestartPolicy::Always,
        }
    }

    pub(crate) fn health(&self) -> Option<&HealthSpec> {
        match self {
            Kept::Container(container) => container.spec.health.as_ref(),
            Kept::Process(_) => None,
        }
    }

    pub(crate) fn stop_signal(&self) -> i32 {
        match self {
            Kept::Container(container) => container.spec.stop_signal,
            Kept::Process(_) => SIGTERM,
        }
    }

    pub(crate) fn stop_grace_ms(&self) -> u64 {
        match self {
            Kept::Container(container) => container.spec.stop_grace_ms,
            Kept::Process(_) => PROCESS_GRACE,
        }
    }

    /// A probe runs like the container's own process, with other arguments.
    pub(crate) fn probe_process(&self, arguments: &[String]) -> Result<ProcessSpec, ShimError> {
        let spec = self.container()?;
        Ok(ProcessSpec {
            arguments: arguments.to_vec(),
            terminal: false,
            ..spec.process.clone()
        })
    }

    /// Sends SIGKILL to all of it. Without a pid namespace of its own that is the whole control group.
    pub(crate) fn kill(&self, first: &First) {
        // ESRCH: it has ended, which is what is wanted.
        let _ended = pidfd::send_signal(first.pidfd.as_fd(), SIGKILL);
        if let Some(group) = self.shared_pid_group() {
            let _survivors = group.kill_all();
        }
    }

    /// After the end of the first process: nothing of it is left running. Tells whether memory was the reason.
    pub(crate) fn settle(&self) -> bool {
        if let Some(group) = self.shared_pid_group() {
            let _survivors = group.kill_all();
        }
        self.group().is_some_and(|group| group.oom_kills() > 0)
    }

    /// Removes the control group; one that is still busy is left to the next start or removal.
    pub(crate) fn remove_cgroup(&self) {
        if let Some(group) = self.group() {
            let _busy = group.remove();
        }
    }

    pub(crate) fn freeze(&self) -> Result<(), ShimError> {
        Ok(self.container_group()?.freeze()?)
    }

    pub(crate) fn thaw(&self) -> Result<(), ShimError> {
        Ok(self.container_group()?.thaw()?)
    }

    fn container(&self) -> Result<&ContainerSpec, ShimError> {
        match self {
            Kept::Container(container) => Ok(&container.spec),
            Kept::Process(_) => Err(ShimError::NotAContainer),
        }
    }

    fn group(&self) -> Option<&Cgroup> {
        match self {
            Kept::Container(container) => Some(&container.group),
            Kept::Process(_) => None,
        }
    }

    fn container_group(&self) -> Result<&Cgroup, ShimError> {
        self.group().ok_or(ShimError::NotAContainer)
    }

    /// The control group of a container whose processes do not end with its first one.
    fn shared_pid_group(&self) -> Option<&Cgroup> {
        match self {
            Kept::Container(container) if container.spec.namespaces.pid != NamespaceChoice::Private => {
                self.group()
            }
            Kept::Container(_) | Kept::Process(_) => None,
        }
    }
}

/// A plain process of the host. It has its own process group, and no control group or namespace.
fn start_plain(keeper: &ProcessKeeper) -> Result<First, ShimError> {
    let step = || {
        format!(
            "execute {}",
            keeper.arguments.first().map_or("nothing", String::as_str)
        )
    };
    let open = || {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o640);
        options
            .open(&keeper.log_path)
            .map_err(ShimError::system(format!("open {}", keeper.log_path)))
    };
    let Some((program, arguments)) = keeper.arguments.split_first() else {
        return Err(ShimError::system(step())(rustix::io::Errno::INVAL));
    };
    let environment = keeper
        .environment
        .iter()
        .filter_map(|variable| variable.split_once('='));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment)
        .current_dir(&keeper.working_directory)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(open()?);
    let child =
        rcompose_sys::process::spawn_with_default_signals(&mut command).map_err(ShimError::system(step()))?;
    let pid = i32::try_from(child.id()).unwrap_or(0);
    // It cannot have been reaped: only this thread reaps.
    let pidfd = rustix::process::Pid::from_raw(pid)
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()))
        .map_err(ShimError::system(step()))?;
    first_of(pid, pidfd)
}

fn first_of(pid: i32, pidfd: OwnedFd) -> Result<First, ShimError> {
    Ok(First {
        pid,
        start_time: process_identity::start_time(pid)
            .map_err(ShimError::system("read the first process's start time"))?,
        pidfd,
        started: clock::monotonic(),
        adopted: false,
    })
}
