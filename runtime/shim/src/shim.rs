//! In: everything that can happen to one container: ends of processes, requests, output, questions about names, time.
//! Out: what is done about it, one thing after the other, in one thread.
//! **Invariant:** nothing here waits but the one poll(2); every deadline is a value somebody can be asked for.

mod adopt;
mod end;
mod exec;
mod probe;
mod requests;
mod start;
mod stop;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rcompose_container::spec::RestartPolicy;
use rcompose_network::published::PortReservation;
use rcompose_sys::pidfd::Ended;
use rcompose_sys::signal;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::clock;
use crate::control::{Control, ControlToken};
use crate::error::ShimError;
use crate::health::Health;
use crate::kept::{First, Kept};
use crate::netns::Namespaces;
use crate::process_identity;
use crate::record::{self, ProbeResult, State, Status};
use crate::resolver::{Resolver, ResolverToken};
use crate::restart::RestartState;
use crate::stdio::{ContainerIo, StdioToken};

pub(crate) use adopt::adopt;
pub(crate) use start::run;

use exec::Executed;
use probe::ProbeRun;
use stop::Stopping;

/// Milliseconds that clients get at the end to take what they were sent.
const LINGER: u64 = 60_000;
/// Milliseconds the output of a new container is held back for the client that is on its way.
const WAIT_FOR_ATTACH: u64 = 10_000;

/// Where the shim is.
#[derive(Debug)]
enum Phase {
    /// The first process runs.
    Running(First),
    /// It ended, but its output still waits for a client.
    Ended { first: First, ended: Option<Ended> },
    /// It starts again then.
    Restarting { due: u64 },
    /// It ended for good; slow clients have until then.
    Finished { code: i32, until: u64 },
}

/// One shim.
pub(crate) struct Shim {
    run: OwnedFd,
    data: OwnedFd,
    lock: Option<OwnedFd>,
    boot_id: String,
    own_start_time: u64,
    kept: Kept,
    policy: RestartPolicy,
    signals: OwnedFd,
    control: Control,
    stdio: ContainerIo,
    /// When the container's output is read even though nobody attached.
    attach_by: u64,
    resolver: Option<Resolver>,
    namespaces: Option<Namespaces>,
    ports: Vec<PortReservation>,
    phase: Phase,
    paused: bool,
    stopping: Option<Stopping>,
    restart: RestartState,
    health: Health,
    health_log: Vec<ProbeResult>,
    probe: Option<ProbeRun>,
    executed: Vec<Executed>,
    started_at: String,
    exit_code: i32,
}

/// Something that became ready.
#[derive(Debug, Clone, Copy)]
enum Token {
    Signal,
    FirstEnded,
    Probe,
    Control(ControlToken),
    ContainerIo(StdioToken),
    Resolver(ResolverToken),
}

impl Shim {
    /// Keeps the container until its end.
    pub(crate) fn keep(mut self) -> Result<(), ShimError> {
        loop {
            let now = clock::monotonic();
            self.timers(now);
            if self.is_done(now) {
                return Ok(());
            }
            for token in self.wait(now)? {
                self.handle(token);
            }
        }
    }

    /// Waits for the next events or the next deadline.
    fn wait(&self, now: u64) -> Result<Vec<Token>, ShimError> {
        let mut polls: Vec<PollFd<'_>> = Vec::with_capacity(8);
        let mut tokens: Vec<Token> = Vec::with_capacity(8);
        self.interest(&mut |descriptor, flags, token| {
            polls.push(PollFd::from_borrowed_fd(descriptor, flags));
            tokens.push(token);
        });
        let timeout = self.due().map(|due| {
            let wait = due.saturating_sub(now);
            Timespec {
                tv_sec: i64::try_from(wait / 1000).unwrap_or(i64::MAX),
                tv_nsec: i64::try_from(wait % 1000 * 1_000_000).unwrap_or(0),
            }
        });
        match rustix::event::poll(&mut polls, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(ShimError::system("wait for events")(error)),
        }
        let ready = polls
            .iter()
            .zip(tokens)
            .filter(|(poll, _)| !poll.revents().is_empty());
        Ok(ready.map(|(_, token)| token).collect())
    }

    fn interest<'own>(&'own self, add: &mut dyn FnMut(BorrowedFd<'own>, PollFlags, Token)) {
        add(self.signals.as_fd(), PollFlags::IN, Token::Signal);
        if let Phase::Running(first) = &self.phase
            && first.adopted
        {
            add(first.pidfd.as_fd(), PollFlags::IN, Token::FirstEnded);
        }
        if let Some(probe) = &self.probe
            && let Some(output) = probe.output()
        {
            add(output, PollFlags::IN, Token::Probe);
        }
        self.control
            .interest(&mut |descriptor, flags, token| add(descriptor, flags, Token::Control(token)));
        self.stdio
            .interest(&mut |descriptor, flags, token| add(descriptor, flags, Token::ContainerIo(token)));
        if let Some(resolver) = &self.resolver {
            resolver.interest(&mut |descriptor, flags, token| add(descriptor, flags, Token::Resolver(token)));
        }
    }

