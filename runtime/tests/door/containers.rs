//! Containers of this host's kernel, through the door and with the real shim: run as root, with nftables and busybox-static.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rcompose_runtime::request::{
    ContainerRequest, ExecRequest, HealthRequest, MountRequest, MountRequestSource, NetworkingRequest,
    PortRequest, RestartRequest, VolumeRequest,
};
use rcompose_runtime::runtime::{StopOptions, Waited};
use rcompose_runtime::state::{Health, Status};
use rcompose_runtime::{ProcessKeeper, Runtime, RuntimeError};

use crate::scene::{PROJECT, Scene, eventually, fetch, network_request};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn port(published: Option<(u16, u16)>) -> PortRequest {
    PortRequest {
        host_ip: None,
        published,
        target: 80,
        protocol: "tcp".into(),
    }
}

#[test]
fn a_container_lives_from_creation_to_removal() {
    let scene = Scene::new("life");
    scene.network();
    let request = Scene::request("web", "echo hello; echo oops >&2; exec sleep 1000");
    let id = scene.runtime.create_container(&request, None).unwrap();
    assert_eq!(scene.state(&id).status, Status::Created);
    assert!(
        matches!(scene.runtime.start(&id), Err(RuntimeError::Invalid(_))),
        "not wired yet"
    );
    scene.runtime.wire(std::slice::from_ref(&id)).unwrap();
    scene.runtime.start(&id).unwrap();
    scene.runtime.start(&id).unwrap();
    let state = scene.state(&id);
    assert_eq!(state.status, Status::Running);
    assert!(state.pid.is_some() && state.started_at.is_some());
    let address = state.networks["net"].unwrap();
    assert!(scene.inside(&id, "cat /etc/hosts").contains(&address.to_string()));
    assert_eq!(scene.inside(&id, "hostname"), format!("{}\n", &id[..12]));
    assert_eq!(
        scene.inside(&id, "cat /etc/resolv.conf").lines().next(),
        Some("nameserver 127.0.0.11")
    );
    eventually("both lines are in the log", || {
        let log = std::fs::read_to_string(scene.runtime.log_path(&id).unwrap()).unwrap_or_default();
        log.contains("hello") && log.contains("oops") && log.contains("stderr")
    });
    let rows = scene.runtime.top(&id).unwrap();
    assert!(
        rows.iter()
            .any(|row| row.command == "sleep 1000" && Some(row.pid) == state.pid),
        "{rows:?}"
    );
    assert!(
        matches!(
            scene.runtime.remove_container(&id, true),
            Err(RuntimeError::Invalid(_))
        ),
        "it runs"
    );
    assert!(matches!(
        scene.runtime.remove_network("net"),
        Err(RuntimeError::InUse { .. })
    ));

    scene.runtime.pause(&id).unwrap();
    assert_eq!(scene.state(&id).status, Status::Paused);
    scene.runtime.unpause(&id).unwrap();

    scene
        .runtime
        .restart(
            &id,
            &StopOptions {
                grace: Some(Duration::ZERO),
                ..StopOptions::default()
            },
        )
        .unwrap();
    let again = scene.state(&id);
    assert_ne!(again.pid, state.pid);
    assert_eq!(
        again.networks["net"],
        Some(address),
        "a restart keeps the address"
    );

    scene
        .runtime
        .stop(
            &id,
            &StopOptions {
                grace: Some(Duration::ZERO),
                ..StopOptions::default()
            },
        )
        .unwrap();
    let stopped = scene.state(&id);
    assert_eq!(stopped.status, Status::Exited { code: 137 });
    assert!(stopped.stopped_by_user && stopped.finished_at.is_some());
    scene.runtime.start(&id).unwrap();
    assert_eq!(
        scene.state(&id).status,
        Status::Running,
        "a stopped one starts again, still wired"
    );
    scene.down();
}

