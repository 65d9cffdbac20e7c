//! `builder du` and `builder prune`: what builds leave behind is counted, found and given back, and nothing that somebody uses goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::host::{Host, eventually};
use crate::registry::digest;
use crate::sources::{Web, repository};

const WAIT: Duration = Duration::from_mins(1);

/// All records that `builder du` shows.
fn kept(host: &Host, filters: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["builder", "du", "--format", "json"];
    for filter in filters {
        arguments.extend(["--filter", filter]);
    }
    let shown = host.rcompose(arguments).success().stdout;
    shown
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn descriptions(records: &[Value]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record["Description"].as_str().expect("a description"))
        .collect()
}

fn ids(records: &[Value]) -> Vec<&str> {
    let ids = records.iter().map(|record| record["ID"].as_str());
    ids.collect::<Option<_>>().expect("ids")
}

fn counts(records: &[Value]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts
            .entry(record["Type"].as_str().expect("a type"))
            .or_insert(0) += 1;
    }
    counts
}

/// The row of builds in `system df`.
fn row(host: &Host) -> Value {
    let shown = host
        .rcompose(["system", "df", "--format", "json"])
        .success()
        .stdout;
    serde_json::from_str(shown.lines().nth(3).expect("four rows")).expect("JSON")
}

fn images(host: &Host, path: &str) -> PathBuf {
    host.data_root().join("images").join(path)
}

fn is_empty(directory: PathBuf) -> bool {
    fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}

fn mount(host: &Host, id: &str) -> PathBuf {
    let name = digest(id.as_bytes());
    images(host, "build-mounts").join(name.strip_prefix("sha256:").expect("a digest"))
}

/// A build of all kinds of things.
fn build_everything(host: &Host) {
    let web = Web::start();
    web.serve("/served", &[("ETag", "\"1\"")], b"from the web\n");
    let address = web.address.replace("http://", "http://me:hush@");
    if !host.work().join("repo").exists() {
        repository(host, "repo", &[("g", "git\n")]);
    }
    for number in 0..70 {
        host.write(&format!("context/many/{number}"), "content\n");
    }
    // Files that changed a moment ago are read again by the next build.
    std::thread::sleep(Duration::from_millis(200));
    host.write(
        "context/Dockerfile",
        "FROM busybox:test AS tool\nRUN head -c 300000 /dev/zero >/tool\nFROM busybox:test\nCOPY many /many\nCOPY --from=repo g /g\nCOPY --from=web context /web\n\
         RUN --mount=type=cache,target=/kept head -c 200000 /dev/zero >/kept/x && echo a >/a\nRUN --mount=type=bind,from=tool,source=/tool,target=/t wc -c /t >/size\n",
    );
    host.write(
        "compose.yaml",
        &format!(
            "name: b\nservices:\n  s:\n    image: made:1\n    build:\n      context: context\n      additional_contexts:\n        repo: file://{}/repo\n        web: {address}/served\n",
            host.work().display(),
        ),
    );
    host.rcompose(["build"]).success();
}

