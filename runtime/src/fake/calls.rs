//! In: calls of the runtime trait. Out: effects on the model host.
//! **Invariant:** every call is idempotent, as the trait demands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::fake::{Behaviour, FakeRuntime};
use crate::request::{ContainerRequest, ExecRequest, NetworkRequest, VolumeRequest};
use crate::runtime::{Runtime, RuntimeError, StopOptions, Waited};
use crate::state::{ContainerState, Health, NetworkState, Status, VolumeState};

impl Runtime for FakeRuntime {
    fn containers(&self, project: &str) -> Result<Vec<ContainerState>, RuntimeError> {
        let mut found: Vec<_> = self
            .world()
            .containers
            .values()
            .filter(|c| c.state.project == project)
            .map(|c| c.state.clone())
            .collect();
        found.sort_by(|a, b| (&a.service, a.number, &a.name).cmp(&(&b.service, b.number, &b.name)));
        Ok(found)
    }

    fn networks(&self, project: &str) -> Result<Vec<NetworkState>, RuntimeError> {
        let names: Vec<String> = self.world().networks.keys().cloned().collect();
        let mut found = Vec::new();
        for name in names {
            found.extend(self.network(&name)?.filter(|n| n.request.project == project));
        }
        Ok(found)
    }

    fn network(&self, name: &str) -> Result<Option<NetworkState>, RuntimeError> {
        let world = self.world();
        let users = world
            .containers
            .values()
            .filter(|c| c.wired && c.state.networks.contains_key(name))
            .map(|c| c.state.id.clone());
        Ok(world.networks.get(name).map(|network| NetworkState {
            users: users.collect(),
            ..network.clone()
        }))
    }

    fn volumes(&self, project: &str) -> Result<Vec<VolumeState>, RuntimeError> {
        Ok(self
            .world()
            .volumes
            .values()
            .filter(|v| v.request.project == project)
            .cloned()
            .collect())
    }

    fn volume(&self, name: &str) -> Result<Option<VolumeState>, RuntimeError> {
        Ok(self.world().volumes.get(name).cloned())
    }

    fn image_id(&self, reference: &str) -> Result<Option<String>, RuntimeError> {
        Ok(self.world().images.get(reference).cloned())
    }

    fn create_network(&self, request: &NetworkRequest) -> Result<NetworkState, RuntimeError> {
        self.world().create_network(request)
    }

    fn remove_network(&self, name: &str) -> Result<(), RuntimeError> {
        if let Some(id) = self
            .network(name)?
            .and_then(|network| network.users.first().cloned())
        {
            let user = self.world().name_of(&id)?;
            return Err(RuntimeError::InUse {
                kind: "network",
                name: name.to_owned(),
                user,
            });
        }
        let mut world = self.world();
        if world.networks.contains_key(name) {
            world.effect("remove_network", name)?;
            world.networks.remove(name);
        }
        Ok(())
    }

    fn create_volume(&self, request: &VolumeRequest) -> Result<VolumeState, RuntimeError> {
        self.world().create_volume(request)
    }

    fn remove_volume(&self, name: &str) -> Result<(), RuntimeError> {
        let mut world = self.world();
        if let Some(user) = world.containers.values().find(|c| {
            c.state
                .mounts
                .iter()
                .any(|mount| mount.kind == "volume" && mount.source == name)
        }) {
            let user = user.state.name.clone();
            return Err(RuntimeError::InUse {
                kind: "volume",
                name: name.to_owned(),
                user,
            });
        }
        if world.volumes.contains_key(name) {
            world.effect("remove_volume", name)?;
            world.volumes.remove(name);
        }
        Ok(())
    }

    fn create_container(
        &self,
        request: &ContainerRequest,
        inherit: Option<&str>,
    ) -> Result<String, RuntimeError> {
        self.world().create_container(request, inherit)
    }

    fn wire(&self, ids: &[String]) -> Result<(), RuntimeError> {
        let mut world = self.world();
        for id in ids {
            if world.container(id)?.wired {
                continue;
            }
            let name = world.name_of(id)?;
            let (networks, ports) = world.leases(id)?;
            let joined = world.joined(id)?;
            world.effect("wire", &name)?;
            let container = world.container(id)?;
            container.state.joined = joined;
            container.wired = true;
            container.state.networks = networks;
            container.state.ports = ports;
        }
        Ok(())
    }

    fn unwire(&self, ids: &[String]) -> Result<(), RuntimeError> {
        let mut world = self.world();
        for id in ids {
            let Some(container) = world.containers.get(id) else {
                continue;
            };
            if !container.wired {
                continue;
            }
            let name = container.state.name.clone();
            if container.is_up() {
                return Err(RuntimeError::Invalid(format!("container {name} still runs")));
            }
            world.effect("unwire", &name)?;
            world.container(id)?.unwire();
        }
        Ok(())
    }

    fn start(&self, id: &str) -> Result<(), RuntimeError> {
        self.world().start(id)
    }

