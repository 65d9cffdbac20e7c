//! `cache_to` and `cache_from`: what was built on one host is not built again on another.

use crate::host::{Host, Ran};
use crate::registry::Registry;

const DOCKERFILE: &str = "FROM busybox:test AS tool\nRUN head -c 16 /dev/urandom | sha256sum >/random\nFROM busybox:test\nCOPY app.txt /\nRUN wc /app.txt >/count\nCOPY --from=tool /random /\n";

/// A service with these keys in its `build:`; what a build printed.
fn build(host: &Host, keys: &str) -> Ran {
    host.write("Dockerfile", DOCKERFILE);
    host.write("app.txt", "the same everywhere\n");
    host.write(
        "compose.yaml",
        &format!("name: c\nservices:\n  app:\n    image: app:1\n    build:\n      context: .\n{keys}"),
    );
    host.rcompose(["build"]).success()
}

fn random(host: &Host) -> String {
    let ran = host
        .rcompose(["run", "--rm", "-T", "app", "cat", "/random"])
        .success();
    host.rcompose(["down"]).success();
    ran.stdout
}

fn cached(ran: &Ran) -> usize {
    ran.stderr.matches(" CACHED").count()
}

#[test]
fn privileged_a_registry_and_a_directory_carry_steps_from_host_to_host() {
    let registry = Registry::start();
    let at = registry.address();
    let shared = tempfile::tempdir().expect("directory");
    let place = shared.path().join("cache");
    let (one, other, third) = (Host::with_busybox(), Host::with_busybox(), Host::with_busybox());
    let export = format!(
        "      cache_to: ['type=registry,ref={at}/cache:1,mode=max', 'type=local,dest={}']\n",
        place.display()
    );
    let first = build(&one, &export);
    assert_eq!(cached(&first), 0, "{}", first.stderr);
    let images = one.rcompose(["image", "ls", "-q"]).success();
    assert_eq!(
        images.stdout.lines().count(),
        2,
        "the cache is no image of the host: {}",
        images.stdout
    );

    let second = build(
        &other,
        &format!("      cache_from: ['type=registry,ref={at}/cache:1']\n"),
    );
    assert_eq!(cached(&second), 4, "{}", second.stderr);
    assert_eq!(
        random(&other),
        random(&one),
        "the stage that cannot be made twice came from the cache"
    );

    // The smaller cache has the result's own steps only: the stage is made again, and what is copied from it.
    let third_build = build(
        &third,
        &format!("      cache_from: ['type=local,src={}']\n", place.display()),
    );
    assert_eq!(cached(&third_build), 2, "{}", third_build.stderr);
}

#[test]
fn privileged_an_image_can_carry_its_own_steps_and_a_missing_cache_is_said() {
    let registry = Registry::start();
    let at = registry.address();
    let (one, other) = (Host::with_busybox(), Host::with_busybox());
    let name = format!("{at}/team/app:1");
    build(
        &one,
        &format!("      tags: ['{name}']\n      cache_to: [type=inline]\n"),
    );
    one.rcompose(["image", "push", "-q", &name]).success();
    let second = build(&other, &format!("      cache_from: ['{name}', '{at}/none:1']\n"));
    assert_eq!(
        cached(&second),
        2,
        "all but the stage, and what is copied from it: {}",
        second.stderr
    );
    assert!(
        second
            .stderr
            .contains(&format!("the cache {at}/none:1 cannot be used")),
        "{}",
        second.stderr
    );

    drop(registry);
    let keys = format!("      cache_to: ['type=registry,ref={at}/cache:1']\n");
    other.write(
        "compose.yaml",
        &format!("name: c\nservices:\n  app:\n    image: app:1\n    build:\n      context: .\n{keys}"),
    );
    let failed = other.rcompose(["build"]).fails_with(1);
    assert!(
        failed.stderr.contains(&format!("cannot push {at}/cache:1")),
        "{}",
        failed.stderr
    );
    let allowed = build(&other, &keys.replace(":1']", ":1,ignore-error=true']"));
    assert!(
        allowed.stderr.contains(&format!("cannot push {at}/cache:1")),
        "{}",
        allowed.stderr
    );
    let wrong = "name: c\nservices:\n  app:\n    build:\n      context: .\n      cache_to: ['type=gha']\n";
    other.write("compose.yaml", wrong);
    let wrong = other.rcompose(["build"]).fails_with(1);
    assert!(
        wrong.stderr.contains("type=gha is not known here"),
        "{}",
        wrong.stderr
    );
}
