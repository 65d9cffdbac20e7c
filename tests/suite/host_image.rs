//! Images that nothing is downloaded for: the host's own root without its secrets, and Debian from its signed archive.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::host::Host;

/// What a shell prints in a container of `@host`.
fn inside(host: &Host, script: &str) -> String {
    host.rcompose(["run", "--rm", "-T", "a", "sh", "-c", script])
        .success()
        .stdout
}

#[test]
fn privileged_the_host_is_seen_without_its_secrets() {
    let host = Host::empty();
    host.write(
        "compose.yaml",
        "name: seen\nservices: {a: {image: '@host', command: [sleep, infinity]}}\n",
    );
    // A secret of root's home, and one that only its owner may read.
    let secret = host.work().join("secret");
    fs::write(&secret, "token").expect("a file");
    assert_eq!(
        inside(&host, "cat /etc/passwd"),
        fs::read_to_string("/etc/passwd").expect("passwd")
    );
    for gone in ["/etc/shadow", "/etc/gshadow", "/etc/machine-id", "/etc/sudoers"] {
        assert_eq!(
            inside(&host, &format!("cat {gone} 2>/dev/null; echo end")),
            "end\n",
            "{gone}"
        );
    }
    let readable = "find / -xdev -type f ! -perm -004 \\( -path '/etc/*' -o -path '/root/*' -o -path '/home/*' \\) 2>/dev/null";
    assert_eq!(
        inside(&host, readable),
        "",
        "nothing that not everybody may read is there"
    );
    let modes = inside(
        &host,
        "stat -c '%n %a' /tmp /var/tmp /run /root; ls -A /tmp /var/tmp /root /home /var/log",
    );
    assert!(
        modes.starts_with("/tmp 1777\n/var/tmp 1777\n/run 755\n/root 700\n"),
        "{modes}"
    );
    assert!(
        !modes.contains(
            host.work()
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a name")
        ),
        "{modes}"
    );
    assert!(
        inside(&host, "cat /etc/resolv.conf").contains("127.0.0.11"),
        "as any container has it"
    );
    assert_ne!(
        inside(&host, "cat /etc/hostname"),
        fs::read_to_string("/etc/hostname").unwrap_or_default()
    );
    // Writes stay inside, under `/usr` too.
    assert_eq!(inside(&host, "echo x >/usr/written && cat /usr/written"), "x\n");
    assert!(!Path::new("/usr/written").exists());
    // Who wants a secret inside says so, and gets that one.
    host.write(
        "compose.yaml",
        &format!(
            "name: seen\nservices:\n  a:\n    image: '@host'\n    volumes: ['{}:/root/secret:ro']\n",
            secret.display()
        ),
    );
    assert_eq!(inside(&host, "cat /root/secret; ls -A /root"), "tokensecret\n");
    host.finish();
}

#[test]
fn privileged_without_mmdebstrap_a_bootstrap_says_what_to_install() {
    let host = Host::empty();
    let mut command = host.command(["image", "bootstrap", "debian:bookworm-slim"]);
    let ran = crate::host::run(command.env("PATH", "/nowhere")).fails_with(1);
    assert!(
        ran.stderr.contains("apt-get install mmdebstrap"),
        "{}",
        ran.stderr
    );
    let ran = host.rcompose(["image", "bootstrap", "alpine:3"]).fails_with(1);
    assert!(ran.stderr.contains("--suite"), "{}", ran.stderr);
    // A program that fails midway leaves no image behind.
    let broken = host.work().join("bin");
    fs::create_dir(&broken).expect("a directory");
    let program = broken.join("mmdebstrap");
    fs::write(
        &program,
        "#!/bin/sh\ncd / && tar -cf - etc/passwd; echo 'no such suite' >&2; exit 25\n",
    )
    .expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("mode");
    let mut command = host.command(["image", "bootstrap", "debian:bookworm"]);
    let path = format!("{}:/usr/bin:/bin", broken.display());
    let ran = crate::host::run(command.env("PATH", path)).fails_with(1);
    assert!(ran.stderr.contains("no such suite"), "{}", ran.stderr);
    assert_eq!(host.rcompose(["image", "ls", "-a", "-q"]).success().stdout, "");
    host.finish();
}

#[test]
fn privileged_bootstrap_of_debian_from_its_signed_archive() {
    let host = Host::empty();
    host.rcompose(["image", "bootstrap", "--include", "bc", "debian:bookworm-slim"])
        .success();
    host.write(
        "compose.yaml",
        "name: deb\nservices: {a: {image: 'debian:bookworm-slim'}}\n",
    );
    let ran = host
        .rcompose([
            "run",
            "--rm",
            "-T",
            "a",
            "bash",
            "-c",
            "grep -c bookworm /etc/os-release; echo 6*7 | bc; ls /usr/share/man",
        ])
        .success();
    assert!(
        ran.stdout.starts_with(char::is_numeric) && ran.stdout.contains("\n42\n"),
        "{}",
        ran.stdout
    );
    host.finish();
}
