//! Small projects for planning: random ones and a host in memory to try them on.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use indexmap::IndexMap;
use proptest::prelude::*;
use rcompose::engine::{Executor, ImageError, ImageSource, Outcome, Prepared, observe};
use rcompose::event::{Events, Silent};
use rcompose::graph::{Dependence, Graph};
use rcompose::model::ServiceName;
use rcompose::model::service::{Condition, PullPolicy};
use rcompose::plan::{
    Intent, Observed, Plan, Wanted, WantedImage, WantedNetwork, WantedService, WantedVolume, plan,
};
use rcompose::source::span::{SourceMap, Span};
use rcompose_runtime::FakeRuntime;
use rcompose_runtime::request::{
    ContainerRequest, EndpointRequest, HealthRequest, MountRequest, MountRequestSource, NetworkRequest,
    NetworkingRequest, PortRequest, VolumeRequest,
};

pub(super) const PROJECT: &str = "p";

/// An imagined service; others are named by position, and only earlier ones are depended on.
#[derive(Debug, Clone)]
pub(super) struct Imagined {
    pub(super) scale: u32,
    pub(super) tag: u8,
    pub(super) networks: Vec<u8>,
    pub(super) volumes: Vec<u8>,
    pub(super) anonymous: bool,
    pub(super) port: bool,
    pub(super) probe: bool,
    pub(super) depends_on: Vec<(usize, Condition, bool)>,
    pub(super) joins: Option<usize>,
    pub(super) container_name: Option<u8>,
}

/// An imagined project.
#[derive(Debug, Clone)]
pub(super) struct Imaginary {
    pub(super) services: Vec<Imagined>,
    pub(super) network_version: [u8; 3],
}

pub(super) fn service_name(position: usize) -> String {
    format!("s{position}")
}

pub(super) fn imaginary() -> impl Strategy<Value = Imaginary> {
    (
        prop::collection::vec(imagined(), 1..=5),
        prop::array::uniform3(0..2_u8),
    )
        .prop_map(|(mut services, network_version)| {
            for (at, service) in services.iter_mut().enumerate() {
                service.depends_on.retain(|(on, _, _)| *on < at);
                service.depends_on.sort_by_key(|(on, _, _)| *on);
                service.depends_on.dedup_by_key(|(on, _, _)| *on);
                service.joins = service.joins.filter(|on| *on < at);
                if service.container_name.is_some() {
                    service.scale = service.scale.min(1);
                }
                if let Some(on) = service.joins {
                    service.networks.clear();
                    service.port = false;
                    service.depends_on.retain(|(other, _, _)| *other != on);
                    service.depends_on.push((on, Condition::Started, true));
                }
                if service.scale > 1 {
                    service.port = false;
                }
            }
            for at in 0..services.len() {
                let Some(on) = services[at].joins else { continue };
                // Without a first replica there is nothing to join, and its end is the end of who joined it.
                services[on].scale = services[on].scale.max(1);
                for service in &mut services {
                    for (other, condition, _) in &mut service.depends_on {
                        if *other == on && *condition == Condition::CompletedSuccessfully {
                            *condition = Condition::Started;
                        }
                    }
                }
            }
            // Who waits for the health of a service that another expects to end contradicts it.
            let jobs: Vec<usize> = services
                .iter()
                .flat_map(|service| &service.depends_on)
                .filter(|(_, condition, _)| *condition == Condition::CompletedSuccessfully)
                .map(|(on, _, _)| *on)
                .collect();
            for (on, condition, _) in services.iter_mut().flat_map(|service| &mut service.depends_on) {
                if jobs.contains(on) && *condition == Condition::Healthy {
                    *condition = Condition::CompletedSuccessfully;
                }
            }
            // Two services of one fixed name are refused by the decoder.
            let mut taken = Vec::new();
            for service in &mut services {
                if service.container_name.is_some_and(|name| taken.contains(&name)) {
                    service.container_name = None;
                }
                taken.extend(service.container_name);
            }
            Imaginary {
                services,
                network_version,
            }
        })
}

