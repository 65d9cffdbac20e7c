//! How a build goes: what its commands are given, how it ends when it is interrupted, and that builds do not disturb one another.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::host::{Host, eventually};

fn compose(host: &Host, section: &Value) {
    let file = json!({"name": "builds", "services": {"a": {"image": "made:1", "build": section}}});
    host.write("compose.yaml", &file.to_string());
}

/// The steps of a build that were not made before.
fn made(host: &Host) -> usize {
    let ran = host.rcompose(["--progress", "plain", "build"]).success();
    let lines = || ran.stderr.lines().chain(ran.stdout.lines());
    lines().filter(|line| line.contains("] RUN ")).count()
        - lines().filter(|line| line.ends_with(" CACHED")).count()
}

#[test]
fn privileged_commands_have_the_limits_and_hosts_of_the_section() {
    let host = Host::with_busybox();
    let dockerfile =
        "FROM busybox:test\nRUN echo $(ulimit -Sn) $(ulimit -Hn) >/limits; cat /etc/hosts >/hosts\n";
    let mut section = json!({
        "context": ".", "dockerfile_inline": dockerfile,
        "ulimits": {"nofile": {"soft": 64, "hard": 128}}, "extra_hosts": ["friend=10.1.2.3"],
    });
    compose(&host, &section);
    assert_eq!(made(&host), 1);
    let told = |command: &str| {
        host.rcompose(["run", "--rm", "a", "cat", command])
            .success()
            .stdout
    };
    assert_eq!(told("/limits"), "64 128\n");
    assert!(told("/hosts").contains("10.1.2.3\tfriend"), "{}", told("/hosts"));
    assert_eq!(made(&host), 0, "nothing has changed");
    for (key, value) in [
        ("ulimits", json!({"nofile": 100})),
        ("extra_hosts", json!(["friend=10.1.2.4"])),
        ("shm_size", json!("8m")),
    ] {
        section[key] = value;
        compose(&host, &section);
        assert_eq!(made(&host), 1, "{key} is what the command sees");
    }
    assert_eq!(told("/limits"), "100 100\n");
    host.finish();
}

#[test]
fn privileged_an_interrupted_build_ends_its_commands_and_leaves_nothing() {
    let host = Host::with_busybox();
    let section =
        json!({"context": ".", "dockerfile_inline": "FROM busybox:test\nRUN echo begun; sleep 1000\n"});
    compose(&host, &section);
    let mut command = host.command(["--progress", "plain", "build"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let output = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = output.lines().map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains("begun") && !line.contains("echo")),
        "the command runs"
    );
    let start = Instant::now();
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).expect("it runs");
    let status = child.wait().expect("ends");
    assert_eq!(status.code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let left = |directory: &str| {
        let entries = fs::read_dir(host.run_root().join(directory));
        entries.map_or(0, Iterator::count)
    };
    assert_eq!(left("containers"), 0);
    assert!(
        !host
            .rcompose(["image", "ls", "-q"])
            .success()
            .stdout
            .contains("made")
    );
    host.finish();
}

#[test]
fn privileged_builds_beside_each_other_keep_their_network() {
    let host = Host::with_busybox();
    // The last step of the one falls between the first of the other, when its network is made and not used yet.
    for (name, steps) in [("long", 24), ("short", 1)] {
        let steps = "RUN ip -o -4 address show eth0 | grep -q inet\n".repeat(steps);
        let section = json!({"context": ".", "dockerfile_inline": format!("FROM busybox:test\n{steps}")});
        let file = json!({"name": name, "services": {"a": {"build": section}}});
        host.write(&format!("{name}.yaml"), &file.to_string());
    }
    let mut long = host
        .command(["-f", "long.yaml", "build", "-q"])
        .spawn()
        .expect("starts");
    let mut beside = 0;
    let ended = loop {
        if let Some(ended) = long.try_wait().expect("is ours") {
            break ended;
        }
        host.rcompose(["-f", "short.yaml", "build", "-q", "--no-cache"])
            .success();
        beside += 1;
    };
    assert!(ended.success());
    assert!(beside > 1, "{beside} builds ran beside it");
    host.finish();
}