#[test]
fn containers_find_each_other_by_name_and_the_host_finds_their_ports() {
    let scene = Scene::new("names");
    scene.network();
    let serve = "mkdir -p /srv; echo from-web > /srv/index.html; exec httpd -f -p 80 -h /srv";
    let web = ContainerRequest {
        ports: vec![port(None)],
        ..Scene::request("web", &serve.replace("mkdir -p", "busybox mkdir -p"))
    };
    let web = scene.up(&web);
    let client = scene.up(&Scene::request("client", "exec sleep 1000"));
    let mut answer = String::new();
    eventually("web answers by its name", || {
        let line = "wget -q -O - http://web/index.html || true".to_owned();
        answer = scene.inside(&client, &line);
        answer == "from-web\n"
    });
    assert_eq!(
        scene.inside(&client, "wget -q -O - http://p-web-1/index.html"),
        "from-web\n"
    );
    let published = scene.state(&web).ports[0].clone();
    assert!(published.host_port > 0 && published.target == 80);
    assert!(fetch(published.host_port).unwrap().ends_with("from-web\n"));

    let wanted = Some((published.host_port, published.host_port));
    let rival = ContainerRequest {
        ports: vec![port(wanted)],
        ..Scene::request("rival", "exec sleep 1000")
    };
    let rival = scene.runtime.create_container(&rival, None).unwrap();
    let error = scene.runtime.wire(std::slice::from_ref(&rival)).unwrap_err();
    assert!(
        matches!(&error, RuntimeError::PortTaken { owner: Some(owner), .. } if owner == "container p-web-1"),
        "{error}"
    );
    assert_eq!(
        scene.runtime.network("net").unwrap().unwrap().users.len(),
        2,
        "a failed wiring holds nothing"
    );
    scene.down();
}

#[test]
fn a_port_is_free_again_once_its_container_is_unwired() {
    let scene = Scene::new("again");
    scene.network();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for round in 0..15 {
        let request = ContainerRequest {
            name: format!("p-web-{round}"),
            service: format!("web{round}"),
            ports: vec![port(Some((free, free)))],
            ..Scene::request("web", "exec sleep 1000")
        };
        let id = scene.up(&request);
        scene.runtime.kill(&id, "KILL").unwrap();
        scene.runtime.unwire(std::slice::from_ref(&id)).unwrap();
        let group = format!(
            "/sys/fs/cgroup/pids/{}",
            scene.runtime.roots().container_cgroup(&id)
        );
        assert!(!std::path::Path::new(&group).exists(), "the group went before");
        scene.runtime.remove_container(&id, true).unwrap();
    }
    scene.down();
}

