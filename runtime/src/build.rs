//! In: the RUN steps of a build. Out: each run to its end in a container of its own, with its output.
//! **Invariant:** a step leaves nothing but the content of its upper directory; what a killed build left is repaired like any container.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rcompose_container::spec::{MountSource, MountSpec};
use rcompose_image::build::HostBase;
use rcompose_image::build::step::{RunStep, StepMountSource, StepNetwork, StepRunner};
use rcompose_image::{ImageConfig, PreparedLayer};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::complete::ImageView;
use crate::container::text;
use crate::host_identity::identity;
use crate::host_view;
use crate::local::LocalRuntime;
use crate::request::{
    ContainerRequest, EndpointRequest, LimitsRequest, LogRequest, MountRequest, MountRequestSource,
    NetworkRequest, NetworkingRequest,
};
use crate::root;
use crate::runtime::{Runtime, RuntimeError, StopOptions};

/// The host's name in a RUN, the same in every build: it is BuildKit's, so that what programs write of it is the same, too.
const HOSTNAME: &str = "buildkitsandbox";

/// The project of all build containers, and their network; no user's project has such a name.
pub(crate) const PROJECT: &str = "_build";

/// A cancelled build ends its commands within this time.
const BETWEEN_QUESTIONS: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Steps whose containers are removed together: taking an address back makes the kernel wait for a grace period, as long as a short
/// step takes.
const REMOVED_TOGETHER: usize = 32;

/// Runs steps of builds. Its network and what is left of its containers go with it.
#[derive(Debug)]
pub struct BuildRunner<'runtime> {
    runtime: &'runtime LocalRuntime,
    /// Containers that have ended.
    ended: Mutex<Vec<String>>,
    /// Marks that hide parts of the host, when something of the build stands on it.
    marks: OnceLock<PreparedLayer>,
    /// Shared by all who run steps: the last one removes the network.
    lock: Option<File>,
    /// A step was run since it was cleared last.
    used: AtomicBool,
}

impl LocalRuntime {
    /// What runs the steps of a build on this host.
    pub fn build_runner(&self) -> BuildRunner<'_> {
        // What cannot be ended now is ended by the next build.
        let _in_the_way = self.end_killed_builds();
        BuildRunner {
            runtime: self,
            ended: Mutex::new(Vec::new()),
            marks: OnceLock::new(),
            lock: lock(self).ok(),
            used: AtomicBool::new(false),
        }
    }

    /// Ends the commands that killed builds left running, when no build goes on: nobody waits for them.
    pub fn end_killed_builds(&self) -> Result<(), RuntimeError> {
        let (lock, path) = lock_file(self)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(()),
            Err(error) => return Err(root::failed("lock", &path)(error)),
        }
        let left = self.containers(PROJECT)?;
        let ids: Vec<String> = left.into_iter().map(|container| container.id).collect();
        for id in &ids {
            self.stop(id, &at_once())?;
        }
        if ids.is_empty() {
            return Ok(());
        }
        self.unwire(&ids)?;
        for id in &ids {
            self.remove_container(id, true)?;
        }
        self.remove_network(PROJECT)
    }
}

/// Waits while the last of other builds removes the network (milliseconds).
fn lock(runtime: &LocalRuntime) -> Result<File, RuntimeError> {
    let (file, path) = lock_file(runtime)?;
    flock(&file, FlockOperation::LockShared).map_err(root::failed("lock", &path))?;
    Ok(file)
}

fn lock_file(runtime: &LocalRuntime) -> Result<(File, PathBuf), RuntimeError> {
    root::directory(runtime.roots.run(), 0o711)?;
    let path = runtime.roots.run().join("build.lock");
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    Ok((file.map_err(root::failed("open", &path))?, path))
}

