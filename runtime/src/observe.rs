//! In: the records of a container and the processes they name. Out: its state.
//! **Invariant:** reading changes nothing and takes no lock, so that looking can never make a start fail.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::local::{LocalRuntime, Located};
use crate::record::{ContainerRecord, Desired};
use crate::request::NetworkingRequest;
use crate::root;
use crate::runtime::RuntimeError;
use crate::state::{ContainerState, Health, PublishedPort, Status};

/// Exit code of a container whose end nobody saw (the machine lost power).
const UNSEEN: i32 = 255;

/// `wiring.json` of a run directory: what the container holds of networks and ports. Written last, so without it nothing is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wiring {
    /// The boot it is true for.
    pub(crate) boot_id: String,
    /// Address by network.
    pub(crate) addresses: BTreeMap<String, Ipv4Addr>,
    /// Ports as chosen.
    pub(crate) ports: Vec<PublishedPort>,
}

impl Wiring {
    /// Name of the record in the run directory.
    pub(crate) const FILE: &str = "wiring.json";
}

/// As much of `state.json` as is needed here; written by the shim.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ShimState {
    status: String,
    pub(crate) pid: i32,
    start_time: u64,
    pub(crate) shim_pid: i32,
    shim_start_time: u64,
    boot_id: String,
    started_at: String,
    health: String,
    restart_count: u32,
    exit_code: i32,
}

impl ShimState {
    /// Whether the shim that wrote it is still there.
    pub(crate) fn shim_is_alive(&self) -> bool {
        is_alive(self.shim_pid, self.shim_start_time)
    }
}

/// `exit.json`; written by the shim.
#[derive(Debug, Clone, Deserialize)]
struct ExitRecord {
    code: i32,
    started_at: String,
    finished_at: String,
}

/// What is alive of a container.
#[derive(Debug, Clone)]
pub(crate) enum Life {
    /// Its shim keeps it: it runs, is paused or waits for its next start.
    Kept(ShimState),
    /// Its shim was killed and it runs on.
    Orphaned(ShimState),
    /// Its shim was killed, and it ended unseen before anybody looked.
    Unsettled(ShimState),
    /// Nothing.
    Down(Option<ShimState>),
}

impl LocalRuntime {
    pub(crate) fn observe_project(&self, project: &str) -> Result<Vec<ContainerState>, RuntimeError> {
        let directory = self.roots.project_containers(project)?;
        let mut states = Vec::new();
        for located in self.located_in(&directory)? {
            states.push(self.observe(&located)?);
        }
        states.sort_by(|a, b| (&a.service, a.number, &a.name).cmp(&(&b.service, b.number, &b.name)));
        Ok(states)
    }

    /// One container by its id.
    pub fn container(&self, id: &str) -> Result<ContainerState, RuntimeError> {
        self.observe(&self.locate(id)?)
    }

    /// All projects that have at least one container, network or volume here, or once had a container.
    pub fn projects(&self) -> Result<Vec<String>, RuntimeError> {
        let mut projects = root::entries(&self.roots.projects())?;
        projects.retain(|project| project != crate::build::PROJECT);
        projects.sort();
        Ok(projects)
    }

    /// Every container of the data root, those of builds included.
    pub(crate) fn located_everywhere(&self) -> Result<Vec<Located>, RuntimeError> {
        let mut found = Vec::new();
        for project in root::entries(&self.roots.projects())? {
            found.extend(self.located_in(&self.roots.project_containers(&project)?)?);
        }
        Ok(found)
    }

    /// Every container whose record is in a `containers` directory.
    pub(crate) fn located_in(&self, directory: &Path) -> Result<Vec<Located>, RuntimeError> {
        let mut found = Vec::new();
        for id in root::entries(directory)?
            .into_iter()
            .filter(|name| !name.starts_with('.'))
        {
            let directory = directory.join(&id);
            if let Some(record) = ContainerRecord::read(&directory)? {
                self.remember(&id, &directory);
                found.push(Located { directory, record });
            }
        }
        Ok(found)
    }

    /// The wiring of a container, if it holds in this boot.
    pub(crate) fn wiring(&self, id: &str) -> Result<Option<Wiring>, RuntimeError> {
        let path = self.roots.run_container(id).join(Wiring::FILE);
        let wiring: Option<Wiring> = atomic::read_json(&path)?;
        Ok(wiring.filter(|wiring| wiring.boot_id == self.roots.boot_id()))
    }

    /// What is alive in the run directory `run` of a container or plain process.
    pub(crate) fn life(&self, run: &Path) -> Result<Life, RuntimeError> {
        let state: Option<ShimState> = atomic::read_json(&run.join("state.json"))?;
        let Some(state) = state.filter(|state| state.boot_id == self.roots.boot_id()) else {
            return Ok(Life::Down(None));
        };
        if state.status == "exited" {
            return Ok(Life::Down(Some(state)));
        }
        Ok(if state.shim_is_alive() {
            Life::Kept(state)
        } else if state.pid > 0 && is_alive(state.pid, state.start_time) {
            Life::Orphaned(state)
        } else {
            Life::Unsettled(state)
        })
    }

