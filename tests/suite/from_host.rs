//! `FROM @host`: builds on this machine's own files, and what runs of them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::{Host, Ran, eventually, run};

const COMPOSE: &str = "name: onhost\nservices: {a: {build: ., image: 'onhost:1', stop_grace_period: 0s}}\n";

fn on(host: &Host, dockerfile: &str) {
    host.write("Dockerfile", dockerfile);
    host.write("compose.yaml", COMPOSE);
}

fn built(host: &Host) -> Ran {
    host.rcompose(["build"]).success()
}

/// Steps of the last build that were made before.
fn cached(ran: &Ran) -> usize {
    ran.stderr.matches("CACHED").count()
}

fn inside(host: &Host, script: &str) -> String {
    let ran = host.rcompose(["exec", "-T", "a", "sh", "-c", script]);
    ran.success().stdout
}

#[test]
fn privileged_a_service_is_built_on_the_host_and_runs() {
    let host = Host::empty();
    on(
        &host,
        "FROM @host AS base\nRUN rm /etc/issue && echo added >/usr/share/added-by-a-build\nFROM base\nCOPY f /etc/f\nVOLUME /etc/f.d\n\
         RUN mkdir /etc/f.d && echo filled >/etc/f.d/x\nHEALTHCHECK --interval=100ms CMD test -f /etc/f\nCMD [\"sleep\", \"infinity\"]\n",
    );
    host.write("f", "of the context\n");
    assert_eq!(cached(&built(&host)), 0);
    assert_eq!(cached(&built(&host)), 3, "nothing has changed");
    host.rcompose(["up", "-d", "--wait"]).success();
    assert_eq!(
        inside(
            &host,
            "cat /usr/share/added-by-a-build /etc/f /etc/f.d/x; test ! -e /etc/issue && echo gone"
        ),
        "added\nof the context\nfilled\ngone\n"
    );
    assert_eq!(
        inside(&host, "cat /etc/passwd"),
        fs::read_to_string("/etc/passwd").expect("the host's")
    );
    assert!(Path::new("/etc/issue").exists() && !Path::new("/usr/share/added-by-a-build").exists());
    host.rcompose(["cp", "a:/usr/share/added-by-a-build", "out"])
        .success();
    assert_eq!(
        fs::read_to_string(host.work().join("out")).expect("copied"),
        "added\n"
    );

    // What is told of it, and of its container.
    let last = host.rcompose(["image", "diff", "onhost:1"]).success().stdout;
    assert_eq!(last, "C /etc\nA /etc/f.d\nA /etc/f.d/x\n");
    inside(&host, "rm /etc/f; echo more >/etc/g");
    let changed = host.rcompose(["diff", "a"]).success().stdout;
    for line in ["D /etc/f", "A /etc/g"] {
        assert!(
            changed.lines().any(|found| found == line),
            "{line} is not in {changed}"
        );
    }
    let history = host.rcompose(["image", "history", "onhost:1"]).success().stdout;
    assert!(
        history
            .lines()
            .last()
            .is_some_and(|line| line.contains("FROM @host")),
        "{history}"
    );
    let shown = host.rcompose(["image", "inspect", "onhost:1"]).success().stdout;
    assert!(shown.contains("\"Image\": \"@host\""), "{shown}");

    // An image of the container stands on the host, too; so does one built on that.
    host.rcompose(["commit", "a", "onhost:2"]).success();
    on(
        &host,
        "FROM onhost:2\nRUN test ! -e /etc/f && cat /etc/g /usr/share/added-by-a-build >/etc/h\nCMD [\"sleep\", \"infinity\"]\n",
    );
    host.rcompose(["up", "-d", "--build"]).success();
    assert_eq!(
        inside(&host, "cat /etc/h; ls /etc/issue /etc/f 2>/dev/null; echo end"),
        "more\nadded\nend\n"
    );
    host.rcompose(["down", "-v", "-t", "0"]).success();
    host.rcompose(["image", "tag", "onhost:1", "other:1"]).success();
    host.rcompose(["image", "rm", "onhost:1", "onhost:2", "other:1"])
        .success();
    // The first one lost its name to the last.
    host.rcompose(["image", "prune", "-f"]).success();
    assert_eq!(host.rcompose(["image", "ls", "-a", "-q"]).success().stdout, "");
    host.finish();
}

