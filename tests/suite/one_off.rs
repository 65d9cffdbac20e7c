//! Containers of `run`, and streams and files of running ones.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::host::{Host, eventually};

const DEPENDENT: &str = r#"
name: oneoff
services:
  app:
    image: busybox:test
    command: ["echo", "the service's own"]
    ports: ["127.0.0.1::80"]
    environment: {COLOUR: blue}
    depends_on:
      db: {condition: service_healthy}
      init: {condition: service_completed_successfully}
  db:
    image: busybox:test
    command: ["sh", "-c", "sleep 0.3; touch /ready; exec sleep 1000"]
    stop_grace_period: 0s
    healthcheck: {test: ["CMD", "test", "-f", "/ready"], interval: 50ms, retries: 100}
  init:
    image: busybox:test
    command: ["true"]
  bad:
    image: busybox:test
    command: ["false"]
  doomed:
    image: busybox:test
    depends_on: {bad: {condition: service_completed_successfully}}
"#;

#[test]
fn privileged_run_waits_for_dependencies_and_leaves_the_service_alone() {
    let host = Host::with_busybox();
    host.write("compose.yaml", DEPENDENT);
    let ran = host.rcompose(["run", "--rm", "-T", "app"]).success();
    assert_eq!(ran.stdout, "the service's own\n");
    assert_eq!(host.container("db")["Health"], "healthy");
    assert!(
        !host.ps().iter().any(|container| container["Service"] == "app"),
        "no replica was made"
    );

    let doomed = host
        .rcompose(["run", "--rm", "-T", "doomed", "echo", "never"])
        .fails_with(1);
    assert!(
        doomed.stdout.is_empty() && doomed.stderr.contains("oneoff-bad-1"),
        "{}",
        doomed.stderr
    );
    let missing = host
        .rcompose(["run", "--rm", "-T", "--no-deps", "app", "no-such-program"])
        .fails_with(127);
    assert!(missing.stderr.contains("no-such-program"), "{}", missing.stderr);
    assert!(
        !host.ps().iter().any(|container| container["Service"] == "app"),
        "failures leave nothing"
    );
    host.finish();
}

#[test]
fn privileged_flags_of_run_count_over_the_file() {
    let host = Host::with_busybox();
    host.write("compose.yaml", DEPENDENT);
    host.write("more.env", "FROM_FILE=1\nCOLOUR=green\n");
    let script = "pwd; echo $COLOUR $FROM_FILE $X; ls -d /here /named; id -u; grep CapEff /proc/self/status";
    let ran = host
        .rcompose([
            "run",
            "--rm",
            "-T",
            "--no-deps",
            "-q",
            "-w",
            "/etc",
            "-u",
            "1000",
            "-e",
            "X=2",
            "--env-from-file",
            "more.env",
            "-v",
            "./work:/here",
            "-v",
            "kept:/named",
            "--cap-drop",
            "ALL",
            "--entrypoint",
            "sh -c",
            "app",
            script,
        ])
        .success();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines[..5],
        ["/etc", "green 1 2", "/here", "/named", "1000"],
        "{}",
        ran.stderr
    );
    assert!(lines[5].ends_with("0000000000000000"), "{}", lines[5]);
    assert_eq!(ran.stderr, "", "-q prints nothing of its own");

    let id = host
        .rcompose([
            "run",
            "-d",
            "--no-deps",
            "-P",
            "--name",
            "named",
            "app",
            "httpd",
            "-f",
            "-p",
            "80",
            "-h",
            "/etc",
        ])
        .success();
    let container = host.container("app");
    assert_eq!(
        (container["Name"].as_str(), container["State"].as_str()),
        (Some("named"), Some("running"))
    );
    assert!(
        id.stdout.starts_with(container["ID"].as_str().expect("id")),
        "{}",
        id.stdout
    );
    let port = container["Publishers"][0]["PublishedPort"]
        .as_u64()
        .expect("published");
    let page = ureq::get(format!("http://127.0.0.1:{port}/group"))
        .call()
        .expect("published port");
    assert!(
        page.into_body()
            .read_to_string()
            .expect("text")
            .contains("root:x:0:")
    );
    let wrong = host
        .rcompose(["run", "--rm", "-T", "--no-deps", "-p", "x:80", "app"])
        .fails_with(1);
    assert!(wrong.stderr.contains("--publish:1:1"), "{}", wrong.stderr);
    host.rcompose(["down", "-t", "0", "--remove-orphans"]).success();
    assert!(host.ps().is_empty());
    host.finish();
}

#[test]
fn privileged_a_signal_reaches_the_command_and_a_reader_that_leaves_ends_it() {
    let host = Host::with_busybox();
    host.write("compose.yaml", DEPENDENT);
    let mut child = host
        .command([
            "run",
            "--rm",
            "-T",
            "--no-deps",
            "app",
            "sh",
            "-c",
            "trap 'echo heard; exit 4' INT; echo up; while :; do sleep 0.02; done",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut output = child.stdout.take().expect("piped");
    let mut first = [0; 3];
    output.read_exact(&mut first).expect("it is up");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signalled");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert_eq!(
        (child.wait().expect("ends").code(), rest.as_str()),
        (Some(4), "heard\n")
    );

    let mut child = host
        .command(["run", "--rm", "-T", "--no-deps", "app", "yes"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut output = child.stdout.take().expect("piped");
    output.read_exact(&mut first).expect("it speaks");
    drop(output);
    assert_eq!(child.wait().expect("ends").code(), Some(141));
    assert!(host.ps().is_empty(), "--rm removes it");
    host.finish();
}

#[test]
fn privileged_attach_and_cp() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        "name: join\nservices:\n  cat:\n    image: busybox:test\n    command: [cat]\n    stdin_open: true\n    stop_grace_period: 0s\n",
    );
    host.rcompose(["up", "-d"]).success();
    let mut child = host
        .command(["attach", "--sig-proxy=false", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"round trip\n").expect("write");
    let mut line = [0; 11];
    child
        .stdout
        .take()
        .expect("piped")
        .read_exact(&mut line)
        .expect("it comes back");
    assert_eq!(&line, b"round trip\n");
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .expect("signalled");
    child.wait().expect("ends");
    assert_eq!(
        host.container("cat")["State"],
        "running",
        "leaving does not end it"
    );

    host.write("tree/sub/file", "content\n");
    host.rcompose(["cp", "tree", "cat:/tmp"]).success();
    let text = host
        .rcompose(["exec", "-T", "cat", "cat", "/tmp/tree/sub/file"])
        .success()
        .stdout;
    assert_eq!(text, "content\n");
    host.rcompose(["cp", "cat:/tmp/tree/.", "back"]).success();
    assert_eq!(
        std::fs::read_to_string(host.work().join("back/sub/file")).expect("copied"),
        "content\n"
    );
    let missing = host.rcompose(["cp", "cat:/nothing", "back"]).fails_with(1);
    assert!(missing.stderr.contains("/nothing"), "{}", missing.stderr);

    host.rcompose(["stop"]).success();
    eventually("it is down", Duration::from_secs(2), || {
        host.container("cat")["State"] == "exited"
    });
    let refused = host.rcompose(["exec", "-T", "cat", "true"]).fails_with(1);
    assert!(
        refused.stderr.contains("\"cat\"") && refused.stderr.contains("exited (137)"),
        "{}",
        refused.stderr
    );
    host.finish();
}
