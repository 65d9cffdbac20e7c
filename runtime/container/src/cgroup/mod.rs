//! In: a relative path and limits. Out: the container's control group in every hierarchy of the host: made, limited, entered, frozen,
//! measured, emptied and removed, the same on version 1, version 2 and hybrids.
//! **Invariant:** a limit that was asked for is either written or was named by [`unsupported`] beforehand.

mod device_filter;
mod layout;
mod v1;
mod v2;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};

pub use layout::{Hierarchy, Layout};

use crate::device::DeviceAccess;
use crate::spec::CgroupSpec;

/// Why a control group could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No cgroup file system is mounted.
    #[error("no control-group file system is mounted; mount one at /sys/fs/cgroup")]
    NotMounted,
    /// Reading a file or directory of a group failed.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Writing a file of a group failed.
    #[error("write `{value}` to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Making a group failed.
    #[error("make the control group {}", path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Removing a group failed.
    #[error("remove the control group {}", path.display())]
    Remove {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A block device named for a rate does not exist or is no block device.
    #[error("{path} is no block device of this host")]
    NoBlockDevice {
        /// The path.
        path: String,
    },
    /// The group did not reach the state that was asked for in time.
    #[error("the control group {path} was not {state} within {seconds} seconds")]
    Timeout {
        /// The relative path.
        path: String,
        /// The state.
        state: &'static str,
        /// How long it was waited.
        seconds: u64,
    },
}

impl CgroupError {
    fn read(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Read {
            path: path.into(),
            source,
        }
    }

    /// The errno of the cause, 0 when there is none.
    pub fn errno(&self) -> i32 {
        match self {
            Self::NotMounted | Self::NoBlockDevice { .. } | Self::Timeout { .. } => 0,
            Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Make { source, .. }
            | Self::Remove { source, .. } => source.raw_os_error().unwrap_or(0),
        }
    }
}

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

/// The limits of `spec` that this host cannot honour, each as a sentence for the user. Empty when all will be written.
pub fn unsupported(layout: &Layout, spec: &CgroupSpec) -> Vec<String> {
    let has = |controller: &str| layout.hierarchy(controller).is_some() || layout.unified_has(controller);
    let v1_file = |controller: &str, file: &str| {
        layout
            .hierarchy(controller)
            .map(|hierarchy| hierarchy.mount.join(file).exists())
    };
    let mut missing = Vec::new();
    let mut require = |asked: bool, available: bool, sentence: &str| {
        if asked && !available {
            missing.push(sentence.to_owned());
        }
    };
    let memory = spec.memory_max.is_some() || spec.memory_reservation.is_some();
    require(
        memory,
        has("memory"),
        "memory limits: the host has no memory controller",
    );
    let swap = spec.memory_swap_max.is_some_and(|swap| swap >= 0);
    let swap_accounting = v1_file("memory", "memory.memsw.limit_in_bytes").unwrap_or_else(|| has("memory"));
    require(
        swap,
        swap_accounting,
        "memory plus swap limit: the host does not account swap (swapaccount=1)",
    );
    let cpu = spec.cpu_millis.is_some() || spec.cpu_quota.is_some() || spec.cpu_shares.is_some();
    require(
        cpu,
        has("cpu"),
        "processor limits: the host has no cpu controller",
    );
    let quota = spec.cpu_millis.is_some() || spec.cpu_quota.is_some();
    require(
        quota && has("cpu"),
        v1_file("cpu", "cpu.cfs_quota_us").unwrap_or(true),
        "cpu quota: CFS bandwidth control is not built in",
    );
    require(
        spec.cpuset.is_some(),
        has("cpuset"),
        "cpuset: the host has no cpuset controller",
    );
    require(
        spec.pids_max.is_some_and(|pids| pids > 0),
        has("pids"),
        "pids limit: the host has no pids controller",
    );
    let weight = v1_file("blkio", "blkio.weight").unwrap_or(false)
        || v1_file("blkio", "blkio.bfq.weight").unwrap_or_else(|| layout.unified_has("io"));
    require(
        spec.blkio_weight.is_some(),
        weight,
        "block I/O weight: no scheduler of the host knows weights (bfq)",
    );
    require(
        !spec.blkio_rates.is_empty(),
        has("blkio") || has("io"),
        "block I/O rates: the host has no io controller",
    );
    let v1_memory = layout.hierarchy("memory").is_some();
    require(
        spec.memory_swappiness.is_some(),
        v1_memory,
        "mem_swappiness: control groups version 2 have no such limit",
    );
    require(
        spec.oom_kill_disable == Some(true),
        v1_memory,
        "oom_kill_disable: control groups version 2 have no such switch",
    );
    missing
}

