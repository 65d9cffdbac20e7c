//! What a container is made of, seen from inside and from the host: networks, volumes, limits, identity, health, images, builds.

use std::time::Duration;

use crate::host::{Host, eventually};

fn shell(host: &Host, service: &str, script: &str) -> String {
    host.rcompose(["exec", "-T", service, "sh", "-c", script])
        .success()
        .stdout
}

#[test]
fn privileged_isolation_limits_and_identity_from_inside() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        r#"
name: inside
services:
  a:
    image: busybox:test
    command: [sleep, infinity]
    hostname: box
    user: app
    group_add: [extra]
    working_dir: /made/here
    read_only: true
    tmpfs: [/scratch]
    mem_limit: 64m
    pids_limit: 50
    cpus: 0.5
    shm_size: 8m
    sysctls: {net.ipv4.ip_unprivileged_port_start: 99}
    ulimits: {nofile: {soft: 100, hard: 200}}
    cap_drop: [ALL]
    security_opt: [no-new-privileges]
    extra_hosts: ["friend=10.1.2.3"]
    dns_search: [example.test]
  root:
    image: busybox:test
    command: [sleep, infinity]
  trusted:
    image: busybox:test
    command: [sleep, infinity]
    privileged: true
"#,
    );
    host.rcompose(["up", "-d"]).success();
    assert_eq!(
        shell(&host, "a", "hostname; pwd; id -u; id -G"),
        "box\n/made/here\n1000\n1000 2000\n"
    );
    assert_eq!(
        shell(
            &host,
            "a",
            "grep -E 'Cap(Eff|Prm|Inh|Amb)|NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\t '"
        ),
        "CapInh:0000000000000000\nCapPrm:0000000000000000\nCapEff:0000000000000000\nCapAmb:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n"
    );
    // Docker's default set: 14 capabilities.
    assert_eq!(
        shell(&host, "root", "grep CapEff /proc/self/status | cut -f2"),
        "00000000a80425fb\n"
    );
    assert_ne!(
        host.rcompose(["exec", "-T", "a", "touch", "/x"]).code,
        0,
        "the root is read-only"
    );
    shell(
        &host,
        "a",
        "ulimit -n | grep -qx 100 && grep -q 10.1.2.3 /etc/hosts && grep -q 'search example.test' /etc/resolv.conf",
    );
    assert_eq!(
        shell(&host, "root", "touch /scratch 2>/dev/null; ls /proc/1/fd | wc -l").trim(),
        "3",
        "no descriptor is leaked"
    );
    assert_eq!(
        shell(&host, "a", "df -k /dev/shm | awk 'NR==2 {print $2}'").trim(),
        "8192"
    );
    // What the walls keep out of an ordinary container, a privileged one can do: so each of these can fail.
    for beyond in [
        "test -n \"$(cat /proc/timer_list)\"",
        "unshare -m true",
        "mount -t tmpfs none /tmp",
        "echo walls > /proc/sys/kernel/domainname",
        "mknod /tmp/disk b 7 0 && head -c 0 /tmp/disk",
    ] {
        let inside = |service: &str| host.rcompose(["exec", "-T", service, "sh", "-c", beyond]).code;
        assert_ne!(inside("root"), 0, "{beyond}");
        assert_eq!(inside("trusted"), 0, "{beyond}");
    }
    // The process count is limited, and so is memory.
    for beyond in [
        "for i in $(seq 80); do sleep 0.3 & done; wait",
        "head -c 200m /dev/zero | tail",
    ] {
        let inside = |service: &str| host.rcompose(["exec", "-T", service, "sh", "-c", beyond]).code;
        assert_ne!(inside("a"), 0, "{beyond}");
        assert_eq!(inside("root"), 0, "without a limit: {beyond}");
    }
    host.finish();
}

