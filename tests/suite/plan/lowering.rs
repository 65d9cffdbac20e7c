//! What a service asks for is in its request, and only a change of that changes its hash.

use std::net::Ipv4Addr;
use std::time::Duration;

use rcompose::engine::lower::{Facts, Origin, lower, lower_one_off};
use rcompose::engine::{Prepared, prepare, read_inputs};
use rcompose::model::Project;
use rcompose::model::load::{Options, load};
use rcompose::source::load::LoadOptions;
use rcompose::source::span::SourceMap;
use rcompose_runtime::request::{
    ContainerRequest, EndpointRequest, MountRequestSource, NamespaceRequest, NetworkingRequest,
    RestartRequest,
};

struct Written {
    home: tempfile::TempDir,
    project: Project,
    facts: Facts,
    sources: SourceMap,
}

fn written(files: &[(&str, &str)]) -> Written {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    let mut options = LoadOptions::new(home.path(), vec![("TOKEN".to_owned(), "t0".to_owned())]);
    options.project_name = Some("shop".to_owned());
    let outcome = load(&Options::new(options));
    let findings = outcome.findings();
    let project = outcome.project.unwrap_or_else(|| panic!("{findings:#?}"));
    let facts = read_inputs(&project, Origin::default());
    Written {
        home,
        project,
        facts,
        sources: outcome.sources,
    }
}

fn compose(text: &str) -> Written {
    written(&[("compose.yaml", text)])
}

impl Written {
    fn prepared(&self) -> Prepared {
        prepare(&self.project, &self.facts).unwrap_or_else(|errors| panic!("{errors:#?}"))
    }

    fn request(&self, service: &str) -> ContainerRequest {
        self.prepared().wanted.services[service].template.clone().unwrap()
    }

    fn endpoints(&self, service: &str) -> Vec<EndpointRequest> {
        let NetworkingRequest::Bridges(endpoints) = self.request(service).network else {
            panic!("{service} is on a bridge");
        };
        endpoints
    }

    /// Messages with their places.
    fn errors(&self) -> Vec<String> {
        let errors = prepare(&self.project, &self.facts).expect_err("there is an error");
        self.places(&errors)
    }

    fn warnings(&self) -> Vec<String> {
        self.places(&self.prepared().warnings)
    }

    fn places(&self, findings: &rcompose::diagnostic::Diagnostics) -> Vec<String> {
        let place = |span| {
            let position = self.sources.position(span);
            format!("{}:{}", position.line, position.column)
        };
        let lines = findings.iter().map(|finding| {
            format!(
                "{} {}",
                finding.span().map(place).unwrap_or_default(),
                finding.message
            )
        });
        lines.collect()
    }
}

#[test]
fn a_container_is_found_by_service_alias_link_and_tasks_name() {
    let shop = compose(
        "services:
  db: {image: a, networks: {back: {aliases: [mysql]}}}
  web: {image: a, networks: [back], links: ['db:database']}
  far: {image: a, networks: [front], links: ['db:distant']}
networks: {back: {}, front: {}}
",
    );
    let [endpoint] = &shop.endpoints("db")[..] else {
        panic!("one interface")
    };
    assert_eq!(endpoint.network, "shop_back");
    assert_eq!(endpoint.names, ["db", "mysql", "tasks.db", "database"]);
    assert_eq!(shop.request("web").name, "shop-web-1");
}

#[test]
fn labels_are_those_that_scripts_of_docker_compose_read() {
    let mut shop = compose(
        "services:
  db: {image: a, healthcheck: {test: [CMD, x]}}
  web: {image: a, labels: {team: x}, depends_on: {db: {condition: service_healthy, restart: true}}}
",
    );
    shop.facts.origin.config_files = vec!["/a.yaml".to_owned(), "/b.yaml".to_owned()];
    let request = shop.request("web");
    let label = |name: &str| {
        request
            .labels
            .get(&format!("com.docker.compose.{name}"))
            .map(String::as_str)
    };
    assert_eq!(request.labels["team"], "x");
    assert_eq!(label("project"), Some("shop"));
    assert_eq!(label("service"), Some("web"));
    assert_eq!(label("container-number"), Some("1"));
    assert_eq!(label("oneoff"), Some("False"));
    assert_eq!(label("depends_on"), Some("db:service_healthy:true"));
    assert_eq!(label("project.config_files"), Some("/a.yaml,/b.yaml"));
    assert_eq!(label("project.working_dir"), shop.home.path().to_str());
    assert_eq!(label("config-hash"), Some(request.config_hash.as_str()));
    assert_eq!(request.config_hash.len(), 64);
}