/// Removes a group and those below it, deepest first.
fn remove_tree(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() != ErrorKind::ResourceBusy => return Err(error),
        Err(_) => {}
        Ok(()) => return Ok(()),
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}

/// Makes a directory and its missing parent; another process may be removing the parent meanwhile.
fn make_directory(root: &Path, path: &str) -> Result<PathBuf, CgroupError> {
    let directory = root.join(path);
    let mut attempts = 0;
    loop {
        match fs::create_dir_all(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == ErrorKind::NotFound && attempts < 100 => attempts += 1,
            Err(source) => {
                return Err(CgroupError::Make {
                    path: directory,
                    source,
                });
            }
        }
    }
}

fn read(path: &Path) -> Result<String, CgroupError> {
    fs::read_to_string(path).map_err(|source| CgroupError::read(path, source))
}

fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    fs::write(path, value).map_err(|source| CgroupError::Write {
        path: path.to_owned(),
        value: value.to_owned(),
        source,
    })
}

/// Writes a limit whose file may be missing on this host, as [`unsupported`] has told.
fn write_if_present(path: &Path, value: &str) -> Result<(), CgroupError> {
    match write(path, value) {
        Err(CgroupError::Write { source, .. })
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
                && !path.exists() =>
        {
            Ok(())
        }
        other => other,
    }
}

/// The number after `name ` in a file of such lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `major:minor` of a block device of the host.
fn block_device(path: &str) -> Result<String, CgroupError> {
    let status = rustix::fs::stat(path).map_err(|_| CgroupError::NoBlockDevice {
        path: path.to_owned(),
    })?;
    if rustix::fs::FileType::from_raw_mode(status.st_mode) != rustix::fs::FileType::BlockDevice {
        return Err(CgroupError::NoBlockDevice {
            path: path.to_owned(),
        });
    }
    Ok(format!(
        "{}:{}",
        rustix::fs::major(status.st_rdev),
        rustix::fs::minor(status.st_rdev)
    ))
}

/// Quota and period in microseconds that were asked for, thousandths of a processor first.
fn quota(spec: &CgroupSpec) -> Option<(i64, u64)> {
    const PERIOD: u64 = 100_000;
    let period = spec.cpu_period.unwrap_or(PERIOD);
    match (spec.cpu_millis, spec.cpu_quota) {
        (Some(millis), _) => Some((
            i64::try_from(millis.saturating_mul(PERIOD) / 1000)
                .unwrap_or(i64::MAX)
                .max(1000),
            PERIOD,
        )),
        (None, Some(quota)) => Some((quota, period)),
        (None, None) => spec.cpu_period.map(|period| (-1, period)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_of_a_processor_become_a_quota() {
        let spec = CgroupSpec {
            cpu_millis: Some(1500),
            ..CgroupSpec::default()
        };
        assert_eq!(quota(&spec), Some((150_000, 100_000)));
        let spec = CgroupSpec {
            cpu_quota: Some(5_000),
            cpu_period: Some(10_000),
            ..CgroupSpec::default()
        };
        assert_eq!(quota(&spec), Some((5_000, 10_000)));
        // The kernel's minimum is one millisecond.
        let spec = CgroupSpec {
            cpu_millis: Some(1),
            ..CgroupSpec::default()
        };
        assert_eq!(quota(&spec), Some((1_000, 100_000)));
    }

    #[test]
    fn what_the_host_lacks_is_named() {
        let layout = Layout {
            unified: Some("/sys/fs/cgroup".into()),
            unified_controllers: vec!["memory".into()],
            hierarchies: Vec::new(),
        };
        let spec = CgroupSpec {
            memory_max: Some(1 << 20),
            pids_max: Some(10),
            cpu_millis: Some(500),
            memory_swappiness: Some(10),
            oom_kill_disable: Some(true),
            ..CgroupSpec::default()
        };
        let missing = unsupported(&layout, &spec).join("\n");
        assert_eq!(missing.lines().count(), 4, "{missing}");
        for word in [
            "pids limit",
            "processor limits",
            "mem_swappiness",
            "oom_kill_disable",
        ] {
            assert!(missing.contains(word), "{word}: {missing}");
        }
        assert!(
            unsupported(
                &layout,
                &CgroupSpec {
                    pids_max: Some(-1),
                    ..CgroupSpec::default()
                }
            )
            .is_empty()
        );
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        assert_eq!(
            field("oom 3\noom_kill 2\noom_group_kill 1\n", "oom_kill"),
            Some(2)
        );
        assert_eq!(field("usage_usec 5\n", "usage"), None);
    }
}
