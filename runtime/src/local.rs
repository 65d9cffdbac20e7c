//! In: calls of the engine. Out: effects on this machine's kernel and on the records below the two roots.
//! **Invariant:** every effect is found again from the records alone; nothing that matters is only in memory.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use rcompose_image::ImageStore;

use crate::host::{self, Host};
use crate::record::{self, ContainerRecord};
use crate::request::{ContainerRequest, ExecRequest, NetworkRequest, VolumeRequest};
use crate::root::{Roots, failed};
use crate::runtime::{Runtime, RuntimeError, StopOptions, Waited};
use crate::state::{ContainerState, NetworkState, VolumeState};

/// Name of the shim program beside the engine's.
const SHIM: &str = "rcompose-shim";

/// The runtime of this machine, for one pair of roots. May be used from many threads at once.
#[derive(Debug)]
pub struct LocalRuntime {
    pub(crate) roots: Roots,
    shim_program: Option<PathBuf>,
    host: OnceLock<Host>,
    shim: OnceLock<OwnedFd>,
    pub(crate) images: OnceLock<ImageStore>,
    directories: Mutex<HashMap<String, PathBuf>>,
    seccomp: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

/// A container that was found.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    /// Its data directory.
    pub(crate) directory: PathBuf,
    /// Its record.
    pub(crate) record: ContainerRecord,
}

impl LocalRuntime {
    /// The runtime of `roots`. `shim` is the shim program; without one it is looked for beside this program. Touches nothing.
    pub fn new(roots: Roots, shim: Option<PathBuf>) -> Self {
        Self {
            roots,
            shim_program: shim,
            host: OnceLock::new(),
            shim: OnceLock::new(),
            images: OnceLock::new(),
            directories: Mutex::new(HashMap::new()),
            seccomp: Mutex::new(HashMap::new()),
        }
    }

    /// Where its state is.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Makes sure that this machine can run containers and that both roots exist. Everything that changes something calls it first.
    pub fn prepare(&self) -> Result<(), RuntimeError> {
        self.host().map(drop)
    }

    pub(crate) fn host(&self) -> Result<&Host, RuntimeError> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let host = Host::inspect()?;
        self.roots.create()?;
        Ok(self.host.get_or_init(|| host))
    }

    /// The sealed copy of the shim program that all shims of this process are executed from (CVE-2019-5736).
    pub(crate) fn shim(&self) -> Result<BorrowedFd<'_>, RuntimeError> {
        if let Some(shim) = self.shim.get() {
            return Ok(shim.as_fd());
        }
        let program = self.shim_path()?;
        let copy = rcompose_sys::descriptor::sealed_copy(&program).map_err(failed("copy", &program))?;
        Ok(self.shim.get_or_init(|| copy).as_fd())
    }

    pub(crate) fn shim_path(&self) -> Result<PathBuf, RuntimeError> {
        let lacks = |what: String| RuntimeError::Host {
            what,
            remedy: format!("install {SHIM} beside rcompose, or name it in RCOMPOSE_SHIM"),
        };
        if let Some(program) = &self.shim_program {
            return if program.is_file() {
                Ok(program.clone())
            } else {
                Err(lacks(format!("{} is not a program", program.display())))
            };
        }
        let own = std::env::current_exe().map_err(failed("find", "/proc/self/exe"))?;
        let program = own.with_file_name(SHIM);
        if program.is_file() {
            Ok(program)
        } else {
            Err(lacks(format!("{} is missing", program.display())))
        }
    }

    /// The container with an id; [`RuntimeError::NotFound`] when there is none.
    pub(crate) fn locate(&self, id: &str) -> Result<Located, RuntimeError> {
        self.find(id)?.ok_or_else(|| RuntimeError::NotFound {
            kind: "container",
            name: id.to_owned(),
        })
    }

    /// The container with an id, if there is one.
    pub(crate) fn find(&self, id: &str) -> Result<Option<Located>, RuntimeError> {
        let known = self.directories().get(id).cloned();
        if let Some(directory) = known
            && let Some(record) = ContainerRecord::read(&directory)?
        {
            return Ok(Some(Located { directory, record }));
        }
        let Some(directory) = record::find_by_id(&self.roots, id)? else {
            return Ok(None);
        };
        let Some(record) = ContainerRecord::read(&directory)? else {
            return Ok(None);
        };
        self.remember(id, &directory);
        Ok(Some(Located { directory, record }))
    }

    /// The id of the container that has a name.
    pub fn container_id(&self, name: &str) -> Result<Option<String>, RuntimeError> {
        Ok(record::find_by_name(&self.roots, name)?.map(|record| record.id))
    }

    pub(crate) fn remember(&self, id: &str, directory: &Path) {
        self.directories().insert(id.to_owned(), directory.to_owned());
    }

    fn directories(&self) -> MutexGuard<'_, HashMap<String, PathBuf>> {
        self.directories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The seccomp program for a set of capabilities, compiled once.
    pub(crate) fn seccomp(&self, capabilities: &[u8]) -> Vec<u8> {
        let mut compiled = self.seccomp.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || rcompose_container::seccomp::compile(capabilities);
        compiled
            .entry(capabilities.to_vec())
            .or_insert_with(compile)
            .clone()
    }
}

