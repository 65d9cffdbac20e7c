//! In: whatever a killed process, a crash or a reboot left. Out: records and kernel objects that agree again.
//! Called at the start of each command that changes something, with the lock of its project.
//! **Invariant:** only what carries this data root's name and stands for nothing on record is removed; what lives is kept.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use rcompose_container::cgroup::Cgroup;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::atomic;
use crate::container::{GONE, NEW};
use crate::local::LocalRuntime;
use crate::network::network_error;
use crate::observe::{Life, Wiring};
use crate::root::{self, failed, short_id};
use crate::runtime::RuntimeError;
use crate::start::cgroup_error;

/// How long a shim that has begun may take to say so.
const SETTLING: Duration = Duration::from_secs(5);

impl LocalRuntime {
    /// Mends everything of this data root that is not as its records say, and what a killed command left in `project`.
    pub fn repair(&self, project: &str) -> Result<(), RuntimeError> {
        self.host()?;
        self.forget_earlier_boot()?;
        // Kernel objects first, records second: what is being made meanwhile has its record before its objects.
        let run_directories = root::entries(&self.roots.run_containers())?;
        let groups = self.control_groups()?;
        let known = self.known_short_ids()?;
        for name in run_directories {
            let run = self.roots.run_containers().join(&name);
            if known.contains(&name) {
                self.mend(&run, &name)?;
            } else {
                self.remove_control_group(&name)?;
                root::remove_directory(&run)?;
            }
        }
        for name in groups
            .iter()
            .filter(|name| is_short_id(name) && !known.contains(*name))
        {
            self.remove_control_group(name)?;
        }
        for name in root::entries(&self.roots.run().join("processes"))? {
            self.mend(&self.roots.run_process(&name)?, &name)?;
        }
        self.finish_removals()?;
        self.mend_networks()?;
        self.sweep_project(project)?;
        self.sweep_volumes()
    }