#[test]
fn a_killed_shim_is_replaced_and_its_container_never_notices() {
    let scene = Scene::new("adopt");
    scene.network();
    let id = scene.up(&Scene::request(
        "web",
        "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.05; done",
    ));
    let before = scene.state(&id);
    let run = scene.directory.join("run/containers").join(&id[..12]);
    let shim = || -> i32 {
        let json = std::fs::read_to_string(run.join("state.json")).unwrap();
        json.split("\"shim_pid\":")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    let first = shim();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(first).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    eventually("the shim is gone", || {
        !std::path::Path::new(&format!("/proc/{first}")).exists()
    });
    assert_eq!(scene.state(&id).status, Status::Running, "it runs without a shim");
    scene.another_runtime().repair(PROJECT).unwrap();
    assert_ne!(shim(), first);
    let after = scene.state(&id);
    assert_eq!((after.pid, &after.started_at), (before.pid, &before.started_at));
    assert_eq!(scene.inside(&id, "echo here"), "here\n");
    let log = || std::fs::read_to_string(scene.runtime.log_path(&id).unwrap()).unwrap();
    let lines = log().lines().count();
    eventually("its output goes on", || log().lines().count() > lines + 2);
    // Again, and this time the stop itself has to take over.
    let second = shim();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(second).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    scene
        .runtime
        .stop(
            &id,
            &StopOptions {
                grace: Some(Duration::ZERO),
                ..StopOptions::default()
            },
        )
        .unwrap();
    assert_eq!(scene.state(&id).pid, None);
    assert!(matches!(scene.state(&id).status, Status::Exited { .. }));
    scene.down();
}

#[test]
fn two_roots_do_not_collide() {
    let (one, two) = (Scene::new("one"), Scene::new("two"));
    one.network();
    two.network();
    let first = one.up(&Scene::request("web", "exec sleep 1000"));
    let second = two.up(&Scene::request("web", "exec sleep 1000"));
    let subnet = |scene: &Scene| scene.runtime.network("net").unwrap().unwrap().subnet;
    assert_ne!(subnet(&one), subnet(&two));
    one.runtime.repair(PROJECT).unwrap();
    let down = |scene: &Scene, id: &str| {
        scene.runtime.kill(id, "KILL").unwrap();
        scene.runtime.unwire(&[id.to_owned()]).unwrap();
    };
    down(&one, &first);
    assert_eq!(two.state(&second).status, Status::Running);
    one.down();
    assert_eq!(two.inside(&second, "echo alive"), "alive\n");
    two.down();
}

#[test]
fn health_ends_and_restarts_are_waited_for() {
    let scene = Scene::new("wait");
    let never = AtomicBool::new(false);
    let alone = |service: &str, line: &str| ContainerRequest {
        network: NetworkingRequest::None,
        ..Scene::request(service, line)
    };
    let healthy = ContainerRequest {
        health: Some(HealthRequest {
            test: Some(vec!["CMD-SHELL".into(), "test -f /tmp/ready".into()]),
            ..HealthRequest::default()
        }),
        ..alone("healthy", "sleep 0.2; touch /tmp/ready; exec sleep 1000")
    };
    let healthy = scene.up(&healthy);
    assert_eq!(
        scene
            .runtime
            .wait_healthy(&healthy, Some(soon()), &never)
            .unwrap(),
        Waited::Healthy
    );
    assert_eq!(scene.state(&healthy).health, Health::Healthy);
    let sick = ContainerRequest {
        health: Some(HealthRequest {
            test: Some(vec!["CMD-SHELL".into(), "echo broken; exit 1".into()]),
            interval: Some(Duration::from_millis(50)),
            retries: Some(2),
            ..HealthRequest::default()
        }),
        ..alone("sick", "exec sleep 1000")
    };
    let sick = scene.up(&sick);
    assert_eq!(
        scene.runtime.wait_healthy(&sick, Some(soon()), &never).unwrap(),
        Waited::Unhealthy("broken\n".into())
    );

    let job = scene.up(&alone("job", "sleep 0.1; exit 7"));
    assert_eq!(scene.runtime.wait_exited(&job, Some(soon()), &never).unwrap(), 7);
    assert_eq!(
        scene.runtime.wait_exited(&job, Some(soon()), &never).unwrap(),
        7,
        "also when it is over"
    );
    let late = Some(Instant::now() + Duration::from_millis(80));
    assert!(matches!(
        scene.runtime.wait_exited(&healthy, late, &never),
        Err(RuntimeError::TimedOut { .. })
    ));
    assert!(matches!(
        scene.runtime.wait_exited(&healthy, None, &AtomicBool::new(true)),
        Err(RuntimeError::Cancelled)
    ));

    let stubborn = ContainerRequest {
        restart: RestartRequest::Always,
        ..alone("stubborn", "exit 3")
    };
    let stubborn = scene.up(&stubborn);
    eventually("it was started again", || {
        scene.state(&stubborn).restart_count >= 2
    });
    scene.runtime.stop(&stubborn, &StopOptions::default()).unwrap();
    assert!(matches!(scene.state(&stubborn).status, Status::Exited { .. }));
    scene.down();
}

#[test]
fn what_a_start_fails_at_is_said_and_nothing_is_left() {
    let scene = Scene::new("fail");
    let request = ContainerRequest {
        network: NetworkingRequest::None,
        command: Some(vec!["/no/such/program".into()]),
        ..Scene::request("web", "")
    };
    let id = scene.runtime.create_container(&request, None).unwrap();
    scene.runtime.wire(std::slice::from_ref(&id)).unwrap();
    let error = scene.runtime.start(&id).unwrap_err();
    assert!(
        matches!(&error, RuntimeError::Start { name, errno: 2, .. } if name == "p-web-1"),
        "{error:?}"
    );
    assert_eq!(scene.state(&id).status, Status::Created);
    let twin = scene.runtime.create_container(&request, None);
    assert!(
        matches!(
            twin,
            Err(RuntimeError::InUse {
                kind: "container name",
                ..
            })
        ),
        "{twin:?}"
    );
    let missing = ContainerRequest {
        image: "nothing".into(),
        ..request
    };
    assert!(matches!(
        scene.runtime.create_container(&missing, None),
        Err(RuntimeError::NotFound { kind: "image", .. })
    ));
    scene.down();
}

#[test]
fn volumes_are_filled_kept_inherited_and_removed() {
    let scene = Scene::new("volumes");
    let volume = VolumeRequest {
        name: "p_data".into(),
        project: PROJECT.into(),
        key: "data".into(),
        config_hash: "1".into(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
    };
    scene.runtime.create_volume(&volume).unwrap();
    let memory = VolumeRequest {
        name: "p_memory".into(),
        options: BTreeMap::from([
            ("type".into(), "tmpfs".into()),
            ("o".into(), "size=1m".into()),
            ("device".into(), "tmpfs".into()),
        ]),
        ..volume.clone()
    };
    scene.runtime.create_volume(&memory).unwrap();
    let mount = |target: &str, source| MountRequest {
        target: target.into(),
        read_only: false,
        source,
    };
    let named = |name: &str| MountRequestSource::Volume {
        name: name.into(),
        no_copy: false,
        subpath: None,
    };
    let request = ContainerRequest {
        network: NetworkingRequest::None,
        mounts: vec![
            mount("/data", named("p_data")),
            mount("/memory", named("p_memory")),
            mount("/own", MountRequestSource::Anonymous { no_copy: false }),
        ],
        ..Scene::request("web", "exec sleep 1000")
    };
    let id = scene.up(&request);
    assert_eq!(scene.inside(&id, "cat /data/seed"), "from the image\n");
    scene.inside(
        &id,
        "echo kept > /data/kept; echo mine > /own/mine; echo gone > /memory/gone",
    );
    let own = scene.state(&id).anonymous_volumes[0].clone();
    assert!(matches!(
        scene.runtime.remove_volume("p_data"),
        Err(RuntimeError::InUse { .. })
    ));
    scene.runtime.kill(&id, "KILL").unwrap();
    scene.runtime.unwire(std::slice::from_ref(&id)).unwrap();
    scene.runtime.rename_container(&id, "p-old-1").unwrap();
    let next = scene.runtime.create_container(&request, Some(&id)).unwrap();
    scene.runtime.remove_container(&id, true).unwrap();
    scene.runtime.wire(std::slice::from_ref(&next)).unwrap();
    scene.runtime.start(&next).unwrap();
    assert_eq!(
        scene.inside(&next, "cat /data/kept /own/mine; ls /memory"),
        "kept\nmine\n"
    );
    assert_eq!(scene.state(&next).anonymous_volumes, std::slice::from_ref(&own));
    let directory = scene.directory.join("data/volumes").join(&own);
    assert!(directory.exists());
    let volumes = scene.runtime.volumes(PROJECT).unwrap();
    assert_eq!(
        volumes
            .iter()
            .map(|v| v.request.name.as_str())
            .collect::<Vec<_>>(),
        ["p_data", "p_memory"]
    );
    scene.runtime.kill(&next, "KILL").unwrap();
    scene.runtime.remove_container(&next, true).unwrap();
    assert!(!directory.exists());
    scene.down();
}

#[test]
fn the_hosts_root_is_seen_without_its_secrets_and_never_changed() {
    let scene = Scene::new("host");
    let request = ContainerRequest {
        network: NetworkingRequest::None,
        image: "@host".into(),
        ..Scene::request("web", "exec sleep 1000")
    };
    let id = scene.up(&request);
    let marker = format!("/opt/rcompose-door-{}", std::process::id());
    scene.inside(
        &id,
        &format!("test -x /usr/bin/env && touch {marker} && test -e {marker}"),
    );
    assert!(
        !std::path::Path::new(&marker).exists(),
        "written to the container's own layer"
    );
    assert_eq!(
        scene.inside(&id, "cat /etc/shadow 2>/dev/null || echo hidden"),
        "hidden\n"
    );
    assert_eq!(
        scene.inside(&id, "ls -A /root /tmp | grep -v : | grep . || echo empty"),
        "empty\n"
    );
    assert_eq!(scene.runtime.image_id("@host").unwrap().as_deref(), Some("@host"));
    scene.down();
}

#[test]
fn commands_inside_have_streams_of_their_own_and_exit_codes() {
    let scene = Scene::new("exec");
    let request = ContainerRequest {
        network: NetworkingRequest::None,
        ..Scene::request("web", "exec sleep 1000")
    };
    let id = scene.up(&request);
    let (mut out, out_writer) = std::io::pipe().unwrap();
    let (mut err, err_writer) = std::io::pipe().unwrap();
    let (in_reader, mut input) = std::io::pipe().unwrap();
    let request = ExecRequest {
        command: vec![
            "sh".into(),
            "-c".into(),
            "cat; id -un; echo to-err >&2; exit 5".into(),
        ],
        environment: vec![("X".into(), Some("1".into()))],
        user: Some("www".into()),
        ..ExecRequest::default()
    };
    let session = scene
        .runtime
        .exec_interactive(
            &id,
            &request,
            [in_reader.as_fd(), out_writer.as_fd(), err_writer.as_fd()],
            None,
            false,
        )
        .unwrap();
    drop((in_reader, out_writer, err_writer));
    input.write_all(b"typed\n").unwrap();
    drop(input);
    let (mut output, mut errors) = (String::new(), String::new());
    out.read_to_string(&mut output).unwrap();
    err.read_to_string(&mut errors).unwrap();
    assert_eq!((output.as_str(), errors.as_str()), ("typed\nwww\n", "to-err\n"));
    assert_eq!(session.wait(Some(Duration::from_secs(5))).unwrap(), 5);

    let terminal = ExecRequest {
        command: vec!["sh".into(), "-c".into(), "test -t 0 && echo tty".into()],
        tty: true,
        ..ExecRequest::default()
    };
    let null = std::fs::File::open("/dev/null").unwrap();
    let session = scene
        .runtime
        .exec_interactive(&id, &terminal, [null.as_fd(); 3], Some((80, 24)), true)
        .unwrap();
    let mut master = std::fs::File::from(session.terminal.as_ref().unwrap().try_clone().unwrap());
    let mut seen = [0_u8; 16];
    let length = master.read(&mut seen).unwrap();
    assert_eq!(&seen[..length], b"tty\r\n");
    assert_eq!(session.wait(Some(Duration::from_secs(5))).unwrap(), 0);
    let root = scene.runtime.root_directory(&id).unwrap();
    let path = format!(
        "/proc/self/fd/{}/tmp/synced",
        std::os::fd::AsRawFd::as_raw_fd(&root)
    );
    std::fs::write(path, "hot").unwrap();
    assert_eq!(scene.inside(&id, "cat /tmp/synced"), "hot");
    scene.down();
}

#[test]
fn networks_are_equal_or_refused_and_leave_no_bridge() {
    let scene = Scene::new("network");
    let request = network_request("net");
    let made = scene.runtime.create_network(&request).unwrap();
    assert_eq!(scene.runtime.create_network(&request).unwrap(), made);
    let bridge = std::path::Path::new("/sys/class/net").join(&made.bridge);
    assert!(bridge.exists());
    let other = rcompose_runtime::request::NetworkRequest {
        config_hash: "2".into(),
        ..request
    };
    assert!(matches!(
        scene.runtime.create_network(&other),
        Err(RuntimeError::Invalid(_))
    ));
    scene.runtime.remove_network("net").unwrap();
    scene.runtime.remove_network("net").unwrap();
    // The old bridge goes in its own time, yet never takes a new one of its name with it.
    scene.runtime.create_network(&network_request("net")).unwrap();
    assert!(bridge.exists());
    scene.runtime.remove_network("net").unwrap();
    eventually("the bridge is gone", || !bridge.exists());
    scene.down();
}

#[test]
fn a_plain_process_is_started_again_until_it_is_stopped() {
    let scene = Scene::new("process");
    let keeper = ProcessKeeper {
        arguments: vec!["/bin/sleep".into(), "1000".into()],
        environment: vec!["A=1".into()],
        working_directory: "/".into(),
        log_path: scene.directory.join("process.log").to_str().unwrap().to_owned(),
    };
    scene.runtime.keep_process("p", keeper.clone()).unwrap();
    scene.runtime.keep_process("p", keeper).unwrap();
    let pid = || {
        scene
            .runtime
            .process_state("p")
            .unwrap()
            .and_then(|process| process.pid)
    };
    let first = pid().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(first).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    eventually("it runs again", || pid().is_some_and(|now| now != first));
    scene.runtime.stop_process("p", Duration::from_secs(5)).unwrap();
    assert_eq!(scene.runtime.process_state("p").unwrap(), None);
    scene.down();
}