    pub(crate) fn observe(&self, located: &Located) -> Result<ContainerState, RuntimeError> {
        let Located { directory, record } = located;
        let life = self.life(&self.roots.run_container(&record.id))?;
        let wiring = self.wiring(&record.id)?;
        let mut state = bare_state(record);
        match &life {
            Life::Kept(shim) | Life::Orphaned(shim) => {
                state.status = match shim.status.as_str() {
                    "paused" => Status::Paused,
                    "restarting" => Status::Restarting,
                    _ => Status::Running,
                };
                state.health = match shim.health.as_str() {
                    "starting" => Health::Starting,
                    "healthy" => Health::Healthy,
                    "unhealthy" => Health::Unhealthy,
                    _ => Health::None,
                };
                state.restart_count = shim.restart_count;
                state.pid = (shim.pid > 0).then_some(shim.pid);
                state.started_at = Some(shim.started_at.clone());
            }
            Life::Unsettled(shim) => {
                state.status = Status::Exited { code: UNSEEN };
                state.restart_count = shim.restart_count;
                state.started_at = Some(shim.started_at.clone());
            }
            Life::Down(shim) => {
                let desired = Desired::read(directory)?;
                state.stopped_by_user = desired == Some(Desired::Stopped);
                let exit: Option<ExitRecord> = atomic::read_json(&directory.join("exit.json"))?;
                state.status = match (&exit, shim, desired) {
                    (Some(exit), _, _) => Status::Exited { code: exit.code },
                    (None, Some(shim), _) => Status::Exited { code: shim.exit_code },
                    (None, None, Some(Desired::Running)) => Status::Exited { code: UNSEEN },
                    (None, None, Some(Desired::Stopped) | None) => Status::Created,
                };
                state.restart_count = shim.as_ref().map_or(0, |shim| shim.restart_count);
                if let Some(exit) = exit {
                    state.started_at = Some(exit.started_at).filter(|time| !time.is_empty());
                    state.finished_at = Some(exit.finished_at);
                }
            }
        }
        if let Some(wiring) = wiring {
            for (network, address) in wiring.addresses {
                state.networks.insert(network, Some(address));
            }
            state.ports = wiring.ports;
        }
        Ok(state)
    }
}

/// What the record alone tells.
fn bare_state(record: &ContainerRecord) -> ContainerState {
    let request = &record.request;
    let networks = match &request.network {
        NetworkingRequest::Bridges(endpoints) => {
            endpoints.iter().map(|e| (e.network.clone(), None)).collect()
        }
        NetworkingRequest::None | NetworkingRequest::Host | NetworkingRequest::Container(_) => {
            BTreeMap::new()
        }
    };
    ContainerState {
        id: record.id.clone(),
        name: record.name.clone(),
        project: request.project.clone(),
        service: request.service.clone(),
        number: request.number,
        one_off: request.one_off,
        config_hash: request.config_hash.clone(),
        labels: request.labels.clone(),
        image: request.image.clone(),
        image_id: record.image_id.clone(),
        command: record.command.clone(),
        created_at: record.created_at.clone(),
        status: Status::Created,
        health: Health::None,
        restart_count: 0,
        pid: None,
        started_at: None,
        finished_at: None,
        stopped_by_user: false,
        networks,
        ports: Vec::new(),
        exposed: record.exposed.clone(),
        mounts: record.mounts.clone(),
        tty: request.tty,
        anonymous_volumes: record.anonymous_volumes.clone(),
        request: Some(request.clone()),
        joined: record.joined.clone(),
    }
}

/// Whether the process that had this id and start time (field 22 of `proc_pid_stat(5)`) is there and not a zombie.
pub(crate) fn is_alive(pid: i32, start_time: u64) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The second field is the name in brackets and may hold anything.
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return false;
    };
    let mut fields = fields.split_ascii_whitespace();
    let running = !matches!(fields.next(), Some("Z" | "X"));
    running && fields.nth(18).and_then(|field| field.parse().ok()) == Some(start_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_time_and_a_zombie_is_dead() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("100")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let start: u64 = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_ascii_whitespace()
            .nth(19)
            .unwrap()
            .parse()
            .unwrap();
        assert!(is_alive(pid, start));
        assert!(!is_alive(pid, start + 1));
        child.kill().unwrap();
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while is_alive(pid, start) && std::time::Instant::now() < patience {
            std::thread::yield_now();
        }
        assert!(!is_alive(pid, start), "nobody has reaped it yet");
        child.wait().unwrap();
    }
}