#[test]
fn privileged_networks_isolate_and_names_resolve() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        r"
name: nets
services:
  web:
    image: busybox:test
    command: [httpd, -f, -p, '80', -h, /etc]
    scale: 2
    networks: {front: {aliases: [www]}}
  db:
    image: busybox:test
    command: [httpd, -f, -p, '80', -h, /etc]
    networks: [back]
  both:
    image: busybox:test
    command: [sleep, infinity]
    networks: [front, back]
    container_name: nets-both
  stranger:
    image: busybox:test
    command: [sleep, infinity]
    networks: [other]
  alone:
    image: busybox:test
    network_mode: none
    command: [sleep, infinity]
  sharer:
    image: busybox:test
    network_mode: service:db
    command: [sleep, infinity]
networks:
  front: {}
  back: {internal: true}
  other: {}
",
    );
    host.rcompose(["up", "-d"]).success();
    shell(
        &host,
        "both",
        "wget -q -O /dev/null http://web/passwd && wget -q -O /dev/null http://www/passwd && wget -q -O /dev/null http://db/passwd",
    );
    let replicas = shell(
        &host,
        "both",
        "nslookup web 127.0.0.11 | grep -A9 'Name:' | grep -c Address",
    );
    assert_eq!(
        replicas.trim(),
        "2",
        "every replica answers to the service's name"
    );
    shell(&host, "both", "nslookup nets-both && nslookup nets-web-2");
    let address = shell(&host, "db", "hostname -i")
        .split_whitespace()
        .next()
        .expect("address")
        .to_owned();
    let fetch = format!("timeout 2 wget -q -O /dev/null http://{address}/passwd");
    assert_eq!(host.rcompose(["exec", "-T", "both", "sh", "-c", &fetch]).code, 0);
    assert_ne!(
        host.rcompose(["exec", "-T", "stranger", "sh", "-c", &fetch]).code,
        0,
        "networks are isolated"
    );
    assert_ne!(
        host.rcompose(["exec", "-T", "stranger", "nslookup", "web"]).code,
        0,
        "names of other networks are unknown"
    );
    assert_eq!(
        shell(&host, "db", "ip route | grep -c default || true").trim(),
        "0",
        "an internal network has no way out"
    );
    assert_eq!(shell(&host, "alone", "ls /sys/class/net").trim(), "lo");
    shell(&host, "sharer", "wget -q -O /dev/null http://127.0.0.1/passwd");
    host.finish();
}

#[test]
fn privileged_volumes_keep_binds_show_and_anonymous_ones_go() {
    let host = Host::with_busybox();
    host.write("seen/file", "from the host");
    host.write(
        "Dockerfile",
        "FROM busybox:test\nRUN mkdir -p /data && echo seed > /data/seed && chown app /data\nVOLUME /cache\n",
    );
    let file = r"
name: vols
services:
  a:
    build: .
    command: [sleep, infinity]
    volumes: ['named:/data', './seen:/seen:ro', '/anon', {type: tmpfs, target: /mem, tmpfs: {size: 1m}}]
volumes: {named: {}}
";
    host.write("compose.yaml", file);
    host.rcompose(["up", "-d"]).success();
    assert_eq!(
        shell(&host, "a", "cat /data/seed /seen/file; stat -c %U /data"),
        "seed\nfrom the hostapp\n"
    );
    assert_ne!(
        host.rcompose(["exec", "-T", "a", "touch", "/seen/x"]).code,
        0,
        "read-only"
    );
    shell(
        &host,
        "a",
        "echo kept > /data/kept; echo kept > /anon/kept; echo kept > /cache/kept",
    );
    // Recreating keeps named and anonymous volumes.
    host.write("compose.yaml", &file.replace("infinity", "'9999'"));
    host.rcompose(["up", "-d", "--no-reload"]).success();
    eventually("recreated", Duration::from_secs(5), || {
        host.rcompose([
            "exec",
            "-T",
            "a",
            "sh",
            "-c",
            "cat /data/kept /anon/kept /cache/kept",
        ])
        .stdout
            == "kept\nkept\nkept\n"
    });
    host.rcompose(["down"]).success();
    host.rcompose(["up", "-d"]).success();
    assert_eq!(shell(&host, "a", "cat /data/kept"), "kept\n");
    host.rcompose(["down", "-v"]).success();
    assert_eq!(
        std::fs::read_dir(host.data_root().join("volumes")).map_or(0, Iterator::count),
        0
    );
    host.finish();
}