#[test]
fn privileged_what_builds_keep_is_shown_and_given_back() {
    let host = Host::with_busybox();
    assert_eq!(
        host.rcompose(["builder", "du"]).success().stdout,
        "ID   RECLAIMABLE   SIZE   LAST ACCESSED\nReclaimable:    0B\nTotal:          0B\n"
    );
    build_everything(&host);

    let all = kept(&host, &[]);
    let expected = BTreeMap::from([
        ("exec.cachemount", 1),
        ("internal", 1),
        ("regular", 6),
        ("source.git.checkout", 1),
        ("source.http", 1),
        ("source.local", 1),
    ]);
    assert_eq!(counts(&all), expected, "{all:?}");
    for record in &all {
        assert_eq!(record["Reclaimable"], true, "no build goes on: {record}");
        assert_eq!(record["ID"].as_str().map(str::len), Some(64), "{record}");
        assert!(
            record["LastUsedAt"]
                .as_str()
                .is_some_and(|text| text.ends_with(" ago")),
            "{record}"
        );
        let time = record["CreatedAt"].as_str().expect("a time");
        assert!(time.starts_with("20") && time.ends_with('Z'), "{record}");
    }
    let mounts = kept(&host, &["type=exec.cachemount"]);
    assert_eq!(descriptions(&mounts), ["cache mount /kept"]);
    assert_eq!(
        (&mounts[0]["Size"], &mounts[0]["Mutable"], &mounts[0]["Shared"]),
        (&"200kB".into(), &true.into(), &false.into())
    );
    let own = kept(&host, &["type=regular", "private"]);
    assert_eq!(
        descriptions(&own),
        ["[tool 2/2] RUN head -c 300000 /dev/zero >/tool"]
    );
    assert_eq!(
        kept(&host, &["type=regular", "shared=true"]).len(),
        5,
        "those of the image"
    );
    let web = kept(&host, &["description~=^http "]);
    let shown = descriptions(&web).join(" ");
    assert!(
        shown.contains("http http://127.0.0.1:") && !shown.contains("hush"),
        "{shown}"
    );
    let git = kept(&host, &["description~=/repo#[0-9a-f]{40}$"]);
    assert_eq!(counts(&git), BTreeMap::from([("source.git.checkout", 1)]));
    let id = own[0]["ID"].as_str().expect("an id");
    assert_eq!(ids(&kept(&host, &[&format!("id={}", &id[..12])])), [id]);
    assert_eq!(kept(&host, &[&format!("id!={id}")]).len(), all.len() - 1);
    assert_eq!(kept(&host, &["until=1h"]), Vec::<Value>::new());
    assert_eq!(kept(&host, &["unused-for=0s"]).len(), all.len());
    assert_eq!(kept(&host, &["inuse"]), Vec::<Value>::new());
    assert_eq!(kept(&host, &["mutable"]).len(), 3);

    shown_as_docker_shows_it(&host, id);
    counted(&host, all.len());
    given_back(&host);
    host.finish();
}

