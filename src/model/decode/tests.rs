//! Every key arrives in the model, and what cannot be honoured is said.

use std::time::Duration;

use super::*;
use crate::model::mount::MountSource;
use crate::model::normalise;
use crate::model::port::Protocol;
use crate::model::service::{
    Condition, NamespaceMode, NamespaceRef, NetworkMode, PullPolicy, Restart, Service,
};
use crate::source::span::SourceMap;
use crate::source::yaml;

fn decode(text: &str) -> (Option<Project>, Diagnostics) {
    let mut sources = SourceMap::new();
    let file = sources.add("compose.yaml", text);
    let mut findings = Diagnostics::new();
    let documents = yaml::parse(file, text, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    let lookup = |name: &str| (name == "SET").then(|| "value".to_owned());
    let context = normalise::Context {
        project: "shop",
        directory: "/srv",
        lookup: &lookup,
        implied: true,
        raw: false,
        environment: true,
    };
    let (root, findings) = normalise::normalise(&documents[0], context);
    assert!(!findings.has_errors(), "{findings:?}");
    let enabled: BTreeSet<String> = crate::model::profile::enabled(&root, &[], &[]);
    let context = Context {
        project: "shop",
        directory: Utf8Path::new("/srv"),
        lookup: &lookup,
        enabled: &enabled,
    };
    Project::decode(&root, context)
}

fn service(lines: &str) -> Service {
    let (project, findings) = decode(&format!("services: {{web: {{image: x, {lines}}}}}\n"));
    let project = project.unwrap_or_else(|| panic!("{lines}: {findings:?}"));
    project.services["web"].clone()
}

fn codes(lines: &str) -> Vec<&'static str> {
    let (_, findings) = decode(&format!("services: {{web: {{image: x, {lines}}}}}\n"));
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn scalars_and_lists_arrive() {
    let web = service(
        "container_name: c1, hostname: h, domainname: d, user: '1:2', group_add: [3, dialout], working_dir: /w, \
         init: true, tty: true, stdin_open: true, privileged: true, read_only: true, attach: false, \
         stop_signal: SIGINT, stop_grace_period: 1m30s, cap_add: [A], cap_drop: [ALL], security_opt: [x:y], \
         device_cgroup_rules: ['c 1:3 mr'], dns: 1.1.1.1, dns_opt: [use-vc], dns_search: [a.b], expose: [80, 81/udp], \
         sysctls: {net.core.somaxconn: 1}, labels: {a: 1}, annotations: [b=2], shm_size: 64m, oom_score_adj: 5, \
         oom_kill_disable: true, cgroup: host, cgroup_parent: p, uts: host, mac_address: m, platform: linux/amd64, \
         command: a 'b c', entrypoint: [], environment: {SET: , UNSET: , A: 1}",
    );
    assert_eq!(web.container_name.as_deref(), Some("c1"));
    assert_eq!(
        (web.hostname.as_deref(), web.domainname.as_deref()),
        (Some("h"), Some("d"))
    );
    assert_eq!(
        (web.user.as_deref(), web.working_dir.as_deref()),
        (Some("1:2"), Some("/w"))
    );
    assert_eq!(web.group_add, ["3", "dialout"]);
    assert!(web.init && web.tty && web.stdin_open && web.privileged && web.read_only && !web.attach);
    assert_eq!(web.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(web.stop_grace_period, Some(Duration::from_secs(90)));
    assert_eq!(
        (web.cap_add, web.cap_drop),
        (vec!["A".to_owned()], vec!["ALL".to_owned()])
    );
    assert_eq!((web.security_opt.len(), web.device_cgroup_rules.len()), (1, 1));
    assert_eq!(
        (web.dns, web.dns_opt.len(), web.dns_search.len()),
        (vec!["1.1.1.1".to_owned()], 1, 1)
    );
    assert_eq!(web.expose, ["80", "81/udp"]);
    assert_eq!(web.sysctls["net.core.somaxconn"], "1");
    assert_eq!(
        (web.labels["a"].as_str(), web.annotations["b"].as_str()),
        ("1", "2")
    );
    assert_eq!(
        (web.shm_size, web.oom_score_adj, web.oom_kill_disable),
        (Some(64 << 20), Some(5), Some(true))
    );
    assert!(web.cgroup_host && web.uts_host);
    assert_eq!(
        (web.cgroup_parent.as_deref(), web.mac_address.as_deref()),
        (Some("p"), Some("m"))
    );
    assert_eq!(web.platform.as_deref(), Some("linux/amd64"));
    assert_eq!(web.command, Some(vec!["a".to_owned(), "b c".to_owned()]));
    assert_eq!(web.entrypoint, Some(Vec::new()));
    assert_eq!(web.environment["SET"].as_deref(), Some("value"));
    assert_eq!(web.environment["UNSET"], None);
    assert_eq!(web.environment["A"].as_deref(), Some("1"));
    assert!(web.key_spans.get("hostname").is_some());
    assert_eq!(service("command: ").command, None);
}

#[test]
fn ports_mounts_and_devices_arrive() {
    let web = service(
        "ports: ['127.0.0.1:8000-8002:80/udp', 81], devices: ['/dev/a:/dev/b:r'], tmpfs: ['/t:size=1m,mode=700,uid=1'], \
         volumes: ['/h:/b:ro', /anon, {type: tmpfs, target: /m, tmpfs: {size: 2m, mode: 448}}, \
         {type: bind, source: /s, target: /p, bind: {create_host_path: false, propagation: rslave, recursive: readonly}}, \
         {type: image, source: i, target: /i, image: {subpath: q}}]",
    );
    assert_eq!(web.ports[0].published, Some((8000, 8002)));
    assert_eq!((web.ports[0].target, web.ports[0].protocol), (80, Protocol::Udp));
    assert_eq!(
        web.ports[0].host_ip,
        Some("127.0.0.1".parse().expect("an address"))
    );
    assert_eq!((web.ports[1].target, web.ports[1].published), (81, None));
    assert_eq!(
        web.devices,
        [("/dev/a".to_owned(), "/dev/b".to_owned(), "r".to_owned())]
    );
    let sources: Vec<&MountSource> = web.mounts.iter().map(|mount| &mount.source).collect();
    assert!(matches!(sources[0], MountSource::Bind { path, create_host_path: true, .. } if path == "/h"));
    assert!(web.mounts[0].read_only);
    assert!(matches!(sources[1], MountSource::Anonymous { no_copy: false }));
    assert!(matches!(
        sources[2],
        MountSource::Tmpfs {
            size: Some(0x0020_0000),
            mode: Some(0o700),
            ..
        }
    ));
    let MountSource::Bind {
        create_host_path,
        propagation,
        recursive,
        ..
    } = sources[3]
    else {
        panic!("{:?}", sources[3]);
    };
    assert!(!create_host_path);
    assert_eq!(
        (propagation.as_deref(), recursive.as_deref()),
        (Some("rslave"), Some("readonly"))
    );
    assert!(matches!(sources[4], MountSource::Image { subpath: Some(path), .. } if path == "q"));
    assert!(matches!(
        sources[5],
        MountSource::Tmpfs {
            size: Some(0x0010_0000),
            mode: Some(0o700),
            uid: Some(1),
            gid: None,
            exec: false
        }
    ));
    assert_eq!(codes("tmpfs: ['/t:bogus=1']"), ["bad-volume"]);
    assert_eq!(codes("volumes: ['/a:b']"), ["bad-volume"]);
    assert_eq!(codes("ports: ['80:80/sctp']"), ["unsupported-key"]);
    assert_eq!(codes("devices: ['vendor.com/class=x']"), ["bad-device"]);
}

#[test]
fn limits_come_from_either_place() {
    let legacy = service(
        "cpus: 0.5, mem_limit: 1g, mem_reservation: 64m, memswap_limit: -1, mem_swappiness: 10, pids_limit: -1, \
         cpu_shares: 5, cpu_quota: 50000, cpu_period: 100000, cpuset: '0', ulimits: {nofile: 7, nproc: {soft: 1, hard: 2}}, \
         blkio_config: {weight: 300, device_read_bps: [{path: /dev/a, rate: 1k}]}",
    );
    assert_eq!(
        (legacy.limits.cpus, legacy.limits.memory),
        (Some(0.5), Some(1 << 30))
    );
    assert_eq!(
        (legacy.limits.memory_reservation, legacy.limits.memory_swap),
        (Some(64 << 20), Some(-1))
    );
    assert_eq!(
        (legacy.limits.memory_swappiness, legacy.limits.pids),
        (Some(10), Some(-1))
    );
    assert_eq!(
        (legacy.limits.cpu_shares, legacy.limits.cpu_quota),
        (Some(5), Some(50_000))
    );
    assert_eq!(
        (legacy.limits.cpu_period, legacy.limits.cpuset.as_deref()),
        (Some(100_000), Some("0"))
    );
    assert_eq!(
        (legacy.ulimits["nofile"], legacy.ulimits["nproc"]),
        ((7, 7), (1, 2))
    );
    assert_eq!(legacy.limits.blkio_weight, Some(300));
    assert_eq!(
        legacy.limits.blkio_rates,
        [("read_bps".to_owned(), "/dev/a".to_owned(), 1024)]
    );
    let deploy = service(
        "deploy: {resources: {limits: {cpus: '2', memory: 1g, pids: 9}, reservations: {memory: 1m}}, replicas: 3}",
    );
    assert_eq!(
        (deploy.limits.cpus, deploy.limits.memory),
        (Some(2.0), Some(1 << 30))
    );
    assert_eq!(
        (deploy.limits.pids, deploy.limits.memory_reservation),
        (Some(9), Some(1 << 20))
    );
    assert_eq!(deploy.scale, 3);
}

#[test]
fn restart_and_pull_policies_arrive() {
    let restarts = [
        ("restart: 'no'", Restart::No),
        ("restart: always", Restart::Always),
        ("restart: unless-stopped", Restart::UnlessStopped),
        ("restart: 'on-failure:3'", Restart::OnFailure(3)),
        (
            "restart: always, deploy: {restart_policy: {condition: on-failure, max_attempts: 2, window: 1m}}",
            Restart::Deploy {
                any: false,
                delay: Duration::from_secs(5),
                maximum: 2,
                window: Duration::from_mins(1),
            },
        ),
    ];
    for (lines, restart) in restarts {
        assert_eq!(service(lines).restart, restart, "{lines}");
    }
    assert_eq!(codes("restart: never"), ["unknown-value"]);
    let policies = [
        ("pull_policy: if_not_present", PullPolicy::Missing),
        ("pull_policy: always", PullPolicy::Always),
        ("pull_policy: daily", PullPolicy::Every(Duration::from_hours(24))),
        (
            "pull_policy: every_90m",
            PullPolicy::Every(Duration::from_mins(90)),
        ),
    ];
    for (lines, policy) in policies {
        assert_eq!(service(lines).pull_policy, policy, "{lines}");
    }
}

#[test]
fn namespaces_and_networks_arrive() {
    assert_eq!(
        service("network_mode: host").network_mode,
        Some(NetworkMode::Host)
    );
    let joined = service("network_mode: 'container:c', ipc: 'service:web', pid: host");
    assert_eq!(
        joined.network_mode,
        Some(NetworkMode::Join(NamespaceRef::Container("c".to_owned())))
    );
    assert_eq!(
        joined.ipc,
        Some(NamespaceMode::Join(NamespaceRef::Service("web".into())))
    );
    assert_eq!(joined.pid, Some(NamespaceMode::Host));
    assert!(joined.networks.is_empty());
    let bridge = service("network_mode: bridge");
    assert!(bridge.network_mode.is_none() && bridge.networks.contains_key("default"));
    assert_eq!(codes("network_mode: bogus"), ["unknown-value"]);
    let (project, findings) = decode(
        "services: {web: {image: x, networks: {a: {aliases: [w], ipv4_address: 10.0.0.2, priority: 3, gw_priority: 4, \
         mac_address: m, interface_name: e}}}}\n\
         networks: {a: {internal: true, attachable: true, driver_opts: {mtu: 1400}, labels: [l=1], \
         ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.1, ip_range: 10.0.0.0/25, aux_addresses: {r: 10.0.0.9}}]}}}\n",
    );
    let project = project.unwrap_or_else(|| panic!("{findings:?}"));
    let attached = &project.services["web"].networks["a"];
    assert_eq!((attached.priority, attached.gateway_priority), (3, 4));
    assert_eq!(attached.ipv4_address.as_deref(), Some("10.0.0.2"));
    assert_eq!(
        (attached.aliases.len(), attached.interface_name.as_deref()),
        (1, Some("e"))
    );
    let network = &project.networks["a"];
    assert_eq!(network.name, "shop_a");
    assert!(network.internal && network.attachable && !network.external);
    assert_eq!(
        (network.driver_opts["mtu"].as_str(), network.labels["l"].as_str()),
        ("1400", "1")
    );
    assert_eq!(network.ipam[0].gateway.as_deref(), Some("10.0.0.1"));
    assert_eq!(network.ipam[0].aux_addresses["r"], "10.0.0.9");
}

#[test]
fn dependencies_health_hooks_watch_and_build_arrive() {
    let (project, findings) = decode(
        "services:\n  web:\n    build: {context: /c, dockerfile: D, args: {SET: , A: 1}, target: t, labels: [l=1], tags: [q], \
         no_cache: true, pull: true, network: host, additional_contexts: {n: /m}, extra_hosts: [a=b], secrets: [s], shm_size: 1m}\n    \
         depends_on: {db: {condition: service_healthy, restart: true, required: false}}\n    \
         healthcheck: {test: curl x, interval: 5s, timeout: 6s, retries: 0, start_period: 7s, start_interval: 8s}\n    \
         post_start: [{command: [a], user: u, environment: [E=1]}]\n    pre_stop: [{command: b c, privileged: true}]\n    \
         develop: {watch: [{path: /p, action: sync+exec, target: /t, ignore: x, include: [y], initial_sync: true, exec: {command: z}}]}\n    \
         env_file: [{path: /e, required: false, format: raw}]\n    configs: [{source: c, target: /f, uid: '1', mode: 0440}]\n    \
         secrets: [s]\n    extra_hosts: {h: host-gateway}\n    logging: {driver: local, options: {max-size: 1m}}\n  \
         db: {image: x, healthcheck: {test: [NONE]}}\nconfigs: {c: {content: hello}}\nsecrets: {s: {environment: SET}}\n",
    );
    let project = project.unwrap_or_else(|| panic!("{findings:?}"));
    let web = &project.services["web"];
    let dependency = &web.depends_on["db"];
    assert_eq!(dependency.condition, Condition::Healthy);
    assert!(dependency.restart && !dependency.required);
    let health = web.healthcheck.clone().expect("a healthcheck");
    assert_eq!(
        health.test,
        Some(vec!["CMD-SHELL".to_owned(), "curl x".to_owned()])
    );
    assert_eq!(
        (health.interval, health.retries),
        (Some(Duration::from_secs(5)), Some(0))
    );
    assert_eq!(health.start_interval, Some(Duration::from_secs(8)));
    assert!(
        project.services["db"]
            .healthcheck
            .as_ref()
            .is_some_and(|health| health.disabled)
    );
    assert_eq!(web.post_start[0].user.as_deref(), Some("u"));
    assert_eq!(web.post_start[0].environment["E"].as_deref(), Some("1"));
    assert_eq!(
        (web.pre_stop[0].command.len(), web.pre_stop[0].privileged),
        (2, true)
    );
    let rule = &web.watch[0];
    assert_eq!(
        (rule.path.as_str(), rule.target.as_deref(), rule.initial_sync),
        ("/p", Some("/t"), true)
    );
    assert_eq!((rule.ignore.len(), rule.include.len()), (1, 1));
    assert!(rule.exec.is_some());
    assert!(web.env_files[0].raw && !web.env_files[0].required);
    assert_eq!(
        (
            web.configs[0].target.as_str(),
            web.configs[0].uid,
            web.configs[0].mode
        ),
        ("/f", Some(1), Some(0o440))
    );
    assert_eq!(web.secrets[0].target, "/run/secrets/s");
    assert_eq!(web.extra_hosts, [("h".to_owned(), "host-gateway".to_owned())]);
    assert_eq!(web.logging.options["max-size"], "1m");
    let build = web.build.as_ref().expect("a build");
    assert_eq!(
        (
            build.context.as_str(),
            build.dockerfile.as_deref(),
            build.target.as_deref()
        ),
        ("/c", Some("D"), Some("t"))
    );
    assert_eq!(
        (build.args["SET"].as_deref(), build.args["A"].as_deref()),
        (Some("value"), Some("1"))
    );
    assert!(build.no_cache && build.pull);
    assert_eq!(
        (build.secrets.len(), build.tags.len(), build.shm_size),
        (1, 1, Some(1 << 20))
    );
    assert_eq!(
        project.secrets["s"].source,
        crate::model::file_object::FileObjectSource::Environment("SET".to_owned(), Some("value".to_owned()))
    );
}

#[test]
fn nothing_is_dropped_in_silence() {
    let refused = [
        "gpus: all",
        "runtime: nvidia",
        "use_api_socket: true",
        "provider: {type: p}",
        "pre_start: [{command: [a]}]",
        "credential_spec: {file: f}",
        "volumes: [{type: npipe, source: a, target: /b}]",
        "deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}",
    ];
    for lines in refused {
        let (project, findings) = decode(&format!("services: {{web: {{image: x, {lines}}}}}\n"));
        assert!(project.is_none(), "{lines}");
        assert!(
            findings
                .iter()
                .all(|finding| finding.code == "unsupported-key" && finding.span().is_some()),
            "{lines}"
        );
    }
    let ignored = [
        "userns_mode: keep-id",
        "isolation: process",
        "storage_opt: {size: 1G}",
        "logging: {driver: syslog}",
        "external_links: [a]",
        "cpu_count: 2",
        "networks: {default: {ipv6_address: '::1'}}",
        "deploy: {placement: {constraints: [a == b]}}",
        "build: {privileged: true}",
    ];
    for lines in ignored {
        let (project, findings) = decode(&format!("services: {{web: {{image: x, {lines}}}}}\n"));
        assert!(project.is_some(), "{lines}: {findings:?}");
        assert_eq!(
            findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
            ["unsupported-key"],
            "{lines}"
        );
    }
    assert_eq!(
        codes("userns_mode: host, logging: {driver: none}, runtime: runc"),
        Vec::<&str>::new()
    );
    let (project, _) = decode("services: {web: {image: x}}\nnetworks: {o: {driver: overlay}}\n");
    assert!(project.is_none());
}

#[test]
fn what_a_disabled_service_asks_for_does_not_matter() {
    let (project, findings) =
        decode("services: {web: {image: x}, gpu: {image: x, gpus: all, profiles: [p]}}\n");
    assert!(findings.is_empty());
    assert!(project.is_some_and(|project| project.disabled.contains_key("gpu")));
}
