//! What is done to images and to what they take of the disk, through the binary: history, diff, export, commit, df and prune.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::host::{Host, run};

const FILE: &str = "
name: verbs
services:
  web:
    image: busybox:test
    command: [sh, -c, 'mkdir -p /data && echo hello >/data/file && rm /etc/group && chmod 700 /tmp && ln -s file /data/link && sleep 1000']
    environment: {A: b}
    labels: {team: shop}
    working_dir: /data
";

fn json(host: &Host, arguments: &[&str]) -> Value {
    let shown = host.rcompose(arguments).success().stdout;
    serde_json::from_str(&shown).expect("JSON")
}

fn up(host: &Host) {
    host.write("compose.yaml", FILE);
    host.rcompose(["up", "-d"]).success();
    crate::host::eventually("it has written", std::time::Duration::from_secs(10), || {
        host.rcompose(["exec", "-T", "web", "test", "-L", "/data/link"])
            .code
            == 0
    });
}

#[test]
fn privileged_a_container_becomes_an_image_that_says_what_it_was_made_of() {
    let host = Host::with_busybox();
    up(&host);
    let changes = host.rcompose(["diff", "web"]).success().stdout;
    for line in [
        "A /data",
        "A /data/file",
        "A /data/link",
        "C /etc",
        "D /etc/group",
        "C /tmp",
    ] {
        assert!(
            changes.lines().any(|found| found == line),
            "{line} is not in {changes}"
        );
    }
    let committed = host
        .rcompose([
            "commit",
            "-a",
            "Ada",
            "-m",
            "as it was",
            "-c",
            "CMD [\"cat\", \"file\"]",
            "-c",
            "LABEL x=y",
            "web",
            "web:2",
        ])
        .success();
    assert!(committed.stdout.starts_with("sha256:"), "{}", committed.stdout);
    assert_eq!(host.container("web")["State"], "running", "it is thawed again");
    let shown = json(&host, &["image", "inspect", "web:2"]);
    let (old, new) = (json(&host, &["image", "inspect", "busybox:test"]), &shown[0]);
    let layers = |image: &Value| image["RootFS"]["Layers"].as_array().expect("layers").clone();
    assert_eq!(
        layers(new)[..1],
        layers(&old[0])[..],
        "the parent's layers are shared"
    );
    assert_eq!(layers(new).len(), 2);
    assert_eq!(
        (&new["Author"], &new["Comment"]),
        (&Value::from("Ada"), &Value::from("as it was"))
    );
    let config = &new["Config"];
    assert_eq!(config["Cmd"], serde_json::json!(["cat", "file"]));
    assert_eq!(config["Labels"], serde_json::json!({"team": "shop", "x": "y"}));
    assert_eq!(config["WorkingDir"], "/data");
    assert!(config["Env"].as_array().expect("a list").contains(&"A=b".into()));
    assert_eq!(
        host.rcompose(["image", "diff", "web:2"]).success().stdout,
        changes
    );
    assert_eq!(
        host.rcompose(["image", "diff", "busybox:test", "web:2"])
            .success()
            .stdout,
        changes
    );
    host.rcompose(["down", "-t", "0"]).success();

    // It runs as it says.
    host.write("compose.yaml", "name: again\nservices: {web: {image: 'web:2'}}\n");
    let ran = host.rcompose(["run", "--rm", "-T", "web"]).success();
    assert_eq!(ran.stdout, "hello\n");
    let missing = host.rcompose(["run", "--rm", "-T", "web", "cat", "/etc/group"]);
    assert_ne!(missing.code, 0, "what was deleted stays deleted");

    its_history_is_told_as_docker_tells_it(&host, &new["Id"]);
    host.finish();
}

fn its_history_is_told_as_docker_tells_it(host: &Host, id: &Value) {
    let history = host.rcompose(["image", "history", "web:2"]).success().stdout;
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 3, "{history}");
    assert!(
        lines[0].starts_with("IMAGE ") && lines[0].ends_with("COMMENT"),
        "{history}"
    );
    assert!(
        lines[1].contains("sh -c mkdir -p /data")
            && lines[1].contains('…')
            && lines[1].ends_with("as it was")
    );
    assert!(lines[2].starts_with("<missing>"), "{history}");
    let whole = host
        .rcompose(["image", "history", "--no-trunc", "--format", "json", "web:2"])
        .success()
        .stdout;
    let first: Value = serde_json::from_str(whole.lines().next().expect("a line")).expect("JSON");
    assert!(
        first["CreatedBy"]
            .as_str()
            .is_some_and(|by| by.ends_with("sleep 1000")),
        "{first}"
    );
    assert_eq!(&first["ID"], id);
    assert_eq!(
        host.rcompose(["image", "history", "-q", "web:2"])
            .success()
            .stdout
            .lines()
            .count(),
        2
    );
}