#[test]
fn privileged_health_gates_dependents_and_wait_reports_failure() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        r#"
name: healthy
services:
  db:
    image: busybox:test
    command: ["sh", "-c", "sleep 0.6; touch /ready; exec sleep infinity"]
    healthcheck: {test: [CMD, test, -f, /ready], interval: 10s, start_period: 20s, start_interval: 200ms}
  job:
    image: busybox:test
    command: ["sh", "-c", "sleep 0.2; exit 0"]
  web:
    image: busybox:test
    command: [sleep, infinity]
    depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}
"#,
    );
    let took = host.rcompose(["up", "-d", "--wait"]).success().took;
    assert!(
        took < Duration::from_secs(5),
        "probes are eager, not one interval late: {took:?}"
    );
    assert_eq!(host.container("db")["Health"], "healthy");
    host.rcompose(["down", "-t", "0"]).success();

    host.write("compose.yaml", "name: healthy\nservices:\n  bad:\n    image: busybox:test\n    command: [sleep, infinity]\n    healthcheck: {test: ['CMD-SHELL', 'echo no luck; exit 1'], interval: 100ms, retries: 2}\n  web:\n    image: busybox:test\n    command: [sleep, infinity]\n    depends_on: {bad: {condition: service_healthy}}\n");
    let ran = host.rcompose(["up", "-d"]).fails_with(1);
    assert!(
        ran.stderr.contains("bad") && ran.stderr.contains("no luck"),
        "{}",
        ran.stderr
    );
    host.finish();
}

#[test]
fn privileged_restart_policies_and_exit_codes() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        r#"
name: restarts
services:
  again:
    image: busybox:test
    command: ["sh", "-c", "echo run; exit 3"]
    restart: on-failure:2
  once:
    image: busybox:test
    command: ["sh", "-c", "exit 4"]
  missing:
    image: busybox:test
    command: [no-such-program]
"#,
    );
    let ran = host.rcompose(["up", "-d", "missing"]).fails_with(1);
    assert!(ran.stderr.contains("no-such-program"), "{}", ran.stderr);
    host.rcompose(["up", "-d", "again", "once"]).success();
    eventually("two restarts, then the end", Duration::from_secs(5), || {
        host.container("again")["State"] == "exited"
            && host
                .rcompose(["logs", "--no-log-prefix", "again"])
                .stdout
                .matches("run")
                .count()
                == 3
    });
    assert_eq!(
        (
            host.container("again")["ExitCode"].as_i64(),
            host.container("once")["ExitCode"].as_i64()
        ),
        (Some(3), Some(4))
    );
    host.finish();
}

#[test]
fn privileged_pull_from_a_real_registry_build_and_run() {
    let host = Host::empty();
    let registry = crate::registry::Registry::start();
    let base = registry.push(
        "tools/base",
        "1.0",
        &std::fs::read(crate::images::busybox_tar()).expect("tar"),
    );
    host.write("Dockerfile", "ARG BASE\nFROM ${BASE} AS made\nARG WORD=none\nCOPY --chmod=755 tool.sh /bin/tool\nRUN echo \"$WORD\" > /word && tool\nFROM made\nENV A=1\nHEALTHCHECK --interval=1s CMD true\nENTRYPOINT [\"tool\"]\nCMD [\"served\"]\n");
    host.write(
        "tool.sh",
        "#!/bin/sh\necho tool ${1:-made}; [ \"$1\" = served ] && exec sleep 1000; exit 0\n",
    );
    host.write(
        "compose.yaml",
        &format!("name: built\nservices:\n  pulled:\n    image: {base}\n    command: [sleep, infinity]\n  made:\n    build: {{context: ., args: {{BASE: {base}, WORD: hello}}}}\n"),
    );
    host.rcompose(["up", "-d", "--wait"]).success();
    assert_eq!(shell(&host, "made", "cat /word; echo $A"), "hello\n1\n");
    assert!(
        host.rcompose(["logs", "--no-log-prefix", "made"])
            .success()
            .stdout
            .contains("tool served")
    );
    // Nothing changed: nothing is built, nothing is recreated.
    let id = host.container("made")["ID"].clone();
    host.rcompose(["up", "-d", "--build"]).success();
    assert_eq!(host.container("made")["ID"], id);
    // Registry gone: what is here is enough.
    drop(registry);
    host.rcompose(["up", "-d"]).success();
    host.finish();
}

