//! In: wired containers. Out: their shims started, asked to stop, restart, freeze or signal, and taken over when one was killed.
//! **Invariant:** what a person wants is on record before it is done, and no container is given up while its process lives.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rcompose_container::cgroup::Cgroup;
use rcompose_container::signal;
use rcompose_shim::protocol::{Reply, Request};
use rcompose_shim::{Mode, ShimClient, ShimError, spawn};
use rustix::fs::FlockOperation;

use crate::inside;
use crate::local::{LocalRuntime, Located};
use crate::observe::Life;
use crate::record::Desired;
use crate::root::{self, failed};
use crate::runtime::{RuntimeError, StopOptions};
use crate::start_plan;

/// How much longer than its grace period the end of a container may take before its processes are killed from outside.
const STOP_MARGIN: Duration = Duration::from_secs(10);
/// How long a shim that told of the end may take to end itself.
const SHIM_PATIENCE: Duration = Duration::from_secs(5);
/// How long a shim may take to end once everything it keeps was killed from outside.
const ANSWER_AFTER_KILL: Duration = Duration::from_secs(1);
/// How long a shim may take for an answer that needs no waiting.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);
/// How long the removal of a run directory may take.
const REMOVAL: Duration = Duration::from_millis(100);

impl LocalRuntime {
    /// Starts a wired container. With `wait_for_attach` its process waits until somebody attached, so that no output is missed.
    pub fn start_container(&self, id: &str, wait_for_attach: bool) -> Result<(), RuntimeError> {
        let located = self.locate(id)?;
        let run = self.roots.run_container(id);
        match self.life(&run)? {
            Life::Kept(_) => return Ok(()),
            Life::Orphaned(_) => return self.adopt(&run, &located.record.name),
            Life::Unsettled(_) | Life::Down(_) => {}
        }
        if self.wiring(id)?.is_none() {
            return Err(RuntimeError::Invalid(format!(
                "container {} is not wired",
                located.record.name
            )));
        }
        let before = Desired::read(&located.directory)?;
        Desired::Running.write(&located.directory)?;
        start_plan::refresh_start_plan(&run, id, wait_for_attach)?;
        let started = self.spawn_shim(&run, Mode::Run, &located.record.name);
        if started.is_err() && before.is_none() {
            // It has never run: a mistake in its file must not make it look like one that ended.
            root::remove_file(&located.directory.join("desired"))?;
        }
        started
    }

    /// Lets a new shim take over from one that was killed.
    pub(crate) fn adopt(&self, run: &Path, name: &str) -> Result<(), RuntimeError> {
        self.spawn_shim(run, Mode::Adopt, name)
    }