#[test]
fn privileged_what_is_exported_is_the_file_system_without_layers_and_mounts() {
    let host = Host::with_busybox();
    up(&host);
    host.rcompose(["export", "-o", "web.tar", "web"]).success();
    host.rcompose(["image", "export", "-o", "image.tar", "busybox:test"])
        .success();
    // A device is written to, and stays one.
    let device = host.work().join("null");
    run(Command::new("mknod").arg(&device).args(["c", "1", "3"])).success();
    host.rcompose(["image", "save", "-o", "null", "busybox:test"])
        .success();
    let kind = fs::metadata(&device).expect("a device").file_type();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&kind));
    let listed = |name: &str| {
        let listed = run(Command::new("tar").arg("-tf").arg(host.work().join(name))).success();
        listed.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (web, image) = (listed("web.tar"), listed("image.tar"));
    let has = |list: &[String], name: &str| list.iter().any(|found| found == name);
    assert!(has(&web, "data/file") && has(&web, "bin/busybox") && !has(&web, "etc/group"));
    assert!(has(&image, "etc/group") && !has(&image, "data/file"));
    assert!(
        !web.iter()
            .any(|name| name.contains(".wh.") || name.starts_with("proc/1/")),
        "{web:?}"
    );
    host.rcompose(["down", "-t", "0"]).success();
    // A stopped container, and an export that becomes an image again.
    host.rcompose([
        "image",
        "import",
        "-c",
        "CMD [\"cat\", \"/data/file\"]",
        "web.tar",
        "flat:1",
    ])
    .success();
    host.write("compose.yaml", "name: flat\nservices: {web: {image: 'flat:1'}}\n");
    assert_eq!(
        host.rcompose(["run", "--rm", "-T", "web"]).success().stdout,
        "hello\n"
    );
    let refused = host.rcompose(["export", "nothing"]).fails_with(1);
    assert!(refused.stderr.contains("nothing"), "{}", refused.stderr);
    host.finish();
}

