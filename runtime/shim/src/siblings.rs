//! In: the id of another container of this data root. Out: its first process, found through its run directory and verified.
//! **Invariant:** a process is used only while its start time and boot are those that were recorded.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rcompose_container::spec::{NamespaceChoice, NamespaceSpec};

use crate::error::ShimError;
use crate::process_identity;
use crate::record::{State, Status};

/// Where the run directories of all containers are.
#[derive(Debug)]
pub(crate) struct Siblings {
    containers: PathBuf,
    /// Characters of an id that name a run directory.
    length: usize,
}

impl Siblings {
    /// The siblings of a container with this run directory, whose name is the beginning of its id.
    pub(crate) fn of(run_directory: &Path) -> Self {
        Siblings {
            containers: run_directory.parent().unwrap_or(Path::new("/")).to_owned(),
            length: run_directory.file_name().map_or(0, std::ffi::OsStr::len),
        }
    }

    /// The first processes of all containers whose namespaces are shared, by id.
    pub(crate) fn joined(&self, namespaces: &NamespaceSpec) -> Result<Vec<(String, OwnedFd)>, ShimError> {
        let NamespaceSpec {
            network,
            pid,
            ipc,
            uts,
            cgroup,
        } = namespaces;
        let mut joined: Vec<(String, OwnedFd)> = Vec::new();
        for choice in [network, pid, ipc, uts, cgroup] {
            if let NamespaceChoice::Container(id) = choice
                && joined.iter().all(|(known, _)| known != id)
            {
                joined.push((id.clone(), self.first_process(id)?));
            }
        }
        Ok(joined)
    }

    fn first_process(&self, id: &str) -> Result<OwnedFd, ShimError> {
        let not_running = || ShimError::SiblingNotRunning { id: id.to_owned() };
        let name = id.get(..self.length).ok_or_else(not_running)?;
        let json = std::fs::read_to_string(self.containers.join(name).join(crate::STATE_FILE))
            .map_err(|_| not_running())?;
        let state = State::from_json(&json).ok_or_else(not_running)?;
        let boot_id = process_identity::boot_id().map_err(ShimError::system("read the boot's identity"))?;
        if state.boot_id != boot_id || !matches!(state.status, Status::Running | Status::Paused) {
            return Err(not_running());
        }
        process_identity::open(state.pid, state.start_time).ok_or_else(not_running)
    }
}
