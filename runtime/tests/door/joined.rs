//! Containers that share something: networks, namespaces, streams, builds. Run as root, like `containers`.

use std::io::Read;
use std::os::fd::AsFd;
use std::time::Duration;

use rcompose_runtime::Runtime;
use rcompose_runtime::image_store::build::step::{
    RunStep, StepMount, StepMountSource, StepNetwork, StepRunner,
};
use rcompose_runtime::request::{
    ContainerRequest, EndpointRequest, NamespaceRequest, NetworkRequest, NetworkingRequest, PortRequest,
};
use rcompose_runtime::runtime::StopOptions;

use crate::scene::{PROJECT, Scene, eventually, fetch, network_request};

fn endpoint(network: &str, names: &[&str]) -> EndpointRequest {
    EndpointRequest {
        network: network.into(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        address: None,
        mac: None,
        interface: None,
    }
}

#[test]
fn a_shared_network_has_one_address_one_name_and_one_resolver() {
    let scene = Scene::new("shared");
    scene.network();
    let main = scene.up(&Scene::request("main", "exec sleep 1000"));
    let side = ContainerRequest {
        network: NetworkingRequest::Container("p-main-1".into()),
        pid: NamespaceRequest::Container("p-main-1".into()),
        ..Scene::request("side", "exec sleep 2000")
    };
    let side = scene.up(&side);
    assert_eq!(scene.state(&side).joined["p-main-1"], main);
    for file in ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"] {
        let line = format!("cat {file}");
        assert_eq!(scene.inside(&side, &line), scene.inside(&main, &line));
    }
    let look = "busybox ip -4 -o addr show eth0";
    assert_eq!(scene.inside(&side, look), scene.inside(&main, look));
    assert!(
        scene
            .inside(&side, "nslookup main")
            .contains(&scene.state(&main).networks["net"].unwrap().to_string())
    );
    assert!(
        scene.inside(&main, "busybox ps").contains("sleep 2000"),
        "one pid namespace"
    );
    scene.down();
}

#[test]
fn a_shared_name_means_whoever_has_it_at_the_next_start() {
    let scene = Scene::new("rejoin");
    scene.network();
    let main = scene.up(&Scene::request("main", "exec sleep 1000"));
    let side = ContainerRequest {
        network: NetworkingRequest::Container("p-main-1".into()),
        pid: NamespaceRequest::Container("p-main-1".into()),
        ..Scene::request("side", "exec sleep 2000")
    };
    let side = scene.up(&side);
    for id in [&side, &main] {
        scene.runtime.stop(id, &StopOptions::default()).unwrap();
    }
    scene.runtime.unwire(&[side.clone(), main.clone()]).unwrap();
    scene.runtime.remove_container(&main, true).unwrap();
    let main = scene.up(&Scene::request("main", "exec sleep 3000"));
    scene.runtime.wire(std::slice::from_ref(&side)).unwrap();
    scene.runtime.start(&side).unwrap();
    assert_eq!(scene.state(&side).joined["p-main-1"], main);
    for line in [
        "cat /etc/hosts",
        "cat /etc/hostname",
        "busybox ip -4 -o addr show eth0",
    ] {
        assert_eq!(scene.inside(&side, line), scene.inside(&main, line));
    }
    assert!(
        scene.inside(&side, "busybox ps").contains("sleep 3000"),
        "one pid namespace"
    );
    scene.down();
}

#[test]
fn networks_are_walls_and_aliases_belong_to_one_of_them() {
    let scene = Scene::new("walls");
    scene.network();
    scene
        .runtime
        .create_network(&NetworkRequest {
            internal: true,
            ..network_request("back")
        })
        .unwrap();
    let both = ContainerRequest {
        network: NetworkingRequest::Bridges(vec![endpoint("back", &["db"]), endpoint("net", &["front"])]),
        ..Scene::request("both", "exec sleep 1000")
    };
    let both = scene.up(&both);
    let front = scene.up(&Scene::request("client", "exec sleep 1000"));
    let state = scene.state(&both);
    let find = |name: &str| scene.inside(&front, &format!("nslookup {name} 2>&1 || true"));
    assert!(find("front").contains(&state.networks["net"].unwrap().to_string()));
    assert!(
        !find("db").contains(&state.networks["back"].unwrap().to_string()),
        "an alias of the other network"
    );
    let routes = scene.inside(&both, "busybox ip route");
    assert!(
        routes.contains("default via") && routes.contains("dev eth1"),
        "the internal one has no way out: {routes}"
    );
    scene.down();
}

#[test]
fn a_static_address_is_had_first_and_a_taken_one_is_refused() {
    let scene = Scene::new("static");
    scene
        .runtime
        .create_network(&NetworkRequest {
            subnet: Some("10.213.7.0/28".into()),
            ..network_request("net")
        })
        .unwrap();
    let at = |service: &str, address: Option<&str>| {
        let mut endpoint = endpoint("net", &[]);
        endpoint.address = address.map(|address| address.parse().unwrap());
        let network = NetworkingRequest::Bridges(vec![endpoint]);
        scene
            .runtime
            .create_container(
                &ContainerRequest {
                    network,
                    ..Scene::request(service, "exec sleep 1000")
                },
                None,
            )
            .unwrap()
    };
    let mut ids: Vec<String> = (0..11).map(|number| at(&format!("s{number}"), None)).collect();
    let fixed = at("fixed", Some("10.213.7.5"));
    ids.push(fixed.clone());
    scene.runtime.wire(&ids).unwrap();
    assert_eq!(
        scene.state(&fixed).networks["net"],
        Some("10.213.7.5".parse().unwrap())
    );
    let rival = at("rival", Some("10.213.7.5"));
    let error = scene
        .runtime
        .wire(std::slice::from_ref(&rival))
        .unwrap_err()
        .to_string();
    assert!(error.contains("p-fixed-1"), "{error}");
    scene.down();
}

