//! What a container gets from its request, its image and this host.

use std::collections::BTreeSet;
use std::time::Duration;

use rcompose_container::spec::{MountSource, Propagation};
use rcompose_image::HealthCheck;

use super::*;
use crate::request::{FileRequest, HealthRequest, MountRequest, MountRequestSource, PortRequest};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn image() -> ImageView {
    ImageView {
        id: "sha256:1".into(),
        config: ImageConfig {
            entrypoint: Some(words("/entry")),
            cmd: Some(words("serve --all")),
            env: vec!["LANG=C".into(), "PATH=/opt/bin:/bin".into()],
            user: "www".into(),
            working_dir: "/srv".into(),
            stop_signal: "SIGQUIT".into(),
            volumes: BTreeSet::from(["/data".to_owned(), "/var/lib/db/".to_owned()]),
            exposed_ports: BTreeSet::from(["80/tcp".to_owned(), "53/udp".to_owned(), "99".to_owned()]),
            ..ImageConfig::default()
        },
        layers: vec!["/layers/top".into(), "/layers/base".into()],
        stands_on_host: false,
    }
}

fn request() -> ContainerRequest {
    ContainerRequest {
        name: "shop-web-1".into(),
        ..ContainerRequest::minimal("shop", "img")
    }
}

fn places() -> Places {
    Places {
        container: "/data/c".into(),
        run: "/run/c".into(),
        cgroup: "rcompose-0/0123456789ab".into(),
        volume_root: "/data/volumes".into(),
        volumes: BTreeMap::from([("shop_db".to_owned(), "/data/volumes/shop_db/_data".to_owned())]),
        images: BTreeMap::from([("tools".to_owned(), vec!["/layers/tools".to_owned()])]),
        peers: BTreeMap::from([(
            "shop-db-1".to_owned(),
            Peer {
                id: "db".repeat(32),
                hostname: "db-host".into(),
                run: "/run/db".into(),
            },
        )]),
        inherited: BTreeMap::new(),
    }
}

fn host_facts(seccomp: &dyn Fn(&[u8]) -> Vec<u8>) -> HostFacts<'_> {
    HostFacts {
        hostname: "box".into(),
        upstreams: vec!["10.0.0.1".into()],
        processors: 2,
        seccomp,
    }
}

fn of(request: &ContainerRequest, image: &ImageView, places: &Places) -> Result<Completed, String> {
    let seccomp = |capabilities: &[u8]| vec![u8::try_from(capabilities.len()).unwrap()];
    complete(request, ID, image, &host_facts(&seccomp), places).map_err(|error| error.to_string())
}

fn spec(request: &ContainerRequest) -> ContainerSpec {
    of(request, &image(), &places()).unwrap().spec
}

fn error(request: &ContainerRequest) -> String {
    of(request, &image(), &places()).unwrap_err()
}

#[test]
fn the_command_line_follows_dockers_rules() {
    let line = |entrypoint: Option<&str>, command: Option<&str>| {
        let request = ContainerRequest {
            entrypoint: entrypoint.map(words),
            command: command.map(words),
            ..request()
        };
        of(&request, &image(), &places()).map(|completed| completed.spec.process.arguments.join(" "))
    };
    assert_eq!(line(None, None).unwrap(), "/entry serve --all");
    assert_eq!(line(None, Some("other")).unwrap(), "/entry other");
    assert_eq!(line(None, Some("")).unwrap(), "/entry");
    assert_eq!(
        line(Some("/own"), None).unwrap(),
        "/own",
        "the image's command belongs to the image's entry point"
    );
    assert_eq!(line(Some("/own"), Some("x")).unwrap(), "/own x");
    assert_eq!(line(Some(""), Some("x y")).unwrap(), "x y");
    assert!(line(Some(""), None).unwrap_err().contains("no command"));
}

#[test]
fn the_environment_is_layered_and_names_can_be_taken_out() {
    let asked = ContainerRequest {
        environment: vec![
            ("LANG".into(), Some("de".into())),
            ("HOSTNAME".into(), None),
            ("EMPTY".into(), Some(String::new())),
            ("NEVER".into(), None),
        ],
        tty: true,
        ..request()
    };
    assert_eq!(
        spec(&asked).process.environment,
        ["PATH=/opt/bin:/bin", "TERM=xterm", "LANG=de", "EMPTY="]
    );
    let plain = ImageView {
        config: ImageConfig {
            cmd: Some(words("sh")),
            ..ImageConfig::default()
        },
        ..image()
    };
    let spec = of(&request(), &plain, &places()).unwrap().spec;
    assert_eq!(
        spec.process.environment,
        [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOSTNAME=0123456789ab"
        ]
    );
    assert_eq!(spec.process.working_directory, "/");
    assert_eq!(spec.stop_signal, 15);
}