    fn stop(&self, id: &str, _options: &StopOptions) -> Result<(), RuntimeError> {
        let mut world = self.world();
        if !world.container(id)?.is_up() {
            return Ok(());
        }
        let name = world.name_of(id)?;
        world.effect("stop", &name)?;
        world.container(id)?.end(143, true);
        Ok(())
    }

    fn restart(&self, id: &str, options: &StopOptions) -> Result<(), RuntimeError> {
        self.stop(id, options)?;
        self.world().start(id)
    }

    fn kill(&self, id: &str, signal: &str) -> Result<(), RuntimeError> {
        let mut world = self.world();
        let name = world.name_of(id)?;
        if !world.container(id)?.is_up() {
            return Err(RuntimeError::Invalid(format!("container {name} does not run")));
        }
        world.effect("kill", &name)?;
        if matches!(signal.trim_start_matches("SIG"), "KILL" | "9") {
            world.container(id)?.end(137, true);
        }
        Ok(())
    }

    fn pause(&self, id: &str) -> Result<(), RuntimeError> {
        let mut world = self.world();
        let name = world.name_of(id)?;
        if world.container(id)?.state.status != Status::Running {
            return Err(RuntimeError::Invalid(format!("container {name} does not run")));
        }
        world.effect("pause", &name)?;
        world.container(id)?.state.status = Status::Paused;
        Ok(())
    }

    fn unpause(&self, id: &str) -> Result<(), RuntimeError> {
        let mut world = self.world();
        let name = world.name_of(id)?;
        if world.container(id)?.state.status != Status::Paused {
            return Err(RuntimeError::Invalid(format!("container {name} is not paused")));
        }
        world.effect("unpause", &name)?;
        world.container(id)?.state.status = Status::Running;
        Ok(())
    }

    fn remove_container(&self, id: &str, _volumes: bool) -> Result<(), RuntimeError> {
        let mut world = self.world();
        let Some(container) = world.containers.get(id) else {
            return Ok(());
        };
        let name = container.state.name.clone();
        if container.is_up() || container.wired {
            let doing = if container.is_up() { "runs" } else { "is wired" };
            return Err(RuntimeError::Invalid(format!("container {name} still {doing}")));
        }
        world.effect("remove_container", &name)?;
        world.containers.remove(id);
        Ok(())
    }

    fn rename_container(&self, id: &str, name: &str) -> Result<(), RuntimeError> {
        let mut world = self.world();
        let old = world.name_of(id)?;
        if old == name {
            return Ok(());
        }
        if world.containers.values().any(|c| c.state.name == name) {
            let (name, user) = (name.to_owned(), "another container".to_owned());
            return Err(RuntimeError::InUse {
                kind: "container name",
                name,
                user,
            });
        }
        world.effect("rename_container", &old)?;
        name.clone_into(&mut world.container(id)?.state.name);
        Ok(())
    }

    fn wait_healthy(
        &self,
        id: &str,
        _deadline: Option<Instant>,
        cancel: &AtomicBool,
    ) -> Result<Waited, RuntimeError> {
        if cancel.load(Ordering::Relaxed) {
            return Err(RuntimeError::Cancelled);
        }
        let mut world = self.world();
        let service = world.container(id)?.state.service.clone();
        let behaviour = world.behaviours.get(&service).cloned().unwrap_or_default();
        let container = world.container(id)?;
        Ok(match (container.state.status, behaviour) {
            (Status::Exited { code }, _) => Waited::Exited(code),
            (Status::Created, _) => {
                return Err(RuntimeError::Invalid(format!(
                    "container {} does not run",
                    container.state.name
                )));
            }
            (Status::Running | Status::Paused | Status::Restarting, Behaviour::Unhealthy(output)) => {
                container.state.health = Health::Unhealthy;
                Waited::Unhealthy(output)
            }
            (
                Status::Running | Status::Paused | Status::Restarting,
                Behaviour::Obliging | Behaviour::Exits(_),
            ) => {
                if container.state.health == Health::Starting {
                    container.state.health = Health::Healthy;
                }
                Waited::Healthy
            }
        })
    }

    fn wait_exited(
        &self,
        id: &str,
        _deadline: Option<Instant>,
        cancel: &AtomicBool,
    ) -> Result<i32, RuntimeError> {
        if cancel.load(Ordering::Relaxed) {
            return Err(RuntimeError::Cancelled);
        }
        let mut world = self.world();
        let container = world.container(id)?;
        if let Status::Exited { code } = container.state.status {
            return Ok(code);
        }
        if !container.is_up() {
            let what = format!("end of container {}", container.state.name);
            return Err(RuntimeError::TimedOut {
                what,
                after: Duration::ZERO,
            });
        }
        container.end(0, false);
        Ok(0)
    }

    fn run_inside(&self, id: &str, request: &ExecRequest) -> Result<(i32, Vec<u8>), RuntimeError> {
        let mut world = self.world();
        let name = world.name_of(id)?;
        if world.container(id)?.state.status != Status::Running {
            return Err(RuntimeError::Invalid(format!("container {name} does not run")));
        }
        world.effect("run_inside", &name)?;
        Ok((0, request.command.join(" ").into_bytes()))
    }
}
