//! In: the calls of an executor. Out: their effects on a model of a host in memory, for tests of the engine.
//! Effects are counted one by one, so a test can cut the power after any of them, and fail chosen calls.
//! **Invariant:** it refuses what the kernel would refuse (order of calls, names in use), so a wrong plan fails here too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fake::world::World;
use crate::request::{ContainerRequest, ExecRequest, NetworkRequest, VolumeRequest};
use crate::runtime::{Runtime, RuntimeError, StopOptions, Waited};
use crate::state::{ContainerState, Health, NetworkState, Status, VolumeState};

mod create;
mod world;

/// What the first process of a service does once it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Becomes healthy when that is waited for, ends with 0 when that is waited for.
    #[default]
    Obliging,
    /// Its probe fails with this output.
    Unhealthy(String),
    /// Ends at once with this code.
    Exits(i32),
}

/// A host in memory.
#[derive(Debug, Default)]
pub struct FakeRuntime {
    world: Mutex<World>,
}

impl Clone for FakeRuntime {
    /// A second host in the same state; the two go separate ways.
    fn clone(&self) -> Self {
        Self {
            world: Mutex::new(self.world().clone()),
        }
    }
}

impl FakeRuntime {
    /// A host with these local images: reference and id.
    pub fn new<'a>(images: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let fake = Self::default();
        for (reference, id) in images {
            fake.set_image(reference, id);
        }
        fake
    }

    /// Puts an image into the store, or another one behind its name.
    pub fn set_image(&self, reference: &str, id: &str) {
        self.world().images.insert(reference.to_owned(), id.to_owned());
    }

    /// What containers of a service do from their next start on.
    pub fn set_behaviour(&self, service: &str, behaviour: Behaviour) {
        self.world().behaviours.insert(service.to_owned(), behaviour);
    }

    /// Makes a call of [`Runtime`] fail, by the method's and the object's name, until [`Self::heal`].
    pub fn fail(&self, method: &str, name: &str, message: &str) {
        self.world()
            .failures
            .insert((method.to_owned(), name.to_owned()), message.to_owned());
    }

    /// Takes all failures and the cut back.
    pub fn heal(&self) {
        let mut world = self.world();
        world.failures.clear();
        world.budget = None;
    }

    /// After this many further effects every call that changes something is [`RuntimeError::Cancelled`].
    pub fn cut_after(&self, effects: usize) {
        self.world().budget = Some(effects);
    }

    /// Effects so far, in order: `method name`.
    pub fn effects(&self) -> Vec<String> {
        self.world().log.clone()
    }

    /// The first process of a container ends by itself, and no policy restarts it.
    pub fn crash(&self, name: &str, code: i32) {
        if let Some(container) = self
            .world()
            .containers
            .values_mut()
            .find(|c| c.state.name == name)
        {
            container.end(code, false);
        }
    }

    /// The machine is started again: nothing runs and nothing is wired any more.
    pub fn reboot(&self) {
        for container in self.world().containers.values_mut() {
            if container.is_up() {
                container.end(137, false);
            }
            container.unwire();
        }
    }

    /// The request a container was made from, by name.
    pub fn request(&self, name: &str) -> Option<ContainerRequest> {
        self.world()
            .containers
            .values()
            .find(|c| c.state.name == name)
            .map(|c| c.request.clone())
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
            world.effect("wire", &name)?;
            let container = world.container(id)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{EndpointRequest, NetworkingRequest, PortRequest};

    fn request(name: &str) -> ContainerRequest {
        ContainerRequest {
            name: name.to_owned(),
            service: name.to_owned(),
            image: "img".to_owned(),
            network: NetworkingRequest::Bridges(vec![EndpointRequest {
                network: "net".to_owned(),
                names: vec![],
                address: None,
                mac: None,
                interface: None,
            }]),
            ports: vec![PortRequest {
                host_ip: None,
                published: Some((8080, 8081)),
                target: 80,
                protocol: "tcp".to_owned(),
            }],
            ..ContainerRequest::minimal("p", "img")
        }
    }

    fn network() -> NetworkRequest {
        NetworkRequest {
            name: "net".to_owned(),
            project: "p".to_owned(),
            key: "default".to_owned(),
            config_hash: "1".to_owned(),
            internal: false,
            subnet: None,
            gateway: None,
            ip_range: None,
            bridge: None,
            mtu: None,
            icc: true,
            reserved: vec![],
            labels: std::collections::BTreeMap::default(),
        }
    }

    #[test]
    fn a_container_lives_only_in_the_right_order() {
        let fake = FakeRuntime::new([("img", "sha256:1")]);
        fake.create_network(&network()).unwrap();
        let id = fake.create_container(&request("a"), None).unwrap();
        assert!(
            matches!(fake.start(&id), Err(RuntimeError::Invalid(_))),
            "an unwired container must not start"
        );
        fake.wire(std::slice::from_ref(&id)).unwrap();
        fake.start(&id).unwrap();
        assert!(
            fake.remove_container(&id, true).is_err(),
            "a running container must not be removed"
        );
        assert!(matches!(
            fake.remove_network("net"),
            Err(RuntimeError::InUse { .. })
        ));
        fake.stop(&id, &StopOptions::default()).unwrap();
        fake.unwire(std::slice::from_ref(&id)).unwrap();
        fake.remove_container(&id, true).unwrap();
        fake.remove_network("net").unwrap();
        assert!(fake.containers("p").unwrap().is_empty());
    }

    #[test]
    fn ports_are_chosen_from_the_range_until_it_is_used_up() {
        let fake = FakeRuntime::new([("img", "sha256:1")]);
        fake.create_network(&network()).unwrap();
        let ids: Vec<String> = ["a", "b", "c"]
            .iter()
            .map(|name| fake.create_container(&request(name), None).unwrap())
            .collect();
        assert!(
            matches!(fake.wire(&ids), Err(RuntimeError::PortTaken { owner: Some(owner), .. }) if owner == "container a")
        );
        let states = fake.containers("p").unwrap();
        assert_eq!(states[1].ports[0].host_port, 8081);
        assert_ne!(states[0].networks["net"], states[1].networks["net"]);
    }

    #[test]
    fn a_cut_stops_everything_after_its_effect() {
        let fake = FakeRuntime::new([("img", "sha256:1")]);
        fake.cut_after(1);
        fake.create_network(&network()).unwrap();
        assert!(matches!(
            fake.create_container(&request("a"), None),
            Err(RuntimeError::Cancelled)
        ));
        assert_eq!(fake.effects(), ["create_network net"]);
        fake.heal();
        assert!(fake.create_container(&request("a"), None).is_ok());
    }
}
