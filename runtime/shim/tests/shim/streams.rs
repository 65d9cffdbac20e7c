//! Exec and attach: standard streams, terminals, exit codes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use rcompose_shim::protocol::{Reply, Request};

use super::fixture::{Container, PATIENCE, exit_code, is_alive, shell, wait_until};

#[test]
fn exec_keeps_the_streams_apart_and_reports_the_exit_code() {
    let container = Container::new("exec", "exec sleep 1000");
    container.start();
    let (code, stdout, stderr) = container.exec("echo out; echo err >&2; exit 12");
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (12, "out\n", "err\n"));
    let (code, ..) = container.exec("kill -9 $$");
    assert_eq!(code, 137);
    assert!(container.log_lines().is_empty(), "exec is not in the log");
}

#[test]
fn exec_of_a_missing_program_fails_without_a_process() {
    let container = Container::new("exec-missing", "exec sleep 1000");
    container.start();
    let null = File::open("/dev/null").unwrap();
    let mut process = shell("");
    process.arguments = vec!["no-such-program".into()];
    let request = Request::Exec {
        process,
        kill_on_close: true,
    };
    let streams = [null.as_fd(), null.as_fd(), null.as_fd()];
    match container
        .client()
        .request(&request, &streams, Some(PATIENCE))
        .unwrap()
        .0
    {
        Reply::Failed { stage, errno, .. } => {
            assert!(stage.contains("no-such-program"), "{stage}");
            assert_eq!(errno, 2);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn exec_on_a_terminal_is_resized_and_gives_its_master_side() {
    let container = Container::new("exec-terminal", "exec sleep 1000");
    container.start();
    let mut process = shell("stty size; read -r line; stty size; echo \"got $line\"; exit 3");
    process.terminal = true;
    process.terminal_size = Some((100, 30));
    let client = container.client();
    let (reply, descriptors) = client
        .request(
            &Request::Exec {
                process,
                kill_on_close: true,
            },
            &[],
            Some(PATIENCE),
        )
        .unwrap();
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
    let mut terminal = File::from(descriptors.into_iter().next().expect("a terminal"));
    let mut seen = String::new();
    read_until(&mut terminal, &mut seen, "30 100");
    client
        .send(
            &Request::ResizeExec {
                columns: 40,
                rows: 20,
            },
            &[],
        )
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    terminal.write_all(b"hello\n").unwrap();
    read_until(&mut terminal, &mut seen, "got hello");
    assert!(seen.contains("20 40"), "{seen}");
    assert_eq!(exit_code(&client.receive(Some(PATIENCE)).unwrap().0), 3);
}

fn read_until(terminal: &mut File, seen: &mut String, text: &str) {
    let mut bytes = [0; 1024];
    while !seen.contains(text) {
        let count = terminal.read(&mut bytes).expect("output");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

#[test]
fn a_closed_connection_ends_only_what_was_to_end_with_it() {
    let container = Container::new("exec-closed", "exec sleep 1000");
    container.start();
    let null = File::open("/dev/null").unwrap();
    let streams = [null.as_fd(), null.as_fd(), null.as_fd()];
    let start = |kill_on_close| {
        let client = container.client();
        let request = Request::Exec {
            process: shell("exec sleep 999"),
            kill_on_close,
        };
        match client.request(&request, &streams, Some(PATIENCE)).unwrap().0 {
            Reply::Started { pid } => (client, pid),
            other => panic!("{other:?}"),
        }
    };
    let (bound_client, bound) = start(true);
    let (free_client, free) = start(false);
    drop((bound_client, free_client));
    wait_until("the bound one is gone", || !is_alive(bound));
    assert!(is_alive(free));
    let (signalled_client, signalled) = start(false);
    signalled_client
        .send(&Request::SignalExec { signal: 9 }, &[])
        .unwrap();
    assert_eq!(
        exit_code(&signalled_client.receive(Some(PATIENCE)).unwrap().0),
        137
    );
    assert!(!is_alive(signalled));
}

/// Attaches to output and errors, and input when `stdin`; the client, the two readers, the writer.
fn attach(
    container: &Container,
    stdin: bool,
) -> (
    rcompose_shim::ShimClient,
    std::io::PipeReader,
    std::io::PipeReader,
    Option<std::io::PipeWriter>,
) {
    let (stdout, stdout_writer) = std::io::pipe().unwrap();
    let (stderr, stderr_writer) = std::io::pipe().unwrap();
    let (stdin_reader, stdin_writer) = std::io::pipe().unwrap();
    let client = container.client();
    let mut descriptors = vec![stdout_writer.as_fd(), stderr_writer.as_fd()];
    if stdin {
        descriptors.push(stdin_reader.as_fd());
    }
    let (reply, _) = client
        .request(&Request::Attach { stdin }, &descriptors, Some(PATIENCE))
        .unwrap();
    assert_eq!(reply, Reply::Done);
    (client, stdout, stderr, stdin.then_some(stdin_writer))
}

#[test]
fn attaching_before_the_first_byte_misses_nothing_of_the_shortest_run() {
    let mut container = Container::new("attach-short", "echo out; echo err >&2; exit 4");
    container.plan.wait_for_attach = true;
    container.start();
    std::thread::sleep(Duration::from_millis(200));
    let (client, mut stdout, mut stderr, _) = attach(&container, false);
    let (mut out, mut err) = (String::new(), String::new());
    stdout.read_to_string(&mut out).unwrap();
    stderr.read_to_string(&mut err).unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
    assert_eq!(exit_code(&client.receive(Some(PATIENCE)).unwrap().0), 4);
}

#[test]
fn input_and_its_end_reach_the_container() {
    let mut container = Container::new("attach-input", "cat; echo end");
    container.spec.stdin_open = true;
    container.plan.wait_for_attach = true;
    container.start();
    let (client, mut stdout, _stderr, stdin) = attach(&container, true);
    let mut stdin = stdin.unwrap();
    let sent = "x".repeat(300_000);
    let writer = std::thread::spawn(move || {
        stdin.write_all(sent.as_bytes()).unwrap();
        sent.len()
    });
    let mut out = String::new();
    stdout.read_to_string(&mut out).unwrap();
    assert_eq!(out.len(), writer.join().unwrap() + "end\n".len());
    assert_eq!(exit_code(&client.receive(Some(PATIENCE)).unwrap().0), 0);
}

#[test]
fn a_slow_reader_slows_the_container_and_loses_nothing() {
    let mut container = Container::new("attach-slow", "seq 1 200000");
    container.plan.wait_for_attach = true;
    let pid = container.start();
    let (client, mut stdout, _stderr, _) = attach(&container, false);
    std::thread::sleep(Duration::from_millis(300));
    assert!(is_alive(pid), "it waits for its reader");
    let mut out = String::new();
    stdout.read_to_string(&mut out).unwrap();
    let expected: Vec<String> = (1..=200_000).map(|number| number.to_string()).collect();
    assert!(
        out.lines().eq(expected.iter().map(String::as_str)),
        "{} bytes",
        out.len()
    );
    assert_eq!(exit_code(&client.receive(Some(PATIENCE)).unwrap().0), 0);
}

#[test]
fn a_client_that_vanished_does_not_hold_up_the_container() {
    let container = Container::new("attach-gone", "while :; do echo line; done");
    container.start();
    let (client, stdout, stderr, _) = attach(&container, false);
    drop((client, stdout, stderr));
    let size = || std::fs::metadata(container.data("container.log")).map_or(0, |file| file.len());
    let before = size();
    wait_until("the log grows", || size() > before + 1_000_000);
}

#[test]
fn a_terminal_is_attached_to_and_resized() {
    let mut container = Container::new("terminal", "read -r line; stty size; echo \"got $line\"; exit 8");
    container.spec.process.terminal = true;
    container.spec.process.terminal_size = Some((80, 24));
    container.plan.wait_for_attach = true;
    container.start();
    let (client, mut stdout, _stderr, stdin) = attach(&container, true);
    assert_eq!(
        container.ask(&Request::Resize {
            columns: 33,
            rows: 11
        }),
        Reply::Done
    );
    stdin.unwrap().write_all(b"typed\n").unwrap();
    let mut out = String::new();
    stdout.read_to_string(&mut out).unwrap();
    assert!(
        out.contains("11 33\r\n") && out.contains("got typed\r\n"),
        "{out}"
    );
    assert_eq!(exit_code(&client.receive(Some(PATIENCE)).unwrap().0), 8);
    assert!(
        container
            .log_lines()
            .iter()
            .any(|(stream, line)| stream == "stdout" && line == "got typed\r\n")
    );
}

#[test]
fn the_root_directory_can_be_opened_from_outside() {
    let container = Container::new("root", "exec sleep 1000");
    container.start();
    let (reply, descriptors) = container
        .client()
        .request(&Request::OpenRoot, &[], Some(PATIENCE))
        .unwrap();
    assert_eq!(reply, Reply::Done);
    let root = descriptors.into_iter().next().expect("a directory");
    std::fs::write(format!("/proc/self/fd/{}/tmp/file", root.as_raw_fd()), "copied").unwrap();
    assert_eq!(container.exec("cat /tmp/file").1, "copied");
}

#[test]
fn a_user_without_privileges_can_reopen_its_output() {
    let mut container = Container::new("reopen", "echo again > /dev/stdout; id -u > /dev/stderr");
    container.spec.process.user = "1234:1234".into();
    container.start();
    wait_until("it ended", || container.data("exit.json").exists());
    assert_eq!(container.exit_record()["code"], 0, "{:?}", container.log_lines());
    let mut lines = container.log_lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            ("stderr".into(), "1234\n".into()),
            ("stdout".into(), "again\n".into())
        ]
    );
}