impl Drop for BuildRunner<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl StepRunner for BuildRunner<'_> {
    fn clear(&self) {
        if !self.used.swap(false, Ordering::Relaxed) {
            return;
        }
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        // What cannot be removed is repaired by the next command, like what a killed build left.
        let _repaired_later = self.remove(&ended);
        // Another build may be using it, or be about to.
        let alone = self
            .lock
            .as_ref()
            .is_some_and(|lock| flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok());
        if alone {
            let _in_use = self.runtime.remove_network(PROJECT);
        }
        // Whoever builds next waits no longer than for this.
        let _until_dropped = self.lock.as_ref().map(|lock| flock(lock, FlockOperation::Unlock));
    }

    fn run(
        &self,
        step: &RunStep,
        output: &mut dyn FnMut(bool, &[u8]),
        stopped: &dyn Fn() -> bool,
    ) -> Result<i32, String> {
        self.used.store(true, Ordering::Relaxed);
        let id = self.make(step).map_err(|error| story(&error))?;
        let ran = self.run_to_end(&id, output, stopped);
        let removed = self.retire(id);
        let code = ran.map_err(|error| story(&error))?;
        removed.map_err(|error| story(&error))?;
        Ok(code)
    }

    fn host(&self) -> Result<HostBase, String> {
        let hidden = host_view::parts_of_this_host(&self.runtime.roots);
        let marks = self.runtime.mark_host(&hidden).map_err(|error| story(&error))?;
        Ok(HostBase {
            identity: identity(Path::new("/"), &hidden),
            lower: vec![
                self.marks.get_or_init(|| marks).path().to_owned(),
                PathBuf::from("/"),
            ],
        })
    }
}

/// An error with its causes, in one line.
fn story(error: &RuntimeError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl BuildRunner<'_> {
    fn make(&self, step: &RunStep) -> Result<String, RuntimeError> {
        let network = match step.network {
            StepNetwork::None => NetworkingRequest::None,
            StepNetwork::Host => NetworkingRequest::Host,
            StepNetwork::Default => {
                self.runtime.create_network(&build_network())?;
                NetworkingRequest::Bridges(vec![EndpointRequest {
                    network: PROJECT.to_owned(),
                    names: Vec::new(),
                    address: None,
                    mac: None,
                    interface: None,
                }])
            }
        };
        let (mounts, extra) = mounts_of(step)?;
        let request = ContainerRequest {
            name: format!("{PROJECT}-{}", self.runtime.new_id()?),
            one_off: true,
            hostname: Some(HOSTNAME.to_owned()),
            command: Some(step.arguments.clone()),
            user: Some(step.user.clone()),
            working_directory: Some(step.working_directory.clone()),
            mounts,
            network,
            extra_hosts: step.extra_hosts.clone(),
            shm_size: step.shm_size,
            ulimits: step.ulimits.clone(),
            limits: LimitsRequest {
                memory: step.memory,
                ..LimitsRequest::default()
            },
            log: LogRequest {
                discard: true,
                ..LogRequest::default()
            },
            ..ContainerRequest::minimal(PROJECT, PROJECT)
        };
        let config = ImageConfig {
            env: step.environment.clone(),
            ..ImageConfig::default()
        };
        let lower: Vec<String> = step
            .lower
            .iter()
            .map(|path| text(path))
            .collect::<Result<_, _>>()?;
        let image = ImageView {
            id: PROJECT.to_owned(),
            config,
            layers: lower,
            // Where a step stands on the host, its layers say so.
            stands_on_host: false,
        };
        let (upper, work) = (text(&step.upper)?, text(&step.work)?);
        self.runtime.make_container_of(&request, &image, None, |spec| {
            if spec.rootfs.lower.is_empty() {
                // `FROM scratch`: an overlay needs a lower directory, and the container's own unused one is empty.
                spec.rootfs.lower.push(std::mem::take(&mut spec.rootfs.upper));
            }
            spec.rootfs.upper = upper;
            spec.rootfs.work = work;
            // A build has the variables of its Dockerfile and no others: what it makes must not depend on the container's name.
            spec.process.environment.clone_from(&step.environment);
            // Names and servers are not a step's to change: it would be lost. A mount over /etc shows itself alone.
            let covered = step.mounts.iter().any(|mount| mount.target == "/etc");
            let of_network = |target: &str| matches!(target, "/etc/hosts" | "/etc/resolv.conf");
            spec.mounts
                .retain(|mount| mount.target != "/etc/hostname" && !(covered && of_network(&mount.target)));
            for mount in &mut spec.mounts {
                mount.read_only |= of_network(&mount.target);
            }
            spec.mounts.extend(extra);
        })
    }

    fn run_to_end(
        &self,
        id: &str,
        output: &mut dyn FnMut(bool, &[u8]),
        stopped: &dyn Fn() -> bool,
    ) -> Result<i32, RuntimeError> {
        let failed = |source: io::Error| RuntimeError::Io {
            what: "make a pipe".to_owned(),
            source,
        };
        self.runtime.wire(&[id.to_owned()])?;
        self.runtime.start_container(id, true)?;
        let (stdout, stdout_writer) = io::pipe().map_err(failed)?;
        let (stderr, stderr_writer) = io::pipe().map_err(failed)?;
        let session = self
            .runtime
            .attach(id, None, stdout_writer.as_fd(), stderr_writer.as_fd())?;
        drop((stdout_writer, stderr_writer));
        if !forward(stdout, stderr, output, stopped) {
            self.runtime.stop(id, &at_once())?;
        }
        session.wait(None)
    }

    /// The container has done its work; it is removed with others.
    fn retire(&self, id: String) -> Result<(), RuntimeError> {
        self.runtime.stop(&id, &at_once())?;
        let due = {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push(id);
            if ended.len() < REMOVED_TOGETHER {
                return Ok(());
            }
            std::mem::take(&mut *ended)
        };
        self.remove(&due)
    }

    fn remove(&self, ids: &[String]) -> Result<(), RuntimeError> {
        self.runtime.unwire(ids)?;
        for id in ids {
            self.runtime.remove_container(id, true)?;
        }
        Ok(())
    }
}