impl Runtime for LocalRuntime {
    fn containers(&self, project: &str) -> Result<Vec<ContainerState>, RuntimeError> {
        self.observe_project(project)
    }

    fn networks(&self, project: &str) -> Result<Vec<NetworkState>, RuntimeError> {
        self.observe_networks(project)
    }

    fn network(&self, name: &str) -> Result<Option<NetworkState>, RuntimeError> {
        self.observe_network(name)
    }

    fn volumes(&self, project: &str) -> Result<Vec<VolumeState>, RuntimeError> {
        self.observe_volumes(project)
    }

    fn volume(&self, name: &str) -> Result<Option<VolumeState>, RuntimeError> {
        self.observe_volume(name)
    }

    fn image_id(&self, reference: &str) -> Result<Option<String>, RuntimeError> {
        Ok(self.image_view(reference)?.map(|image| image.id))
    }

    fn repair(&self, project: &str) -> Result<(), RuntimeError> {
        Self::repair(self, project)
    }

    fn create_network(&self, request: &NetworkRequest) -> Result<NetworkState, RuntimeError> {
        self.make_network(request)
    }

    fn remove_network(&self, name: &str) -> Result<(), RuntimeError> {
        self.delete_network(name)
    }

    fn create_volume(&self, request: &VolumeRequest) -> Result<VolumeState, RuntimeError> {
        self.make_volume(request)
    }

    fn remove_volume(&self, name: &str) -> Result<(), RuntimeError> {
        self.delete_volume(name)
    }

    fn create_container(
        &self,
        request: &ContainerRequest,
        inherit: Option<&str>,
    ) -> Result<String, RuntimeError> {
        self.make_container(request, inherit)
    }

    fn unsupported(&self, request: &ContainerRequest) -> Vec<String> {
        host::unsupported(request)
    }

    fn wire(&self, ids: &[String]) -> Result<(), RuntimeError> {
        self.wire_containers(ids)
    }

    fn unwire(&self, ids: &[String]) -> Result<(), RuntimeError> {
        self.unwire_containers(ids)
    }

    fn start(&self, id: &str) -> Result<(), RuntimeError> {
        self.start_container(id, false)
    }

    fn stop(&self, id: &str, options: &StopOptions) -> Result<(), RuntimeError> {
        self.stop_container(id, options)
    }

    fn restart(&self, id: &str, options: &StopOptions) -> Result<(), RuntimeError> {
        self.restart_container(id, options)
    }

    fn kill(&self, id: &str, signal: &str) -> Result<(), RuntimeError> {
        self.signal_container(id, signal)
    }

    fn pause(&self, id: &str) -> Result<(), RuntimeError> {
        self.freeze_container(id, true)
    }

    fn unpause(&self, id: &str) -> Result<(), RuntimeError> {
        self.freeze_container(id, false)
    }

    fn remove_container(&self, id: &str, volumes: bool) -> Result<(), RuntimeError> {
        self.delete_container(id, volumes)
    }

    fn rename_container(&self, id: &str, name: &str) -> Result<(), RuntimeError> {
        self.change_name(id, name)
    }

    fn wait_healthy(
        &self,
        id: &str,
        deadline: Option<Instant>,
        cancel: &AtomicBool,
    ) -> Result<Waited, RuntimeError> {
        self.await_health(id, deadline, cancel)
    }

    fn wait_exited(
        &self,
        id: &str,
        deadline: Option<Instant>,
        cancel: &AtomicBool,
    ) -> Result<i32, RuntimeError> {
        self.await_exit(id, deadline, cancel)
    }

    fn run_inside(&self, id: &str, request: &ExecRequest) -> Result<(i32, Vec<u8>), RuntimeError> {
        self.execute_and_collect(id, request)
    }
}
