//! `up` in the foreground, `watch`, and the verbs around them: what is shown, what ends them, and with which code.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::host::{Host, Ran, eventually};

/// A service that answers SIGTERM with `bye`, and one that ends by itself.
const TWO: &str = r#"
name: fg
services:
  long:
    image: busybox:test
    command: ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo begun; while :; do sleep 0.05; done"]
  short:
    image: busybox:test
    command: ["sh", "-c", "echo short; sleep 0.3; exit 3"]
"#;

/// Two services that do not mind SIGTERM.
const STUBBORN: &str = r#"
name: fg
services:
  one:
    image: busybox:test
    command: ["sh", "-c", "trap 'echo no' TERM; echo begun; while :; do sleep 0.05; done"]
"#;

fn begin(host: &Host, arguments: &[&str]) -> Child {
    host.command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts")
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("not zero");
    kill_process(pid, signal).expect("it runs");
}

/// Waits for a line of standard output that contains the text.
fn wait_for_line(child: &mut Child, text: &str) -> BufReader<std::process::ChildStdout> {
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(
            lines.read_line(&mut line).expect("output") > 0,
            "ended before `{text}`"
        );
    }
    lines
}

fn end(child: Child, lines: BufReader<std::process::ChildStdout>) -> Ran {
    let rest: Vec<String> = lines.lines().map_while(Result::ok).collect();
    let output = child.wait_with_output().expect("ends");
    Ran {
        code: output.status.code().expect("a code"),
        stdout: rest.join("\n"),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: Duration::ZERO,
    }
}

#[test]
fn privileged_attached_up_shows_output_and_ends_when_everything_has() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        &TWO.replace("while :; do sleep 0.05; done", "sleep 0.1"),
    );
    let ran = host.rcompose(["up"]).success();
    for line in [
        "long-1   | begun\n",
        "short-1  | short\n",
        "short-1 exited with code 3\n",
    ] {
        assert!(ran.stdout.contains(line), "{line}{}", ran.stdout);
    }
    let only = host
        .rcompose(["up", "--no-log-prefix", "--attach", "short"])
        .success()
        .stdout;
    assert!(
        only.contains("short\n") && !only.contains("begun") && !only.contains("| "),
        "{only}"
    );
    host.finish();
}

#[test]
fn privileged_the_end_of_one_ends_all_with_the_code_asked_for() {
    let host = Host::with_busybox();
    host.write("compose.yaml", TWO);
    let ran = host.rcompose(["up", "--abort-on-container-exit"]).fails_with(3);
    assert!(ran.stdout.contains("long-1   | bye\n"), "{}", ran.stdout);
    host.rcompose(["up", "--exit-code-from", "long"]).success();
    host.rcompose(["up", "--exit-code-from", "short"]).fails_with(3);
    host.rcompose(["up", "--abort-on-container-failure"])
        .fails_with(3);
    assert!(host.ps().iter().all(|container| container["State"] == "exited"));
    host.finish();
}

#[test]
fn privileged_the_first_interrupt_stops_and_the_second_kills() {
    let host = Host::with_busybox();
    host.write("compose.yaml", TWO);
    let mut child = begin(&host, &["up"]);
    let lines = wait_for_line(&mut child, "begun");
    signal(&child, Signal::INT);
    let ran = end(child, lines);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("bye") && ran.stderr.contains("fg-long-1  Stopping"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(host.container("long")["ExitCode"], 0);

    host.write("compose.yaml", STUBBORN);
    let mut child = begin(&host, &["up", "--remove-orphans"]);
    let mut lines = wait_for_line(&mut child, "begun");
    signal(&child, Signal::INT);
    let mut line = String::new();
    while !line.contains("no") {
        line.clear();
        assert!(
            lines.read_line(&mut line).expect("output") > 0,
            "it hears the first signal"
        );
    }
    signal(&child, Signal::INT);
    let ran = end(child, lines);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert_eq!(host.container("one")["ExitCode"], 137);
    host.finish();
}

#[test]
fn privileged_watch_copies_at_the_start_and_rebuilds() {
    let host = Host::with_busybox();
    host.write("src/page", "one");
    host.write("src/skipped/page", "no");
    host.write(
        "image/Dockerfile",
        "FROM busybox:test\nCOPY word /word\nCMD [\"sleep\", \"infinity\"]\n",
    );
    host.write("image/word", "first");
    host.write(
        "compose.yaml",
        r"
name: w
services:
  web:
    image: busybox:test
    command: [sleep, infinity]
    develop: {watch: [{path: ./src, action: sync, target: /site, initial_sync: true, ignore: [skipped/]}]}
  built:
    build: ./image
    develop: {watch: [{path: ./image, action: rebuild}]}
",
    );
    let mut child = begin(&host, &["watch"]);
    let lines = wait_for_line(&mut child, "web: synced /site/page");
    let read = |service: &str, path: &str| host.rcompose(["exec", "-T", service, "cat", path]).stdout;
    assert_eq!(
        (
            read("web", "/site/page").as_str(),
            read("web", "/site/skipped/page").as_str()
        ),
        ("one", "")
    );
    host.write("src/new/page", "deep");
    eventually("a new directory is copied", Duration::from_secs(3), || {
        read("web", "/site/new/page") == "deep"
    });
    assert_eq!(read("built", "/word"), "first");
    host.write("image/word", "second");
    eventually(
        "the image is rebuilt and its container replaced",
        Duration::from_secs(10),
        || read("built", "/word") == "second",
    );
    eventually("the replaced image is removed", Duration::from_secs(3), || {
        !host.rcompose(["image", "ls"]).stdout.contains("<none>")
    });
    signal(&child, Signal::INT);
    assert_eq!(end(child, lines).code, 130);
    host.finish();
}

#[test]
fn privileged_commands_find_the_project_from_elsewhere_and_dry_runs_change_nothing() {
    let host = Host::with_busybox();
    host.write("compose.yaml", STUBBORN);
    let dry = host.rcompose(["up", "-d", "--dry-run"]).success().stderr;
    assert!(dry.contains("DRY-RUN MODE - create fg-one-1"), "{dry}");
    assert!(host.ps().is_empty());
    assert_eq!(host.rcompose(["plan"]).success().stdout.lines().count(), 4);

    host.rcompose(["create"]).success();
    assert_eq!(host.container("one")["State"], "created");
    host.rcompose(["up", "-d"]).success();
    assert_eq!(host.rcompose(["plan"]).success().stdout, "nothing to change\n");
    host.rcompose(["scale", "one=3"]).success();
    assert_eq!(host.ps().len(), 3);
    host.rcompose(["pause"]).success();
    assert!(host.ps().iter().all(|container| container["State"] == "paused"));
    host.rcompose(["unpause"]).success();

    // In another directory, without any file, by the project's name alone.
    let elsewhere = |arguments: &[&str]| {
        let mut command = host.command(["-p", "fg"]);
        crate::host::run(command.args(arguments).current_dir("/")).success()
    };
    elsewhere(&["stop", "-t", "0", "one"]);
    assert!(host.ps().iter().all(|container| container["State"] == "exited"));
    elsewhere(&["start"]);
    elsewhere(&["down", "-t", "0"]);
    assert!(host.ps().is_empty());
    host.finish();
}