#[test]
fn the_hash_ignores_what_needs_no_new_container() {
    let text = "services:
  db: {image: a}
  web: {image: a, environment: {A: '1'}}
";
    let hash = compose(text).request("web").config_hash;
    let same = [
        text.replace("web: {", "web: {scale: 3, "),
        text.replace("web: {", "web: {depends_on: [db], "),
        text.replace("web: {", "web: {pull_policy: always, "),
        text.replace("web: {", "web: {profiles: [], "),
        text.replace("web: {", "web: {develop: {watch: [{path: ., action: restart}]}, "),
    ];
    for other in same {
        assert_eq!(compose(&other).request("web").config_hash, hash, "{other}");
    }
    for key in [
        "user: '1'",
        "init: true",
        "hostname: h",
        "ports: ['80']",
        "cpus: 2",
        "restart: always",
        "labels: {x: y}",
    ] {
        let other = text.replace("web: {", &format!("web: {{{key}, "));
        assert_ne!(compose(&other).request("web").config_hash, hash, "{other}");
    }
    let shop = compose(text);
    let web = &shop.project.services["web"];
    let second = lower(
        &shop.project,
        web,
        2,
        &shop.facts,
        &mut rcompose::diagnostic::Diagnostics::new(),
    )
    .unwrap();
    assert_eq!((second.config_hash, second.name), (hash, "shop-web-2".to_owned()));
}

#[test]
fn the_content_of_files_counts_even_where_only_their_path_is_mounted() {
    let text = "services:
  web: {image: a, configs: [site], secrets: [key]}
configs: {site: {file: site.conf}}
secrets: {key: {environment: TOKEN}}
";
    let one = written(&[("compose.yaml", text), ("site.conf", "1")]);
    let request = one.request("web");
    assert!(
        matches!(&request.mounts[0].source, MountRequestSource::Bind { path, create: false, .. } if path.ends_with("/site.conf"))
    );
    assert!(request.mounts[0].read_only);
    assert_eq!(request.mounts[0].target, "/site");
    assert_eq!(request.files[0].target, "/run/secrets/key");
    assert_eq!(
        (request.files[0].bytes.as_slice(), request.files[0].mode),
        (b"t0".as_slice(), 0o444)
    );
    std::fs::write(one.home.path().join("site.conf"), "2").unwrap();
    let facts = read_inputs(&one.project, Origin::default());
    let changed = prepare(&one.project, &facts).unwrap().wanted.services["web"]
        .template
        .clone()
        .unwrap();
    assert_ne!(changed.config_hash, request.config_hash);
    assert_eq!(changed.mounts, request.mounts);
}

#[test]
fn an_owner_or_mode_makes_a_file_of_the_content() {
    let shop = written(&[
        (
            "compose.yaml",
            "services:
  web: {image: a, secrets: [{source: key, uid: '7', mode: 0400}]}
secrets: {key: {file: key.pem}}
",
        ),
        ("key.pem", "pem"),
    ]);
    let request = shop.request("web");
    assert!(request.mounts.is_empty());
    let [file] = &request.files[..] else {
        panic!("one file")
    };
    assert_eq!(
        (file.bytes.as_slice(), file.uid, file.gid, file.mode),
        (b"pem".as_slice(), 7, 0, 0o400)
    );
}

#[test]
fn what_cannot_be_mounted_is_said_where_it_is_asked_for() {
    let mut shop = written(&[
        (
            "compose.yaml",
            "services:
  web:
    image: a
    secrets: [key]
    security_opt: ['apparmor=mine']
secrets:
  key: {file: key.pem}
",
        ),
        ("key.pem", "pem"),
    ]);
    std::fs::remove_file(shop.home.path().join("key.pem")).unwrap();
    shop.facts = read_inputs(&shop.project, Origin::default());
    let errors = shop.errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("5:") && error.contains("apparmor=mine")),
        "{errors:?}"
    );
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("4:") && error.contains("key.pem")),
        "{errors:?}"
    );
}

#[test]
fn namespaces_of_a_service_are_those_of_its_first_replica() {
    let shop = compose(
        "services:
  vpn: {image: a, container_name: tunnel}
  app: {image: a}
  torrent: {image: a, network_mode: 'service:vpn', pid: 'service:app', ipc: host}
",
    );
    let request = shop.request("torrent");
    assert_eq!(request.network, NetworkingRequest::Container("tunnel".to_owned()));
    assert_eq!(request.pid, NamespaceRequest::Container("shop-app-1".to_owned()));
    assert_eq!(request.ipc, NamespaceRequest::Host);
    let wanted = shop.prepared().wanted;
    let shared = |name: &str| wanted.services[name].shared;
    assert!(shared("vpn") && shared("app") && !shared("torrent"));
}