#[test]
fn privileged_images_are_saved_loaded_and_removed() {
    let host = Host::with_busybox();
    let archive = host.work().join("image.tar");
    let archive = archive.to_str().expect("utf-8 path");
    host.rcompose(["image", "save", "-o", archive, "busybox:test"])
        .success();
    let device = host.work().join("null");
    let made = std::process::Command::new("mknod")
        .arg(&device)
        .args(["c", "1", "3"])
        .status();
    assert!(made.expect("mknod").success());
    let name = device.to_str().expect("utf-8 path");
    host.rcompose(["image", "save", "-o", name, "busybox:test"])
        .success();
    let kind = std::fs::metadata(&device).expect("the device").file_type();
    assert!(
        std::os::unix::fs::FileTypeExt::is_char_device(&kind),
        "a device stays one"
    );
    host.rcompose(["image", "rm", "busybox:test"]).success();
    assert!(
        host.rcompose(["image", "ls", "-q"])
            .success()
            .stdout
            .trim()
            .is_empty()
    );
    host.rcompose(["image", "load", "-i", archive]).success();
    host.write(
        "compose.yaml",
        "name: loaded\nservices:\n  a:\n    image: busybox:test\n    command: [sleep, infinity]\n",
    );
    host.rcompose(["up", "-d"]).success();
    let ran = host.rcompose(["image", "rm", "busybox:test"]).fails_with(1);
    assert!(ran.stderr.contains("a container uses it"), "{}", ran.stderr);
    host.finish();
}

#[test]
fn privileged_the_host_itself_as_an_image() {
    let host = Host::empty();
    host.write(
        "compose.yaml",
        "name: athost\nservices:\n  a:\n    image: \"@host\"\n    command: [sleep, infinity]\n",
    );
    host.rcompose(["up", "-d"]).success();
    let release = std::fs::read_to_string("/etc/os-release").expect("os-release");
    assert_eq!(shell(&host, "a", "cat /etc/os-release"), release);
    shell(&host, "a", "echo x > /usr/written-inside && test ! -e /root/.ssh");
    assert!(
        !std::path::Path::new("/usr/written-inside").exists(),
        "writes stay in the container"
    );
    let data_root = host.data_root();
    assert_ne!(
        host.rcompose(["exec", "-T", "a", "ls", data_root.to_str().expect("utf-8 path")])
            .code,
        0,
        "state is not visible"
    );
    host.finish();
}

#[test]
fn privileged_toml_works_as_well() {
    let host = Host::with_busybox();
    host.write("compose.toml", "name = \"toml\"\n[services.a]\nimage = \"busybox:test\"\ncommand = [\"sleep\", \"infinity\"]\nenvironment = { WORD = \"hi\" }\nports = [\"127.0.0.1::80\"]\n");
    host.rcompose(["up", "-d"]).success();
    assert_eq!(shell(&host, "a", "echo $WORD"), "hi\n");
    host.finish();
}

#[test]
fn privileged_udp_ports_are_published_too() {
    let host = Host::empty();
    host.write(
        "compose.yaml",
        r#"
name: udp
services:
  echo:
    image: "@host"
    command:
      - perl
      - -MIO::Socket::INET
      - -e
      - '$$s = IO::Socket::INET->new(Proto => "udp", LocalPort => 99); while ($$a = $$s->recv($$b, 99)) { $$s->send("echo $$b") }'
    ports: ["127.0.0.1::99/udp"]
"#,
    );
    host.rcompose(["up", "-d"]).success();
    let address = host
        .rcompose(["port", "--protocol", "udp", "echo", "99"])
        .success()
        .stdout;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a limit");
    let mut buffer = [0; 64];
    eventually("an echo comes back", Duration::from_secs(5), || {
        socket.send_to(b"ping", address.trim()).expect("sent");
        socket
            .recv_from(&mut buffer)
            .is_ok_and(|(length, _)| &buffer[..length] == b"echo ping")
    });
    host.finish();
}
