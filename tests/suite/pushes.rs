//! `push` and `image push`: what was built on one host runs on another; `login` and `logout`: who may.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::host::{Host, Ran, run};
use crate::registry::Registry;

fn id(host: &Host, name: &str) -> String {
    host.rcompose(["image", "inspect", "-f", "{{.Id}}", name])
        .success()
        .stdout
}

#[test]
fn privileged_what_services_are_built_to_is_pushed() {
    let registry = Registry::start();
    let at = registry.address();
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        &format!(
            "name: p\nservices:\n  app:\n    image: {at}/team/app:1\n    build:\n      dockerfile_inline: |\n        FROM busybox:test\n        COPY <<X /made\n        built\n        X\n      tags: [\"{at}/team/app:latest\"]\n    depends_on: [base]\n  base:\n    image: {at}/base:1\n    build:\n      dockerfile_inline: FROM busybox:test\n  bought:\n    image: {at}/not/ours:1\n  nameless:\n    build:\n      dockerfile_inline: FROM busybox:test\n"
        ),
    );
    host.rcompose(["build"]).success();
    let dry = host.rcompose(["--dry-run", "push", "app"]).success();
    assert!(
        dry.stderr.contains(&format!("push {at}/team/app:1")),
        "{}",
        dry.stderr
    );
    let pushed = host.rcompose(["push", "app"]).success();
    assert_eq!(
        pushed.stderr.lines().collect::<Vec<_>>().len(),
        2,
        "one line an image: {}",
        pushed.stderr
    );
    assert!(
        pushed
            .stderr
            .contains(&format!(" Image {at}/team/app:latest  Pushed\n")),
        "{}",
        pushed.stderr
    );
    let base = host.rcompose(["image", "push", &format!("{at}/base:2")]);
    assert!(
        base.fails_with(1)
            .stderr
            .contains(&format!("cannot push {at}/base:2: there is no such image here"))
    );
    let all = host.rcompose(["push"]).success();
    for line in [
        " Service bought  Skipped\n",
        " Service nameless  Skipped\n",
        &format!(" Image {at}/base:1  Pushed\n"),
    ] {
        assert!(all.stderr.contains(line), "{line}: {}", all.stderr);
    }

    let elsewhere = Host::empty();
    let name = format!("{at}/team/app:1");
    elsewhere.rcompose(["image", "pull", "-q", &name]).success();
    assert_eq!(id(&elsewhere, &name), id(&host, &name));
    elsewhere.write(
        "compose.yaml",
        &format!("name: q\nservices:\n  app:\n    image: {name}\n    command: [cat, /made]\n"),
    );
    let ran = elsewhere.rcompose(["run", "--rm", "app"]).success();
    assert!(ran.stdout.contains("built"), "{}", ran.stdout);
    elsewhere.rcompose(["down"]).success();
}

#[test]
fn privileged_a_push_says_the_digest_and_fails_as_it_is_told() {
    let registry = Registry::start();
    let at = registry.address();
    let host = Host::with_busybox();
    for tag in ["1", "2"] {
        host.rcompose(["image", "tag", "busybox:test", &format!("{at}/bb:{tag}")])
            .success();
    }
    let pushed = host.rcompose(["image", "push", &format!("{at}/bb:1")]).success();
    let digest = pushed
        .stdout
        .split_whitespace()
        .nth(2)
        .expect("a digest")
        .to_owned();
    assert!(
        pushed.stdout.starts_with("1: digest: sha256:") && pushed.stdout.contains(" size: "),
        "{}",
        pushed.stdout
    );
    let all = host
        .rcompose(["image", "push", "-a", "-q", &format!("{at}/bb")])
        .success();
    assert_eq!(all.stdout, format!("{at}/bb:1\n{at}/bb:2\n"));
    let digests = host.rcompose(["image", "inspect", "-f", "{{.RepoDigests}}", "busybox:test"]);
    assert!(
        digests.stdout.contains(&format!("{at}/bb@{digest}")),
        "{}",
        digests.stdout
    );
    let other = host
        .rcompose([
            "image",
            "push",
            "--platform",
            "linux/s390x",
            &format!("{at}/bb:1"),
        ])
        .fails_with(1);
    assert!(other.stderr.contains("not for linux/s390x"), "{}", other.stderr);

    drop(registry);
    host.write(
        "compose.yaml",
        &format!(
            "services:\n  a:\n    image: {at}/bb:1\n    build:\n      dockerfile_inline: FROM busybox:test\n"
        ),
    );
    let failed = host.rcompose(["push"]).fails_with(1);
    let expected = format!("cannot push {at}/bb:1 to http://{at}/v2/bb/");
    assert!(
        failed.stderr.contains(&expected) && failed.stderr.contains("refused"),
        "{}",
        failed.stderr
    );
    let ignored = host.rcompose(["push", "--ignore-push-failures"]).success();
    assert!(ignored.stderr.contains(&expected), "{}", ignored.stderr);
}

