//! In: a relative path and limits. Out: the container's control group in every hierarchy of the host: made, limited, entered, frozen,
//! measured, emptied and removed, the same on version 1, version 2 and hybrids.
//! **Invariant:** a limit that was asked for is either written or was named by [`unsupported`] beforehand.

mod control_file;
mod device_filter;
mod error;
mod layout;
mod support;
mod v1;
mod v2;

use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};

use control_file::{field, read, remove_tree, write};
pub use error::CgroupError;
pub use layout::{Hierarchy, Layout};
pub use support::unsupported;

use crate::device::DeviceAccess;
use crate::spec::CgroupSpec;

/// The use of resources by all processes of a group. None where the host has no controller for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes of memory, page cache included.
    pub memory_bytes: Option<u64>,
    /// Bytes of page cache that is easily given back; `docker stats` subtracts it.
    pub inactive_file_bytes: Option<u64>,
    /// Limit in bytes; none when unlimited.
    pub memory_limit_bytes: Option<u64>,
    /// Processor time since the group was made, in nanoseconds.
    pub cpu_nanoseconds: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes read from and written to block devices.
    pub block_bytes: Option<(u64, u64)>,
}

/// One container's group in all hierarchies.
#[derive(Debug, Clone)]
pub struct Cgroup {
    layout: Layout,
    path: String,
}

/// Opened ways into a group, for a child that is about to be made.
#[derive(Debug)]
pub struct Entry {
    /// The version-2 directory, for `CLONE_INTO_CGROUP`.
    pub unified: Option<OwnedFd>,
    /// The `tasks` files of version 1: a single-threaded process enters by writing `0`, which takes the kernel 0.1 ms instead of the
    /// 7 to 11 ms of writing another's id to `cgroup.procs`.
    pub tasks: Vec<OwnedFd>,
}