fn imagined() -> impl Strategy<Value = Imagined> {
    let condition = prop_oneof![
        3 => Just(Condition::Started),
        3 => Just(Condition::Healthy),
        1 => Just(Condition::CompletedSuccessfully),
    ];
    let names = || prop::collection::btree_set(0..3_u8, 0..=2);
    (
        (
            0..=3_u32,
            0..3_u8,
            names(),
            names(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
        ),
        prop::collection::vec((0..5_usize, condition, any::<bool>()), 0..=2),
        prop::option::weighted(0.2, 0..5_usize),
        prop::option::weighted(0.2, 0..3_u8),
    )
        .prop_map(
            |((scale, tag, networks, volumes, anonymous, port, probe), depends_on, joins, container_name)| {
                Imagined {
                    scale,
                    tag,
                    networks: networks.into_iter().collect(),
                    volumes: volumes.into_iter().collect(),
                    anonymous,
                    port,
                    probe,
                    depends_on,
                    joins,
                    container_name,
                }
            },
        )
}

impl Imaginary {
    /// As the engine would see it.
    pub(super) fn prepare(&self) -> Prepared {
        let span = nowhere();
        let services: IndexMap<ServiceName, WantedService> = (0..self.services.len())
            .map(|at| (ServiceName::new(service_name(at)), self.service(at)))
            .collect();
        let edges = self.services.iter().enumerate().flat_map(|(at, service)| {
            service.depends_on.iter().map(move |(on, condition, restart)| {
                let dependence = Dependence {
                    condition: *condition,
                    restart: *restart,
                    required: true,
                };
                (
                    ServiceName::new(service_name(at)),
                    ServiceName::new(service_name(*on)),
                    dependence,
                )
            })
        });
        let graph = Graph::recorded(services.keys().cloned(), edges);
        let networks = (0..3_u8).map(|at| {
            let request = NetworkRequest {
                name: format!("{PROJECT}_n{at}"),
                project: PROJECT.to_owned(),
                key: format!("n{at}"),
                config_hash: format!("v{}", self.network_version[usize::from(at)]),
                internal: false,
                subnet: None,
                gateway: None,
                ip_range: None,
                bridge: None,
                mtu: None,
                icc: true,
                reserved: Vec::new(),
                labels: BTreeMap::new(),
            };
            (
                request.name.clone(),
                WantedNetwork {
                    request: Some(request),
                    span,
                },
            )
        });
        let volumes = (0..3_u8).map(|at| {
            let request = VolumeRequest {
                name: format!("{PROJECT}_v{at}"),
                project: PROJECT.to_owned(),
                key: format!("v{at}"),
                config_hash: "1".to_owned(),
                options: BTreeMap::new(),
                labels: BTreeMap::new(),
            };
            let wanted = WantedVolume {
                request: Some(request.clone()),
                span: None,
            };
            (request.name, wanted)
        });
        let wanted = Wanted {
            project: PROJECT.to_owned(),
            services,
            networks: networks.collect(),
            volumes: volumes.collect(),
            ..Wanted::default()
        };
        Prepared {
            wanted,
            graph,
            ..Prepared::default()
        }
    }

    fn container_name(&self, at: usize) -> String {
        match self.services[at].container_name {
            Some(name) => format!("fixed{name}"),
            None => format!("{PROJECT}-{}-1", service_name(at)),
        }
    }

    fn service(&self, at: usize) -> WantedService {
        let imagined = &self.services[at];
        let mut request = ContainerRequest::minimal(PROJECT, "img");
        request.service = service_name(at);
        request.environment = vec![("TAG".to_owned(), Some(imagined.tag.to_string()))];
        request.health = imagined.probe.then(HealthRequest::default);
        request.network = match imagined.joins {
            Some(on) => NetworkingRequest::Container(self.container_name(on)),
            None => NetworkingRequest::Bridges(
                imagined
                    .networks
                    .iter()
                    .map(|network| EndpointRequest {
                        network: format!("{PROJECT}_n{network}"),
                        names: vec![service_name(at)],
                        address: None,
                        mac: None,
                        interface: None,
                    })
                    .collect(),
            ),
        };
        let mount = |target: String, source| MountRequest {
            target,
            read_only: false,
            source,
        };
        request.mounts = imagined
            .volumes
            .iter()
            .map(|volume| {
                let name = format!("{PROJECT}_v{volume}");
                let source = MountRequestSource::Volume {
                    name,
                    no_copy: false,
                    subpath: None,
                };
                mount(format!("/v{volume}"), source)
            })
            .chain(imagined.anonymous.then(|| {
                mount(
                    "/data".to_owned(),
                    MountRequestSource::Anonymous { no_copy: false },
                )
            }))
            .collect();
        if imagined.port {
            request.ports.push(PortRequest {
                host_ip: None,
                published: Some((8000, 8000 + 9)),
                target: 80,
                protocol: "tcp".to_owned(),
            });
        }
        request.config_hash = format!("{request:?}");
        request.name = self.container_name(at);
        WantedService {
            template: Some(request),
            span: None,
            scale: imagined.scale,
            fixed_name: imagined.container_name.is_some(),
            shared: self.services.iter().any(|other| other.joins == Some(at)),
            image: WantedImage {
                reference: "img".to_owned(),
                named: true,
                span: None,
                buildable: false,
                built_from: Vec::new(),
                policy: PullPolicy::Missing,
                platform: None,
            },
            post_start: Vec::new(),
            pre_stop: Vec::new(),
        }
    }

    /// Whether some service is expected to end by itself.
    pub(super) fn has_jobs(&self) -> bool {
        let mut edges = self.services.iter().flat_map(|service| &service.depends_on);
        edges.any(|(_, condition, _)| *condition == Condition::CompletedSuccessfully)
    }
}

fn nowhere() -> Span {
    Span::new(SourceMap::new().add("compose.yaml", ""), 0, 0)
}

/// Images that are a name and an id.
pub(super) struct ImaginedImages<'a>(pub(super) &'a FakeRuntime);

