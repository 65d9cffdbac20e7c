//! What killed commands, crashes and reboots leave, and that the next command mends it: run as root, like `containers`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rcompose_runtime::Runtime;
use rcompose_runtime::request::{ContainerRequest, NetworkingRequest};
use rcompose_runtime::runtime::StopOptions;
use rcompose_runtime::state::Status;

use crate::scene::{PROJECT, Scene, eventually, network_request};

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn shim_of(scene: &Scene, id: &str) -> i32 {
    let path = scene
        .directory
        .join("run/containers")
        .join(&id[..12])
        .join("state.json");
    let json = std::fs::read_to_string(path).unwrap();
    json.split("\"shim_pid\":")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

fn is_gone(pid: i32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn after_a_reboot_nothing_of_the_old_boot_is_believed() {
    let scene = Scene::new("reboot");
    scene.network();
    let id = scene.up(&Scene::request("web", "exec sleep 1000"));
    let (shim, first) = (shim_of(&scene, &id), scene.state(&id).pid.unwrap());
    kill(shim);
    kill(first);
    eventually("both are gone", || is_gone(shim) && is_gone(first));
    let bridge = scene.runtime.network("net").unwrap().unwrap().bridge;
    assert!(
        Command::new("ip")
            .args(["link", "del", &bridge])
            .status()
            .unwrap()
            .success()
    );
    std::fs::write(scene.directory.join("run/boot"), "another-boot").unwrap();
    let runtime = scene.another_runtime();
    runtime.repair(PROJECT).unwrap();
    let state = runtime.container(&id).unwrap();
    assert_eq!(state.status, Status::Exited { code: 255 });
    assert!(!state.stopped_by_user && state.networks["net"].is_none());
    runtime.wire(std::slice::from_ref(&id)).unwrap();
    runtime.start(&id).unwrap();
    assert_eq!(scene.inside(&id, "echo back"), "back\n");
    scene.down();
}

#[test]
fn a_container_that_ended_without_a_shim_is_settled() {
    let scene = Scene::new("unseen");
    scene.network();
    let id = scene.up(&Scene::request("web", "exec sleep 1000"));
    let (shim, first) = (shim_of(&scene, &id), scene.state(&id).pid.unwrap());
    kill(shim);
    eventually("the shim is gone", || is_gone(shim));
    kill(first);
    eventually("the process is gone", || is_gone(first));
    assert_eq!(scene.state(&id).status, Status::Exited { code: 255 });
    scene.runtime.repair(PROJECT).unwrap();
    assert!(matches!(scene.state(&id).status, Status::Exited { .. }));
    assert!(!scene.state(&id).stopped_by_user);
    scene.runtime.start(&id).unwrap();
    assert_eq!(scene.state(&id).status, Status::Running);
    scene.down();
}

#[test]
fn a_command_killed_anywhere_leaves_nothing_past_the_next() {
    let scene = Scene::new("cut");
    scene.network();
    let kept = scene.up(&Scene::request("kept", "exec sleep 1000"));
    let doomed = scene
        .runtime
        .create_container(&Scene::request("doomed", "exec sleep 1000"), None)
        .unwrap();
    scene.runtime.wire(std::slice::from_ref(&doomed)).unwrap();
    scene.runtime.start(&doomed).unwrap();
    let first = scene.state(&doomed).pid.unwrap();

    // Killed while it removed a container that somebody else had started.
    let containers = scene
        .directory
        .join("data/projects")
        .join(PROJECT)
        .join("containers");
    std::fs::rename(
        containers.join(&doomed),
        containers.join(format!(".gone-{doomed}")),
    )
    .unwrap();
    // Killed while it made one.
    let unborn = "ab".repeat(32);
    std::fs::create_dir(containers.join(format!(".new-{unborn}"))).unwrap();
    std::fs::write(scene.directory.join("data/names/p-unborn-1"), &unborn).unwrap();
    // Killed between a lease and the wiring.
    let wiring = scene
        .directory
        .join("run/containers")
        .join(&kept[..12])
        .join("wiring.json");
    let leases = scene.directory.join("run/networks/net/leases");
    let waiting = scene
        .runtime
        .create_container(&Scene::request("waiting", "exec sleep 1000"), None)
        .unwrap();
    scene.runtime.wire(std::slice::from_ref(&waiting)).unwrap();
    std::fs::remove_file(
        scene
            .directory
            .join("run/containers")
            .join(&waiting[..12])
            .join("wiring.json"),
    )
    .unwrap();
    // Killed while it removed a network.
    let gone = scene.runtime.create_network(&network_request("gone")).unwrap();
    let networks = scene.directory.join("data/networks");
    std::fs::rename(networks.join("gone"), networks.join(".gone-gone")).unwrap();
    assert_eq!(std::fs::read_dir(&leases).unwrap().count(), 3);

    let runtime = scene.another_runtime();
    runtime.repair(PROJECT).unwrap();
    eventually("its processes are gone", || is_gone(first));
    assert_eq!(std::fs::read_dir(&leases).unwrap().count(), 1);
    assert!(!Path::new("/sys/class/net").join(&gone.bridge).exists());
    assert!(wiring.exists());
    let names: Vec<String> = std::fs::read_dir(&containers)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!scene.directory.join("data/names/p-unborn-1").exists());
    assert!(!scene.directory.join("data/names/p-doomed-1").exists());
    assert_eq!(scene.inside(&kept, "echo alive"), "alive\n");
    // The names of what never was can be had again.
    for service in ["unborn", "doomed"] {
        runtime
            .create_container(&Scene::request(service, "true"), None)
            .unwrap();
    }
    runtime.wire(std::slice::from_ref(&waiting)).unwrap();
    runtime.start(&waiting).unwrap();
    scene.down();
}

#[test]
fn a_flushed_firewall_is_written_again() {
    let scene = Scene::new("flush");
    scene.network();
    let id = scene.up(&Scene::request("web", "exec sleep 1000"));
    let table = format!("rcompose_{}", scene.runtime.roots().hash());
    let exists = || {
        let output = Command::new("nft")
            .args(["list", "tables"])
            .output()
            .unwrap()
            .stdout;
        String::from_utf8_lossy(&output).contains(&table)
    };
    assert!(exists());
    assert!(
        Command::new("nft")
            .args(["delete", "table", "inet", &table])
            .status()
            .unwrap()
            .success()
    );
    scene.runtime.repair(PROJECT).unwrap();
    assert!(exists());
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
    scene.down();
}

#[test]
fn a_restart_by_policy_outlives_its_shim() {
    let scene = Scene::new("policy");
    let request = ContainerRequest {
        network: NetworkingRequest::None,
        restart: rcompose_runtime::request::RestartRequest::Always,
        ..Scene::request("web", "exec sleep 1000")
    };
    let id = scene.up(&request);
    let (shim, first) = (shim_of(&scene, &id), scene.state(&id).pid.unwrap());
    kill(shim);
    kill(first);
    eventually("both are gone", || is_gone(shim) && is_gone(first));
    scene.runtime.repair(PROJECT).unwrap();
    eventually("it runs again", || {
        scene.state(&id).pid.is_some_and(|pid| pid != first)
    });
    scene.down();
}

#[test]
fn a_shim_that_answers_nobody_does_not_keep_its_container() {
    let scene = Scene::new("deaf");
    scene.network();
    let id = scene.up(&Scene::request("web", "exec sleep 1000"));
    let shim = shim_of(&scene, &id);
    let pid = rustix::process::Pid::from_raw(shim).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let at_once = StopOptions {
        grace: Some(Duration::ZERO),
        ..StopOptions::default()
    };
    scene.runtime.stop(&id, &at_once).unwrap();
    assert!(matches!(scene.state(&id).status, Status::Exited { .. }));
    eventually("the shim is gone", || is_gone(shim));
    scene.down();
}

#[test]
fn commands_of_many_projects_do_not_disturb_each_other() {
    let scene = Scene::new("many");
    scene.network();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scene = &scene;
        let done = &done;
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                scope.spawn(move || {
                    let runtime = scene.another_runtime();
                    for round in 0..8 {
                        let project = format!("many{worker}");
                        let request = ContainerRequest {
                            name: format!("{project}-web-{round}"),
                            project,
                            ..Scene::request("web", "exec sleep 1000")
                        };
                        let id = runtime.create_container(&request, None).unwrap();
                        runtime.wire(std::slice::from_ref(&id)).unwrap();
                        runtime.start(&id).unwrap();
                        let state = runtime.container(&id).unwrap();
                        assert_eq!(state.status, Status::Running, "{state:?}");
                        assert!(state.networks["net"].is_some(), "{state:?}");
                        runtime.kill(&id, "KILL").unwrap();
                        runtime.unwire(std::slice::from_ref(&id)).unwrap();
                        runtime.remove_container(&id, true).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(move || {
            let runtime = scene.another_runtime();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                runtime.repair(PROJECT).unwrap();
            }
        });
        let results: Vec<_> = workers
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for result in results {
            result.unwrap();
        }
    });
    scene.down();
}