fn a_cap_is_kept_by_what_was_used_longest_ago(host: &Host) {
    let used: u64 = fs::read_dir(host.data_root().join("images/layers"))
        .expect("layers")
        .filter_map(|entry| fs::read(entry.ok()?.path()).ok())
        .filter_map(|record| serde_json::from_slice::<Value>(&record).ok()?["size"].as_u64())
        .sum();
    let cap = (used - 1).to_string();
    let pruned = host
        .rcompose(["image", "prune", "-a", "-f", "--max-used-space", &cap])
        .success();
    assert!(
        pruned.stdout.contains("Untagged: one:1") && !pruned.stdout.contains("two:1"),
        "{}",
        pruned.stdout
    );
    let bound = host
        .rcompose(["image", "prune", "-a", "-f", "--max-used-space", "1kB"])
        .success();
    assert!(
        bound.stdout.contains("Untagged: two:1") && !bound.stdout.contains("busybox"),
        "{}",
        bound.stdout
    );
    assert!(
        bound.stderr.contains("layers still take"),
        "what a container needs stays: {}",
        bound.stderr
    );
    let kept = host
        .rcompose(["image", "prune", "-a", "-f", "--filter", "until=24h"])
        .success();
    assert_eq!(kept.stdout, "Total reclaimed space: 0B\n");
    let wrong = host
        .rcompose(["image", "prune", "-f", "--filter", "colour=red"])
        .fails_with(1);
    assert!(
        wrong.stderr.contains("there is no such filter"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn privileged_what_is_taken_of_the_disk_is_told_and_given_back() {
    let host = Host::with_busybox();
    host.write("compose.yaml", "name: full\nservices:\n  web:\n    image: busybox:test\n    command: [sh, -c, 'head -c 300000 /dev/zero >/big; sleep 1000']\n    volumes: [/anonymous, named:/named]\nvolumes: {named: {}}\n");
    for name in ["one:1", "two:1"] {
        fs::write(host.work().join(name), vec![b'x'; 1_000_000]).expect("a file");
        run(Command::new("tar")
            .current_dir(host.work())
            .args(["--force-local", "-cf", "layer.tar", name]))
        .success();
        host.rcompose(["image", "import", "layer.tar", name]).success();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    host.rcompose(["up", "-d"]).success();
    crate::host::eventually("it has written", std::time::Duration::from_secs(10), || {
        host.rcompose(["exec", "-T", "web", "test", "-s", "/big"]).code == 0
    });
    let rows = || -> Vec<Value> {
        let shown = host
            .rcompose(["system", "df", "--format", "json"])
            .success()
            .stdout;
        shown
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    };
    let before = rows();
    let counts = |row: &Value| {
        (
            row["TotalCount"].as_str().map(str::to_owned),
            row["Active"].as_str().map(str::to_owned),
        )
    };
    let pair = |total: &str, active: &str| (Some(total.to_owned()), Some(active.to_owned()));
    assert_eq!(counts(&before[0]), pair("3", "1"));
    assert_eq!(counts(&before[1]), pair("1", "1"));
    assert_eq!(
        (&before[1]["Size"], &before[1]["Reclaimable"]),
        (&"300kB".into(), &"0B (0%)".into())
    );
    assert_eq!(counts(&before[2]), pair("2", "2"));
    let table = host.rcompose(["system", "df"]).success().stdout;
    assert!(
        table.starts_with("TYPE            TOTAL     ACTIVE    SIZE") || table.starts_with("TYPE "),
        "{table}"
    );
    let details = host.rcompose(["system", "df", "-v"]).success().stdout;
    for part in ["Images space usage:", "full-web-1", "full_named", "two "] {
        assert!(details.contains(part), "{part} is not in {details}");
    }
    let all = json(&host, &["system", "df", "-v", "--format", "json"]);
    assert_eq!(all["Images"].as_array().map(Vec::len), Some(3));

    a_cap_is_kept_by_what_was_used_longest_ago(&host);

    // Nothing that runs is touched; once it is stopped all of it goes, but for the named volume.
    let running = host
        .rcompose(["system", "prune", "-a", "-f", "--volumes"])
        .success();
    assert_eq!(running.stdout, "Total reclaimed space: 0B\n");
    host.rcompose(["stop", "-t", "0"]).success();
    host.rcompose(["system", "prune", "-f", "--filter", "label=nobody"])
        .success();
    assert_eq!(host.ps().len(), 1, "the filter saves it");
    let pruned = host
        .rcompose(["system", "prune", "-a", "-f", "--volumes"])
        .success();
    for part in [
        "Deleted container: full-web-1",
        "Deleted network: full_default",
        "Deleted volume: ",
        "Untagged: busybox:test",
    ] {
        assert!(pruned.stdout.contains(part), "{part} is not in {}", pruned.stdout);
    }
    let after = rows();
    assert_eq!(counts(&after[0]), pair("0", "0"));
    assert_eq!(counts(&after[2]), pair("1", "0"), "the volume with a name");
    host.finish();
}

#[test]
fn privileged_images_are_listed_and_inspected_as_docker_does_it() {
    let host = Host::with_busybox();
    host.rcompose(["image", "tag", "busybox:test", "registry.lan/team/box:1"])
        .success();
    host.rcompose([
        "image",
        "import",
        "-c",
        "LABEL a=b",
        crate::images::busybox_tar().to_str().expect("utf-8"),
    ])
    .success();
    let names = |arguments: &[&str]| {
        let mut all = vec!["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"];
        all.extend(arguments);
        let mut lines: Vec<String> = host
            .rcompose(all)
            .success()
            .stdout
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(
        names(&["-a"]),
        ["<none>:<none>", "busybox:test", "registry.lan/team/box:1"]
    );
    assert_eq!(names(&["-f", "dangling=true"]), ["<none>:<none>"]);
    assert_eq!(names(&["-f", "label=a=b"]), ["<none>:<none>"]);
    assert_eq!(names(&["-f", "reference=busy*"]), ["busybox:test"]);
    assert_eq!(
        names(&["-f", "reference=*/*/box", "-f", "reference=busybox:*"]),
        ["busybox:test", "registry.lan/team/box:1"]
    );
    assert_eq!(names(&["-f", "since=busybox:test"]), ["<none>:<none>"]);
    let shown = json(&host, &["image", "inspect", "busybox:test"]);
    let keys: Vec<&str> = shown[0]
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let docker = [
        "Id",
        "RepoTags",
        "RepoDigests",
        "Parent",
        "Comment",
        "Created",
        "DockerVersion",
        "Author",
        "Architecture",
        "Os",
        "Size",
        "GraphDriver",
        "RootFS",
        "Metadata",
        "Config",
    ];
    assert_eq!(keys, docker);
    let config: Vec<&str> = shown[0]["Config"]
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        config,
        [
            "Cmd",
            "Entrypoint",
            "Env",
            "Labels",
            "OnBuild",
            "User",
            "Volumes",
            "WorkingDir"
        ]
    );
    let refused = host
        .rcompose(["image", "inspect", "--platform", "linux/s390x", "busybox:test"])
        .fails_with(1);
    assert!(
        refused.stderr.contains("not for linux/s390x"),
        "{}",
        refused.stderr
    );
    host.finish();
}
