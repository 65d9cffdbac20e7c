//! In: requests lowered from a project, or what containers remember of it. Out: [`Wanted`], the other side of every comparison.
//! **Invariant:** a service without a template can be stopped, started and removed, never created.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;

use indexmap::IndexMap;
use rcompose_runtime::request::{
    ContainerRequest, ExecRequest, MountRequestSource, NetworkRequest, NetworkingRequest, VolumeRequest,
};

use super::observed::Observed;
use crate::model::ServiceName;
use crate::model::service::PullPolicy;
use crate::source::span::Span;

/// A project in the terms of the runtime.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Name of the project.
    pub project: String,
    /// Enabled services, in file order.
    pub services: IndexMap<ServiceName, WantedService>,
    /// Services switched off by profiles: their containers are no orphans.
    pub disabled: BTreeSet<ServiceName>,
    /// Networks by their name on the host.
    pub networks: IndexMap<String, WantedNetwork>,
    /// Volumes by their name on the host.
    pub volumes: IndexMap<String, WantedVolume>,
}

/// A service in the terms of the runtime.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedService {
    /// Its first replica; none when no file is at hand.
    pub template: Option<ContainerRequest>,
    /// Where its key stands.
    pub span: Option<Span>,
    /// Number of replicas.
    pub scale: u32,
    /// `container_name:` gave the name, so there can be one replica only.
    pub fixed_name: bool,
    /// Others share namespaces of its first replica: number 1 is always among its replicas.
    pub shared: bool,
    /// Its image.
    pub image: WantedImage,
    /// Commands to run inside after the start.
    pub post_start: Vec<ExecRequest>,
    /// Commands to run inside before the stop signal.
    pub pre_stop: Vec<ExecRequest>,
}

/// The image of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedImage {
    /// Reference.
    pub reference: String,
    /// `image:` names it; otherwise it is known by its service alone.
    pub named: bool,
    /// Where `image:` or the service's key stands.
    pub span: Option<Span>,
    /// The service can build it.
    pub buildable: bool,
    /// Services whose images its build takes as contexts.
    pub built_from: Vec<ServiceName>,
    /// When to pull.
    pub policy: PullPolicy,
    /// `os/arch[/variant]`.
    pub platform: Option<String>,
}

/// A network of the project.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedNetwork {
    /// How to make it; none when it is made elsewhere.
    pub request: Option<NetworkRequest>,
    /// Where its key stands.
    pub span: Span,
}

/// A volume of the project.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedVolume {
    /// How to make it; none when it is made elsewhere.
    pub request: Option<VolumeRequest>,
    /// Where its key stands.
    pub span: Option<Span>,
}

impl Wanted {
    /// What the containers, networks and volumes themselves remember of their project, for commands without a file.
    pub fn remembered(project: &str, observed: &Observed) -> Self {
        let mut wanted = Self {
            project: project.to_owned(),
            ..Self::default()
        };
        for container in &observed.containers {
            let service = wanted
                .services
                .entry(ServiceName::new(&container.service))
                .or_insert_with(|| WantedService {
                    template: None,
                    span: None,
                    scale: 0,
                    fixed_name: false,
                    shared: false,
                    image: WantedImage {
                        reference: container.image.clone(),
                        named: container.image != format!("{project}-{}", container.service),
                        span: None,
                        buildable: false,
                        built_from: Vec::new(),
                        policy: PullPolicy::Never,
                        platform: None,
                    },
                    post_start: Vec::new(),
                    pre_stop: Vec::new(),
                });
            service.scale += u32::from(!container.one_off);
        }
        wanted
    }

    /// Whether a service is in the files, switched off or not.
    pub(super) fn knows(&self, service: &str) -> bool {
        self.services.contains_key(service) || self.disabled.contains(service)
    }
}

impl WantedService {
    /// The request of one replica; the hash is the same for all of them.
    pub(super) fn replica(&self, number: u32) -> Option<ContainerRequest> {
        let mut request = self.template.clone()?;
        if number != request.number {
            request.name = self.replica_name(number)?;
            request.number = number;
            request.labels.insert(
                "com.docker.compose.container-number".to_owned(),
                number.to_string(),
            );
        }
        Some(request)
    }

    /// The name of one replica; the template's ends in its number unless the file fixed it.
    pub(super) fn replica_name(&self, number: u32) -> Option<String> {
        let template = self.template.as_ref()?;
        let stem = template.name.strip_suffix(&template.number.to_string());
        Some(match stem {
            Some(stem) if !self.fixed_name => format!("{stem}{number}"),
            Some(_) | None => template.name.clone(),
        })
    }
}

/// Names of the networks a request has an interface on.
pub(super) fn networks_of(request: &ContainerRequest) -> impl Iterator<Item = &str> {
    let endpoints = match &request.network {
        NetworkingRequest::Bridges(endpoints) => endpoints.as_slice(),
        NetworkingRequest::None | NetworkingRequest::Host | NetworkingRequest::Container(_) => &[],
    };
    endpoints.iter().map(|endpoint| endpoint.network.as_str())
}

/// Names of the volumes a request mounts.
pub(super) fn volumes_of(request: &ContainerRequest) -> impl Iterator<Item = &str> {
    request.mounts.iter().filter_map(|mount| match &mount.source {
        MountRequestSource::Volume { name, .. } => Some(name.as_str()),
        MountRequestSource::Bind { .. }
        | MountRequestSource::Anonymous { .. }
        | MountRequestSource::Tmpfs { .. }
        | MountRequestSource::Image { .. } => None,
    })
}