#[test]
fn what_stands_on_the_host_says_so_in_its_layers() {
    let lower = |image: &ImageView| of(&request(), image, &places()).unwrap().spec.rootfs.lower;
    let built = ImageView {
        stands_on_host: true,
        ..image()
    };
    assert_eq!(
        lower(&built),
        ["/layers/top", "/layers/base", "/data/c/marks", "/"]
    );
    let host = ImageView {
        id: HOST.to_owned(),
        layers: Vec::new(),
        ..built
    };
    assert_eq!(lower(&host), ["/"], "its own layer bears the marks");
    assert_eq!(
        host.lower("/marks"),
        ["/marks", "/"],
        "a mount has no layer of its own"
    );
}

#[test]
fn the_image_gives_defaults_and_the_request_wins() {
    let from_image = spec(&request());
    assert_eq!(from_image.process.user, "www");
    assert_eq!(from_image.process.working_directory, "/srv");
    assert_eq!(from_image.stop_signal, 3);
    assert_eq!(from_image.stop_grace_ms, 10_000);
    assert_eq!(from_image.rootfs.lower, ["/layers/top", "/layers/base"]);
    assert_eq!(from_image.resolver.upstreams, ["10.0.0.1"]);
    let own = spec(&ContainerRequest {
        user: Some(String::new()),
        working_directory: Some("/tmp".into()),
        stop_signal: Some("USR1".into()),
        stop_grace: Some(Duration::from_millis(1500)),
        dns: vec!["9.9.9.9".into()],
        ..request()
    });
    assert_eq!(own.process.user, "", "root, as asked for");
    assert_eq!(own.process.working_directory, "/tmp");
    assert_eq!((own.stop_signal, own.stop_grace_ms), (10, 1500));
    assert_eq!(own.resolver.upstreams, ["9.9.9.9"]);
    assert!(
        error(&ContainerRequest {
            stop_signal: Some("SIGFOO".into()),
            ..request()
        })
        .contains("SIGFOO")
    );
    assert!(
        error(&ContainerRequest {
            working_directory: Some("x".into()),
            ..request()
        })
        .contains("absolute")
    );
}

#[test]
fn ports_of_image_and_request_are_exposed_once() {
    let port = |target, protocol: &str| PortRequest {
        host_ip: None,
        published: None,
        target,
        protocol: protocol.into(),
    };
    let request = ContainerRequest {
        ports: vec![port(80, "tcp"), port(8443, "tcp")],
        expose: vec!["80".to_owned(), "9000".to_owned(), "9001/udp".to_owned()],
        ..request()
    };
    let exposed = of(&request, &image(), &places()).unwrap().exposed;
    assert_eq!(
        exposed,
        ["53/udp", "80/tcp", "8443/tcp", "9000/tcp", "9001/udp", "99/tcp"]
    );
}

#[test]
fn the_probe_is_put_together_from_request_image_and_defaults() {
    let with_probe = |test: &[&str], shell: Option<&str>| {
        let healthcheck = HealthCheck {
            test: test.iter().map(|word| (*word).to_owned()).collect(),
            interval: 7_000_000_000,
            retries: 5,
            ..HealthCheck::default()
        };
        let config = ImageConfig {
            healthcheck: Some(healthcheck),
            shell: shell.map(words),
            ..image().config
        };
        ImageView { config, ..image() }
    };
    let probe = |health: Option<HealthRequest>, image: &ImageView| {
        of(&ContainerRequest { health, ..request() }, image, &places()).map(|completed| completed.spec.health)
    };
    assert_eq!(probe(None, &image()), Ok(None));
    let inherited = probe(
        None,
        &with_probe(&["CMD-SHELL", "curl -f localhost"], Some("/bin/bash -ec")),
    )
    .unwrap()
    .unwrap();
    assert_eq!(inherited.arguments, ["/bin/bash", "-ec", "curl -f localhost"]);
    assert_eq!(
        (inherited.interval_ms, inherited.timeout_ms, inherited.retries),
        (7_000, 30_000, 5)
    );
    assert_eq!(
        (inherited.start_period_ms, inherited.start_interval_ms),
        (0, 5_000)
    );
    let own = HealthRequest {
        test: Some(words("CMD mysqladmin ping")),
        timeout: Some(Duration::from_secs(2)),
        ..HealthRequest::default()
    };
    let mixed = probe(Some(own), &with_probe(&["CMD", "true"], None))
        .unwrap()
        .unwrap();
    assert_eq!(mixed.arguments, ["mysqladmin", "ping"]);
    assert_eq!(
        (mixed.interval_ms, mixed.timeout_ms, mixed.retries),
        (7_000, 2_000, 5)
    );
    let off = HealthRequest {
        disabled: true,
        ..HealthRequest::default()
    };
    assert_eq!(probe(Some(off), &with_probe(&["CMD", "true"], None)), Ok(None));
    assert_eq!(probe(None, &with_probe(&["NONE"], None)), Ok(None));
    let wrong = HealthRequest {
        test: Some(words("curl localhost")),
        ..HealthRequest::default()
    };
    assert!(probe(Some(wrong), &image()).unwrap_err().contains("\"curl\""));
}