/// How long freezing, killing and removing may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// The group of this path, whether it exists or not.
    ///
    /// # Errors
    /// When the host's hierarchies cannot be told.
    pub fn at(path: &str) -> Result<Self, CgroupError> {
        Ok(Self {
            layout: Layout::detect()?,
            path: path.to_owned(),
        })
    }

    /// Makes the group in every hierarchy and writes its limits and device rules. One that exists already is adjusted.
    ///
    /// # Errors
    /// When a directory cannot be made or a limit cannot be written; what was made is left for [`Self::remove`].
    pub fn create(spec: &CgroupSpec, devices: &DeviceAccess) -> Result<Self, CgroupError> {
        let group = Self::at(&spec.path)?;
        for hierarchy in &group.layout.hierarchies {
            v1::make(hierarchy, &group.path)?;
            v1::limit(hierarchy, &group.path, spec, devices)?;
        }
        if let Some(root) = &group.layout.unified {
            v2::make(root, &group.path, &group.layout.unified_controllers)?;
            let filtered_by_v1 = group.layout.hierarchy("devices").is_some();
            v2::limit(
                root,
                &group.path,
                spec,
                &group.layout,
                (!filtered_by_v1).then_some(devices),
            )?;
        }
        Ok(group)
    }

    /// Its path below every hierarchy.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host's hierarchies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its directories, version 1 first.
    pub fn directories(&self) -> impl Iterator<Item = PathBuf> {
        self.layout.roots().map(|root| root.join(&self.path))
    }

    /// Opens the ways in.
    ///
    /// # Errors
    /// When the group does not exist (any more).
    pub fn entry(&self) -> Result<Entry, CgroupError> {
        let open = |path: PathBuf, flags: OFlags| {
            rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| CgroupError::read(path, errno.into()))
        };
        let unified = match &self.layout.unified {
            Some(root) => Some(open(root.join(&self.path), OFlags::RDONLY | OFlags::DIRECTORY)?),
            None => None,
        };
        let hierarchies = &self.layout.hierarchies;
        let tasks = hierarchies
            .iter()
            .map(|hierarchy| open(hierarchy.mount.join(&self.path).join("tasks"), OFlags::WRONLY))
            .collect::<Result<_, _>>()?;
        Ok(Entry { unified, tasks })
    }

    /// The processes in it, by their ids in the caller's pid namespace.
    ///
    /// # Errors
    /// When the group does not exist.
    pub fn processes(&self) -> Result<Vec<i32>, CgroupError> {
        let Some(directory) = self.directories().last() else {
            return Ok(Vec::new());
        };
        let text = read(&directory.join("cgroup.procs"))?;
        Ok(text
            .lines()
            .filter_map(|line| line.parse().ok())
            .filter(|pid| *pid > 0)
            .collect())
    }

    /// Stops every process from running, and returns once they have stopped.
    ///
    /// # Errors
    /// When the host cannot freeze, or it takes more than ten seconds.
    pub fn freeze(&self) -> Result<(), CgroupError> {
        match self.layout.hierarchy("freezer") {
            Some(hierarchy) => v1::freeze(&hierarchy.mount.join(&self.path), &self.path),
            None => v2::freeze(&self.unified_directory()?, &self.path, true),
        }
    }

    /// Lets them run again.
    ///
    /// # Errors
    /// When the host cannot freeze.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        match self.layout.hierarchy("freezer") {
            Some(hierarchy) => write(&hierarchy.mount.join(&self.path).join("freezer.state"), "THAWED"),
            None => v2::freeze(&self.unified_directory()?, &self.path, false),
        }
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        let state = match self.layout.hierarchy("freezer") {
            Some(hierarchy) => read(&hierarchy.mount.join(&self.path).join("freezer.state")),
            None => self
                .unified_directory()
                .and_then(|directory| read(&directory.join("cgroup.freeze"))),
        };
        state.is_ok_and(|state| matches!(state.trim(), "FROZEN" | "FREEZING" | "1"))
    }

    /// Sends SIGKILL to every process and waits until none is left.
    ///
    /// # Errors
    /// When some survive for more than ten seconds.
    pub fn kill_all(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + PATIENCE;
        if let Ok(directory) = self.unified_directory() {
            // Linux 5.14; kills forks in flight too. On a hybrid host the group of version 2 holds the same processes.
            drop(write(&directory.join("cgroup.kill"), "1"));
        }
        loop {
            let processes = self.processes_or_none()?;
            if processes.is_empty() {
                return Ok(());
            }
            for pid in processes.into_iter().filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
            // A frozen task of version 1 keeps the signal pending until it is thawed.
            drop(self.thaw());
            if Instant::now() >= deadline {
                return Err(self.timeout("emptied"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How much its processes use.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = Statistics::default();
        for hierarchy in &self.layout.hierarchies {
            v1::measure(hierarchy, &self.path, &mut statistics);
        }
        if let Ok(directory) = self.unified_directory() {
            v2::measure(&directory, &mut statistics);
        }
        statistics
    }

    /// How many of its processes the kernel killed for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let text = match self.layout.hierarchy("memory") {
            Some(hierarchy) => read(&hierarchy.mount.join(&self.path).join("memory.oom_control")),
            None => self
                .unified_directory()
                .and_then(|directory| read(&directory.join("memory.events"))),
        };
        text.ok().and_then(|text| field(&text, "oom_kill")).unwrap_or(0)
    }

    /// Removes it everywhere, and its parent when that is empty then. Groups that the container made below it go too. One that is
    /// gone already counts as removed.
    ///
    /// # Errors
    /// When processes remain in it for more than ten seconds.
    pub fn remove(&self) -> Result<(), CgroupError> {
        // A killed but frozen task of version 1 stays until it is thawed, and the directory busy with it.
        drop(self.thaw());
        let deadline = Instant::now() + PATIENCE;
        for root in self.layout.roots() {
            let directory = root.join(&self.path);
            loop {
                match remove_tree(&directory) {
                    Ok(()) => break,
                    Err(source) if source.kind() == ErrorKind::ResourceBusy && Instant::now() < deadline => {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Err(source) => {
                        return Err(CgroupError::Remove {
                            path: directory,
                            source,
                        });
                    }
                }
            }
            if let Some(parent) = Path::new(&self.path)
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
            {
                // Best effort: other containers may live there.
                drop(fs::remove_dir(root.join(parent)));
            }
        }
        Ok(())
    }

    fn processes_or_none(&self) -> Result<Vec<i32>, CgroupError> {
        match self.processes() {
            Err(CgroupError::Read { source, .. })
                if matches!(source.kind(), ErrorKind::NotFound) || source.raw_os_error() == Some(19) =>
            {
                Ok(Vec::new())
            }
            other => other,
        }
    }

    fn unified_directory(&self) -> Result<PathBuf, CgroupError> {
        self.layout
            .unified
            .as_ref()
            .map(|root| root.join(&self.path))
            .ok_or(CgroupError::NotMounted)
    }

    fn timeout(&self, state: &'static str) -> CgroupError {
        CgroupError::Timeout {
            path: self.path.clone(),
            state,
            seconds: PATIENCE.as_secs(),
        }
    }
}