fn shown_as_docker_shows_it(host: &Host, id: &str) {
    let table = host.rcompose(["builder", "du"]).success().stdout;
    let first = table.lines().next().expect("a header");
    assert_eq!(first.split_whitespace().count(), 5, "{table}");
    assert!(
        table.contains(&format!("{id}    true")),
        "private, and never changed: {table}"
    );
    for part in [
        "*   true",
        "200kB ",
        "\nShared: ",
        "\nPrivate: ",
        "\nReclaimable: ",
        "\nTotal: ",
    ] {
        assert!(table.contains(part), "{part:?} in {table}");
    }
    let pretty = host.rcompose(["builder", "du", "--verbose"]).success().stdout;
    for part in [
        "Description:    cache mount /kept\n",
        "Type:           source.local\n",
        "Mutable:        true\n",
    ] {
        assert!(pretty.contains(part), "{part:?} in {pretty}");
    }
    let columns = host.rcompose(["builder", "du", "--format", "table {{.Type}}\t{{.Size}}"]);
    let columns = columns.success().stdout;
    assert!(
        columns.starts_with("TYPE ") && columns.contains("exec.cachemount       200kB"),
        "{columns}"
    );
    for (arguments, said) in [
        (["--filter", "colour=red"], "there is no such filter"),
        (
            ["--filter", "parents=x"],
            "which step was built on which is not on record",
        ),
        (["--format", "{{.UsageCount}}"], "UsageCount"),
        (["--builder", "far"], "--builder is not supported"),
    ] {
        let refused = host
            .rcompose(["builder", "du"].iter().chain(&arguments))
            .fails_with(1);
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
}

fn counted(host: &Host, records: usize) {
    let taken = row(host);
    assert_eq!(
        (&taken["TotalCount"], &taken["Active"]),
        (&records.to_string().into(), &"0".into())
    );
    let size = taken["Size"].as_str().expect("a size");
    assert!(
        size.starts_with('5') && size.ends_with("kB"),
        "the mount, the tool and little more: {size}"
    );
    assert_eq!(taken["Reclaimable"], format!("{size} (100%)"));
    let details = host.rcompose(["system", "df", "-v"]).success().stdout;
    assert!(
        details.contains("\nCACHE ID ") && details.contains("   exec.cachemount "),
        "{details}"
    );
}

fn given_back(host: &Host) {
    let asked = host.rcompose(["builder", "prune"]).fails_with(1);
    assert!(asked.stderr.contains("give --force"), "{}", asked.stderr);
    let imagined = host.rcompose(["--dry-run", "builder", "prune"]).success();
    assert!(
        imagined.stderr.contains("DRY-RUN MODE - remove what builds keep"),
        "{}",
        imagined.stderr
    );
    let young = host
        .rcompose(["builder", "prune", "-a", "-f", "--filter", "until=1h"])
        .success();
    assert_eq!(young.stdout, "Total:          0B\n");
    let before = kept(host, &[]);

    let pruned = host.rcompose(["builder", "prune", "-f"]).success().stdout;
    assert!(
        pruned.starts_with("ID ") && pruned.contains("200kB") && pruned.contains("Total:          5"),
        "{pruned}"
    );
    let left = kept(host, &[]);
    assert_eq!(
        counts(&left),
        BTreeMap::from([("internal", 1), ("regular", 5)]),
        "without --all what the image shares stays"
    );
    let before = ids(&before);
    assert!(ids(&left).iter().all(|id| before.contains(id)), "{left:?}");
    assert!(!mount(host, "/kept").exists() && is_empty(images(host, "build-mounts")));
    assert!(is_empty(images(host, "build-index")) && is_empty(images(host, "build-cache/sources/git")));
    assert!(is_empty(images(host, "build-cache/sources/http")) && is_empty(images(host, "ingest")));
    host.rcompose(["image", "save", "-o", "made.tar", "made:1"])
        .success();

    let all = host
        .rcompose(["builder", "prune", "--all", "--force", "--verbose"])
        .success();
    assert!(
        all.stdout.contains("Type:           internal\n"),
        "{}",
        all.stdout
    );
    assert_eq!(kept(host, &[]), Vec::<Value>::new());
    assert_eq!(row(host)["TotalCount"], "0");
    host.rcompose(["image", "save", "-o", "made.tar", "made:1"])
        .success();
    // And all of it comes again.
    build_everything(host);
    assert_eq!(kept(host, &[]).len(), 11);
    let pruned = host.rcompose(["system", "prune", "-f"]).success().stdout;
    assert!(
        pruned.starts_with("Deleted: sha256:") && !pruned.contains(" 0B"),
        "{pruned}"
    );
    assert_eq!(kept(host, &[]), Vec::<Value>::new());
    assert!(is_empty(images(host, "build-mounts")));
    host.rcompose(["image", "save", "-o", "made.tar", "made:1"])
        .success();
}

fn start(host: &Host, arguments: &[&str]) -> Child {
    host.command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// A project whose build waits, in the middle, for a file in its cache mount.
fn write_waiting(host: &Host) {
    host.write("f", "taken from the context\n");
    host.write(
        "compose.yaml",
        "name: w\nservices:\n  old:\n    image: old:1\n    build:\n      context: .\n      dockerfile_inline: |\n        FROM busybox:test AS tool\n        RUN echo tool >/tool\n        FROM busybox:test\n        \
         RUN --mount=type=cache,target=/old --mount=type=bind,from=tool,source=/tool,target=/t cat /t >/old/x\n  busy:\n    image: busy:1\n    build:\n      context: .\n      dockerfile_inline: |\n        \
         FROM busybox:test AS first\n        COPY f /f\n        RUN sha256sum /f >/sum\n        FROM busybox:test\n        COPY --from=first /sum /sum\n        \
         RUN --mount=type=cache,target=/busy echo mine >/busy/mark && until test -e /busy/go; do sleep 0.05; done && cat /busy/mark >/mark\n        \
         RUN --mount=type=bind,from=first,source=/f,target=/t cat /t /mark >/both\n",
    );
}

#[test]
fn privileged_what_a_running_build_has_taken_stays() {
    let host = Host::with_busybox();
    write_waiting(&host);
    host.rcompose(["build", "old"]).success();
    let mark = mount(&host, "/busy").join("mark");

    // Killed, a build uses nothing any more; its container goes with the next command.
    let mut killed = start(&host, &["build", "busy"]);
    eventually("the first build waits", WAIT, || mark.exists());
    assert!(!kept(&host, &["inuse"]).is_empty());
    killed.kill().expect("SIGKILL");
    killed.wait().expect("an end");
    assert_eq!(kept(&host, &["inuse"]), Vec::<Value>::new());
    fs::remove_file(&mark).expect("removed");
    let left =
        || fs::read_dir(host.data_root().join("projects/_build/containers")).map_or(0, Iterator::count);
    assert!(left() > 0, "its command goes on, without anybody");
    host.rcompose(["builder", "prune", "-f", "--filter", "type=internal"])
        .success();
    assert_eq!(left(), 0);

    let building = start(&host, &["build", "busy"]);
    eventually("the build waits", WAIT, || mark.exists());
    let used = kept(&host, &["inuse"]);
    let used = descriptions(&used);
    for part in [
        "cache mount /busy",
        "[first 2/3] COPY f /f",
        "[first 3/3] RUN sha256sum /f >/sum",
    ] {
        assert!(used.contains(&part), "{part} in {used:?}");
    }
    assert!(!used.contains(&"cache mount /old") && !used.contains(&"[tool 2/2] RUN echo tool >/tool"));
    assert_eq!(row(&host)["Active"], used.len().to_string());
    let table = host
        .rcompose(["builder", "du", "--filter", "inuse"])
        .success()
        .stdout;
    assert!(
        table.contains("false") && table.contains("Reclaimable:    0B"),
        "{table}"
    );

    let pruned = host.rcompose(["builder", "prune", "-a", "-f"]).success();
    assert!(
        pruned.stderr.contains("go with the next prune"),
        "{}",
        pruned.stderr
    );
    assert!(!mount(&host, "/old").exists(), "what nobody uses is gone");
    assert_eq!(descriptions(&kept(&host, &[])), used);
    host.rcompose(["system", "prune", "-f"]).success();
    host.rcompose(["builder", "prune", "-a", "-f", "--max-used-space", "1"])
        .success();
    assert_eq!(descriptions(&kept(&host, &[])), used);

    fs::write(mount(&host, "/busy").join("go"), "").expect("written");
    let ended = building.wait_with_output().expect("an end");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let both = host
        .rcompose(["run", "--rm", "-T", "--no-deps", "busy", "cat", "/both"])
        .success();
    assert_eq!(both.stdout, "taken from the context\nmine\n");
    assert_eq!(kept(&host, &["inuse"]), Vec::<Value>::new());
    host.rcompose(["builder", "prune", "-a", "-f"]).success();
    assert_eq!(kept(&host, &[]), Vec::<Value>::new());
    host.rcompose(["down"]).success();
    host.finish();
}

/// Builds a service that leaves a cache mount of 400,000 bytes.
fn leave(host: &Host, name: &str) {
    host.write(
        "compose.yaml",
        &format!(
            "name: l\nservices:\n  s:\n    image: s:1\n    build:\n      context: .\n      dockerfile_inline: |\n        FROM busybox:test\n        \
             RUN --mount=type=cache,id={name},target=/m head -c 400000 /dev/zero >/m/x\n"
        ),
    );
    host.rcompose(["build", "--no-cache"]).success();
    std::thread::sleep(Duration::from_millis(20));
}

fn mounts(host: &Host) -> String {
    let mut records = kept(host, &["type=exec.cachemount"]);
    records.sort_by_key(|record| record["Description"].as_str().map(str::to_owned));
    descriptions(&records).join(" ").replace("cache mount ", "")
}

#[test]
fn privileged_what_builds_keep_is_limited_by_options_and_configuration() {
    let host = Host::with_busybox();
    for name in ["a", "b", "c", "d"] {
        leave(&host, name);
    }
    // Used again, it is not the oldest any more.
    leave(&host, "a");
    let prune = |limit: &[&str]| {
        host.rcompose(["builder", "prune", "-f"].iter().chain(limit))
            .success();
        mounts(&host)
    };
    assert_eq!(prune(&["--min-free-space", "1"]), "a b c d", "there is so much");
    assert_eq!(prune(&["--max-used-space", "5MB"]), "a b c d");
    assert_eq!(prune(&["--max-used-space", "1.3MB"]), "a c d", "the oldest went");
    assert_eq!(prune(&["--keep-storage", "900000"]), "a d");
    let both = ["--max-used-space", "1kB", "--reserved-space", "500kB"];
    assert_eq!(prune(&both), "a");
    assert_eq!(prune(&["--min-free-space", "900PB"]), "");
    let wrong = host
        .rcompose(["builder", "prune", "-f", "--min-free-space", "much"])
        .fails_with(1);
    assert!(
        wrong.stderr.contains("--min-free-space much: expected a size"),
        "{}",
        wrong.stderr
    );

    let home = host.work().parent().expect("a home").to_owned();
    let configuration = home.join(".config/rcompose/config.toml");
    fs::create_dir_all(configuration.parent().expect("a directory")).expect("created");
    fs::write(&configuration, "[build]\nmax-used-space = \"1MB\"\n").expect("written");
    for (name, left) in [("a", "a"), ("b", "a b"), ("c", "b c"), ("d", "c d")] {
        leave(&host, name);
        assert_eq!(mounts(&host), left, "after the build of {name}");
    }
    fs::write(&configuration, "\n[build]\nmax-used-space = \"lots\"\n").expect("written");
    let wrong = host.rcompose(["build"]).fails_with(1);
    let said = format!(
        "{}:3: \"max-used-space\" must be a size such as \"20GB\", not \"lots\"",
        configuration.display()
    );
    assert!(wrong.stderr.contains(&said), "{}", wrong.stderr);
    host.finish();
}

#[test]
fn privileged_a_cache_mount_appears_whole() {
    let host = Host::with_busybox();
    fs::create_dir(host.work().join("seed")).expect("created");
    for number in 0..1000 {
        fs::write(host.work().join(format!("seed/{number}")), "x").expect("written");
    }
    let service = |name: &str, target: &str| {
        format!(
            "  {name}:\n    image: {name}:1\n    build:\n      context: .\n      target: {target}\n      dockerfile_inline: |\n        FROM busybox:test AS seed\n        COPY seed /seed\n        FROM busybox:test AS all\n        \
             RUN --mount=type=cache,id=shared,from=seed,source=/seed,target=/m echo {name} && test $(ls /m | wc -l) -eq 1000\n"
        )
    };
    let services: String = [("seed", "seed"), ("one", "all"), ("two", "all"), ("three", "all")]
        .map(|(name, target)| service(name, target))
        .concat();
    host.write("compose.yaml", &format!("name: m\nservices:\n{services}"));
    host.rcompose(["build", "seed"]).success();
    // Of the mount there is nothing or all, whenever the build is killed.
    let is_whole = |wait: u64| {
        let mut killed = start(&host, &["build", "one"]);
        std::thread::sleep(Duration::from_millis(wait));
        killed.kill().unwrap_or_default();
        killed.wait().expect("an end");
        let Ok(entries) = fs::read_dir(mount(&host, "shared")) else {
            return false;
        };
        assert_eq!(entries.count(), 1000, "killed after {wait} ms");
        true
    };
    assert!(
        (0..40).any(|step| is_whole(step * 40)),
        "a second and a half is enough"
    );
    host.rcompose(["builder", "prune", "-f"]).success();
    assert!(!mount(&host, "shared").exists());
    // Builds that make it at once have the same, and each sees all of it.
    host.rcompose(["build", "--no-cache", "one", "two", "three"])
        .success();
    assert_eq!(mounts(&host), "shared");
    host.finish();
}