    /// Whether a container of the project, or any kept process, has lost its shim. Takes no lock.
    pub fn needs_repair(&self, project: &str) -> Result<bool, RuntimeError> {
        let mut runs: Vec<_> = root::entries(&self.roots.project_containers(project)?)?
            .iter()
            .map(|id| self.roots.run_container(id))
            .collect();
        for name in root::entries(&self.roots.run().join("processes"))? {
            runs.push(self.roots.run_process(&name)?);
        }
        for run in runs {
            if matches!(self.life(&run)?, Life::Orphaned(_) | Life::Unsettled(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// State of an earlier boot means nothing any more; it is there when the run root is on a disk.
    fn forget_earlier_boot(&self) -> Result<(), RuntimeError> {
        let marker = self.roots.run().join("boot");
        let boot = self.roots.boot_id().as_bytes();
        if atomic::read(&marker)?.is_some_and(|bytes| bytes.trim_ascii() == boot) {
            return Ok(());
        }
        let host = self.host()?;
        let _lock = self.firewall(host.nft.clone()).lock().map_err(network_error)?;
        let marked = atomic::read(&marker)?;
        if marked.as_deref().is_some_and(|bytes| bytes.trim_ascii() == boot) {
            // Another command was first, and what it has made since is of this boot.
            return Ok(());
        }
        if marked.is_some() {
            for name in ["containers", "networks", "processes"] {
                root::remove_directory(&self.roots.run().join(name))?;
            }
            self.roots.create()?;
        }
        atomic::write(&marker, boot, 0o600)
    }

    /// A new shim for what has lost its own.
    fn mend(&self, run: &Path, name: &str) -> Result<(), RuntimeError> {
        let mut life = self.life(run)?;
        let deadline = Instant::now() + SETTLING;
        // A shim that a killed command started is there before it says so.
        while matches!(life, Life::Down(_)) && is_locked(run)? && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
            life = self.life(run)?;
        }
        match life {
            Life::Orphaned(_) | Life::Unsettled(_) => self.adopt_what_is_left(run, name),
            Life::Kept(_) | Life::Down(_) => Ok(()),
        }
    }

    /// The beginnings of the ids of all containers.
    fn known_short_ids(&self) -> Result<BTreeSet<String>, RuntimeError> {
        let mut known = BTreeSet::new();
        for project in root::entries(&self.roots.projects())? {
            let ids = root::entries(&self.roots.project_containers(&project)?)?;
            known.extend(
                ids.iter()
                    .filter(|id| !id.starts_with('.'))
                    .map(|id| short_id(id).to_owned()),
            );
        }
        Ok(known)
    }

    /// Names of the groups below this data root's own, of all hierarchies.
    fn control_groups(&self) -> Result<BTreeSet<String>, RuntimeError> {
        let group = Cgroup::at(&self.roots.cgroup()).map_err(|error| cgroup_error("", &error))?;
        let mut names = BTreeSet::new();
        for directory in group.directories() {
            names.extend(
                root::entries(&directory)?
                    .into_iter()
                    .filter(|name| directory.join(name).is_dir()),
            );
        }
        Ok(names)
    }

    fn remove_control_group(&self, name: &str) -> Result<(), RuntimeError> {
        let path = format!("{}/{name}", self.roots.cgroup());
        let group = Cgroup::at(&path).map_err(|error| cgroup_error(name, &error))?;
        if group.directories().any(|directory| directory.exists()) {
            group.kill_all().map_err(|error| cgroup_error(name, &error))?;
            group.remove().map_err(|error| cgroup_error(name, &error))?;
        }
        Ok(())
    }

    /// Leases of containers that are not wired, directories of networks that are not on record, and the firewall.
    fn mend_networks(&self) -> Result<(), RuntimeError> {
        let host = self.host()?;
        let firewall = self.firewall(host.nft.clone());
        let lock = firewall.lock().map_err(network_error)?;
        let mut networks = self.all_networks()?;
        let wired = |id: &str| self.roots.run_container(id).join(Wiring::FILE).exists();
        let mut touched = BTreeSet::new();
        for network in &mut networks {
            let run = self.network_run(&network.spec.name);
            for stale in run.reclaim(wired).map_err(network_error)? {
                network.leases.retain(|leased| leased.address != stale.address);
                touched.insert(network.spec.name.clone());
            }
        }
        self.publish(&firewall, &lock, &networks, touched.iter().map(String::as_str))?;
        for name in root::entries(&self.roots.run_networks())? {
            if !networks.iter().any(|network| network.spec.name == name) {
                self.network_run(&name).remove().map_err(network_error)?;
            }
        }
        Ok(())
    }

    /// What a killed command left of containers it made or removed, and of their names.
    fn sweep_project(&self, project: &str) -> Result<(), RuntimeError> {
        let containers = self.roots.project_containers(project)?;
        let mut cut_short = false;
        for name in root::entries(&containers)? {
            let directory = containers.join(&name);
            if name.starts_with(NEW) || name.starts_with(GONE) {
                cut_short = true;
                root::remove_directory(&directory)?;
            }
            for left in root::entries(&directory)?
                .iter()
                .filter(|name| name.starts_with(atomic::UNFINISHED))
            {
                root::remove_file(&directory.join(left))?;
            }
        }
        if cut_short { self.sweep_names() } else { Ok(()) }
    }

    /// Names of containers that are not there any more.
    fn sweep_names(&self) -> Result<(), RuntimeError> {
        for name in root::entries(&self.roots.data().join("names"))? {
            let path = self.roots.container_name(&name)?;
            let id = atomic::read(&path)?.unwrap_or_default();
            let id = String::from_utf8_lossy(id.trim_ascii()).into_owned();
            if self.holder_of_name(&name, &id)?.is_none() {
                root::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// What killed processes left of volumes; their names carry the process id.
    fn sweep_volumes(&self) -> Result<(), RuntimeError> {
        for name in root::entries(&self.roots.volumes())? {
            let rest = name.strip_prefix(NEW).or_else(|| name.strip_prefix(GONE));
            let pid = rest.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
                root::remove_directory(&self.roots.volumes().join(name))?;
            }
        }
        Ok(())
    }
}

/// Whether a shim holds a run directory.
fn is_locked(run: &Path) -> Result<bool, RuntimeError> {
    let path = run.join("lock");
    match File::open(&path) {
        Ok(file) => Ok(matches!(
            flock(&file, FlockOperation::NonBlockingLockShared),
            Err(Errno::WOULDBLOCK)
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("open", &path)(error)),
    }
}

/// Whether a group's name is that of a container.
fn is_short_id(name: &str) -> bool {
    name.len() == short_id(&"0".repeat(64)).len() && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