/// The mounts of a step: those a request can say, and those only a spec can.
fn mounts_of(step: &RunStep) -> Result<(Vec<MountRequest>, Vec<MountSpec>), RuntimeError> {
    let (mut mounts, mut extra) = (Vec::new(), Vec::new());
    for mount in &step.mounts {
        let (target, read_only) = (mount.target.clone(), mount.read_only);
        let source = match &mount.source {
            StepMountSource::Bind(path) => {
                let path = text(path)?;
                let source = MountRequestSource::Bind {
                    path,
                    create: false,
                    propagation: None,
                    recursive: true,
                };
                mounts.push(MountRequest {
                    target,
                    read_only,
                    source,
                });
                continue;
            }
            StepMountSource::Inside(path, subpath) => MountSource::Volume {
                path: text(path)?,
                copy_up: false,
                subpath: Some(subpath.clone()),
            },
            StepMountSource::Tmpfs(size) => {
                let source = MountRequestSource::Tmpfs {
                    size: *size,
                    mode: None,
                    uid: None,
                    gid: None,
                    exec: true,
                };
                mounts.push(MountRequest {
                    target,
                    read_only,
                    source,
                });
                continue;
            }
            StepMountSource::Layers(lower, subpath) => {
                let lower = lower.iter().map(|path| text(path)).collect::<Result<_, _>>()?;
                let subpath = Some(subpath.clone()).filter(|path| !matches!(path.as_str(), "" | "/" | "."));
                MountSource::Layers { lower, subpath }
            }
            StepMountSource::Content(bytes, mode, uid, gid) => MountSource::Content {
                bytes: bytes.clone().into(),
                mode: *mode,
                uid: *uid,
                gid: *gid,
            },
        };
        extra.push(MountSpec {
            target,
            source,
            read_only,
            propagation: None,
        });
    }
    Ok((mounts, extra))
}

fn at_once() -> StopOptions {
    StopOptions {
        grace: Some(Duration::ZERO),
        ..StopOptions::default()
    }
}

/// Hands on both streams until both have ended; false when it was stopped before.
fn forward(
    stdout: PipeReader,
    stderr: PipeReader,
    output: &mut dyn FnMut(bool, &[u8]),
    stopped: &dyn Fn() -> bool,
) -> bool {
    let mut open = vec![(false, stdout), (true, stderr)];
    let mut part = vec![0_u8; 64 * 1024];
    while !open.is_empty() {
        if stopped() {
            return false;
        }
        let mut polls: Vec<PollFd<'_>> = open
            .iter()
            .map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN))
            .collect();
        match rustix::event::poll(&mut polls, Some(&BETWEEN_QUESTIONS)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return true,
        }
        let ready: Vec<bool> = polls.iter().map(|poll| !poll.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        open.retain_mut(|(is_error, pipe)| {
            if ready.next() != Some(true) {
                return true;
            }
            match pipe.read(&mut part) {
                Ok(0) | Err(_) => false,
                Ok(length) => {
                    output(*is_error, &part[..length]);
                    true
                }
            }
        });
    }
    true
}

fn build_network() -> NetworkRequest {
    NetworkRequest {
        name: PROJECT.to_owned(),
        project: PROJECT.to_owned(),
        key: "default".to_owned(),
        config_hash: String::new(),
        internal: false,
        subnet: None,
        gateway: None,
        ip_range: None,
        bridge: None,
        mtu: None,
        icc: false,
        reserved: Vec::new(),
        labels: BTreeMap::new(),
    }
}
