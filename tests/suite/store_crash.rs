//! The store of images under fire: commands killed at any moment, a disk that is full, two commands at once. Whatever happens, what has
//! a name is whole, and what was left over goes with the next collection.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::host::{Host, run};

/// A root file system of `count` files, each with random bytes, as a tar.
fn archive(host: &Host, name: &str, count: usize) -> PathBuf {
    let tree = host.work().join(format!("{name}-tree"));
    fs::create_dir_all(&tree).expect("a directory");
    for number in 0..count {
        run(Command::new("dd")
            .args(["if=/dev/urandom", "bs=64k", "count=1", "status=none"])
            .arg(format!("of={}/{number}", tree.display())))
        .success();
    }
    let path = host.work().join(name);
    run(Command::new("tar")
        .arg("-C")
        .arg(&tree)
        .arg("-cf")
        .arg(&path)
        .arg("."))
    .success();
    path
}

fn start(host: &Host, arguments: &[&str]) -> Child {
    host.command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// Kills it after a while; whether it had ended before.
fn kill_after(mut child: Child, wait: Duration) -> bool {
    std::thread::sleep(wait);
    let ended = child.try_wait().expect("a state").is_some();
    drop(child.kill());
    child.wait().expect("an end");
    ended
}

/// Everything with a name is whole: each image can be saved, which compares all digests. Then nothing unfinished is left after a collection.
#[track_caller]
fn is_sound(host: &Host) {
    let listed = host
        .rcompose(["image", "ls", "-a", "-q", "--no-trunc"])
        .success()
        .stdout;
    for id in listed.lines() {
        host.rcompose(["image", "save", "-o", "check.tar", id]).success();
    }
    host.rcompose(["image", "prune", "-f"]).success();
    let ingest: Vec<_> = names(&host.data_root().join("images/ingest"));
    assert!(ingest.is_empty(), "left over: {ingest:?}");
    let records = names(&host.data_root().join("images/layers"));
    let directories = records
        .iter()
        .filter(|name| name.strip_suffix(".json").is_none())
        .count();
    assert_eq!(
        directories * 2,
        records.len(),
        "a layer without its record, or the other way: {records:?}"
    );
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[test]
fn privileged_a_store_survives_kill_9_at_any_moment() {
    let host = Host::empty();
    archive(&host, "one.tar", 60);
    archive(&host, "two.tar", 60);
    host.rcompose(["image", "import", "two.tar", "two:1"]).success();
    host.rcompose(["image", "save", "-o", "saved.tar", "two:1"])
        .success();
    host.rcompose(["image", "rm", "two:1"]).success();
    let verbs: [&[&str]; 4] = [
        &["image", "import", "one.tar", "one:1"],
        &["image", "load", "-i", "saved.tar"],
        &["image", "save", "-o", "again.tar", "kept:1"],
        &["image", "prune", "-a", "-f"],
    ];
    archive(&host, "kept.tar", 20);
    for wait in [0, 2, 5, 9, 14, 22, 35, 60] {
        host.rcompose(["image", "import", "kept.tar", "kept:1"]).success();
        for verb in verbs {
            kill_after(start(&host, verb), Duration::from_millis(wait));
            is_sound(&host);
        }
    }
    // And at last all of it works.
    host.rcompose(verbs[0]).success();
    host.rcompose(verbs[1]).success();
    host.rcompose(["image", "import", "kept.tar", "kept:1"]).success();
    host.rcompose(verbs[2]).success();
    is_sound(&host);
    host.rcompose(verbs[3]).success();
    assert_eq!(
        names(&host.data_root().join("images/layers")),
        Vec::<String>::new()
    );
    host.finish();
}

#[test]
fn privileged_two_commands_at_once_make_one_layer() {
    let host = Host::empty();
    archive(&host, "one.tar", 40);
    let children: Vec<Child> = ["a:1", "b:1", "c:1"]
        .iter()
        .map(|name| start(&host, &["image", "import", "one.tar", name]))
        .chain((0..3).map(|_| start(&host, &["image", "prune", "-f"])))
        .collect();
    for mut child in children {
        assert!(child.wait().expect("an end").success());
    }
    assert_eq!(
        names(&host.data_root().join("images/layers")).len(),
        2,
        "a layer and its record"
    );
    is_sound(&host);
    host.finish();
}

#[test]
fn privileged_a_full_disk_is_one_clear_error_and_nothing_half() {
    let host = Host::empty();
    archive(&host, "large.tar", 160);
    archive(&host, "small.tar", 4);
    let disk = host.work().join("disk");
    fs::create_dir(&disk).expect("a directory");
    run(Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"])
        .arg(&disk))
    .success();
    let on_disk = |arguments: &[&str]| {
        let mut command = host.command(arguments);
        run(command.env("RCOMPOSE_DATA_ROOT", disk.join("data")))
    };
    let listed = || {
        on_disk(&["image", "import", "small.tar", "small:1"]).success();
        let full = on_disk(&["image", "import", "large.tar", "large:1"]).fails_with(1);
        assert_eq!(full.stderr.matches("Error").count(), 1, "{}", full.stderr);
        assert!(full.stderr.contains("No space left on device"), "{}", full.stderr);
        let full = on_disk(&[
            "image",
            "save",
            "-o",
            disk.join("out.tar").to_str().expect("utf-8"),
            "small:1",
        ]);
        assert!(
            full.code == 0 || full.stderr.contains("No space left on device"),
            "{}",
            full.stderr
        );
        on_disk(&["image", "ls", "--format", "{{.Repository}}"])
            .success()
            .stdout
    };
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(listed));
    let left = names(&disk.join("data/images/ingest"));
    run(Command::new("umount").arg("-l").arg(&disk)).success();
    assert_eq!(found.expect("what was asked"), "small\n");
    assert!(
        left.iter().all(|name| !name.starts_with("layer-")),
        "what did not fit is gone: {left:?}"
    );
    host.finish();
}
