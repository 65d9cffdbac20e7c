//! In: commands to run inside running containers, and wishes to look into them. Out: processes, their ends, output and descriptors.
//! **Invariant:** a process inside has the rights of the container and no more, unless it was asked for as privileged.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rcompose_container::capability;
use rcompose_container::cgroup::{Cgroup, Statistics};
use rcompose_container::spec::{ContainerSpec, ProcessSpec};
use rcompose_shim::protocol::{Reply, Request};
use rcompose_shim::{ShimClient, ShimError};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::container::{log_path, read_spec};
use crate::local::LocalRuntime;
use crate::request::ExecRequest;
use crate::runtime::RuntimeError;
use crate::start::{ANSWER, cgroup_error, done, not_running, shim_error, unexpected};

/// Most bytes kept of the output of [`crate::Runtime::run_inside`].
const KEPT: usize = 64 * 1024;
/// How long output of an ended command is still waited for; a process it left behind may hold the pipe for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(100);

/// A process that was started inside a container.
#[derive(Debug)]
pub struct ExecSession {
    client: ShimClient,
    name: String,
    /// Process id on the host.
    pub pid: i32,
    /// Master side of its terminal, when it has one.
    pub terminal: Option<OwnedFd>,
}

/// A connection to the streams of a container's first process.
#[derive(Debug)]
pub struct AttachSession {
    client: ShimClient,
    name: String,
}

