//! In: containers somebody waits for. Out: how the wait ended: healthy, unhealthy, ended, late or cancelled.
//! **Invariant:** a shim that is killed meanwhile is replaced, and the wait goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rcompose_shim::ShimError;
use rcompose_shim::protocol::{Reply, Request};

use crate::local::LocalRuntime;
use crate::runtime::{RuntimeError, Waited};
use crate::start::{shim_error, unexpected};
use crate::state::Status;

/// How soon a cancelled wait ends.
const STEP: Duration = Duration::from_millis(50);

impl LocalRuntime {
    pub(crate) fn await_health(
        &self,
        id: &str,
        deadline: Option<Instant>,
        cancel: &AtomicBool,
    ) -> Result<Waited, RuntimeError> {
        let name = self.locate(id)?.record.name;
        let what = format!("container {name} healthy");
        match self.await_reply(id, &name, &Request::WaitHealthy, &what, deadline, cancel)? {
            Some(Reply::Done) => Ok(Waited::Healthy),
            Some(Reply::Unhealthy { output }) => Ok(Waited::Unhealthy(output)),
            Some(Reply::Exited { code }) => Ok(Waited::Exited(code)),
            Some(other) => Err(unexpected(&name, &other)),
            None => self.exit_code(id).map(Waited::Exited),
        }
    }

    pub(crate) fn await_exit(
        &self,
        id: &str,
        deadline: Option<Instant>,
        cancel: &AtomicBool,
    ) -> Result<i32, RuntimeError> {
        let name = self.locate(id)?.record.name;
        let what = format!("end of container {name}");
        match self.await_reply(id, &name, &Request::WaitExit, &what, deadline, cancel)? {
            Some(Reply::Exited { code }) => Ok(code),
            Some(other) => Err(unexpected(&name, &other)),
            None => self.exit_code(id),
        }
    }

    /// The reply to a request that may take long; none when nothing runs.
    fn await_reply(
        &self,
        id: &str,
        name: &str,
        request: &Request,
        what: &str,
        deadline: Option<Instant>,
        cancel: &AtomicBool,
    ) -> Result<Option<Reply>, RuntimeError> {
        let begun = Instant::now();
        let run = self.roots.run_container(id);
        while let Some(client) = self.connect(&run, name)? {
            match client.send(request, &[]) {
                Ok(()) => {}
                Err(ShimError::Closed) => continue,
                Err(error) => return Err(shim_error(name, "wait for", error)),
            }
            loop {
                if cancel.load(Ordering::Relaxed) {
                    return Err(RuntimeError::Cancelled);
                }
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                if left == Some(Duration::ZERO) {
                    return Err(RuntimeError::TimedOut {
                        what: what.to_owned(),
                        after: begun.elapsed(),
                    });
                }
                match client.receive(Some(left.map_or(STEP, |left| left.min(STEP)))) {
                    Ok((reply, _)) => return Ok(Some(reply)),
                    Err(ShimError::TimedOut) => {}
                    Err(ShimError::Closed) => break,
                    Err(error) => return Err(shim_error(name, "wait for", error)),
                }
            }
        }
        Ok(None)
    }

    fn exit_code(&self, id: &str) -> Result<i32, RuntimeError> {
        let state = self.container(id)?;
        match state.status {
            Status::Exited { code } => Ok(code),
            Status::Created => Err(RuntimeError::Invalid(format!(
                "container {} was never started",
                state.name
            ))),
            Status::Running | Status::Paused | Status::Restarting => Err(RuntimeError::Invalid(format!(
                "container {} was started again by somebody else",
                state.name
            ))),
        }
    }
}
