//! Job 2, operate: ps, logs, exec, run, stop, start, restart, kill, rm, down and friends on real containers.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::host::{Host, eventually};

const TWO_SERVICES: &str = r#"
name: op
services:
  web:
    image: busybox:test
    command: ["sh", "-c", "echo out; echo err >&2; exec httpd -f -p 80 -h /etc"]
    environment: {COLOUR: blue}
  client:
    image: busybox:test
    command: ["sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"]
    stop_grace_period: 5s
"#;

#[test]
fn privileged_up_ps_exec_logs_down() {
    let host = Host::with_busybox();
    host.write("compose.yaml", TWO_SERVICES);
    host.rcompose(["up", "-d"]).success();

    let web = host.container("web");
    assert_eq!(
        (web["Name"].as_str(), web["State"].as_str()),
        (Some("op-web-1"), Some("running"))
    );
    let table = host.rcompose(["ps"]).success().stdout;
    assert!(
        table.starts_with("NAME") && table.contains("op-client-1") && table.contains("Up "),
        "{table}"
    );

    // Names resolve, and the port answers, from one service to the other.
    let page = host
        .rcompose([
            "exec",
            "-T",
            "client",
            "wget",
            "-q",
            "-O",
            "-",
            "http://web/passwd",
        ])
        .success()
        .stdout;
    assert!(page.contains("root:x:0:0"), "{page}");

    // Streams stay apart, standard input arrives, the exit code comes back.
    let mut child = host
        .command([
            "exec",
            "-T",
            "-e",
            "X=1",
            "web",
            "sh",
            "-c",
            "read line; echo \"$line $X $COLOUR\"; echo oops >&2; exit 7",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"hello\n")
        .expect("write");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"hello 1 blue\n"[..], &b"oops\n"[..])
    );

    eventually("both lines are logged", Duration::from_secs(2), || {
        let text = host.rcompose(["logs", "--no-color", "web"]).success().stdout;
        text.contains("web-1  | out\n") && text.contains("web-1  | err\n")
    });
    let stamped = host
        .rcompose(["logs", "--no-color", "-t", "--tail", "1", "client"])
        .success()
        .stdout;
    assert!(
        stamped.starts_with("client-1  | 20") && stamped.trim_end().ends_with("Z ready"),
        "{stamped}"
    );

    // A second `up` finds nothing to do and leaves the containers alone.
    let before = host.container("web")["ID"].clone();
    host.rcompose(["up", "-d"]).success();
    assert_eq!(host.container("web")["ID"], before);

    host.rcompose(["stop", "client"]).success();
    let client = host.container("client");
    assert_eq!(
        (client["State"].as_str(), client["ExitCode"].as_i64()),
        (Some("exited"), Some(3))
    );
    host.rcompose(["start", "client"]).success();
    assert_eq!(host.container("client")["State"], "running");

    host.rcompose(["down", "-t", "0"]).success();
    assert!(host.ps().is_empty());
    host.finish();
}

#[test]
fn privileged_exec_has_a_terminal_when_asked() {
    let host = Host::with_busybox();
    host.write("compose.yaml", TWO_SERVICES);
    host.rcompose(["up", "-d", "web"]).success();
    // script(1) gives the client a terminal of 100 columns and 30 rows; the container's must have the same.
    let mut child = std::process::Command::new("script")
        .args([
            "-qec",
            &format!(
                "stty cols 100 rows 30; {} exec web sh -c 'tty; stty size; exit 5'",
                env!("CARGO_BIN_EXE_rcompose")
            ),
            "/dev/null",
        ])
        .current_dir(host.work())
        .env("RCOMPOSE_DATA_ROOT", host.data_root())
        .env("RCOMPOSE_RUN_ROOT", host.run_root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1) is installed (bsdutils)");
    let mut text = String::new();
    child
        .stdout
        .take()
        .expect("piped")
        .read_to_string(&mut text)
        .expect("output");
    assert_eq!(child.wait().expect("ends").code(), Some(5), "{text}");
    assert!(text.contains("/dev/pts/") && text.contains("30 100"), "{text}");
    host.finish();
}

#[test]
fn privileged_run_is_a_container_of_its_own() {
    let host = Host::with_busybox();
    host.write("compose.yaml", TWO_SERVICES);
    let ran = host
        .rcompose([
            "run",
            "--rm",
            "-T",
            "web",
            "sh",
            "-c",
            "echo $COLOUR; hostname; exit 4",
        ])
        .fails_with(4);
    assert!(ran.stdout.starts_with("blue\n"), "{}", ran.stdout);
    assert!(host.ps().is_empty(), "--rm removes it");
    host.finish();
}

#[test]
fn privileged_restart_kill_rm_port_top_images_ls() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        "name: op2\nservices:\n  web:\n    image: busybox:test\n    command: [httpd, -f, -p, '80', -h, /etc]\n    ports: ['127.0.0.1::80']\n",
    );
    host.rcompose(["up", "-d"]).success();
    let address = host
        .rcompose(["port", "web", "80"])
        .success()
        .stdout
        .trim()
        .to_owned();
    let page = ureq::get(format!("http://{address}/passwd"))
        .call()
        .expect("published port")
        .into_body()
        .read_to_string()
        .expect("text");
    assert!(page.contains("root:x:0:0"), "{page}");

    assert!(host.rcompose(["top"]).success().stdout.contains("httpd"));
    assert!(host.rcompose(["images"]).success().stdout.contains("busybox"));
    let projects = host.rcompose(["ls", "--format", "json"]).success().stdout;
    let projects: serde_json::Value = serde_json::from_str(&projects).expect("one array");
    assert_eq!(
        (&projects[0]["Name"], &projects[0]["Status"]),
        (&"op2".into(), &"running(1)".into())
    );

    let started = |host: &Host| {
        let stat = host
            .rcompose(["exec", "-T", "web", "cut", "-d", " ", "-f", "22", "/proc/1/stat"])
            .success()
            .stdout;
        stat.trim().parse::<u64>().expect("clock ticks")
    };
    let before = started(&host);
    host.rcompose(["restart", "-t", "0", "web"]).success();
    ureq::get(format!("http://{address}/passwd"))
        .call()
        .expect("the same port after a restart");
    assert!(started(&host) > before, "the process is a new one");

    host.rcompose(["kill", "web"]).success();
    eventually("it is killed", Duration::from_secs(3), || {
        host.container("web")["ExitCode"] == 137
    });
    host.rcompose(["rm", "-f"]).success();
    assert!(host.ps().is_empty());
    host.finish();
}