impl LocalRuntime {
    /// Runs a process inside. Without a terminal `streams` (stdin, stdout, stderr) become its own; with one they are not used and
    /// [`ExecSession::terminal`] is its master side. With `kill_on_close` it ends with the session.
    pub fn exec_interactive(
        &self,
        id: &str,
        request: &ExecRequest,
        streams: [BorrowedFd<'_>; 3],
        terminal_size: Option<(u16, u16)>,
        kill_on_close: bool,
    ) -> Result<ExecSession, RuntimeError> {
        let located = self.locate(id)?;
        let name = located.record.name;
        let client = self
            .connect(&self.roots.run_container(id), &name)?
            .ok_or_else(|| not_running(&name))?;
        let spec = read_spec(&located.directory)?;
        let process = ProcessSpec {
            terminal_size,
            ..process_spec(&spec, request)
        };
        let descriptors: &[BorrowedFd<'_>] = if request.tty { &[] } else { &streams };
        client
            .send(
                &Request::Exec {
                    process,
                    kill_on_close,
                },
                descriptors,
            )
            .map_err(|error| shim_error(&name, "run a command in", error))?;
        match client
            .receive(Some(ANSWER))
            .map_err(|error| shim_error(&name, "run a command in", error))?
        {
            (Reply::Started { pid }, mut passed) => Ok(ExecSession {
                client,
                name,
                pid,
                terminal: if request.tty { passed.pop() } else { None },
            }),
            (Reply::Failed { stage, errno, detail }, _) => Err(RuntimeError::Start {
                name,
                stage,
                errno,
                detail,
            }),
            (other, _) => Err(unexpected(&name, &other)),
        }
    }

    /// Copies the first process's output to two pipes, whose write ends these are, and, when `stdin` is given (the read end of a third),
    /// its bytes to the process. With a terminal only `stdout` is used.
    pub fn attach(
        &self,
        id: &str,
        stdin: Option<BorrowedFd<'_>>,
        stdout: BorrowedFd<'_>,
        stderr: BorrowedFd<'_>,
    ) -> Result<AttachSession, RuntimeError> {
        let name = self.locate(id)?.record.name;
        let client = self
            .connect(&self.roots.run_container(id), &name)?
            .ok_or_else(|| not_running(&name))?;
        let mut descriptors = vec![stdout, stderr];
        descriptors.extend(stdin);
        let reply = client
            .request(
                &Request::Attach {
                    stdin: stdin.is_some(),
                },
                &descriptors,
                Some(ANSWER),
            )
            .map_err(|error| shim_error(&name, "attach to", error))?
            .0;
        done(&name, reply)?;
        Ok(AttachSession { client, name })
    }

    /// The root directory of a running container, readable and writable, for copying files into it. A stopped container has none: its layers
    /// are only put together while it runs.
    pub fn root_directory(&self, id: &str) -> Result<OwnedFd, RuntimeError> {
        let located = self.locate(id)?;
        let (reply, mut passed) = self.ask(&located, &Request::OpenRoot)?;
        done(&located.record.name, reply)?;
        passed
            .pop()
            .ok_or_else(|| unexpected(&located.record.name, &Reply::Done))
    }

    /// The log of a container; older parts have `.1`, `.2` and so on appended.
    pub fn log_path(&self, id: &str) -> Result<PathBuf, RuntimeError> {
        Ok(log_path(&self.locate(id)?.directory))
    }

    /// What the processes of a running container use.
    pub fn statistics(&self, id: &str) -> Result<Statistics, RuntimeError> {
        let name = self.locate(id)?.record.name;
        let group =
            Cgroup::at(&self.roots.container_cgroup(id)).map_err(|error| cgroup_error(&name, &error))?;
        Ok(group.statistics())
    }

    pub(crate) fn execute_and_collect(
        &self,
        id: &str,
        request: &ExecRequest,
    ) -> Result<(i32, Vec<u8>), RuntimeError> {
        let failed = |source: io::Error| RuntimeError::Io {
            what: "make a pipe".to_owned(),
            source,
        };
        let (mut reader, writer) = io::pipe().map_err(failed)?;
        let null = std::fs::File::open("/dev/null").map_err(crate::root::failed("open", "/dev/null"))?;
        let request = ExecRequest {
            tty: false,
            ..request.clone()
        };
        let session = self.exec_interactive(
            id,
            &request,
            [null.as_fd(), writer.as_fd(), writer.as_fd()],
            None,
            false,
        )?;
        drop(writer);
        let mut output = Vec::new();
        let mut code = None;
        let mut open = true;
        while open || code.is_none() {
            let mut polls = Vec::with_capacity(2);
            if open {
                polls.push(PollFd::from_borrowed_fd(reader.as_fd(), PollFlags::IN));
            }
            if code.is_none() {
                polls.push(PollFd::from_borrowed_fd(session.client.as_fd(), PollFlags::IN));
            }
            let timeout = code.map(|_| timespec(LAST_OUTPUT));
            let ready = match rustix::event::poll(&mut polls, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.map_err(crate::root::failed("wait for", "the command"))?,
            };
            if ready == 0 {
                break;
            }
            let events: Vec<bool> = polls.iter().map(|poll| !poll.revents().is_empty()).collect();
            if open && events[0] {
                let mut part = [0_u8; 8192];
                match reader.read(&mut part) {
                    Ok(0) | Err(_) => open = false,
                    Ok(length) => {
                        let room = KEPT.saturating_sub(output.len()).min(length);
                        output.extend_from_slice(&part[..room]);
                        continue;
                    }
                }
            }
            if code.is_none() && events.last() == Some(&true) {
                code = Some(session.wait(Some(ANSWER))?);
            }
        }
        Ok((code.unwrap_or_default(), output))
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

impl ExecSession {
    /// Waits for the end; its exit code. [`RuntimeError::TimedOut`] when it has not come; waiting again is fine.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<i32, RuntimeError> {
        exit_of(&self.client, &self.name, timeout)
    }

    /// Sets the size of its terminal in characters.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<(), RuntimeError> {
        self.client
            .send(&Request::ResizeExec { columns, rows }, &[])
            .map_err(|error| shim_error(&self.name, "resize a command in", error))
    }

    /// Sends it a signal by number.
    pub fn signal(&self, signal: i32) -> Result<(), RuntimeError> {
        self.client
            .send(&Request::SignalExec { signal }, &[])
            .map_err(|error| shim_error(&self.name, "signal a command in", error))
    }
}

impl AsFd for ExecSession {
    /// Readable once [`ExecSession::wait`] has an answer.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}

impl AttachSession {
    /// Waits until the first process has ended for good and every byte of it was delivered; its exit code.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<i32, RuntimeError> {
        exit_of(&self.client, &self.name, timeout)
    }
}

impl AsFd for AttachSession {
    /// Readable once [`AttachSession::wait`] has an answer.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}

fn exit_of(client: &ShimClient, name: &str, timeout: Option<Duration>) -> Result<i32, RuntimeError> {
    match client.receive(timeout) {
        Ok((Reply::Exited { code }, _)) => Ok(code),
        Ok((other, _)) => Err(unexpected(name, &other)),
        Err(ShimError::TimedOut) => Err(RuntimeError::TimedOut {
            what: format!("process in container {name}"),
            after: timeout.unwrap_or_default(),
        }),
        Err(error) => Err(shim_error(name, "wait for a process of", error)),
    }
}

/// A process beside the container's own, as Docker's `exec` makes it: its environment, user and directory unless asked otherwise.
pub(crate) fn process_spec(spec: &ContainerSpec, request: &ExecRequest) -> ProcessSpec {
    let own = &spec.process;
    let mut environment: Vec<String> = own.environment.clone();
    let is = |line: &String, name: &str| line.split_once('=').is_some_and(|(known, _)| known == name);
    if request.tty && !environment.iter().any(|line| is(line, "TERM")) {
        environment.push("TERM=xterm".to_owned());
    }
    for (name, value) in &request.environment {
        environment.retain(|line| !is(line, name));
        environment.extend(value.as_ref().map(|value| format!("{name}={value}")));
    }
    let every = || capability::effective(&[], &[], true).unwrap_or_default();
    ProcessSpec {
        arguments: request.command.clone(),
        environment,
        working_directory: request
            .working_directory
            .clone()
            .unwrap_or_else(|| own.working_directory.clone()),
        user: request.user.clone().unwrap_or_else(|| own.user.clone()),
        additional_groups: if request.user.is_some() {
            Vec::new()
        } else {
            own.additional_groups.clone()
        },
        capabilities: if request.privileged {
            every()
        } else {
            own.capabilities.clone()
        },
        no_new_privileges: own.no_new_privileges,
        seccomp: if request.privileged {
            None
        } else {
            own.seccomp.clone()
        },
        rlimits: own.rlimits.clone(),
        oom_score_adj: own.oom_score_adj,
        terminal: request.tty,
        terminal_size: None,
    }
}