    /// The same for those who only want nothing left without a shim: what somebody else takes away meanwhile needs none any more.
    pub(crate) fn adopt_what_is_left(&self, run: &Path, name: &str) -> Result<(), RuntimeError> {
        let adopted = self.adopt(run, name);
        // The directory goes file by file, so the new shim may have found only a part of it.
        let deadline = Instant::now() + REMOVAL;
        while adopted.is_err() {
            if let Life::Down(_) = self.life(run)? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        adopted
    }

    pub(crate) fn spawn_shim(&self, run: &Path, mode: Mode, name: &str) -> Result<(), RuntimeError> {
        let handle = spawn(self.shim()?, run, mode).map_err(|error| shim_error(name, "start", error))?;
        match handle.wait(None) {
            Ok(Reply::Started { .. } | Reply::Exited { .. }) => Ok(()),
            // Somebody else was first.
            Ok(Reply::Failed { stage, .. }) if stage == ShimError::AlreadyRunning.to_string() => Ok(()),
            Ok(Reply::Failed { stage, errno, detail }) => Err(RuntimeError::Start {
                name: name.to_owned(),
                stage,
                errno,
                detail,
            }),
            Ok(other) => Err(unexpected(name, &other)),
            Err(error) => Err(shim_error(name, "start", error)),
        }
    }

    /// A connection to the shim of a run directory; one that was killed is replaced first. None when nothing runs there any more.
    pub(crate) fn connect(&self, run: &Path, name: &str) -> Result<Option<ShimClient>, RuntimeError> {
        for _attempt in 0..3 {
            match self.life(run)? {
                Life::Down(_) => return Ok(None),
                Life::Orphaned(_) | Life::Unsettled(_) => {
                    self.adopt_what_is_left(run, name)?;
                    continue;
                }
                Life::Kept(_) => {}
            }
            let directory = File::open(run).map_err(failed("open", run))?;
            match ShimClient::connect(directory.as_fd()) {
                Ok(client) => return Ok(Some(client)),
                // It ended between the two looks, or has just begun.
                Err(ShimError::NotRunning) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(shim_error(name, "ask", error)),
            }
        }
        Ok(None)
    }

    /// One request with its one reply; [`RuntimeError::Invalid`] when the container does not run.
    pub(crate) fn ask(
        &self,
        located: &Located,
        request: &Request,
    ) -> Result<(Reply, Vec<std::os::fd::OwnedFd>), RuntimeError> {
        let name = &located.record.name;
        let client = self
            .connect(&self.roots.run_container(&located.record.id), name)?
            .ok_or_else(|| not_running(name))?;
        client
            .request(request, &[], Some(ANSWER))
            .map_err(|error| shim_error(name, "ask", error))
    }

    pub(crate) fn stop_container(&self, id: &str, options: &StopOptions) -> Result<(), RuntimeError> {
        let located = self.locate(id)?;
        let name = &located.record.name;
        let signal = options
            .signal
            .as_deref()
            .map(|signal| signal_number(name, signal))
            .transpose()?;
        Desired::Stopped.write(&located.directory)?;
        let run = self.roots.run_container(id);
        let Some(client) = self.connect(&run, name)? else {
            return Ok(());
        };
        let spec = crate::container::read_spec(&located.directory)?;
        let before = options
            .before
            .iter()
            .map(|hook| inside::process_spec(&spec, hook))
            .collect();
        let grace_ms = options
            .grace
            .map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        let grace = Duration::from_millis(grace_ms.unwrap_or(spec.stop_grace_ms));
        // Commands that run first take their own time.
        let patience = options
            .before
            .is_empty()
            .then(|| grace.saturating_add(STOP_MARGIN));
        match client.request(
            &Request::Stop {
                signal,
                grace_ms,
                before,
            },
            &[],
            patience,
        ) {
            Ok((Reply::Exited { .. }, _)) => Ok(()),
            Ok((Reply::Failed { stage, errno, detail }, _)) => Err(RuntimeError::Start {
                name: name.clone(),
                stage,
                errno,
                detail,
            }),
            Ok((other, _)) => Err(unexpected(name, &other)),
            Err(ShimError::Closed | ShimError::TimedOut) => self.end_by_force(&located, &run),
            Err(error) => Err(shim_error(name, "stop", error)),
        }
    }

    /// The last resort: everything in the control group is killed, and a shim that does not answer too; a new one settles the end.
    fn end_by_force(&self, located: &Located, run: &Path) -> Result<(), RuntimeError> {
        let name = &located.record.name;
        let group = Cgroup::at(&self.roots.container_cgroup(&located.record.id))
            .map_err(|error| cgroup_error(name, &error))?;
        group.kill_all().map_err(|error| cgroup_error(name, &error))?;
        if let Life::Kept(state) = self.life(run)? {
            // It may have come to itself and be on its way out.
            await_last_shim_for(run, ANSWER_AFTER_KILL);
            if let Some(pid) = rustix::process::Pid::from_raw(state.shim_pid)
                && state.shim_is_alive()
            {
                let _ended = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                await_last_shim(run);
            }
        }
        match self.life(run)? {
            Life::Orphaned(_) | Life::Unsettled(_) => self.adopt_what_is_left(run, name),
            Life::Kept(_) | Life::Down(_) => Ok(()),
        }
    }

    pub(crate) fn restart_container(&self, id: &str, options: &StopOptions) -> Result<(), RuntimeError> {
        let located = self.locate(id)?;
        let name = &located.record.name;
        if !options.before.is_empty() {
            self.stop_container(id, options)?;
            return self.start_container(id, false);
        }
        let Some(client) = self.connect(&self.roots.run_container(id), name)? else {
            return self.start_container(id, false);
        };
        Desired::Running.write(&located.directory)?;
        let signal = options
            .signal
            .as_deref()
            .map(|signal| signal_number(name, signal))
            .transpose()?;
        let grace_ms = options
            .grace
            .map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        let grace = Duration::from_millis(match grace_ms {
            Some(grace_ms) => grace_ms,
            None => crate::container::read_spec(&located.directory)?.stop_grace_ms,
        });
        let patience = Some(grace.saturating_add(STOP_MARGIN));
        match client.request(&Request::Restart { signal, grace_ms }, &[], patience) {
            Ok((Reply::Started { .. }, _)) => Ok(()),
            // It ended for good just before it was asked.
            Ok((Reply::Failed { .. }, _))
                if matches!(self.life(&self.roots.run_container(id))?, Life::Down(_)) =>
            {
                self.start_container(id, false)
            }
            Ok((Reply::Failed { stage, errno, detail }, _)) => Err(RuntimeError::Start {
                name: name.clone(),
                stage,
                errno,
                detail,
            }),
            Ok((other, _)) => Err(unexpected(name, &other)),
            Err(ShimError::Closed) => {
                self.stop_container(id, options)?;
                self.start_container(id, false)
            }
            Err(error) => Err(shim_error(name, "restart", error)),
        }
    }

    /// As `docker kill`: SIGKILL is an end that a person wanted, so no policy restarts it; any other signal is just sent.
    pub(crate) fn signal_container(&self, id: &str, signal: &str) -> Result<(), RuntimeError> {
        let located = self.locate(id)?;
        let number = signal_number(&located.record.name, signal)?;
        if number == signal::KILL {
            if let Life::Down(_) = self.life(&self.roots.run_container(id))? {
                return Err(not_running(&located.record.name));
            }
            let at_once = StopOptions {
                signal: Some("KILL".to_owned()),
                grace: Some(Duration::ZERO),
                before: Vec::new(),
            };
            return self.stop_container(id, &at_once);
        }
        let reply = self.ask(&located, &Request::Signal { signal: number })?.0;
        done(&located.record.name, reply)
    }

    pub(crate) fn freeze_container(&self, id: &str, freeze: bool) -> Result<(), RuntimeError> {
        let located = self.locate(id)?;
        let request = if freeze { Request::Pause } else { Request::Unpause };
        let reply = self.ask(&located, &request)?.0;
        done(&located.record.name, reply)
    }

    /// Sets the terminal of a container's first process to this size in characters.
    pub fn resize(&self, id: &str, columns: u16, rows: u16) -> Result<(), RuntimeError> {
        let located = self.locate(id)?;
        let reply = self.ask(&located, &Request::Resize { columns, rows })?.0;
        done(&located.record.name, reply)
    }
}

/// Waits until the shim of an ended container has given back what it still holds: it tells of the end first, and ports and control groups
/// follow within a millisecond or two. Whoever takes the same port next must not find it taken.
pub(crate) fn await_last_shim(run: &Path) {
    await_last_shim_for(run, SHIM_PATIENCE);
}

fn await_last_shim_for(run: &Path, patience: Duration) {
    let Ok(lock) = File::open(run.join(rcompose_shim::LOCK_FILE)) else {
        return;
    };
    let deadline = Instant::now() + patience;
    while rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared).is_err()
        && Instant::now() < deadline
    {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// [`Reply::Done`], or what went wrong.
pub(crate) fn done(name: &str, reply: Reply) -> Result<(), RuntimeError> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Failed { stage, errno, detail } => Err(RuntimeError::Start {
            name: name.to_owned(),
            stage,
            errno,
            detail,
        }),
        Reply::Started { .. }
        | Reply::Exited { .. }
        | Reply::Unhealthy { .. }
        | Reply::Unsupported
        | Reply::State { .. } => Err(unexpected(name, &reply)),
    }
}

