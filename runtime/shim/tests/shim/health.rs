//! Health probes in a running container.

use std::time::Duration;

use rcompose_container::spec::HealthSpec;
use rcompose_shim::protocol::{Reply, Request};

use super::fixture::{Container, exit_code, wait_until};

fn probe(script: &str, interval_ms: u64, retries: u32) -> HealthSpec {
    HealthSpec {
        arguments: vec!["/bin/sh".into(), "-c".into(), script.into()],
        interval_ms,
        timeout_ms: 300,
        retries,
        start_period_ms: 0,
        start_interval_ms: 0,
    }
}

fn wait_healthy(container: &Container) -> Reply {
    container.ask(&Request::WaitHealthy)
}

#[test]
fn health_is_noticed_soon_after_it_is_there_and_lost_after_the_retries() {
    let mut container = Container::new("healthy", "sleep 0.3; touch /tmp/ready; exec sleep 1000");
    container.spec.health = Some(probe("test -f /tmp/ready", 200, 2));
    container.start();
    assert_eq!(container.state()["health"], "starting");
    assert_eq!(wait_healthy(&container), Reply::Done);
    assert_eq!(container.state()["health"], "healthy");
    assert_eq!(wait_healthy(&container), Reply::Done, "at once, too");
    container.exec("busybox rm /tmp/ready");
    wait_until("it is unhealthy", || container.state()["health"] == "unhealthy");
    assert!(container.state()["failing_streak"].as_u64() >= Some(2));
    container.exec("touch /tmp/ready");
    wait_until("it is healthy again", || container.state()["health"] == "healthy");
}

#[test]
fn a_failing_probe_tells_what_it_printed() {
    let mut container = Container::new("unhealthy", "exec sleep 1000");
    container.spec.health = Some(probe("echo not yet; exit 3", 50, 2));
    container.start();
    match wait_healthy(&container) {
        Reply::Unhealthy { output } => assert_eq!(output, "not yet\n"),
        other => panic!("{other:?}"),
    }
    let state = container.state();
    assert_eq!(state["health_log"][0]["exit_code"], 3);
    assert_eq!(state["health_log"][0]["output"], "not yet\n");
}

#[test]
fn a_probe_that_hangs_is_killed_and_counts() {
    let mut container = Container::new("hanging-probe", "exec sleep 1000");
    container.spec.health = Some(probe("sleep 1000", 50, 1));
    container.start();
    match wait_healthy(&container) {
        Reply::Unhealthy { output } => assert!(output.contains("longer than 300 ms"), "{output}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(container.state()["health_log"][0]["exit_code"], -1);
}

#[test]
fn an_end_before_health_is_told_to_who_waits() {
    let mut container = Container::new("ended-probe", "sleep 0.3; exit 9");
    container.spec.health = Some(probe("exit 1", 60_000, 3));
    container.start();
    assert_eq!(exit_code(&wait_healthy(&container)), 9);
}

#[test]
fn without_a_probe_running_is_healthy() {
    let container = Container::new("no-probe", "exec sleep 1000");
    container.start();
    let (reply, _) = container
        .client()
        .request(&Request::WaitHealthy, &[], Some(Duration::from_secs(2)))
        .unwrap();
    assert_eq!(reply, Reply::Done);
    assert_eq!(container.state()["health"], "none");
}