    fn handle(&mut self, token: Token) {
        match token {
            Token::Signal => self.read_signals(),
            Token::FirstEnded => {
                if let Phase::Running(first) = &self.phase {
                    let ended =
                        process_identity::how_it_ended(first.pid, first.start_time, first.pidfd.as_fd());
                    self.first_ended(ended);
                }
            }
            Token::Probe => {
                if let Some(probe) = &mut self.probe {
                    probe.read();
                }
            }
            Token::Control(ControlToken::Listener) => self.control.accept(),
            Token::Control(ControlToken::Connection(number)) => self.read_request(number),
            Token::ContainerIo(token) => self.stdio.ready(token),
            Token::Resolver(token) => {
                if let (Some(resolver), Some(namespaces)) = (&mut self.resolver, &self.namespaces) {
                    resolver.ready(token, namespaces, clock::monotonic());
                }
            }
        }
    }

    fn read_signals(&mut self) {
        let (mut children, mut terminate) = (false, false);
        while let Ok(Some(received)) = signal::next(self.signals.as_fd()) {
            // The others are blocked to be ignored.
            children |= received.signal == crate::SIGCHLD;
            terminate |= received.signal == crate::SIGTERM;
        }
        if children {
            self.reap();
        }
        if terminate {
            self.stop_or_finish();
        }
    }

    /// Collects every child that ended; the first process last, so that what it left behind is settled before it.
    fn reap(&mut self) {
        let mut first_ended = None;
        while let Ok(Some((pid, status))) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let ended = Ended::from_wait_status(status.as_raw());
            if matches!(&self.phase, Phase::Running(first) if first.pid == pid && !first.adopted) {
                first_ended = Some(ended);
            } else if self.probe.as_ref().is_some_and(|probe| probe.pid() == pid) {
                self.probe_ended(Some(ended));
            } else {
                self.executed_ended(pid, ended);
            }
        }
        if first_ended.is_some() {
            self.first_ended(first_ended);
        }
    }

    /// The next deadline.
    fn due(&self) -> Option<u64> {
        let phase = match &self.phase {
            Phase::Running(_) => self.stopping.as_ref().and_then(Stopping::due),
            Phase::Ended { .. } => None,
            Phase::Restarting { due } => Some(*due),
            Phase::Finished { until, .. } => Some(*until),
        };
        let attach = self.stdio.is_waiting().then_some(self.attach_by);
        let health = self.probed().and_then(|spec| self.health.due(spec));
        let resolver = self.resolver.as_ref().and_then(Resolver::due);
        [phase, attach, health, resolver].into_iter().flatten().min()
    }

    fn timers(&mut self, now: u64) {
        self.stop_timer(now);
        self.health_timer(now);
        if let (Some(resolver), Some(namespaces)) = (&mut self.resolver, &self.namespaces) {
            resolver.timer(namespaces, now);
        }
        if now >= self.attach_by {
            self.stdio.stop_waiting();
        }
        match &self.phase {
            Phase::Ended { .. } if !self.stdio.is_waiting() => self.settle_end(),
            Phase::Restarting { due } if now >= *due => self.start_again(),
            Phase::Finished { .. } => self.deliver(),
            Phase::Running(_) | Phase::Ended { .. } | Phase::Restarting { .. } => {}
        }
    }

    fn is_done(&self, now: u64) -> bool {
        matches!(&self.phase, Phase::Finished { until, .. } if now >= *until || !self.stdio.has_clients())
    }

    /// The content of `state.json`.
    fn state(&self) -> State {
        let (status, first) = match &self.phase {
            Phase::Running(first) if self.paused => (Status::Paused, Some(first)),
            Phase::Running(first) => (Status::Running, Some(first)),
            Phase::Ended { .. } | Phase::Finished { .. } => (Status::Exited, None),
            Phase::Restarting { .. } => (Status::Restarting, None),
        };
        State {
            status,
            pid: first.map_or(0, |first| first.pid),
            start_time: first.map_or(0, |first| first.start_time),
            shim_pid: rustix::process::getpid().as_raw_nonzero().get(),
            shim_start_time: self.own_start_time,
            boot_id: self.boot_id.clone(),
            started_at: self.started_at.clone(),
            health: self.health.status,
            failing_streak: self.health.failing_streak,
            health_log: self.health_log.clone(),
            restart_count: self.restart.count,
            resolver_port: self.resolver.as_ref().map_or(0, Resolver::port),
            exit_code: self.exit_code,
        }
    }

    /// Writes `state.json`. The engine may have removed the directory of a container that ended: then there is nobody to tell.
    fn write_state(&self) {
        let _unwritable = record::replace(
            self.run.as_fd(),
            crate::STATE_FILE,
            &self.state().to_json(),
            false,
        );
    }
}
