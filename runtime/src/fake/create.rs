//! In: requests. Out: new objects of the model host, or the reason why there is none.
//! **Invariant:** what exists already is never replaced.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::fake::world::{Container, World, mount_state, not_found};
use crate::request::{
    ContainerRequest, MountRequestSource, NetworkRequest, NetworkingRequest, VolumeRequest,
};
use crate::runtime::RuntimeError;
use crate::state::{ContainerState, Health, NetworkState, Status, VolumeState};

impl World {
    pub(super) fn create_network(&mut self, request: &NetworkRequest) -> Result<NetworkState, RuntimeError> {
        if let Some(existing) = self.networks.get(&request.name) {
            return if existing.request.config_hash == request.config_hash {
                Ok(existing.clone())
            } else {
                Err(RuntimeError::Invalid(format!(
                    "network {} exists with other settings",
                    request.name
                )))
            };
        }
        self.effect("create_network", &request.name)?;
        let third = u8::try_from(self.next() % 250).unwrap_or(0);
        let gateway = Ipv4Addr::new(10, 89, third, 1);
        let state = NetworkState {
            request: request.clone(),
            bridge: format!("rc-{}", request.name),
            subnet: format!("10.89.{third}.0/24"),
            gateway,
            users: Vec::new(),
        };
        self.networks.insert(request.name.clone(), state.clone());
        Ok(state)
    }

    pub(super) fn create_volume(&mut self, request: &VolumeRequest) -> Result<VolumeState, RuntimeError> {
        if let Some(existing) = self.volumes.get(&request.name) {
            return Ok(existing.clone());
        }
        self.effect("create_volume", &request.name)?;
        let state = VolumeState {
            request: request.clone(),
            mountpoint: format!("/volumes/{}/_data", request.name),
            created_at: self.now(),
        };
        self.volumes.insert(request.name.clone(), state.clone());
        Ok(state)
    }

    pub(super) fn create_container(
        &mut self,
        request: &ContainerRequest,
        inherit: Option<&str>,
    ) -> Result<String, RuntimeError> {
        let image_id = self
            .images
            .get(&request.image)
            .cloned()
            .ok_or_else(|| not_found("image", &request.image))?;
        if self.containers.values().any(|c| c.state.name == request.name) {
            let (name, user) = (request.name.clone(), "another container".to_owned());
            return Err(RuntimeError::InUse {
                kind: "container name",
                name,
                user,
            });
        }
        for mount in &request.mounts {
            if let MountRequestSource::Volume { name, .. } = &mount.source
                && !self.volumes.contains_key(name)
            {
                return Err(not_found("volume", name));
            }
        }
        let inherited: BTreeMap<String, String> = inherit
            .and_then(|id| self.containers.get(id))
            .map(|old| {
                old.state
                    .mounts
                    .iter()
                    .map(|m| (m.target.clone(), m.source.clone()))
                    .collect()
            })
            .unwrap_or_default();
        self.effect("create_container", &request.name)?;
        let serial = self.next();
        // The first twelve digits tell containers apart, as those of random ids do.
        let id = format!("{serial:012x}{serial:052x}");
        let mut anonymous_volumes = Vec::new();
        let mut mounts = Vec::new();
        for mount in &request.mounts {
            let own = inherited
                .get(&mount.target)
                .filter(|name| name.starts_with("anonymous-"))
                .cloned()
                .unwrap_or_else(|| format!("anonymous-{serial}-{}", mounts.len()));
            if matches!(mount.source, MountRequestSource::Anonymous { .. }) {
                anonymous_volumes.push(own.clone());
            }
            mounts.push(mount_state(&mount.target, &mount.source, &own));
        }
        let networks = match &request.network {
            NetworkingRequest::Bridges(endpoints) => {
                endpoints.iter().map(|e| (e.network.clone(), None)).collect()
            }
            NetworkingRequest::None | NetworkingRequest::Host | NetworkingRequest::Container(_) => {
                BTreeMap::new()
            }
        };
        let state = ContainerState {
            id: id.clone(),
            name: request.name.clone(),
            project: request.project.clone(),
            service: request.service.clone(),
            number: request.number,
            one_off: request.one_off,
            config_hash: request.config_hash.clone(),
            labels: request.labels.clone(),
            image: request.image.clone(),
            image_id,
            command: request
                .entrypoint
                .iter()
                .chain(&request.command)
                .flatten()
                .cloned()
                .collect(),
            created_at: self.now(),
            status: Status::Created,
            health: Health::None,
            restart_count: 0,
            pid: None,
            started_at: None,
            finished_at: None,
            stopped_by_user: false,
            networks,
            ports: Vec::new(),
            exposed: Vec::new(),
            mounts,
            tty: request.tty,
            anonymous_volumes,
            request: Some(request.clone()),
            joined: BTreeMap::new(),
        };
        self.containers.insert(
            id.clone(),
            Container {
                request: request.clone(),
                state,
                wired: false,
            },
        );
        Ok(id)
    }
}