#[test]
fn privileged_nothing_that_is_hidden_of_the_host_is_seen_by_a_build_or_in_its_image() {
    let host = Host::empty();
    let all = "find /etc /root /home /view/etc /view/root /view/home -xdev -type f ! -perm -004 2>/dev/null; \
               cat /etc/shadow /etc/machine-id /view/etc/shadow /view/etc/machine-id 2>/dev/null; ls -A /root /home /view/root /view/home /view/tmp";
    let nothing = "/home:\n\n/root:\n\n/view/home:\n\n/view/root:\n\n/view/tmp:\n";
    on(
        &host,
        &format!(
            "FROM @host\nRUN --mount=type=bind,from=@host,target=/view ({all}) >/seen 2>&1; touch /view/x 2>&1 | grep -o 'Read-only.*' >/written\n\
             RUN ls -A /tmp /run/secrets >/fresh 2>/dev/null; true\nCMD [\"sleep\", \"infinity\"]\n"
        ),
    );
    host.write(
        "compose.yaml",
        "name: onhost\nservices:\n  a:\n    build: .\n    image: 'onhost:1'\n    stop_grace_period: 0s\n    volumes:\n      \
         - {type: image, source: '@host', target: /view}\n      - {type: image, source: 'onhost:1', target: /built}\n",
    );
    built(&host);
    host.rcompose(["up", "-d"]).success();
    assert_eq!(
        inside(&host, "cat /seen /written /fresh"),
        format!("{nothing}Read-only file system\n/tmp:\n")
    );
    assert_eq!(inside(&host, all), nothing);
    assert_eq!(inside(&host, "cat /built/seen"), nothing);
    assert_eq!(
        inside(&host, "cat /built/etc/shadow 2>/dev/null; ls -A /built/root"),
        ""
    );
    for hidden in ["/etc/shadow", "/root/.", "/etc/machine-id"] {
        on(
            &host,
            &format!("FROM scratch\nCOPY --from=@host {hidden} /stolen/\n"),
        );
        let ran = host.rcompose(["build"]);
        let stolen = host.rcompose(["image", "diff", "onhost:1"]).stdout;
        assert!(
            ran.code != 0 || stolen == "A /stolen\n",
            "{hidden}: {stolen}\n{}",
            ran.stderr
        );
    }
    host.finish();
}

#[test]
fn privileged_steps_are_done_again_when_the_host_has_changed() {
    let host = Host::empty();
    on(&host, "FROM @host\nRUN cat /etc/passwd | wc -l >/lines\n");
    built(&host);
    assert_eq!(cached(&built(&host)), 1);
    // Another /etc/passwd, for this command alone.
    fs::copy("/etc/passwd", host.work().join("passwd")).expect("a copy");
    let mut command = Command::new("unshare");
    let plain = host.command(["build"]);
    command
        .args(["-m", "--propagation", "private", "sh", "-c"])
        .arg("mount --bind passwd /etc/passwd && exec \"$0\" build")
        .arg(plain.get_program())
        .current_dir(host.work())
        .env_clear()
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(cached(&run(&mut command).success()), 0);
    assert_eq!(cached(&built(&host)), 1, "the host is what it was");
    host.finish();
}

#[test]
fn privileged_what_is_true_on_this_host_alone_is_not_told_elsewhere() {
    let host = Host::empty();
    on(&host, "FROM @host\nCMD [\"sleep\", \"infinity\"]\n");
    built(&host);
    host.rcompose(["image", "tag", "onhost:1", "localhost:1/onhost:1"])
        .success();
    host.rcompose(["up", "-d"]).success();
    for arguments in [
        &["image", "save", "-o", "x.tar", "onhost:1"][..],
        &["image", "export", "-o", "x.tar", "onhost:1"],
        &["image", "push", "localhost:1/onhost:1"],
        &["export", "-o", "x.tar", "a"],
    ] {
        let refused = host.rcompose(arguments).fails_with(1).stderr;
        assert!(
            refused.contains("stands on @host"),
            "{arguments:?} says {refused}"
        );
        assert!(!host.work().join("x.tar").exists(), "{arguments:?}");
    }
    for key in [
        "cache_to: ['type=local,dest=cache']",
        "provenance: true",
        "sbom: true",
    ] {
        host.write(
            "compose.yaml",
            &format!("name: onhost\nservices: {{a: {{build: {{context: ., {key}}}, image: 'onhost:1'}}}}\n"),
        );
        let refused = host.rcompose(["build"]).fails_with(1).stderr;
        let name = key.split(':').next().expect("a key");
        assert!(refused.contains(&format!("leave `{name}` out")), "{refused}");
        assert!(refused.contains("Dockerfile:1"), "{refused}");
    }
    assert!(!host.work().join("cache").exists());
    host.finish();
}

#[test]
fn privileged_a_killed_build_on_the_host_leaves_nothing() {
    let host = Host::empty();
    on(&host, "FROM @host\nRUN echo begun && sleep 600\n");
    let mut build = host
        .command(["build"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let ingest = host.data_root().join("images/ingest");
    eventually("the step runs", Duration::from_secs(20), || {
        !host.ps_of("_build").is_empty() && fs::read_dir(&ingest).is_ok_and(|entries| entries.count() > 2)
    });
    std::thread::sleep(Duration::from_millis(300));
    build.kill().expect("a signal");
    build.wait().expect("an end");
    on(&host, "FROM @host\nRUN true\n");
    built(&host);
    host.rcompose(["-p", "_build", "down", "-t", "0"]);
    host.rcompose(["image", "prune", "-af"]).success();
    assert_eq!(fs::read_dir(&ingest).expect("the store").count(), 0);
    host.finish();
}
