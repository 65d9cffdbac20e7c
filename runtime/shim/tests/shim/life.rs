//! Starting, ending, stopping, restarting.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rcompose_container::spec::{HealthSpec, NamespaceChoice, PortSpec, RestartPolicy};
use rcompose_shim::Mode;
use rcompose_shim::protocol::{Reply, Request};

use super::fixture::{Container, PATIENCE, exit_code, is_alive, shell, wait_until};

#[test]
fn a_short_life_leaves_its_output_and_its_exit_code_and_nothing_else() {
    let container = Container::new("short", "echo out; echo err >&2; exit 7");
    container.start();
    wait_until("it ended", || {
        container.try_client().is_err() && container.data("exit.json").exists()
    });
    let record = container.exit_record();
    assert_eq!(record["code"], 7);
    assert_eq!(record["signal"], 0);
    assert_eq!(record["oom"], false);
    assert!(record["finished_at"].as_str() >= record["started_at"].as_str());
    let mut lines = container.log_lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            ("stderr".into(), "err\n".into()),
            ("stdout".into(), "out\n".into())
        ]
    );
    assert_eq!(container.state()["status"], "exited");
    assert_eq!(container.state()["exit_code"], 7);
    wait_until("its control group is gone", || !container.cgroup_exists());
    assert!(!container.run_directory().join("control.sock").exists());
}

#[test]
fn the_state_file_tells_who_runs() {
    let container = Container::new("state", "exec sleep 1000");
    let pid = container.start();
    let state = container.state();
    assert_eq!(state["status"], "running");
    assert_eq!(state["pid"], pid);
    assert_eq!(state["health"], "none");
    assert_eq!(state["start_time"], rcompose_shim::start_time(pid).unwrap());
    let shim = i32::try_from(state["shim_pid"].as_i64().unwrap()).unwrap();
    assert_eq!(state["shim_start_time"], rcompose_shim::start_time(shim).unwrap());
    match container.ask(&Request::State) {
        Reply::State {
            version: 1,
            pid: Some(running),
            json,
        } => {
            assert_eq!(running, pid);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), state);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(container.kill(), 137);
}

#[test]
fn a_container_that_cannot_be_built_says_which_step_and_leaves_nothing() {
    let mut container = Container::new("unbuilt", "");
    container.spec.process.arguments = vec!["/no/such/program".into()];
    match container.shim(Mode::Run) {
        Reply::Failed { stage, errno, .. } => {
            assert!(stage.contains("/no/such/program"), "{stage}");
            assert_eq!(errno, 2);
        }
        other => panic!("{other:?}"),
    }
    wait_until("nothing is left", || {
        !container.cgroup_exists() && !container.run_directory().join("control.sock").exists()
    });
    container.spec.process = shell("exit 0");
    container.start();
}