fn signal_number(name: &str, text: &str) -> Result<i32, RuntimeError> {
    signal::number(text)
        .ok_or_else(|| RuntimeError::Invalid(format!("container {name}: no signal is called {text:?}")))
}

pub(crate) fn not_running(name: &str) -> RuntimeError {
    RuntimeError::Invalid(format!("container {name} is not running"))
}

pub(crate) fn unexpected(name: &str, reply: &Reply) -> RuntimeError {
    let detail = if *reply == Reply::Unsupported {
        "its shim is older than this program and does not know the request".to_owned()
    } else {
        format!("its shim answered {reply:?}")
    };
    RuntimeError::Invalid(format!("container {name}: {detail}"))
}

pub(crate) fn shim_error(name: &str, doing: &str, error: ShimError) -> RuntimeError {
    RuntimeError::Io {
        what: format!("{doing} container {name}"),
        source: std::io::Error::other(error),
    }
}

pub(crate) fn cgroup_error(name: &str, error: &rcompose_container::cgroup::CgroupError) -> RuntimeError {
    RuntimeError::Start {
        name: name.to_owned(),
        stage: "control group".to_owned(),
        errno: error.errno(),
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::local::LocalRuntime;
    use crate::root::Roots;

    #[test]
    fn what_is_taken_away_meanwhile_is_not_adopted() {
        let scratch = std::env::temp_dir().join(format!("rcompose-adopt-{}", std::process::id()));
        let roots = Roots::new(&scratch.join("data"), &scratch.join("run")).unwrap();
        // A shim that ends without a word, as one does whose directory is gone.
        let runtime = LocalRuntime::new(roots, Some(Path::new("/bin/false").to_owned()));
        let run = scratch.join("run/containers/0123456789ab");
        assert!(runtime.adopt(&run, "web").is_err());
        runtime.adopt_what_is_left(&run, "web").unwrap();
        std::fs::create_dir_all(&run).unwrap();
        runtime.adopt_what_is_left(&run, "web").unwrap();
        std::fs::remove_dir_all(&scratch).unwrap();
    }
}
