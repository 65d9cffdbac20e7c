//! In: a project and the facts of its files, or what the host remembers of it. Out: [`Prepared`], ready to be compared with reality.
//! **Invariant:** no I/O; every service is lowered, so all errors of a file come at once.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;

use indexmap::IndexMap;
use rcompose_runtime::request::ContainerRequest;

use super::lower::{self, Facts, Relations, image_name, lower_among, lower_hook};
use crate::diagnostic::Diagnostics;
use crate::graph::{Dependence, Graph};
use crate::model::build::Build;
use crate::model::service::{Condition, NamespaceMode, NamespaceRef, NetworkMode};
use crate::model::{Project, Service, ServiceName};
use crate::plan::{Observed, Wanted, WantedImage, WantedNetwork, WantedService, WantedVolume};

/// A project ready to be planned.
#[derive(Debug, Clone, Default)]
pub struct Prepared {
    /// What is wanted.
    pub wanted: Wanted,
    /// Who waits for whom.
    pub graph: Graph,
    /// What the user should know.
    pub warnings: Diagnostics,
}

/// Lowers a whole project.
///
/// # Errors
/// All errors of all services, and cycles.
pub fn prepare(project: &Project, facts: &Facts) -> Result<Prepared, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    // A cycle of volumes_from would be followed for ever below.
    let graph = Graph::of(project)?;
    let relations = Relations::of(project);
    let shared = shared_services(project);
    let mut services = IndexMap::new();
    for service in project.services.values() {
        let template = lower_among(project, &relations, service, 1, facts, &mut diagnostics);
        let is_shared = shared.contains(&service.name);
        services.insert(
            service.name.clone(),
            wanted_service(project, service, template, is_shared),
        );
    }
    let wanted = Wanted {
        project: project.name.to_string(),
        services,
        disabled: project.disabled.keys().cloned().collect(),
        networks: networks(project, &mut diagnostics),
        volumes: volumes(project, &relations, &mut diagnostics),
    };
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    Ok(Prepared {
        wanted,
        graph,
        warnings: diagnostics,
    })
}

/// What containers remember of their project, for commands without a file.
pub fn remembered(project: &str, observed: &Observed) -> Prepared {
    let wanted = Wanted::remembered(project, observed);
    let edges = observed.containers.iter().flat_map(|container| {
        let label = container.labels.get("com.docker.compose.depends_on");
        let recorded = label.into_iter().flat_map(|label| label.split(','));
        recorded.filter_map(|entry| {
            let mut parts = entry.split(':');
            let needed = ServiceName::new(parts.next().filter(|name| !name.is_empty())?);
            let condition = match parts.next() {
                Some("service_healthy") => Condition::Healthy,
                Some("service_completed_successfully") => Condition::CompletedSuccessfully,
                Some(_) | None => Condition::Started,
            };
            let dependence = Dependence {
                condition,
                restart: parts.next() == Some("true"),
                required: true,
            };
            Some((ServiceName::new(&container.service), needed, dependence))
        })
    });
    let known = |name: &ServiceName| wanted.services.contains_key(name);
    let edges: Vec<_> = edges.filter(|(_, dependency, _)| known(dependency)).collect();
    let graph = Graph::recorded(wanted.services.keys().cloned(), edges);
    Prepared {
        wanted,
        graph,
        warnings: Diagnostics::new(),
    }
}

fn wanted_service(
    project: &Project,
    service: &Service,
    template: Option<ContainerRequest>,
    shared: bool,
) -> WantedService {
    let span = service.key_spans.get("image").unwrap_or(service.span);
    WantedService {
        template,
        span: Some(service.span),
        scale: service.scale,
        fixed_name: service.container_name.is_some(),
        shared,
        image: WantedImage {
            reference: image_name(project, service),
            named: service.image.is_some(),
            span: Some(span),
            buildable: service.build.is_some(),
            built_from: service
                .build
                .iter()
                .flat_map(Build::services)
                .map(ServiceName::new)
                .collect(),
            policy: service.pull_policy.clone(),
            platform: service.platform.clone(),
        },
        post_start: service.post_start.iter().map(lower_hook).collect(),
        pre_stop: service.pre_stop.iter().map(lower_hook).collect(),
    }
}

fn lender(who: &NamespaceRef) -> Option<&ServiceName> {
    match who {
        NamespaceRef::Service(name) => Some(name),
        NamespaceRef::Container(_) => None,
    }
}

/// Services whose first replica lends its namespaces to others.
fn shared_services(project: &Project) -> BTreeSet<&ServiceName> {
    let mut shared = BTreeSet::new();
    for service in project.services.values() {
        if let Some(NetworkMode::Join(who)) = &service.network_mode {
            shared.extend(lender(who));
        }
        for mode in [&service.pid, &service.ipc] {
            if let Some(NamespaceMode::Join(who)) = mode {
                shared.extend(lender(who));
            }
        }
    }
    shared
}

fn networks(project: &Project, diagnostics: &mut Diagnostics) -> IndexMap<String, WantedNetwork> {
    let mut networks = IndexMap::new();
    for (key, network) in &project.networks {
        let request = lower::network_request(project, key.as_str(), network, diagnostics);
        let span = network.span;
        networks.insert(network.name.clone(), WantedNetwork { request, span });
    }
    networks
}

fn volumes(
    project: &Project,
    relations: &Relations<'_>,
    diagnostics: &mut Diagnostics,
) -> IndexMap<String, WantedVolume> {
    let mut volumes = IndexMap::new();
    for (key, volume) in &project.volumes {
        let request = lower::volume_request(project, key.as_str(), volume, diagnostics);
        let span = Some(volume.span);
        volumes.insert(volume.name.clone(), WantedVolume { request, span });
    }
    for service in project.services.values() {
        for name in lower::lent_volumes(project, relations, service) {
            let request = Some(lower::plain_volume(project, &name));
            volumes.insert(name, WantedVolume { request, span: None });
        }
    }
    volumes
}
