//! Bad input: every mistake is named with file, line and column, all of them at once, exit 1, and nothing is started.

use std::net::TcpListener;

use crate::host::Host;

/// Runs `up -d` on a file and returns what it printed, having checked that it failed and made nothing.
fn refused(host: &Host, file: &str) -> String {
    host.write("compose.yaml", file);
    let stderr = host.rcompose(["up", "-d"]).fails_with(1).stderr;
    assert!(
        host.ps_of("bad")
            .iter()
            .all(|container| container["State"] == "created"),
        "nothing was started"
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in:\n{text}");
    }
}

#[test]
fn privileged_mistakes_in_files_point_at_their_place() {
    let host = Host::with_busybox();
    let service = |rest: &str| format!("name: bad\nservices:\n  web:\n    image: busybox:test\n{rest}");
    let cases: [(&str, &[&str]); 10] = [
        ("    prots: ['80:80']\n", &["compose.yaml:5:5", "prots", "ports"]),
        ("    environment: 12\n", &["compose.yaml:5:18", "environment"]),
        (
            "    depends_on: [databse]\n  database:\n    image: busybox:test\n",
            &["compose.yaml:5:18", "databse", "database"],
        ),
        (
            "    networks: [frontt]\nnetworks:\n  front: {}\n",
            &["compose.yaml:5:16", "frontt", "front"],
        ),
        ("    volumes: ['data:/data']\n", &["compose.yaml:5:15", "data"]),
        ("    ports: ['80:eighty']\n", &["compose.yaml:5:13", "eighty"]),
        (
            "    environment: {A: '${MUST:?set MUST}'}\n",
            &["compose.yaml:5:", "MUST", "set MUST"],
        ),
        (
            "    healthcheck: {test: [CMD, 'true'], interval: 5 seconds}\n",
            &["compose.yaml:5:", "5s"],
        ),
        (
            "    depends_on: {db: {condition: healthy}}\n  db:\n    image: busybox:test\n",
            &["compose.yaml:5:", "service_healthy"],
        ),
        (
            "    depends_on: [db]\n  db:\n    image: busybox:test\n    depends_on: [web]\n",
            &["compose.yaml:", "cycle", "web", "db"],
        ),
    ];
    for (rest, words) in cases {
        says(&refused(&host, &service(rest)), words);
    }
    host.finish();
}

#[test]
fn privileged_all_mistakes_are_shown_at_once() {
    let host = Host::with_busybox();
    let text = refused(
        &host,
        "name: bad\nservices:\n  web:\n    imagee: x\n    ports: ['80:eighty']\n  other:\n    image: busybox:test\n    networks: [none_such]\n",
    );
    says(
        &text,
        &["compose.yaml:4:5", "compose.yaml:5:13", "compose.yaml:8:16"],
    );
    host.finish();
}

#[test]
fn privileged_a_taken_port_names_the_port_and_the_process() {
    let host = Host::with_busybox();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("address").port();
    let text = refused(
        &host,
        &format!(
            "name: bad\nservices:\n  web:\n    image: busybox:test\n    command: [sleep, infinity]\n    ports: ['127.0.0.1:{port}:80']\n"
        ),
    );
    says(&text, &[&port.to_string(), &std::process::id().to_string()]);
    host.finish();
}

#[test]
fn privileged_a_missing_image_names_image_and_url_and_other_pulls_finish() {
    let host = Host::empty();
    let registry = crate::registry::Registry::start();
    let root = std::fs::read(crate::images::busybox_tar()).expect("tar");
    let good = registry.push("good", "1", &root);
    let dead = TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port");
    host.write("compose.yaml", &format!("name: bad\nservices:\n  a:\n    image: {dead}/gone:1\n  b:\n    image: {good}\n  c:\n    image: {}/none:2\n", registry.address()));
    let text = host.rcompose(["pull"]).fails_with(1).stderr;
    says(&text, &[&format!("{dead}/gone:1"), "http://", "none:2"]);
    let images = host.rcompose(["image", "ls", "-q", &good]).success().stdout;
    assert!(
        !images.trim().is_empty(),
        "the good image was pulled all the same"
    );
    host.finish();
}

#[test]
fn privileged_without_nft_one_sentence_and_nothing_made() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        "name: bad\nservices:\n  web:\n    image: busybox:test\n    command: [sleep, infinity]\n",
    );
    // In a mount namespace of its own, nft is something that cannot be executed.
    let inside = host.command(["up", "-d"]);
    let mut command = std::process::Command::new("unshare");
    command.args([
        "-m",
        "sh",
        "-c",
        "mount --bind /dev/null \"$(command -v nft)\" && exec \"$@\"",
        "sh",
    ]);
    command
        .arg(inside.get_program())
        .args(inside.get_args())
        .current_dir(host.work());
    command.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = crate::host::run(&mut command).fails_with(1);
    says(&ran.stderr, &["nft", "install"]);
    assert!(host.ps_of("bad").is_empty());
    host.finish();
}

#[test]
fn privileged_flags_that_are_not_there_are_named() {
    let host = Host::empty();
    host.write(
        "compose.yaml",
        "name: bad\nservices:\n  web:\n    image: busybox:test\n",
    );
    let text = host.rcompose(["up", "--no-such-flag"]).stderr;
    says(&text, &["--no-such-flag"]);
    let text = host.rcompose(["build", "--builder=remote"]).fails_with(1).stderr;
    says(&text, &["--builder", "default"]);
    host.finish();
}
