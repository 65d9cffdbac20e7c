//! In: a run directory. Out: a shim that keeps its container: built anew, or taken over from a shim that was killed.
//! **Invariant:** the lock comes first and nothing of the container is touched without it; each step fails under its own name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use minicbor::Decode;
use rcompose_container::spec::{ContainerSpec, NamespaceChoice, Workload};
use rcompose_network::published::PortReservation;
use rcompose_network::{Netlink, Protocol, sandbox};
use rustix::fs::{FlockOperation, Mode, OFlags};

use super::{Phase, Shim, WAIT_FOR_ATTACH};
use crate::clock;
use crate::control::Control;
use crate::error::ShimError;
use crate::health::Health;
use crate::kept::Kept;
use crate::logs::{ContainerLog, timestamp};
use crate::netns::Namespaces;
use crate::process_identity;
use crate::protocol::{Reply, StartPlan};
use crate::record::{self, State, Status};
use crate::resolver::Resolver;
use crate::restart::RestartState;
use crate::siblings::Siblings;
use crate::stdio::ContainerIo;

/// How often, and how many milliseconds apart, the lock of a shim that is about to end is tried.
const LOCK_ATTEMPTS: u32 = 2500;
const ATTEMPTS_AGAINST_LOOKERS: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// The wait between two attempts at making interfaces.
const NETWORK_PAUSE: Duration = Duration::from_millis(20);
/// Everything read before anything is made.
pub(super) struct Records {
    pub(super) run: OwnedFd,
    lock: OwnedFd,
    data: OwnedFd,
    pub(super) plan: StartPlan,
    workload: Workload,
    pub(super) boot_id: String,
    siblings: Siblings,
}

impl Records {
    pub(super) fn read(run_directory: &Path) -> Result<Self, ShimError> {
        let run = open_directory(run_directory)?;
        let lock = take_lock(run.as_fd())?;
        let plan: StartPlan = decode(run.as_fd(), crate::START_FILE)?;
        let data = open_directory(Path::new(&plan.container_directory))?;
        let workload = decode(data.as_fd(), crate::SPEC_FILE)?;
        let boot_id = process_identity::boot_id().map_err(ShimError::system("read the boot's identity"))?;
        Ok(Records {
            run,
            lock,
            data,
            plan,
            workload,
            boot_id,
            siblings: Siblings::of(run_directory),
        })
    }
}

/// Builds the container and returns with its first process executed.
pub(crate) fn run(run_directory: &Path, signals: OwnedFd) -> Result<(Shim, Reply), ShimError> {
    let records = Records::read(run_directory)?;
    if records.plan.boot_id != records.boot_id {
        return Err(ShimError::OtherBoot);
    }
    record::remove(records.run.as_fd(), crate::STATE_FILE)
        .map_err(ShimError::system("remove the old state.json"))?;
    let plan = records.plan.clone();
    let mut shim = Shim::new(records, signals, plan.wait_for_attach)?;
    // A shim killed while it built the container may have left one that nobody knows of.
    shim.kept.clear()?;
    shim.reserve_ports()?;
    shim.make_network(&plan, 1)?;
    shim.make_endpoints()?;
    let started = shim.launch();
    let pid = match started {
        Ok(pid) => pid,
        Err(error) => {
            shim.control.stop_listening(shim.run.as_fd());
            shim.kept.remove_cgroup();
            return Err(error);
        }
    };
    shim.write_state();
    Ok((shim, Reply::Started { pid }))
}

impl Shim {
    /// A shim that holds the lock and nothing else yet.
    pub(super) fn new(records: Records, signals: OwnedFd, wait_for_attach: bool) -> Result<Self, ShimError> {
        let log = match &records.workload {
            Workload::Container(spec) => ContainerLog::new(&spec.log),
            Workload::Process(_) => ContainerLog::discarding(),
        };
        let kept = Kept::new(records.workload, records.siblings)?;
        let own_pid = rustix::process::getpid().as_raw_nonzero().get();
        Ok(Shim {
            control: Control::closed(),
            attach_by: u64::MAX,
            stdio: ContainerIo::new(log, records.plan.wait_for_attach, wait_for_attach),
            policy: kept.policy(),
            health: Health::started(None, 0),
            kept,
            run: records.run,
            data: records.data,
            lock: Some(records.lock),
            boot_id: records.boot_id,
            own_start_time: process_identity::start_time(own_pid)
                .map_err(ShimError::system("read the shim's own start time"))?,
            signals,
            resolver: None,
            namespaces: None,
            ports: Vec::new(),
            phase: Phase::Restarting { due: u64::MAX },
            paused: false,
            stopping: None,
            restart: RestartState::default(),
            health_log: Vec::new(),
            probe: None,
            executed: Vec::new(),
            started_at: String::new(),
            exit_code: 0,
        })
    }