#[test]
fn rights_are_dockers_defaults_and_privilege_lifts_all_walls() {
    let plain = spec(&request());
    assert_eq!(plain.process.capabilities, capability::DEFAULT);
    assert_eq!(
        plain.process.seccomp.as_ref().map(|bytes| bytes.to_vec()),
        Some(vec![14])
    );
    assert!(plain.masked_paths.iter().any(|path| path == "/proc/kcore") && !plain.readonly_paths.is_empty());
    let privileged = spec(&ContainerRequest {
        privileged: true,
        ..request()
    });
    assert!(privileged.process.seccomp.is_none() && privileged.masked_paths.is_empty());
    assert!(privileged.process.capabilities.len() > 30 && privileged.readonly_paths.is_empty());
    let own = spec(&ContainerRequest {
        cap_add: words("NET_ADMIN"),
        cap_drop: words("ALL"),
        seccomp_unconfined: true,
        no_new_privileges: true,
        ..request()
    });
    assert_eq!(own.process.capabilities, [12]);
    assert!(own.process.seccomp.is_none() && own.process.no_new_privileges);
    assert!(
        error(&ContainerRequest {
            cap_add: words("FLY"),
            ..request()
        })
        .contains("FLY")
    );
}

#[test]
fn namespaces_and_host_names_follow_what_is_shared() {
    let plain = spec(&request());
    assert_eq!(plain.hostname, "0123456789ab");
    assert_eq!(plain.namespaces.network, NamespaceChoice::Private);
    let host = spec(&ContainerRequest {
        network: NetworkingRequest::Host,
        uts_host: true,
        ..request()
    });
    assert_eq!(
        (host.hostname.as_str(), host.namespaces.network),
        ("box", NamespaceChoice::Host)
    );
    assert_eq!(host.namespaces.uts, NamespaceChoice::Host);
    let shared = spec(&ContainerRequest {
        network: NetworkingRequest::Container("shop-db-1".into()),
        pid: NamespaceRequest::Container("shop-db-1".into()),
        ipc: NamespaceRequest::Host,
        ..request()
    });
    assert_eq!(shared.hostname, "db-host");
    assert_eq!(
        shared.namespaces.network,
        NamespaceChoice::Container("db".repeat(32))
    );
    assert_eq!(shared.namespaces.pid, NamespaceChoice::Container("db".repeat(32)));
    assert_eq!(shared.namespaces.ipc, NamespaceChoice::Host);
    let hosts = shared
        .mounts
        .iter()
        .find(|mount| mount.target == "/etc/hosts")
        .unwrap();
    assert!(
        matches!(&hosts.source, MountSource::Bind { path, .. } if path == "/run/db/hosts"),
        "{hosts:?}"
    );
    let unknown = ContainerRequest {
        network: NetworkingRequest::Container("nobody".into()),
        ..request()
    };
    assert_eq!(error(&unknown), "no such container: nobody");
}

fn mount(target: &str, source: MountRequestSource) -> MountRequest {
    MountRequest {
        target: target.into(),
        read_only: false,
        source,
    }
}

fn volume(name: &str) -> MountRequestSource {
    MountRequestSource::Volume {
        name: name.into(),
        no_copy: false,
        subpath: None,
    }
}

fn bind(path: &str) -> MountRequestSource {
    MountRequestSource::Bind {
        path: path.into(),
        create: true,
        propagation: Some("rslave".into()),
        recursive: true,
    }
}

