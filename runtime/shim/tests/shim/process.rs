//! A plain process of the host, kept alive as the supervisor is.

use rcompose_container::spec::ProcessKeeper;
use rcompose_shim::Mode;
use rcompose_shim::protocol::{Reply, Request};

use super::fixture::{Container, is_alive, wait_until};

fn keeper(name: &str, script: &str) -> Container {
    let mut kept = Container::new(name, "");
    kept.keeper = Some(ProcessKeeper {
        arguments: vec!["/bin/sh".into(), "-c".into(), script.into()],
        environment: vec!["PATH=/bin:/usr/bin".into(), "WORD=kept=well".into()],
        working_directory: "/tmp".into(),
        log_path: kept.data("supervisor.log").to_str().unwrap().into(),
    });
    kept
}

fn log(kept: &Container) -> String {
    std::fs::read_to_string(kept.data("supervisor.log")).unwrap_or_default()
}

#[test]
fn a_process_is_started_again_whatever_its_exit_code_until_it_is_stopped() {
    let kept = keeper("process", "echo $WORD $PWD; echo err >&2; exit 0");
    kept.start();
    wait_until("three runs", || {
        log(&kept).matches("kept=well /tmp\nerr\n").count() >= 3
    });
    assert!(kept.state()["restart_count"].as_u64() >= Some(2));
    kept.stop();
    wait_until("the shim is gone", || kept.try_client().is_err());
    let runs = log(&kept).len();
    std::thread::sleep(std::time::Duration::from_millis(900));
    assert_eq!(log(&kept).len(), runs);
    assert_eq!(kept.state()["status"], "exited");
}

#[test]
fn a_process_is_terminated_politely_and_lives_in_the_hosts_namespaces() {
    let kept = keeper(
        "process-polite",
        "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done",
    );
    let pid = kept.start();
    wait_until("it is ready", || log(&kept).contains("ready"));
    let own = std::fs::read_link("/proc/self/ns/mnt").unwrap();
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap(), own);
    let exec = kept.ask(&Request::Pause);
    assert!(matches!(exec, Reply::Failed { .. }), "{exec:?}");
    assert_eq!(kept.stop(), 0);
    assert!(log(&kept).ends_with("bye\n"));
}

#[test]
fn a_process_outlives_its_shim_and_is_adopted() {
    let kept = keeper("process-adopt", "echo up; exec sleep 1000");
    let pid = kept.start();
    kept.kill_shim();
    assert!(is_alive(pid));
    assert_eq!(kept.shim(Mode::Adopt), Reply::Started { pid });
    kept.ask(&Request::Signal { signal: 9 });
    wait_until("it was started again", || {
        log(&kept) == "up\nup\n" && kept.state()["status"] == "running"
    });
    kept.kill();
}