#[test]
fn a_second_shim_is_refused() {
    let container = Container::new("second", "exec sleep 1000");
    container.start();
    for mode in [Mode::Run, Mode::Adopt] {
        match container.shim(mode) {
            Reply::Failed { stage, .. } => assert_eq!(stage, "already running"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_published_port_that_is_taken_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut container = Container::new("port", "exec sleep 1000");
    container.spec.ports = vec![PortSpec {
        host_ip: Some("127.0.0.1".into()),
        host_port: port,
        container_port: 80,
        protocol: "tcp".into(),
    }];
    match container.shim(Mode::Run) {
        Reply::Failed { stage, .. } => assert!(stage.contains(&port.to_string()), "{stage}"),
        other => panic!("{other:?}"),
    }
    drop(listener);
    container.start();
    assert!(
        std::net::TcpListener::bind(("127.0.0.1", port)).is_err(),
        "the port is held"
    );
    container.kill();
    wait_until("the port is free", || {
        std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
    });
}

#[test]
fn stopping_signals_first_and_kills_after_the_grace_period() {
    let polite = Container::new(
        "polite",
        "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done",
    );
    polite.start_ready();
    assert_eq!(polite.stop(), 3);
    assert_eq!(
        polite.exit_record()["code"],
        3,
        "the record is there when the reply is"
    );
    assert_eq!(polite.printed(), ["bye\n"]);

    let stubborn = Container::new(
        "stubborn",
        "trap '' TERM; echo ready; while :; do sleep 0.01; done",
    );
    let pid = stubborn.start_ready();
    let began = Instant::now();
    let stop = Request::Stop {
        signal: None,
        grace_ms: Some(300),
        before: Vec::new(),
    };
    assert_eq!(exit_code(&stubborn.ask(&stop)), 137);
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(!is_alive(pid));
    assert_eq!(stubborn.exit_record()["signal"], 9);
}

#[test]
fn commands_before_the_stop_run_inside_and_do_not_gate_it() {
    let container = Container::new(
        "before",
        "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done",
    );
    container.start_ready();
    let before = vec![
        shell("echo first"),
        shell("exit 9"),
        shell("/no/such/thing"),
        shell("echo last"),
    ];
    let stop = Request::Stop {
        signal: None,
        grace_ms: None,
        before,
    };
    assert_eq!(exit_code(&container.ask(&stop)), 0);
    let printed = container
        .log_lines()
        .into_iter()
        .filter(|(stream, _)| stream == "stdout");
    let lines: Vec<_> = printed.map(|(_, line)| line).collect();
    assert_eq!(lines, ["ready\n", "first\n", "last\n"]);
}

#[test]
fn a_second_stop_cuts_a_hanging_command_short() {
    let container = Container::new(
        "hanging",
        "trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done",
    );
    container.start_ready();
    let first = container.client();
    let before = vec![shell("sleep 1000")];
    first
        .send(
            &Request::Stop {
                signal: None,
                grace_ms: None,
                before,
            },
            &[],
        )
        .unwrap();
    assert!(
        first.receive(Some(Duration::from_millis(200))).is_err(),
        "it waits for the command"
    );
    assert_eq!(container.stop(), 4);
    assert_eq!(exit_code(&first.receive(Some(PATIENCE)).unwrap().0), 4);
}

#[test]
fn the_policy_starts_a_failed_container_again_and_a_stop_ends_that() {
    let mut container = Container::new("policy", "echo run; exit 5");
    container.spec.restart = RestartPolicy::UnlessStopped;
    container.start();
    wait_until("three runs", || container.log_lines().len() >= 3);
    assert!(container.state()["restart_count"].as_u64() >= Some(2));
    assert_eq!(container.stop(), 5);
    let runs = container.log_lines().len();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(container.log_lines().len(), runs, "a stop is final");
    assert!(container.try_client().is_err());
}

#[test]
fn on_failure_gives_up_after_its_maximum() {
    let mut container = Container::new("maximum", "echo run; exit 1");
    container.spec.restart = RestartPolicy::OnFailure { maximum: 2 };
    container.start();
    let waited = container
        .client()
        .request(&Request::WaitExit, &[], Some(PATIENCE));
    if let Ok((reply, _)) = waited {
        assert_eq!(exit_code(&reply), 1);
    }
    wait_until("the end", || container.try_client().is_err());
    assert_eq!(container.log_lines().len(), 3);
    assert_eq!(container.state()["restart_count"], 2);
}

#[test]
fn a_restart_keeps_the_network_namespace_and_the_shim() {
    let container = Container::new(
        "restart",
        "echo up; trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done",
    );
    let first = container.start_ready();
    let shim = container.state()["shim_pid"].clone();
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    let before = namespace(first);
    let second = match container.ask(&Request::Restart {
        signal: None,
        grace_ms: None,
    }) {
        Reply::Started { pid } => pid,
        other => panic!("{other:?}"),
    };
    assert_ne!(first, second);
    assert_eq!(namespace(second), before);
    assert_ne!(
        before,
        std::fs::read_link("/proc/self/ns/net").unwrap(),
        "and it is not the host's"
    );
    assert_eq!(container.state()["shim_pid"], shim);
    assert_eq!(
        container.state()["restart_count"],
        0,
        "a person's restart is none of the policy's"
    );
    assert!(!container.data("exit.json").exists(), "it runs again");
    wait_until("both runs are logged", || container.printed().len() == 2);
}

#[test]
fn a_frozen_container_thaws_for_its_stop() {
    let container = Container::new(
        "frozen",
        "trap 'exit 6' TERM; echo ready; while :; do sleep 0.01; done",
    );
    let pid = container.start_ready();
    assert_eq!(container.ask(&Request::Pause), Reply::Done);
    assert_eq!(container.state()["status"], "paused");
    let null = std::fs::File::open("/dev/null").unwrap();
    let exec = Request::Exec {
        process: shell("true"),
        kill_on_close: true,
    };
    let streams = [null.as_fd(), null.as_fd(), null.as_fd()];
    let refused = container
        .client()
        .request(&exec, &streams, Some(PATIENCE))
        .unwrap()
        .0;
    assert!(matches!(refused, Reply::Failed { .. }), "{refused:?}");
    assert_eq!(container.ask(&Request::Unpause), Reply::Done);
    assert_eq!(container.state()["status"], "running");
    assert_eq!(container.ask(&Request::Pause), Reply::Done);
    assert_eq!(container.stop(), 6);
    assert!(!is_alive(pid));
}

#[test]
fn without_a_pid_namespace_the_whole_control_group_ends() {
    let mut container = Container::new(
        "group",
        "sleep 1000 & echo $!; trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done",
    );
    container.spec.namespaces.pid = NamespaceChoice::Host;
    container.start_ready();
    let child: i32 = container.printed()[0].trim().parse().unwrap();
    assert!(is_alive(child));
    assert_eq!(container.stop(), 0);
    assert!(!is_alive(child));
}

#[test]
fn namespaces_of_a_sibling_are_found_by_its_id() {
    let first = Container::new("sibling-one", "exec sleep 1000");
    let first_pid = first.start();
    let mut second = Container::new("sibling-two", "exec sleep 1000");
    // Both must be run directories of one data root.
    let alias = second
        .run_directory()
        .parent()
        .unwrap()
        .join(&first.spec.id[..12]);
    std::os::unix::fs::symlink(first.run_directory(), alias).unwrap();
    second.spec.namespaces.network = NamespaceChoice::Container(first.spec.id.clone());
    second.spec.namespaces.ipc = NamespaceChoice::Container(first.spec.id.clone());
    let second_pid = second.start();
    let namespace = |pid: i32, kind: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
    for kind in ["net", "ipc"] {
        assert_eq!(namespace(first_pid, kind), namespace(second_pid, kind));
    }
    assert_ne!(namespace(first_pid, "uts"), namespace(second_pid, "uts"));
    second.kill();
    first.kill();
    match second.shim(Mode::Run) {
        Reply::Failed { stage, .. } => assert!(stage.contains("is not running"), "{stage}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signal_reaches_the_first_process() {
    let container = Container::new(
        "signal",
        "trap 'exit 42' USR1; echo ready; while :; do sleep 0.01; done",
    );
    container.start_ready();
    let waiting = container.client();
    waiting.send(&Request::WaitExit, &[]).unwrap();
    assert_eq!(container.ask(&Request::Signal { signal: 10 }), Reply::Done);
    assert_eq!(exit_code(&waiting.receive(Some(PATIENCE)).unwrap().0), 42);
}

#[test]
fn memory_that_ran_out_is_in_the_exit_record() {
    let mut container = Container::new(
        "memory",
        "exec head -c 200000000 /dev/zero | while read -r line; do :; done; yes | head -c 100000000 | { read -r x < /dev/zero; }",
    );
    container.spec.cgroup.memory_max = Some(8 << 20);
    container.spec.process.arguments = vec![
        "/bin/sh".into(),
        "-c".into(),
        "x=$(cat /dev/zero | busybox tr '\\0' a | head -c 60000000)".into(),
    ];
    container.start();
    wait_until("it ended", || container.data("exit.json").exists());
    assert_eq!(container.exit_record()["oom"], true);
}

#[test]
fn a_shim_with_nothing_to_do_uses_no_processor_time() {
    let mut container = Container::new(
        "idle",
        "trap '' TERM; echo ready; exec 2>&-; while :; do sleep 1000; done",
    );
    container.spec.health = Some(HealthSpec {
        arguments: vec!["/bin/sh".into(), "-c".into(), "exit 0".into()],
        interval_ms: 100,
        timeout_ms: 1000,
        retries: 1,
        start_period_ms: 0,
        start_interval_ms: 0,
    });
    container.start_ready();
    let (_reader, writer) = std::io::pipe().unwrap();
    let (closed, closed_writer) = std::io::pipe().unwrap();
    let (input, _) = std::io::pipe().unwrap();
    drop(closed);
    let attached = container.client();
    let descriptors = [writer.as_fd(), closed_writer.as_fd(), input.as_fd()];
    let reply = attached
        .request(&Request::Attach { stdin: true }, &descriptors, Some(PATIENCE))
        .unwrap()
        .0;
    assert_eq!(reply, Reply::Done);
    // A stop that waits for its grace period, too: probes are due and must not be started.
    let stopping = container.client();
    let stop = Request::Stop {
        signal: None,
        grace_ms: Some(3000),
        before: Vec::new(),
    };
    stopping.send(&stop, &[]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", container.state()["shim_pid"])).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        ticks() - before <= 3,
        "{} hundredths of a second in one",
        ticks() - before
    );
}

#[test]
fn a_stop_while_output_is_held_back_is_final_all_the_same() {
    let mut container = Container::new("held", "echo out; exit 3");
    container.plan.wait_for_attach = true;
    container.spec.restart = RestartPolicy::Always;
    let pid = container.start();
    wait_until("it ended", || !is_alive(pid));
    assert_eq!(container.stop(), 3);
    wait_until("the shim is gone", || container.try_client().is_err());
    assert_eq!(container.log_lines().len(), 1);
    assert_eq!(container.state()["restart_count"], 0);
}

#[test]
fn many_start_at_once_and_no_descriptor_of_anybody_leaks_into_them() {
    let names: Vec<String> = (0..16).map(|number| format!("many-{number}")).collect();
    let containers: Vec<Container> = names
        .iter()
        .map(|name| Container::new(name, "exec sleep 1000"))
        .collect();
    std::thread::scope(|scope| {
        for container in &containers {
            scope.spawn(|| container.start());
        }
    });
    for container in &containers {
        let listed = container
            .exec("for fd in /proc/1/fd/*; do echo ${fd##*/}; done")
            .1;
        assert_eq!(listed, "0\n1\n2\n");
    }
    std::thread::scope(|scope| {
        for container in &containers {
            scope.spawn(|| assert_eq!(container.kill(), 137));
        }
    });
}