#[test]
fn borrowed_volumes_are_shared_even_when_they_have_no_name() {
    let shop = compose(
        "services:
  base: {image: a, volumes: ['/cache', 'data:/data', './src:/src']}
  middle: {image: a, volumes_from: ['base:ro'], volumes: ['other:/data']}
  top: {image: a, volumes_from: [middle]}
volumes: {data: {}, other: {}}
",
    );
    let of = |service: &str| {
        let mounts = shop.request(service).mounts;
        let mut found: Vec<_> = mounts
            .into_iter()
            .map(|mount| {
                let source = match mount.source {
                    MountRequestSource::Volume { name, .. } => name,
                    MountRequestSource::Bind { .. } => "bind".to_owned(),
                    MountRequestSource::Anonymous { .. }
                    | MountRequestSource::Tmpfs { .. }
                    | MountRequestSource::Image { .. } => panic!("{} is neither", mount.target),
                };
                (mount.target, source, mount.read_only)
            })
            .collect();
        found.sort();
        found
    };
    let base = of("base");
    let cache = base[0].1.clone();
    assert!(cache.starts_with("shop_base_"), "{cache}");
    let middle = vec![
        ("/cache".to_owned(), cache.clone(), true),
        ("/data".to_owned(), "shop_other".to_owned(), false),
        ("/src".to_owned(), "bind".to_owned(), true),
    ];
    assert_eq!(of("middle"), middle);
    assert_eq!(of("top"), middle);
    assert!(
        shop.prepared().wanted.volumes[&cache].request.is_some(),
        "it is made like a named one"
    );
}

#[test]
fn networks_are_ordered_by_priority_and_addresses_belong_to_one_replica() {
    let text = "services:
  web:
    image: a
    networks:
      back: {}
      front: {priority: 10, ipv4_address: 10.1.0.7}
      exit: {gw_priority: 1}
networks: {back: {}, front: {ipam: {config: [{subnet: 10.1.0.0/16}]}}, exit: {}}
";
    let shop = compose(text);
    let order: Vec<String> = shop
        .endpoints("web")
        .into_iter()
        .map(|endpoint| endpoint.network)
        .collect();
    assert_eq!(order, ["shop_exit", "shop_front", "shop_back"]);
    assert_eq!(shop.endpoints("web")[1].address, Some(Ipv4Addr::new(10, 1, 0, 7)));
    let front = shop.prepared().wanted.networks["shop_front"]
        .request
        .clone()
        .unwrap();
    assert_eq!(front.subnet.as_deref(), Some("10.1.0.0/16"));
    let errors = compose(&text.replace("image: a", "image: a\n    scale: 2")).errors();
    assert!(
        errors[0].contains("one ipv4_address for 2 replicas"),
        "{errors:?}"
    );
}

#[test]
fn ports_without_a_network_of_their_own_are_warned_about() {
    let shop = compose("services:\n  web: {image: a, network_mode: host, ports: ['80:80']}\n");
    assert!(shop.request("web").ports.is_empty());
    let warnings = shop.warnings();
    assert!(
        warnings[0].starts_with("2:") && warnings[0].contains("have no effect"),
        "{warnings:?}"
    );
}

#[test]
fn log_options_restart_and_limits_keep_their_meaning() {
    let shop = compose(
        "services:
  web:
    image: a
    logging: {options: {max-size: 1m, max-file: '5'}}
    restart: on-failure:3
    stop_grace_period: 1m30s
    deploy: {resources: {limits: {cpus: '0.5', memory: 64M, pids: 10}}}
  quiet: {image: a, logging: {driver: none}}
",
    );
    let request = shop.request("web");
    assert_eq!(
        (request.log.max_size, request.log.max_files, request.log.discard),
        (1024 * 1024, 5, false)
    );
    assert_eq!(request.restart, RestartRequest::OnFailure(3));
    assert_eq!(request.stop_grace, Some(Duration::from_secs(90)));
    assert_eq!(
        (
            request.limits.cpu_millis,
            request.limits.memory,
            request.limits.pids
        ),
        (Some(500), Some(64 << 20), Some(10))
    );
    assert!(shop.request("quiet").log.discard);
}

#[test]
fn a_container_made_by_run_has_a_name_of_its_own_and_nothing_public() {
    let shop = compose("services:\n  web: {image: a, ports: ['80:80'], restart: always, build: .}\n");
    let web = &shop.project.services["web"];
    let findings = &mut rcompose::diagnostic::Diagnostics::new();
    let request = lower_one_off(&shop.project, web, "0123456789ab", &shop.facts, findings).unwrap();
    assert_eq!(request.name, "shop-web-run-0123456789ab");
    assert!(request.one_off && request.ports.is_empty());
    assert_eq!((request.restart, request.number), (RestartRequest::No, 0));
    assert_eq!(request.labels["com.docker.compose.oneoff"], "True");
    let NetworkingRequest::Bridges(endpoints) = &request.network else {
        panic!("a bridge")
    };
    assert!(endpoints[0].names.is_empty(), "it is no replica of the service");
}

#[test]
fn a_service_that_only_builds_runs_an_image_named_after_it() {
    let shop = compose("services:\n  web: {build: .}\n");
    assert_eq!(shop.request("web").image, "shop-web");
    assert!(!shop.prepared().wanted.services["web"].image.named);
}

#[test]
fn what_is_external_has_no_request() {
    let shop = compose(
        "services:
  web: {image: a, networks: [front], volumes: ['data:/data']}
networks: {front: {external: true, name: corp}}
volumes: {data: {external: true}}
",
    );
    let wanted = shop.prepared().wanted;
    assert!(wanted.networks["corp"].request.is_none());
    assert!(wanted.volumes["data"].request.is_none());
    assert_eq!(shop.endpoints("web")[0].network, "corp");
}