#[test]
fn privileged_an_archive_takes_the_place_of_directories_and_nothing_is_a_source_too() {
    let host = Host::with_busybox();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(4);
    header.set_mode(0o640);
    archive
        .append_data(&mut header, "taken", &b"file"[..])
        .expect("entry");
    fs::write(host.work().join("a.tar"), archive.into_inner().expect("archive")).expect("write");
    let dockerfile = "FROM scratch AS none\nFROM busybox:test\nRUN mkdir -p /in/taken/deep /in/kept\nADD a.tar /in/\n\
        COPY --from=none / /empty/\nCOPY --from=scratch / /\nRUN --mount=from=none,target=/m ls -a /m >/seen\n";
    compose(&host, &json!({"context": ".", "dockerfile_inline": dockerfile}));
    host.rcompose(["build", "-q"]).success();
    let told = |line: &str| {
        host.rcompose(["run", "--rm", "a", "sh", "-c", line])
            .success()
            .stdout
    };
    assert_eq!(
        told("cat /in/taken; ls /in /empty; cat /seen"),
        "file/empty:\n\n/in:\nkept\ntaken\n.\n..\n"
    );
    let id = host.rcompose(["image", "ls", "-q", "made"]).success().stdout;
    compose(
        &host,
        &json!({"context": ".", "dockerfile_inline": format!("FROM {id}")}),
    );
    let refused = host.rcompose(["build", "-q"]).fails_with(1).stderr;
    assert!(refused.contains(&format!("library/{}/", id.trim())), "{refused}");
    let missing = "FROM scratch AS none\nFROM busybox:test\nCOPY --from=none /x /\n";
    compose(&host, &json!({"context": ".", "dockerfile_inline": missing}));
    let refused = host.rcompose(["build", "-q"]).fails_with(1).stderr;
    assert!(refused.contains("`/x` is not there"), "{refused}");
    assert!(
        refused.contains("compose.yaml (services.a.build.dockerfile_inline):3:"),
        "{refused}"
    );
    host.finish();
}

/// The bridges that networks of a data root have, or had a moment ago: their records name them.
fn bridges(data_root: &Path) -> Vec<String> {
    let records = fs::read_dir(data_root.join("networks")).expect("networks");
    let records = records.flat_map(|record| fs::read_dir(record.expect("entry").path()).expect("record"));
    let texts = records.filter_map(|file| fs::read_to_string(file.expect("entry").path()).ok());
    let texts: String = texts.collect();
    let names = texts.split('"').filter(|word| word.starts_with("rc-"));
    names.map(str::to_owned).collect()
}

#[test]
fn privileged_a_root_that_is_deleted_leaves_no_bridge() {
    let host = Host::with_busybox();
    let busybox = crate::images::busybox_tar();
    let busybox = busybox.to_str().expect("utf-8 path");
    compose(
        &host,
        &json!({"context": ".", "dockerfile_inline": "FROM busybox:test\nRUN true\n"}),
    );
    // A large root is deleted bit by bit: the records may go long before the lock.
    for roots in [vec![host.data_root()], vec![host.data_root(), host.run_root()]] {
        host.rcompose(["image", "import", busybox, "busybox:test"])
            .success();
        host.rcompose(["build", "-q"]).success();
        let bridges = bridges(&host.data_root());
        let there = |bridge: &String| Path::new("/sys/class/net").join(bridge).exists();
        assert!(
            !bridges.is_empty() && bridges.iter().all(there),
            "it waits to be taken back: {bridges:?}"
        );
        for root in roots {
            fs::remove_dir_all(root).expect("removed");
        }
        eventually("the bridge is gone", Duration::from_secs(10), || {
            !bridges.iter().any(there)
        });
    }
    host.finish();
}
