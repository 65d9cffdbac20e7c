//! In: a plain process of the host that must not die. Out: a shim that starts it again whenever it ends.
//! **Invariant:** one name, one process: keeping one that is kept already changes nothing.

use std::fs::File;
use std::time::Duration;

use rcompose_container::spec::{ProcessKeeper, Workload};
use rcompose_shim::protocol::{Reply, Request, StartPlan};
use rcompose_shim::{Mode, ShimError};
use rustix::fs::{FlockOperation, flock};

use crate::container::{text, write_spec};
use crate::local::LocalRuntime;
use crate::observe::Life;
use crate::root::{self, failed};
use crate::runtime::RuntimeError;
use crate::start::{shim_error, unexpected};
use crate::start_plan;

/// How much longer than its grace period the end of a process may take.
const MARGIN: Duration = Duration::from_secs(15);

/// A process that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptProcess {
    /// Its id while it runs; none between two starts.
    pub pid: Option<i32>,
}

impl LocalRuntime {
    /// Starts a process and keeps it alive under a name, whatever its exit code.
    pub fn keep_process(&self, name: &str, keeper: ProcessKeeper) -> Result<(), RuntimeError> {
        self.host()?;
        let run = self.roots.run_process(name)?;
        let _lock = self.processes_lock()?;
        match self.life(&run)? {
            Life::Kept(_) => return Ok(()),
            Life::Orphaned(_) => return self.adopt(&run, name),
            Life::Unsettled(_) | Life::Down(_) => {}
        }
        root::remove_directory(&run)?;
        root::directory(&run, 0o700)?;
        write_spec(&run, &Workload::Process(keeper))?;
        start_plan::write_start_plan(
            &run,
            &StartPlan {
                attachments: Vec::new(),
                boot_id: self.roots.boot_id().to_owned(),
                wait_for_attach: false,
                container_directory: text(&run)?,
            },
        )?;
        self.spawn_shim(&run, Mode::Run, name)
    }

    /// The process kept under a name, if there is one.
    pub fn process_state(&self, name: &str) -> Result<Option<KeptProcess>, RuntimeError> {
        match self.life(&self.roots.run_process(name)?)? {
            Life::Kept(state) | Life::Orphaned(state) => Ok(Some(KeptProcess {
                pid: (state.pid > 0).then_some(state.pid),
            })),
            Life::Unsettled(_) | Life::Down(_) => Ok(None),
        }
    }

    /// Ends the process kept under a name: SIGTERM, after `grace` SIGKILL. Its absence is success.
    pub fn stop_process(&self, name: &str, grace: Duration) -> Result<(), RuntimeError> {
        let run = self.roots.run_process(name)?;
        if let Some(client) = self.connect(&run, name)? {
            let grace_ms = Some(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
            let request = Request::Stop {
                signal: None,
                grace_ms,
                before: Vec::new(),
            };
            match client.request(&request, &[], Some(grace.saturating_add(MARGIN))) {
                Ok((Reply::Exited { .. }, _)) | Err(ShimError::Closed) => {}
                Ok((other, _)) => return Err(unexpected(name, &other)),
                Err(error) => return Err(shim_error(name, "stop", error)),
            }
        }
        if !run.exists() {
            return Ok(());
        }
        let _lock = self.processes_lock()?;
        match self.life(&run)? {
            // Somebody keeps it again.
            Life::Kept(_) | Life::Orphaned(_) => Ok(()),
            Life::Unsettled(_) | Life::Down(_) => root::remove_directory(&run),
        }
    }

    /// Held while a process gets its directory and its shim, or loses its directory: two callers would take it from each other.
    fn processes_lock(&self) -> Result<File, RuntimeError> {
        let path = self.roots.run().join("processes");
        root::directory(&path, 0o700)?;
        let file = File::open(&path).map_err(failed("open", &path))?;
        flock(&file, FlockOperation::LockExclusive).map_err(failed("lock", &path))?;
        Ok(file)
    }

    /// Sends a signal by number to the process kept under a name.
    pub fn signal_process(&self, name: &str, signal: i32) -> Result<(), RuntimeError> {
        let run = self.roots.run_process(name)?;
        let client = self
            .connect(&run, name)?
            .ok_or_else(|| crate::start::not_running(name))?;
        let reply = client
            .request(&Request::Signal { signal }, &[], Some(crate::start::ANSWER))
            .map_err(|error| shim_error(name, "signal", error))?
            .0;
        crate::start::done(name, reply)
    }
}
