//! In: a project, or the dependencies recorded on containers. Out: who waits for whom, in which order, and cycles by name.
//! **Invariant:** orders are those of the file wherever dependencies leave a choice, so equal input gives equal output.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use indexmap::{IndexMap, IndexSet};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use petgraph::{Direction, Incoming, Outgoing};

use crate::diagnostic::Diagnostics;
use crate::model::cycle::cycles;
use crate::model::service::{Condition, NamespaceMode, NamespaceRef, NetworkMode};
use crate::model::{Project, Service, ServiceName};
use crate::source::span::Span;

/// Why one service waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependence {
    /// What is waited for.
    pub condition: Condition,
    /// The dependent restarts when the dependency is recreated or restarted by command.
    pub restart: bool,
    /// A failure of the dependency is a failure of the dependent.
    pub required: bool,
}

/// Services and their dependencies, without cycles.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// An edge leads from the dependent to its dependency.
    edges: DiGraph<ServiceName, Dependence>,
    nodes: IndexMap<ServiceName, NodeIndex>,
}

impl Graph {
    /// The graph of a project's enabled services.
    ///
    /// # Errors
    /// Every cycle, with the places of all its edges.
    pub fn of(project: &Project) -> Result<Self, Diagnostics> {
        let mut spans = IndexMap::new();
        let mut edges = Vec::new();
        for service in project.services.values() {
            for (dependency, dependence, span) in dependencies_of(service) {
                if project.services.contains_key(dependency) {
                    spans
                        .entry((service.name.as_str(), dependency.as_str()))
                        .or_insert(span);
                    edges.push((service.name.clone(), dependency.clone(), dependence));
                }
            }
        }
        let diagnostics = cycles(&spans);
        if diagnostics.is_empty() {
            Ok(Self::recorded(project.services.keys().cloned(), edges))
        } else {
            Err(diagnostics)
        }
    }

    /// A graph from dependencies that were checked when they were recorded; of two equal edges the first counts.
    pub fn recorded(
        services: impl IntoIterator<Item = ServiceName>,
        dependencies: impl IntoIterator<Item = (ServiceName, ServiceName, Dependence)>,
    ) -> Self {
        let mut graph = Self::default();
        for service in services {
            graph.node(service);
        }
        for (dependent, dependency, dependence) in dependencies {
            let (from, to) = (graph.node(dependent), graph.node(dependency));
            if graph.edges.find_edge(from, to).is_none() {
                graph.edges.add_edge(from, to, dependence);
            }
        }
        graph
    }

    fn node(&mut self, service: ServiceName) -> NodeIndex {
        if let Some(node) = self.nodes.get(&service) {
            return *node;
        }
        let node = self.edges.add_node(service.clone());
        self.nodes.insert(service, node);
        node
    }

    /// All services, in the order of the file.
    pub fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.nodes.keys()
    }

    /// What a service waits for.
    pub fn dependencies<'a>(
        &'a self,
        service: &ServiceName,
    ) -> impl Iterator<Item = (&'a ServiceName, &'a Dependence)> {
        self.neighbours(service, Outgoing)
    }

    /// Who waits for a service.
    pub fn dependents<'a>(
        &'a self,
        service: &ServiceName,
    ) -> impl Iterator<Item = (&'a ServiceName, &'a Dependence)> {
        self.neighbours(service, Incoming)
    }

    /// Edges of a service in one direction, in the order they were added.
    fn neighbours<'a>(
        &'a self,
        service: &ServiceName,
        direction: Direction,
    ) -> impl Iterator<Item = (&'a ServiceName, &'a Dependence)> {
        let mut found: Vec<_> = self
            .nodes
            .get(service)
            .into_iter()
            .flat_map(|node| self.edges.edges_directed(*node, direction))
            .map(|edge| {
                let other = if direction == Outgoing {
                    edge.target()
                } else {
                    edge.source()
                };
                (&self.edges[other], edge.weight())
            })
            .collect();
        found.reverse();
        found.into_iter()
    }

    /// Services in layers: each waits only for services of earlier layers.
    pub fn levels(&self) -> Vec<Vec<&ServiceName>> {
        let mut waits: Vec<usize> = self
            .nodes
            .values()
            .map(|node| self.edges.edges_directed(*node, Outgoing).count())
            .collect();
        let mut level: Vec<NodeIndex> = self
            .nodes
            .values()
            .copied()
            .filter(|node| waits[node.index()] == 0)
            .collect();
        let mut levels = Vec::new();
        while !level.is_empty() {
            let mut next = Vec::new();
            for node in &level {
                for dependent in self.edges.neighbors_directed(*node, Incoming) {
                    waits[dependent.index()] -= 1;
                    if waits[dependent.index()] == 0 {
                        next.push(dependent);
                    }
                }
            }
            next.sort();
            levels.push(level.iter().map(|node| &self.edges[*node]).collect());
            level = next;
        }
        levels
    }

    /// Every service after those it waits for.
    pub fn start_order(&self) -> Vec<&ServiceName> {
        let mut order: Vec<&ServiceName> = self.levels().concat();
        if order.len() < self.nodes.len() {
            // Only recorded dependencies can form a cycle; what is on one keeps the order of its record.
            let placed: IndexSet<_> = order.iter().copied().collect();
            order.extend(self.nodes.keys().filter(|service| !placed.contains(service)));
        }
        order
    }

    /// Every service before those it waits for.
    pub fn stop_order(&self) -> Vec<&ServiceName> {
        let mut order = self.start_order();
        order.reverse();
        order
    }

    /// These services and everything they need, in start order.
    pub fn with_dependencies(&self, services: &[ServiceName]) -> IndexSet<ServiceName> {
        self.closure(services, Outgoing, |_| true)
    }

    /// These services and everyone who needs them, in start order.
    pub fn with_dependents(&self, services: &[ServiceName]) -> IndexSet<ServiceName> {
        self.closure(services, Incoming, |_| true)
    }

    /// These services and everyone who asked to restart with them, in start order.
    pub fn with_restarting_dependents(&self, services: &[ServiceName]) -> IndexSet<ServiceName> {
        self.closure(services, Incoming, |dependence| dependence.restart)
    }

    fn closure(
        &self,
        services: &[ServiceName],
        direction: Direction,
        follow: impl Fn(&Dependence) -> bool,
    ) -> IndexSet<ServiceName> {
        let mut reached = vec![false; self.edges.node_count()];
        let mut open: Vec<NodeIndex> = services
            .iter()
            .filter_map(|service| self.nodes.get(service).copied())
            .collect();
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut reached[node.index()], true) {
                continue;
            }
            for edge in self
                .edges
                .edges_directed(node, direction)
                .filter(|edge| follow(edge.weight()))
            {
                open.push(if direction == Outgoing {
                    edge.target()
                } else {
                    edge.source()
                });
            }
        }
        self.start_order()
            .into_iter()
            .filter(|service| reached[self.nodes[*service].index()])
            .cloned()
            .collect()
    }
}