    /// Executes the first process; returns its pid. The namespaces, FIFOs and sockets are there.
    fn launch(&mut self) -> Result<i32, ShimError> {
        if let Some(namespaces) = &self.namespaces {
            namespaces.enter_container()?;
        }
        record::remove(self.data.as_fd(), crate::EXIT_FILE)
            .map_err(ShimError::system("remove the old exit.json"))?;
        let first = self.kept.start(self.run.as_fd(), &mut self.stdio)?;
        let pid = first.pid;
        self.started_at = timestamp(clock::wall());
        self.health = Health::started(self.kept.health(), clock::monotonic());
        self.health_log.clear();
        self.attach_by = clock::monotonic() + WAIT_FOR_ATTACH;
        self.phase = Phase::Running(first);
        Ok(pid)
    }

    /// Starts again, by policy or because a person asked for a restart.
    pub(super) fn start_again(&mut self) {
        match self.launch() {
            Ok(pid) => {
                self.write_state();
                self.control.keep(&Reply::Started { pid }, |_, promises| {
                    std::mem::take(&mut promises.restarts)
                });
            }
            Err(error) => {
                let reply = error.reply();
                self.stdio.note(&format!("cannot start: {}", error.story()));
                self.control
                    .keep(&reply, |_, promises| std::mem::take(&mut promises.restarts));
                self.start_failed(error.exit_code());
            }
        }
    }

    pub(super) fn reserve_ports(&mut self) -> Result<(), ShimError> {
        let Kept::Container(container) = &self.kept else {
            return Ok(());
        };
        for port in &container.spec.ports {
            let host_ip = match &port.host_ip {
                Some(text) => Some(text.parse().map_err(|_| ShimError::Record {
                    name: crate::SPEC_FILE.into(),
                    problem: format!("`{text}` is not an address"),
                })?),
                None => None,
            };
            let protocol = if port.protocol == "udp" {
                Protocol::Udp
            } else {
                Protocol::Tcp
            };
            self.ports
                .push(PortReservation::bind_shared(host_ip, port.host_port, protocol)?);
        }
        Ok(())
    }

    /// Makes or joins the network namespace. `attempts` above one waits for interfaces of the same names to vanish.
    pub(super) fn make_network(&mut self, plan: &StartPlan, attempts: u32) -> Result<(), ShimError> {
        let Kept::Container(container) = &self.kept else {
            return Ok(());
        };
        let spec: &ContainerSpec = &container.spec;
        match &spec.namespaces.network {
            // The host's is where we are; another container's is joined by the first process alone.
            NamespaceChoice::Host | NamespaceChoice::Container(_) => {}
            NamespaceChoice::Private => {
                let mut namespaces = Namespaces::current()?;
                let mut host = Netlink::route()?;
                let mut left = attempts;
                loop {
                    namespaces.unshare()?;
                    left -= 1;
                    match sandbox::build(&mut host, &plan.attachments) {
                        Ok(()) => break,
                        Err(_) if left > 0 => std::thread::sleep(NETWORK_PAUSE),
                        Err(error) => return Err(error.into()),
                    }
                }
                if !plan.attachments.is_empty() {
                    self.resolver = Some(Resolver::bind(&spec.resolver, &plan.attachments, None)?);
                }
                self.namespaces = Some(namespaces);
            }
        }
        Ok(())
    }

    /// FIFOs and control socket, made afresh.
    pub(super) fn make_endpoints(&mut self) -> Result<(), ShimError> {
        if let Kept::Container(container) = &self.kept
            && !container.spec.process.terminal
        {
            ContainerIo::make_fifos(self.run.as_fd(), container.spec.stdin_open)?;
            self.stdio
                .open_ends(self.run.as_fd(), container.spec.stdin_open)?;
        }
        self.control = Control::listen(self.run.as_fd())?;
        Ok(())
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd, ShimError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(ShimError::system(format!("open {}", path.display())))
}

/// Takes the lock that says "this container has a shim". One that has written its end is waited for; so is, for a moment, somebody who only
/// looks whether the lock is held.
fn take_lock(run: BorrowedFd<'_>) -> Result<OwnedFd, ShimError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::openat(run, crate::LOCK_FILE, flags, Mode::from_raw_mode(0o600))
        .map_err(ShimError::system("open the lock"))?;
    for attempt in 0..LOCK_ATTEMPTS {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(ShimError::system("take the lock")(error)),
        }
        let state = record::read(run, crate::STATE_FILE).unwrap_or_default();
        let ending =
            State::from_json(&String::from_utf8_lossy(&state)).is_some_and(|s| s.status == Status::Exited);
        if !ending && attempt >= ATTEMPTS_AGAINST_LOOKERS {
            return Err(ShimError::AlreadyRunning);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(ShimError::AlreadyRunning)
}

fn decode<T>(directory: BorrowedFd<'_>, name: &str) -> Result<T, ShimError>
where
    T: for<'bytes> Decode<'bytes, ()>,
{
    let bytes = record::read(directory, name).map_err(ShimError::system(format!("read {name}")))?;
    minicbor::decode(&bytes).map_err(|problem| ShimError::Record {
        name: name.into(),
        problem: problem.to_string(),
    })
}
