//! Following logs: containers that come later, ends that are told, and when a follow is over.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use crate::host::Host;

fn project(word: &str) -> String {
    format!(
        r#"
name: follow
services:
  short:
    image: busybox:test
    command: ["sh", "-c", "echo one; echo two >&2; printf 'no end'; exit 3"]
  long:
    image: busybox:test
    command: ["sh", "-c", "trap 'exit 0' TERM; echo {word}; while :; do sleep 0.05; done"]
"#
    )
}

#[test]
fn privileged_a_follow_shows_replaced_containers_and_ends_with_the_last_one() {
    let host = Host::with_busybox();
    host.write("compose.yaml", &project("first"));
    host.rcompose(["up", "-d", "--no-reload"]).success();
    let mut follow = host
        .command(["logs", "-f", "--no-color"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(follow.stdout.take().expect("piped")).lines();
    let (sender, seen) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines {
            sender.send(line.expect("text")).expect("the test listens");
        }
    });
    let mut all = Vec::new();
    let mut until = |wanted: &str| {
        while !all.iter().any(|line| line == wanted) {
            match seen.recv_timeout(Duration::from_secs(5)) {
                Ok(line) => all.push(line),
                Err(error) => panic!("{error} while waiting for {wanted:?} after {all:#?}"),
            }
        }
    };
    until("long-1   | first");
    until("short-1  | one");
    until("short-1  | two");
    until("short-1  | no end");
    host.write("compose.yaml", &project("second"));
    host.rcompose(["up", "-d", "--no-reload", "-t", "1", "long"])
        .success();
    until("long-1   | second");
    host.rcompose(["stop", "-t", "1"]).success();
    until("long-1 exited with code 0");
    assert_eq!(follow.wait().expect("ends").code(), Some(0));
    reader.join().expect("read to the end");
    host.finish();
}

#[test]
fn privileged_logs_by_time_by_number_and_without_prefix() {
    let host = Host::with_busybox();
    host.write("compose.yaml", &project("first"));
    host.rcompose(["up", "-d", "--no-reload", "--wait", "long"])
        .success();
    host.rcompose(["up", "-d", "--no-reload", "short"]).success();
    host.rcompose(["wait", "short"]).fails_with(3);
    let logs = |arguments: &[&str]| {
        let mut all = vec!["logs", "--no-color"];
        all.extend(arguments);
        host.rcompose(all).success().stdout
    };
    assert_eq!(logs(&["--no-log-prefix", "--tail", "1", "short"]), "no end\n");
    assert_eq!(logs(&["--tail", "0"]), "");
    assert_eq!(logs(&["--since", "1h", "--until", "30m"]), "");
    assert_eq!(logs(&["--since", "1h", "long"]), "long-1  | first\n");
    let stamped = logs(&["-t", "long"]);
    let time = stamped
        .split("| ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .expect("a time");
    assert_eq!(
        logs(&["--until", time, "long"]),
        "long-1  | first\n",
        "both ends of a window belong to it"
    );
    let missing = host.rcompose(["logs", "nothing"]).fails_with(1);
    assert!(
        missing.stderr.contains("no such service: nothing"),
        "{}",
        missing.stderr
    );
    host.finish();
}