fn with_input(host: &Host, arguments: &[&str], input: &str) -> Ran {
    let path = host.work().join("input");
    std::fs::write(&path, input).expect("input");
    let mut command = host.command(arguments);
    command.stdin(Stdio::from(std::fs::File::open(&path).expect("input")));
    run(&mut command)
}

#[test]
fn privileged_a_login_is_tried_kept_and_used() {
    let registry = Registry::guarded();
    let at = registry.address();
    let host = Host::with_busybox();
    let name = format!("{at}/bb:1");
    host.rcompose(["image", "tag", "busybox:test", &name]).success();
    let refused = host.rcompose(["image", "push", &name]).fails_with(1);
    assert!(
        refused
            .stderr
            .contains(&format!("{at} wants a login: run `rcompose login {at}`")),
        "{}",
        refused.stderr
    );

    let config = host.work().parent().expect("home").join(".docker/config.json");
    let wrong = with_input(&host, &["login", "-u", "me", "--password-stdin", &at], "wrong\n").fails_with(1);
    assert!(
        wrong
            .stderr
            .contains(&format!("cannot log in to {at}: access denied")),
        "{}",
        wrong.stderr
    );
    assert!(!config.exists(), "a login that is not taken is not kept");
    let lonely = host.rcompose(["login", &at]).fails_with(1);
    assert!(lonely.stderr.contains("--password-stdin"), "{}", lonely.stderr);

    let taken = with_input(&host, &["login", "-u", "me", "--password-stdin", &at], "secret\n").success();
    assert_eq!(taken.stdout, "Login Succeeded\n");
    assert!(taken.stderr.contains("kept unencrypted in"), "{}", taken.stderr);
    assert_eq!(
        std::fs::metadata(&config).expect("config").permissions().mode() & 0o777,
        0o600
    );
    let again = host.rcompose(["login", &format!("http://{at}/v2/")]).success();
    assert!(again.stdout.contains("kept already"), "{}", again.stdout);
    host.rcompose(["image", "push", &name]).success();
    let elsewhere = Host::empty();
    elsewhere.rcompose(["image", "pull", &name]).fails_with(1);
    let pulled = run(elsewhere
        .command(["image", "pull", "-q", &name])
        .env("DOCKER_CONFIG", config.parent().expect("directory")));
    pulled.success();

    assert_eq!(
        host.rcompose(["logout", &at]).success().stdout,
        format!("Removed the login for {at}\n")
    );
    assert_eq!(
        host.rcompose(["logout", &at]).success().stdout,
        format!("Not logged in to {at}\n")
    );
    host.rcompose(["image", "rm", &name]).success();
    host.rcompose(["image", "pull", &name]).fails_with(1);
}

#[test]
fn privileged_a_login_can_be_a_helpers() {
    let registry = Registry::guarded();
    let at = registry.address();
    let host = Host::empty();
    let home = host.work().parent().expect("home").to_owned();
    let helper = home.join("docker-credential-drawer");
    let mut file = std::fs::File::create(&helper).expect("helper");
    // Keeps one login beside itself.
    write!(
        file,
        "#!/bin/sh\nf={}/kept\ncase $1 in\nstore) cat >$f;;\nget) [ -s $f ] && cat $f || {{ echo credentials not found in native keychain; exit 1; }};;\nerase) cat >/dev/null; : >$f;;\nesac\n",
        home.display()
    )
    .expect("helper");
    drop(file);
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let config = home.join(".docker/config.json");
    std::fs::create_dir(home.join(".docker")).expect("directory");
    std::fs::write(&config, format!(r#"{{"credHelpers":{{"{at}":"drawer"}}}}"#)).expect("config");
    let path = format!("{}:/usr/bin:/bin", home.display());
    let with_path = |arguments: &[&str], input: &str| {
        std::fs::write(home.join("input"), input).expect("input");
        let mut command = host.command(arguments);
        command.env("PATH", &path).stdin(Stdio::from(
            std::fs::File::open(home.join("input")).expect("input"),
        ));
        run(&mut command)
    };
    let taken = with_path(&["login", "-u", "me", "--password-stdin", &at], "secret").success();
    assert_eq!(
        (taken.stdout.as_str(), taken.stderr.as_str()),
        ("Login Succeeded\n", "")
    );
    let kept = std::fs::read_to_string(home.join("kept")).expect("kept");
    assert!(
        kept.contains(r#""Username":"me""#) && kept.contains(&at),
        "{kept}"
    );
    let text = std::fs::read_to_string(&config).expect("config");
    assert!(!text.contains("c2Vj") && text.contains("credHelpers"), "{text}");
    with_path(&["login", &at], "").success();
    with_path(&["logout", &at], "").success();
    assert_eq!(std::fs::read_to_string(home.join("kept")).expect("kept"), "");
    with_path(&["login", &at], "").fails_with(1);
}
