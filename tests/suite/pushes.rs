//! `push` and `image push`: what was built on one host runs on another.

use crate::host::Host;
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
