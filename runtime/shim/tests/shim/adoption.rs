//! A shim that was killed, and the next one that takes over.

use std::time::Duration;

use rcompose_container::spec::{HealthSpec, RestartPolicy};
use rcompose_shim::Mode;
use rcompose_shim::protocol::{Reply, Request};

use super::fixture::{Container, exit_code, is_alive, wait_until};

#[test]
fn a_container_outlives_its_shim_and_no_output_is_lost() {
    let container = Container::new(
        "adopt",
        "trap 'exit 5' TERM; n=0; while :; do n=$((n+1)); echo $n; sleep 0.01; done",
    );
    let pid = container.start();
    wait_until("some output", || container.log_lines().len() > 5);
    container.kill_shim();
    assert!(is_alive(pid));
    assert_eq!(container.shim(Mode::Adopt), Reply::Started { pid });
    let adopted = container.log_lines().len();
    wait_until("more output", || container.log_lines().len() > adopted + 20);
    assert_eq!(container.exec("echo inside").1, "inside\n");
    assert_eq!(container.ask(&Request::Pause), Reply::Done);
    assert_eq!(container.ask(&Request::Unpause), Reply::Done);
    let code = container.stop();
    // Linux 6.15 and later tell how a process ended that is not our child; others cannot.
    assert!(code == 5 || code == 255, "{code}");
    let numbers: Vec<usize> = container
        .log_lines()
        .iter()
        .map(|(_, line)| line.trim().parse().unwrap())
        .collect();
    assert_eq!(
        numbers,
        (1..=numbers.len()).collect::<Vec<_>>(),
        "every line once, in order"
    );
    wait_until("its control group is gone", || !container.cgroup_exists());
}

#[test]
fn the_adopted_container_keeps_its_policy_and_its_health() {
    let mut container = Container::new("adopt-policy", "echo up; exec sleep 1000");
    container.spec.restart = RestartPolicy::UnlessStopped;
    container.spec.health = Some(HealthSpec {
        arguments: vec!["/bin/test".into(), "!".into(), "-f".into(), "/tmp/ill".into()],
        interval_ms: 100,
        timeout_ms: 1000,
        retries: 1,
        start_period_ms: 0,
        start_interval_ms: 0,
    });
    let pid = container.start();
    assert_eq!(container.ask(&Request::WaitHealthy), Reply::Done);
    container.kill_shim();
    assert_eq!(container.shim(Mode::Adopt), Reply::Started { pid });
    assert_eq!(container.state()["health"], "healthy");
    container.exec("touch /tmp/ill");
    wait_until("it is unhealthy", || container.state()["health"] == "unhealthy");
    container.ask(&Request::Signal { signal: 9 });
    wait_until("it was started again", || {
        container.log_lines().len() == 2 && container.state()["status"] == "running"
    });
    assert_ne!(container.state()["pid"], pid);
    assert_eq!(container.kill(), 137);
}

#[test]
fn an_end_that_nobody_saw_is_recorded_once_and_the_policy_holds() {
    let once = Container::new("unseen", "exec sleep 1000");
    let pid = once.start();
    once.kill_shim();
    kill(pid);
    // 137 only while whoever inherited the process has not reaped it.
    let code = exit_code(&once.shim(Mode::Adopt));
    assert!(code == 137 || code == 255, "{code}");
    wait_until("everything is settled", || {
        !once.cgroup_exists() && once.try_client().is_err()
    });
    assert_eq!(once.exit_record()["code"], code);
    assert_eq!(once.state()["status"], "exited");

    let mut again = Container::new("unseen-again", "echo up; exec sleep 1000");
    again.spec.restart = RestartPolicy::Always;
    let pid = again.start();
    wait_until("it is up", || again.log_lines().len() == 1);
    again.kill_shim();
    kill(pid);
    assert_eq!(again.shim(Mode::Adopt), Reply::Started { pid: 0 });
    wait_until("it is up again", || again.log_lines().len() == 2);
    assert_eq!(again.state()["status"], "running");
    assert_eq!(again.state()["restart_count"], 1);
}

#[test]
fn an_end_that_was_recorded_stays_as_it_was() {
    let container = Container::new("recorded", "exit 3");
    container.start();
    wait_until("it ended", || {
        container.try_client().is_err() && container.data("exit.json").exists()
    });
    let record = container.exit_record();
    assert_eq!(exit_code(&container.shim(Mode::Adopt)), 3);
    assert_eq!(container.exit_record(), record);
}

#[test]
fn a_shim_killed_while_it_waits_to_restart_leaves_the_restart_to_the_next() {
    let mut container = Container::new("waiting", "echo up; exit 1");
    container.spec.restart = RestartPolicy::Deploy {
        any: true,
        delay_ms: 600_000,
        maximum: 0,
        window_ms: 0,
    };
    container.start();
    wait_until("it waits", || container.state()["status"] == "restarting");
    container.kill_shim();
    assert_eq!(container.shim(Mode::Adopt), Reply::Started { pid: 0 });
    wait_until("it ran again", || container.log_lines().len() == 2);
}

#[test]
fn records_of_another_boot_are_not_believed() {
    let mut container = Container::new("boot", "exec sleep 1000");
    container.plan.boot_id = "another".into();
    match container.shim(Mode::Run) {
        Reply::Failed { stage, .. } => assert!(stage.contains("restarted"), "{stage}"),
        other => panic!("{other:?}"),
    }
}

fn kill(pid: i32) {
    let status = std::process::Command::new("/bin/kill")
        .args(["-9", &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    wait_until("it is gone", || !is_alive(pid));
}

#[test]
fn a_shim_killed_at_any_moment_of_its_start_leaves_nothing_that_the_next_does_not_settle() {
    for step in 0..16_u64 {
        let container = Container::new(&format!("cut-{step}"), "exec sleep 1000");
        let starting = container.spawn(Mode::Run);
        wait_until("it has begun", || container.run_directory().join("lock").exists());
        std::thread::sleep(Duration::from_micros(step * 300));
        container.kill_whoever_keeps_it();
        drop(starting);
        match container.shim(Mode::Adopt) {
            Reply::Started { pid } => {
                assert!(is_alive(pid), "step {step}");
                assert_eq!(container.kill(), 137, "step {step}");
            }
            Reply::Exited { code } => assert!(code == 255 || code == 137, "step {step}: {code}"),
            other => panic!("step {step}: {other:?}"),
        }
        wait_until("nothing is left", || {
            !container.cgroup_exists() && container.try_client().is_err()
        });
        let pid = container.start();
        assert!(is_alive(pid), "step {step}: it can be started again");
    }
}

#[test]
fn a_shim_killed_at_any_moment_of_a_stop_leaves_an_end_that_the_next_settles() {
    for step in 0..10_u64 {
        let container = Container::new(
            &format!("stop-cut-{step}"),
            "trap 'exit 3' TERM; echo ready; while :; do sleep 0.001; done",
        );
        container.start_ready();
        let client = container.client();
        client
            .send(
                &Request::Stop {
                    signal: None,
                    grace_ms: None,
                    before: Vec::new(),
                },
                &[],
            )
            .unwrap();
        std::thread::sleep(Duration::from_micros(step * 700));
        container.kill_whoever_keeps_it();
        let code = match container.shim(Mode::Adopt) {
            // Killed before it had read the request.
            Reply::Started { .. } => container.stop(),
            other => exit_code(&other),
        };
        assert!(code == 3 || code == 255, "step {step}: {code}");
        wait_until("nothing is left", || {
            !container.cgroup_exists() && container.try_client().is_err()
        });
        assert_eq!(container.exit_record()["code"], code);
    }
}
