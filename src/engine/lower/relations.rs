//! In: a project. Out: what other services ask of each service, found once: names they link it by, volumes they borrow.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeSet, HashMap};

use crate::model::name::NetworkKey;
use crate::model::service::NamespaceRef;
use crate::model::{Project, Service, ServiceName};

/// What services ask of each other.
#[derive(Debug, Default)]
pub(in crate::engine) struct Relations<'a> {
    /// By target: who links it, and by which name.
    links: HashMap<&'a ServiceName, Vec<(&'a Service, &'a str)>>,
    /// Services named in a `volumes_from`.
    lenders: BTreeSet<&'a ServiceName>,
}

impl<'a> Relations<'a> {
    pub(in crate::engine) fn of(project: &'a Project) -> Self {
        let mut relations = Self::default();
        for service in project.services.values() {
            for (target, alias) in &service.links {
                relations.links.entry(target).or_default().push((service, alias));
            }
            for (source, _) in &service.volumes_from {
                if let NamespaceRef::Service(name) = source {
                    relations.lenders.insert(name);
                }
            }
        }
        relations
    }

    /// Names by which services of a network link this one.
    pub(super) fn link_names(
        &self,
        service: &ServiceName,
        network: &NetworkKey,
    ) -> impl Iterator<Item = &'a str> {
        let links = self.links.get(service).into_iter().flatten();
        let near = links.filter(|(other, _)| other.networks.contains_key(network));
        near.map(|(_, alias)| *alias)
    }

    /// Whether others mount the volumes of this service.
    pub(super) fn lends(&self, service: &ServiceName) -> bool {
        self.lenders.contains(service)
    }
}