impl ImageSource for ImaginedImages<'_> {
    fn pull(
        &self,
        reference: &str,
        _: Option<&str>,
        _: &dyn Events,
        _: &AtomicBool,
    ) -> Result<(), ImageError> {
        if reference.starts_with("missing") {
            return Err(format!("{reference}: manifest unknown").into());
        }
        self.0.set_image(reference, &format!("{reference}-pulled"));
        Ok(())
    }

    fn build(
        &self,
        service: &ServiceName,
        reference: &str,
        _: &dyn Events,
        _: &AtomicBool,
    ) -> Result<(), ImageError> {
        self.0.set_image(reference, &format!("{service}-built"));
        Ok(())
    }

    fn push(&self, _: &str, _: &dyn Events, _: &AtomicBool) -> Result<(), ImageError> {
        Ok(())
    }

    fn remove(&self, _: &str) -> Result<(), ImageError> {
        Ok(())
    }

    fn age(&self, _: &str) -> Option<std::time::Duration> {
        None
    }
}

pub(super) fn look(fake: &FakeRuntime, prepared: &Prepared) -> Observed {
    observe(fake, &ImaginedImages(fake), &prepared.wanted).expect("the host in memory is readable")
}

pub(super) fn plan_on(fake: &FakeRuntime, prepared: &Prepared, intent: &Intent) -> Plan {
    plan(&prepared.wanted, &prepared.graph, &look(fake, prepared), intent)
}

pub(super) fn execute(fake: &FakeRuntime, plan: &Plan) -> Outcome {
    let executor = Executor {
        runtime: fake,
        images: &ImaginedImages(fake),
        events: &Silent,
        cancel: &AtomicBool::new(false),
        parallel: 3,
        deadline: None,
    };
    executor.execute(plan)
}
