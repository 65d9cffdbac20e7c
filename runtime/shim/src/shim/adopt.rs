//! In: the run directory of a container whose shim was killed. Out: a shim that keeps the container again, or settles its end.
//! **Invariant:** a process is adopted only when its start time and boot are those on record.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rcompose_container::spec::{ContainerSpec, NamespaceChoice, RestartPolicy};
use rcompose_sys::pidfd::Ended;

use super::start::Records;
use super::{Phase, Shim};
use crate::clock;
use crate::control::Control;
use crate::error::ShimError;
use crate::health::Health;
use crate::kept::{First, Kept};
use crate::netns::Namespaces;
use crate::process_identity;
use crate::protocol::{Reply, StartPlan};
use crate::record::{self, State, Status};
use crate::resolver::Resolver;
use crate::restart::End;

/// How often interfaces are made whose namesakes the kernel is still taking apart.
const NETWORK_ATTEMPTS: u32 = 100;
/// Seconds that a process which is ending may take to have ended.
const ENDING_TAKES: i64 = 5;

/// Takes over from a shim that was killed. Replies [`Reply::Exited`] when the container is gone and stays so, and
/// [`Reply::Started`] with pid 0 when it is gone and about to be started again.
pub(crate) fn adopt(run_directory: &Path, signals: OwnedFd) -> Result<(Shim, Reply), ShimError> {
    let records = Records::read(run_directory)?;
    let plan = records.plan.clone();
    let state = match record::read(records.run.as_fd(), crate::STATE_FILE) {
        Ok(bytes) => State::from_json(&String::from_utf8_lossy(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(ShimError::system("read state.json")(error)),
    };
    let state = state.filter(|state| state.boot_id == records.boot_id && plan.boot_id == records.boot_id);
    let mut shim = Shim::new(records, signals, false)?;
    let Some(state) = state else {
        // It never started, or ended with its boot.
        shim.kept.clear()?;
        shim.settle_unseen(Status::Exited, None)?;
        return Ok(shim.over());
    };
    shim.recall(&state);
    let found = matches!(state.status, Status::Running | Status::Paused)
        .then(|| process_identity::open(state.pid, state.start_time))
        .flatten();
    let mut ended = None;
    if let Some(pidfd) = found {
        let taken_over = shim.take_over(&plan, &state);
        // A process that is ending has no namespaces any more, some time before its end can be seen.
        let patience = if taken_over.is_ok() { 0 } else { ENDING_TAKES };
        if !has_ended(&pidfd, patience) {
            taken_over?;
            shim.resume(&state, pidfd);
            return Ok((shim, Reply::Started { pid: state.pid }));
        }
        // It ended meanwhile, or in the middle of being taken over.
        ended = process_identity::how_it_ended(state.pid, state.start_time, pidfd.as_fd());
        shim.let_go()?;
    }
    shim.kept.clear()?;
    if !shim.settle_unseen(state.status, ended)? {
        return Ok(shim.over());
    }
    shim.reserve_ports()?;
    shim.make_network(&plan, NETWORK_ATTEMPTS)?;
    shim.make_endpoints()?;
    shim.write_state();
    Ok((shim, Reply::Started { pid: 0 }))
}

impl Shim {
    /// Holds everything of a running container that a shim holds.
    fn take_over(&mut self, plan: &StartPlan, state: &State) -> Result<(), ShimError> {
        if let Err(error) = self.reserve_ports() {
            // Somebody took the port meanwhile. The container runs and is better kept than not.
            self.stdio.note(&error.story());
        }
        self.rejoin_network(plan, state)?;
        self.open_endpoints()
    }

    /// Goes on where the earlier shim was stopped.
    fn resume(&mut self, state: &State, pidfd: OwnedFd) {
        let now = clock::monotonic();
        self.health = Health::adopted(self.kept.health(), state.health, state.failing_streak, now);
        self.paused = state.status == Status::Paused;
        self.phase = Phase::Running(First {
            pid: state.pid,
            start_time: state.start_time,
            pidfd,
            // Clock ticks are hundredths of a second in every user interface of Linux.
            started: state.start_time * 10,
            adopted: true,
        });
        self.write_state();
    }

    /// Gives back what [`Self::take_over`] holds.
    fn let_go(&mut self) -> Result<(), ShimError> {
        self.ports.clear();
        self.resolver = None;
        self.control = Control::closed();
        self.namespaces.take().map_or(Ok(()), Namespaces::leave)
    }

    /// Enters the network namespace of the running container and takes its resolver's port again.
    fn rejoin_network(&mut self, plan: &StartPlan, state: &State) -> Result<(), ShimError> {
        let Kept::Container(container) = &self.kept else {
            return Ok(());
        };
        let spec: &ContainerSpec = &container.spec;
        if spec.namespaces.network != NamespaceChoice::Private {
            return Ok(());
        }
        let mut namespaces = Namespaces::current()?;
        namespaces.join(state.pid)?;
        if !plan.attachments.is_empty() {
            let port = Some(state.resolver_port).filter(|port| *port != 0);
            let resolver = Resolver::bind(&spec.resolver, &plan.attachments, port)
                // A process of the container took the port meanwhile: another one, and the redirection follows.
                .or_else(|_| Resolver::bind(&spec.resolver, &plan.attachments, None))?;
            self.resolver = Some(resolver);
        }
        self.namespaces = Some(namespaces);
        Ok(())
    }

    /// FIFOs of the running container, and a new control socket. A terminal ended with the shim that held its master side.
    fn open_endpoints(&mut self) -> Result<(), ShimError> {
        if let Kept::Container(container) = &self.kept
            && !container.spec.process.terminal
        {
            self.stdio
                .open_ends(self.run.as_fd(), container.spec.stdin_open)?;
        }
        self.control = Control::listen(self.run.as_fd())?;
        Ok(())
    }

    /// What an earlier shim knew.
    fn recall(&mut self, state: &State) {
        self.restart.count = state.restart_count;
        self.started_at.clone_from(&state.started_at);
        self.exit_code = state.exit_code;
    }

    /// Settles an end that no shim saw; true when a restart follows.
    fn settle_unseen(&mut self, status: Status, ended: Option<Ended>) -> Result<bool, ShimError> {
        let recorded = match record::read(self.data.as_fd(), crate::EXIT_FILE) {
            Ok(bytes) => record::exit_code(&String::from_utf8_lossy(&bytes)),
            Err(_) => None,
        };
        if status == Status::Restarting {
            self.phase = Phase::Restarting {
                due: clock::monotonic(),
            };
            return Ok(true);
        }
        let code = self.record_unseen(recorded, ended)?;
        self.exit_code = code;
        // A container that had been told to end has its record and the status `exited`.
        let policy = if status == Status::Exited {
            RestartPolicy::No
        } else {
            self.policy
        };
        let due = self.restart_due(
            policy,
            End {
                code,
                ran: 0,
                asked: false,
            },
        );
        if let Some(due) = due {
            self.phase = Phase::Restarting { due };
        }
        Ok(due.is_some())
    }

    /// Gives back everything; there is nothing to keep.
    fn over(mut self) -> (Self, Reply) {
        let code = self.exit_code;
        self.finish();
        (self, Reply::Exited { code })
    }
}

/// Whether the process of a descriptor has ended, or does so within this many seconds.
fn has_ended(pidfd: &OwnedFd, seconds: i64) -> bool {
    let mut poll = [rustix::event::PollFd::new(pidfd, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut poll, Some(&timeout)).is_ok_and(|ready| ready > 0)
}
