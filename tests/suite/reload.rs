//! Jobs 3 and 4, live reload and hot restart: saving a file changes what runs.

use std::time::{Duration, Instant};

use crate::host::{Host, eventually};

fn compose(colour: &str) -> String {
    format!(
        "name: re\nservices:\n  web:\n    image: busybox:test\n    command: [sleep, infinity]\n    environment: {{COLOUR: {colour}}}\n    depends_on: [db]\n  db:\n    image: busybox:test\n    command: [sleep, infinity]\n"
    )
}

fn colour(host: &Host) -> String {
    host.rcompose(["exec", "-T", "web", "sh", "-c", "echo $COLOUR"])
        .stdout
        .trim()
        .to_owned()
}

#[test]
fn privileged_saving_the_file_recreates_the_changed_service_only() {
    let host = Host::with_busybox();
    host.write("compose.yaml", &compose("blue"));
    host.rcompose(["up", "-d"]).success();
    let (web, db) = (
        host.container("web")["ID"].clone(),
        host.container("db")["ID"].clone(),
    );

    let saved = Instant::now();
    host.write("compose.yaml", &compose("green"));
    eventually("web is recreated", Duration::from_secs(5), || {
        colour(&host) == "green"
    });
    println!("save to reloaded: {:?}", saved.elapsed());
    assert_ne!(host.container("web")["ID"], web);
    assert_eq!(
        host.container("db")["ID"],
        db,
        "db did not change and must be left alone"
    );

    // An invalid edit changes nothing, and says where it is wrong until it is mended.
    let web = host.container("web")["ID"].clone();
    host.write(
        "compose.yaml",
        &compose("red").replace("environment", "enviroment"),
    );
    eventually("events tell the error", Duration::from_secs(5), || {
        host.rcompose(["events", "--json", "--until", "0s"])
            .stdout
            .contains("compose.yaml:6:5")
    });
    let ps = host.rcompose(["ps"]).success();
    assert!(
        ps.stderr.contains("compose.yaml:6:5") && ps.stderr.contains("environment"),
        "{}",
        ps.stderr
    );
    assert_eq!(host.container("web")["ID"], web);
    host.write("compose.yaml", &compose("red"));
    eventually("the mended file counts", Duration::from_secs(5), || {
        colour(&host) == "red"
    });
    eventually("the footer is gone", Duration::from_secs(2), || {
        !host.rcompose(["ps"]).stderr.contains("compose.yaml:6:5")
    });
    host.finish();
}

#[test]
fn privileged_env_file_and_included_files_count_too() {
    let host = Host::with_busybox();
    host.write("web.env", "COLOUR=one\n");
    host.write(".env", "TAG=test\n");
    host.write(
        "part.yaml",
        "services:\n  db:\n    image: busybox:test\n    command: [sleep, '1000']\n",
    );
    host.write(
        "compose.yaml",
        "name: re2\ninclude: [part.yaml]\nservices:\n  web:\n    image: busybox:${TAG}\n    command: [sleep, infinity]\n    env_file: web.env\n",
    );
    host.rcompose(["up", "-d"]).success();
    host.write("web.env", "COLOUR=two\n");
    eventually("env_file counts", Duration::from_secs(5), || {
        colour(&host) == "two"
    });
    let db = host.container("db")["ID"].clone();
    host.write(
        "part.yaml",
        "services:\n  db:\n    image: busybox:test\n    command: [sleep, '2000']\n",
    );
    eventually("the included file counts", Duration::from_secs(5), || {
        // While one replaces the other, both are there.
        let found: Vec<_> = host
            .ps()
            .into_iter()
            .filter(|container| container["Service"] == "db")
            .collect();
        found.len() == 1 && found[0]["ID"] != db
    });
    host.finish();
}

#[test]
fn privileged_no_reload_leaves_everything_alone() {
    let host = Host::with_busybox();
    host.write("compose.yaml", &compose("blue"));
    host.rcompose(["up", "-d", "--no-reload"]).success();
    host.write("compose.yaml", &compose("green"));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(colour(&host), "blue");
    host.finish();
}

#[test]
fn privileged_sync_and_restart_rules_under_up() {
    let host = Host::with_busybox();
    host.write("src/index.html", "one");
    host.write(
        "compose.yaml",
        r#"
name: hot
services:
  web:
    image: busybox:test
    command: ["sh", "-c", "cat /site/index.html; echo; exec sleep infinity"]
    develop:
      watch:
        - {path: ./src, action: sync, target: /site}
        - {path: ./conf, action: sync+restart, target: /conf}
"#,
    );
    host.write("conf/a", "1");
    host.rcompose(["up", "-d"]).success();
    let read = |path: &str| host.rcompose(["exec", "-T", "web", "cat", path]).stdout;
    // The supervisor is up when the first save arrives.
    std::thread::sleep(Duration::from_millis(300));
    let saved = Instant::now();
    host.write("src/index.html", "two");
    eventually("the file is in the container", Duration::from_secs(3), || {
        read("/site/index.html") == "two"
    });
    println!("save to synced: {:?}", saved.elapsed());

    let started = |host: &Host| {
        host.rcompose(["logs", "--no-color", "web"])
            .stdout
            .matches("two")
            .count()
    };
    let before = started(&host);
    host.write("conf/a", "2");
    eventually("the process is a new one", Duration::from_secs(5), || {
        started(&host) > before
    });
    assert_eq!(read("/conf/a"), "2");
    host.finish();
}