#[test]
fn a_mount_comes_after_what_it_is_in_and_image_volumes_fill_the_gaps() {
    let request = ContainerRequest {
        mounts: vec![
            mount("/var/lib/db/./sub/", bind("/srv/x")),
            mount("/data", volume("shop_db")),
            mount("/etc", bind("/srv/etc")),
            mount(
                "/opt/tools",
                MountRequestSource::Image {
                    image: "tools".into(),
                    subpath: None,
                },
            ),
        ],
        files: vec![FileRequest {
            target: "/etc/hostname".into(),
            bytes: b"x".to_vec(),
            mode: 0o400,
            uid: 1,
            gid: 2,
        }],
        ..request()
    };
    let completed = of(&request, &image(), &places()).unwrap();
    let targets: Vec<&str> = completed
        .spec
        .mounts
        .iter()
        .map(|mount| mount.target.as_str())
        .collect();
    assert_eq!(
        targets,
        [
            "/data",
            "/etc",
            "/opt/tools",
            "/etc/hostname",
            "/etc/hosts",
            "/etc/resolv.conf",
            "/var/lib/db",
            "/var/lib/db/sub"
        ]
    );
    let own = completed.anonymous_volumes;
    assert_eq!(
        own,
        [format!("{}0004", &ID[..60])],
        "the image's /data is covered, its /var/lib/db is not"
    );
    let find = |target: &str| {
        completed
            .spec
            .mounts
            .iter()
            .find(|mount| mount.target == target)
            .unwrap()
    };
    assert_eq!(
        find("/var/lib/db").source,
        MountSource::Volume {
            path: format!("/data/volumes/{}/_data", own[0]),
            copy_up: true,
            subpath: None
        }
    );
    assert_eq!(find("/var/lib/db/sub").propagation, Some(Propagation::Slave));
    assert!(find("/opt/tools").read_only && find("/etc/hostname").read_only);
    assert_eq!(completed.mounts.len(), 5);
}

#[test]
fn anonymous_volumes_move_over_by_their_target() {
    let places = Places {
        inherited: BTreeMap::from([("/data".to_owned(), "old".to_owned())]),
        ..places()
    };
    let completed = of(&request(), &image(), &places).unwrap();
    assert_eq!(completed.anonymous_volumes[0], "old");
    assert_eq!(completed.anonymous_volumes.len(), 2);
}

#[test]
fn mounts_that_cannot_be_are_named() {
    let with = |mounts: Vec<MountRequest>| error(&ContainerRequest { mounts, ..request() });
    assert!(
        with(vec![mount("/a", volume("shop_db")), mount("/a/", bind("/b"))])
            .contains("/a is the target of two")
    );
    assert!(with(vec![mount("/", volume("shop_db"))]).contains("must not be /"));
    assert!(with(vec![mount("rel", volume("shop_db"))]).contains("\"rel\""));
    assert!(with(vec![mount("/x", bind("rel"))]).contains("bind mount rel"));
    assert_eq!(with(vec![mount("/x", volume("gone"))]), "no such volume: gone");
    let odd = MountRequestSource::Bind {
        path: "/b".into(),
        create: false,
        propagation: Some("odd".into()),
        recursive: true,
    };
    assert!(with(vec![mount("/x", odd)]).starts_with("container shop-web-1: no mount propagation"));
}

#[test]
fn limits_devices_and_logs_are_passed_on_checked() {
    let full = spec(&ContainerRequest {
        ulimits: BTreeMap::from([("nofile".to_owned(), (1024, -1))]),
        devices: vec![("/dev/fuse".into(), "/dev/fuse".into(), String::new())],
        shm_size: Some(1 << 20),
        restart: RestartRequest::OnFailure(3),
        ..request()
    });
    assert_eq!(full.process.rlimits, [(7, 1024, u64::MAX)]);
    assert_eq!(full.devices[0].permissions, "rwm");
    assert_eq!(full.shm_size, 1 << 20);
    assert_eq!(full.restart, RestartPolicy::OnFailure { maximum: 3 });
    assert_eq!(full.log.path.as_deref(), Some("/data/c/container.log"));
    assert_eq!((full.log.max_size, full.log.max_files), (10_000_000, 3));
    assert_eq!(full.cgroup.path, "rcompose-0/0123456789ab");
    for (name, limits) in [("nofile", (5, 4)), ("nofiles", (1, 1))] {
        let request = ContainerRequest {
            ulimits: BTreeMap::from([(name.to_owned(), limits)]),
            ..request()
        };
        assert!(error(&request).contains(name));
    }
    let device = ContainerRequest {
        devices: vec![("/dev/fuse".into(), "/dev/fuse".into(), "rx".into())],
        ..request()
    };
    assert!(error(&device).contains("\"rx\""));
}