/// Everything a service waits for and the place that says so, `depends_on` first: its conditions count over implied ones.
fn dependencies_of(service: &Service) -> Vec<(&ServiceName, Dependence, Span)> {
    let mut found: Vec<_> = service
        .depends_on
        .iter()
        .map(|(name, dependency)| {
            let dependence = Dependence {
                condition: dependency.condition,
                restart: dependency.restart,
                required: dependency.required,
            };
            (name, dependence, dependency.span)
        })
        .collect();
    let implied = |restart| Dependence {
        condition: Condition::Started,
        restart,
        required: true,
    };
    let place = |key: &str| service.key_spans.get(key).unwrap_or(service.span);
    if let Some(NetworkMode::Join(NamespaceRef::Service(name))) = &service.network_mode {
        found.push((name, implied(true), place("network_mode")));
    }
    for (key, mode) in [("ipc", &service.ipc), ("pid", &service.pid)] {
        if let Some(NamespaceMode::Join(NamespaceRef::Service(name))) = mode {
            found.push((name, implied(true), place(key)));
        }
    }
    for (source, _) in &service.volumes_from {
        if let NamespaceRef::Service(name) = source {
            found.push((name, implied(false), place("volumes_from")));
        }
    }
    for (name, _) in &service.links {
        found.push((name, implied(true), place("links")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text)
    }

    fn graph(services: &[&str], edges: &[(&str, &str, bool)]) -> Graph {
        Graph::recorded(
            services.iter().map(|service| name(service)),
            edges.iter().map(|(dependent, dependency, restart)| {
                let dependence = Dependence {
                    condition: Condition::Started,
                    restart: *restart,
                    required: true,
                };
                (name(dependent), name(dependency), dependence)
            }),
        )
    }

    fn texts<'a>(names: impl IntoIterator<Item = &'a ServiceName>) -> Vec<&'a str> {
        names.into_iter().map(ServiceName::as_str).collect()
    }

    #[test]
    fn orders_follow_dependencies_and_else_the_file() {
        let graph = graph(
            &["web", "db", "cache", "proxy"],
            &[
                ("web", "db", false),
                ("web", "cache", false),
                ("proxy", "web", true),
            ],
        );
        assert_eq!(texts(graph.start_order()), ["db", "cache", "web", "proxy"]);
        assert_eq!(texts(graph.stop_order()), ["proxy", "web", "cache", "db"]);
        assert_eq!(graph.levels().len(), 3);
        assert_eq!(
            texts(&graph.with_dependencies(&[name("web")])),
            ["db", "cache", "web"]
        );
        assert_eq!(
            texts(&graph.with_dependents(&[name("db")])),
            ["db", "web", "proxy"]
        );
        assert_eq!(texts(&graph.with_restarting_dependents(&[name("db")])), ["db"]);
        assert_eq!(
            texts(&graph.with_restarting_dependents(&[name("web")])),
            ["web", "proxy"]
        );
        assert_eq!(
            texts(graph.dependencies(&name("web")).map(|(to, _)| to)),
            ["db", "cache"]
        );
    }

    #[test]
    fn a_recorded_cycle_still_has_an_order_with_everyone_in_it() {
        let graph = graph(&["a", "b", "c"], &[("a", "b", false), ("b", "a", false)]);
        assert_eq!(texts(graph.start_order()), ["c", "a", "b"]);
    }
}