#[test]
fn replicas_share_a_published_port() {
    let scene = Scene::new("replicas");
    scene.network();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let replica = |number: u32| {
        let line = format!(
            "busybox mkdir /srv; echo replica-{number} > /srv/index.html; exec httpd -f -p 80 -h /srv"
        );
        let port = PortRequest {
            host_ip: None,
            published: Some((free, free)),
            target: 80,
            protocol: "tcp".into(),
        };
        ContainerRequest {
            name: format!("p-web-{number}"),
            number,
            ports: vec![port],
            ..Scene::request("web", &line)
        }
    };
    let ids = [scene.up(&replica(1)), scene.up(&replica(2))];
    let mut seen = std::collections::BTreeSet::new();
    eventually("both answer", || {
        let answer = fetch(free).unwrap_or_default();
        seen.extend(
            answer
                .lines()
                .last()
                .filter(|line| line.starts_with("replica-"))
                .map(str::to_owned),
        );
        seen.len() == 2
    });
    scene.runtime.kill(&ids[0], "KILL").unwrap();
    scene.runtime.unwire(&ids[..1]).unwrap();
    assert!(
        std::net::TcpListener::bind(("0.0.0.0", free)).is_err(),
        "the other one keeps the port"
    );
    for _ in 0..4 {
        assert!(fetch(free).unwrap().ends_with("replica-2\n"));
    }
    scene.down();
}

#[test]
fn whoever_attaches_in_time_misses_nothing() {
    let scene = Scene::new("attach");
    let request = ContainerRequest {
        network: NetworkingRequest::None,
        ..Scene::request("job", "echo one; echo two >&2; exit 4")
    };
    let id = scene.runtime.create_container(&request, None).unwrap();
    scene.runtime.wire(std::slice::from_ref(&id)).unwrap();
    scene.runtime.start_container(&id, true).unwrap();
    let (mut out, out_writer) = std::io::pipe().unwrap();
    let (mut err, err_writer) = std::io::pipe().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let session = scene
        .runtime
        .attach(&id, None, out_writer.as_fd(), err_writer.as_fd())
        .unwrap();
    drop((out_writer, err_writer));
    let (mut output, mut errors) = (String::new(), String::new());
    out.read_to_string(&mut output).unwrap();
    err.read_to_string(&mut errors).unwrap();
    assert_eq!((output.as_str(), errors.as_str()), ("one\n", "two\n"));
    assert_eq!(session.wait(Some(Duration::from_secs(5))).unwrap(), 4);
    scene.down();
}

#[test]
fn a_build_step_leaves_its_changes_and_nothing_else() {
    let scene = Scene::new("step");
    let image = scene.runtime.images().unwrap().find("busybox").unwrap().unwrap();
    let work = scene.directory.join("data/images/step");
    let (upper, scratch) = (work.join("upper"), work.join("work"));
    std::fs::create_dir_all(&upper).unwrap();
    std::fs::create_dir_all(&scratch).unwrap();
    let line = "echo made > /made; cat /given; busybox ip route | grep -c default; nslookup 127.0.0.11 >/dev/null 2>&1; echo oops >&2; exit 3";
    let step = RunStep {
        lower: image.layer_directories(),
        upper: upper.clone(),
        work: scratch,
        arguments: vec!["sh".into(), "-c".into(), line.into()],
        environment: vec!["PATH=/bin".into()],
        user: "0".into(),
        working_directory: "/".into(),
        mounts: vec![StepMount {
            target: "/given".into(),
            read_only: true,
            source: StepMountSource::Content(b"content\n".to_vec(), 0o444, 0, 0),
        }],
        network: StepNetwork::Default,
        extra_hosts: vec![],
        shm_size: None,
        memory: None,
        ulimits: std::collections::BTreeMap::new(),
    };
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let runner = scene.runtime.build_runner();
    let code = runner
        .run(
            &step,
            &mut |is_error, bytes| {
                if is_error {
                    errors.extend_from_slice(bytes);
                } else {
                    output.extend_from_slice(bytes);
                }
            },
            &|| false,
        )
        .unwrap();
    drop(runner);
    assert_eq!(code, 3);
    assert_eq!(
        (output.as_slice(), errors.as_slice()),
        (&b"content\n1\n"[..], &b"oops\n"[..])
    );
    assert_eq!(std::fs::read(upper.join("made")).unwrap(), b"made\n");
    assert!(
        scene
            .runtime
            .projects()
            .unwrap()
            .iter()
            .all(|project| project == PROJECT)
    );
    let failing = RunStep {
        arguments: vec!["/none".into()],
        upper: work.join("u2"),
        work: work.join("w2"),
        mounts: vec![],
        ..step
    };
    std::fs::create_dir_all(&failing.upper).unwrap();
    std::fs::create_dir_all(&failing.work).unwrap();
    let error = scene
        .runtime
        .build_runner()
        .run(&failing, &mut |_, _| {}, &|| false)
        .unwrap_err();
    assert!(error.contains("/none"), "{error}");
    std::fs::remove_dir_all(work).unwrap();
    scene.down();
}
