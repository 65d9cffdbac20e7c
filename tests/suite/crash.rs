//! Crash-safety: whoever is killed, containers run on, names resolve, and the next command mends what is left.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::host::{Host, eventually};

const FILE: &str = r#"
name: crash
services:
  web:
    image: busybox:test
    command: ["sh", "-c", "i=0; while :; do i=$$((i+1)); echo line $$i; sleep 0.1; done"]
    restart: always
  client:
    image: busybox:test
    command: [sleep, infinity]
"#;

fn kill(pid: i64) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
    kill_process(pid, Signal::KILL).expect("the process was there");
}

/// The shim's record of a container, by its id as `ps` shows it.
fn shim_state(host: &Host, service: &str) -> serde_json::Value {
    let id = host.container(service)["ID"].as_str().expect("id").to_owned();
    let text = std::fs::read_to_string(host.run_root().join("containers").join(id).join("state.json"))
        .expect("state");
    serde_json::from_str(&text).expect("JSON")
}

fn resolves(host: &Host) -> bool {
    host.rcompose(["exec", "-T", "client", "nslookup", "web"]).code == 0
}

#[test]
fn privileged_a_killed_shim_is_replaced_and_the_container_never_notices() {
    let host = Host::with_busybox();
    host.write("compose.yaml", FILE);
    host.rcompose(["up", "-d"]).success();
    let before = shim_state(&host, "web");
    kill(before["shim_pid"].as_i64().expect("pid"));
    eventually("another shim has it", Duration::from_secs(10), || {
        let state = shim_state(&host, "web");
        state["shim_pid"] != before["shim_pid"] && state["status"] == "running"
    });
    let after = shim_state(&host, "web");
    assert_eq!(after["pid"], before["pid"], "the same process runs on");
    assert!(resolves(&host));
    // No line is missing: the container's output waited in its FIFO.
    std::thread::sleep(Duration::from_millis(900));
    let log = host
        .rcompose(["logs", "--no-color", "--no-log-prefix", "web"])
        .success()
        .stdout;
    let numbers: Vec<u64> = log
        .lines()
        .filter_map(|line| line.strip_prefix("line ")?.parse().ok())
        .collect();
    assert!(
        numbers.len() > 5 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
    // Its own names still resolve, and restart: always still holds.
    kill(after["pid"].as_i64().expect("pid"));
    eventually("it was restarted", Duration::from_secs(5), || {
        let state = shim_state(&host, "web");
        state["status"] == "running" && state["pid"] != after["pid"]
    });
    host.finish();
}

#[test]
fn privileged_with_shim_and_supervisor_killed_the_next_command_finds_the_truth() {
    let host = Host::with_busybox();
    host.write("compose.yaml", FILE);
    host.rcompose(["up", "-d"]).success();
    let (web, client) = (shim_state(&host, "web"), shim_state(&host, "client"));
    // Everything of ours but the containers: the supervisor, its keeper, both shims.
    for pid in processes_of(&host) {
        let _gone = kill_process(Pid::from_raw(pid).expect("pid"), Signal::KILL);
    }
    assert!(alive(&web) && alive(&client), "containers outlive all of it");
    host.rcompose(["up", "-d"]).success();
    let after = shim_state(&host, "web");
    assert_eq!(
        (&after["pid"], after["status"].as_str()),
        (&web["pid"], Some("running")),
        "adopted, not restarted"
    );
    assert!(resolves(&host));
    host.rcompose(["stop", "-t", "0"]).success();
    assert!(!alive(&web));
    host.finish();
}

/// Whether the first process runs; one that ended may wait for init to reap it.
fn alive(state: &serde_json::Value) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", state["pid"])).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && !line.contains('Z'))
}

fn processes_of(host: &Host) -> Vec<i32> {
    let root = host.run_root();
    let root = root.to_str().expect("utf-8 path");
    std::fs::read_dir("/proc")
        .expect("proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let text = String::from_utf8_lossy(&line).into_owned();
            let ours = text.contains(root)
                || (text.contains("supervise") && String::from_utf8_lossy(&environment).contains(root));
            ours && *pid != i32::try_from(std::process::id()).unwrap_or(0)
        })
        .collect()
}

#[test]
fn privileged_up_killed_at_any_moment_is_mended_by_the_next() {
    let host = Host::with_busybox();
    host.write("compose.yaml", FILE);
    for delay in [1_u64, 3, 6, 10, 15, 25, 40] {
        let mut child = host.command(["up", "-d"]).spawn().expect("starts");
        std::thread::sleep(Duration::from_millis(delay));
        let _ended = child.kill().and_then(|()| child.wait());
        host.rcompose(["up", "-d"]).success();
        for service in ["web", "client"] {
            assert_eq!(
                host.container(service)["State"],
                "running",
                "after a cut at {delay} ms"
            );
        }
        assert!(resolves(&host), "after a cut at {delay} ms");
        let mut child = host.command(["down", "-t", "0"]).spawn().expect("starts");
        std::thread::sleep(Duration::from_millis(delay));
        let _ended = child.kill().and_then(|()| child.wait());
        host.rcompose(["down", "-t", "0"]).success();
        assert!(host.ps().is_empty());
    }
    host.finish();
}

#[test]
fn privileged_two_commands_and_two_roots_at_once() {
    let (one, two) = (Host::with_busybox(), Host::with_busybox());
    for host in [&one, &two] {
        host.write("compose.yaml", FILE);
    }
    std::thread::scope(|scope| {
        for host in [&one, &one, &two, &two] {
            scope.spawn(move || host.rcompose(["up", "-d"]).success());
        }
    });
    for host in [&one, &two] {
        assert_eq!(host.ps().len(), 2);
        assert!(resolves(host));
    }
    assert_ne!(shim_state(&one, "web")["pid"], shim_state(&two, "web")["pid"]);
    one.rcompose(["down", "-t", "0"]).success();
    assert!(resolves(&two), "the other root is left alone");
    two.finish();
    one.finish();
}

#[test]
fn privileged_a_flushed_firewall_is_whole_after_the_next_command() {
    let host = Host::with_busybox();
    host.write("compose.yaml", "name: crash2\nservices:\n  web:\n    image: busybox:test\n    command: [httpd, -f, -p, '80', -h, /etc]\n    ports: ['127.0.0.1::80']\n");
    host.rcompose(["up", "-d"]).success();
    let address = host
        .rcompose(["port", "web", "80"])
        .success()
        .stdout
        .trim()
        .to_owned();
    let fetch = || ureq::get(format!("http://{address}/passwd")).call().is_ok();
    assert!(fetch());
    let hash = std::fs::read_to_string(host.data_root().join("identity")).expect("identity");
    let table = format!("rcompose_{}", hash.trim());
    let removed = Command::new("nft")
        .args(["delete", "table", "inet", &table])
        .status()
        .expect("nft");
    assert!(removed.success() && !fetch());
    host.rcompose(["up", "-d"]).success();
    assert!(fetch(), "the table is back");
    host.finish();
}
