//! What a Dockerfile makes of an image, entry by entry and key by key, as BuildKit of docker 28.5 made it of the same files.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::host::Host;

/// An image as `image save` writes it.
struct Saved {
    config: Value,
    layers: usize,
    /// Path -> kind, mode, owner, and content or target.
    tree: BTreeMap<String, String>,
}

impl Saved {
    fn at(&self, path: &str) -> &str {
        self.tree.get(path).map_or("nothing", String::as_str)
    }

    fn history(&self) -> Vec<(String, bool)> {
        let entries = self.config["history"].as_array().expect("history").iter();
        let said = entries.map(|entry| {
            let text = entry["created_by"].as_str().unwrap_or_default().to_owned();
            (text, entry["empty_layer"] == true)
        });
        said.collect()
    }
}

/// Builds `Dockerfile` of the host's working directory; `build` is the rest of the section, as JSON.
fn built(host: &Host, dockerfile: &str, build: &Value) -> Saved {
    compose(host, dockerfile, build);
    host.rcompose(["build", "-q"]).success();
    let archive = host.work().join("saved.tar");
    let path = archive.to_str().expect("utf-8 path");
    host.rcompose(["image", "save", "-o", path, "made:1"]).success();
    saved(&archive)
}

fn refused(host: &Host, dockerfile: &str) -> String {
    compose(host, dockerfile, &json!({}));
    host.rcompose(["build", "-q"]).fails_with(1).stderr
}

fn compose(host: &Host, dockerfile: &str, build: &Value) {
    host.write("context/Dockerfile", dockerfile);
    let mut section = json!({"context": "context"});
    let fields = build.as_object().expect("an object").clone();
    section.as_object_mut().expect("an object").extend(fields);
    let file = json!({"name": "made", "services": {"a": {"image": "made:1", "build": section}}});
    host.write("compose.yaml", &file.to_string());
}

fn saved(archive: &std::path::Path) -> Saved {
    let mut members = BTreeMap::new();
    let mut tar = tar::Archive::new(std::fs::File::open(archive).expect("archive"));
    for entry in tar.entries().expect("entries") {
        let mut entry = entry.expect("entry");
        let name = entry.path().expect("path").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("bytes");
        members.insert(name, bytes);
    }
    let manifest: Value = serde_json::from_slice(&members["manifest.json"]).expect("manifest");
    let member = |name: &Value| members[name.as_str().expect("a name")].as_slice();
    let layers = manifest[0]["Layers"].as_array().expect("layers");
    let mut tree = BTreeMap::new();
    for layer in layers {
        lay(member(layer), &mut tree);
    }
    Saved {
        config: serde_json::from_slice(member(&manifest[0]["Config"])).expect("config"),
        layers: layers.len(),
        tree,
    }
}

fn lay(layer: &[u8], tree: &mut BTreeMap<String, String>) {
    for entry in tar::Archive::new(layer).entries().expect("entries") {
        let mut entry = entry.expect("entry");
        let path = format!("/{}", entry.path().expect("path").display());
        let path = path.trim_end_matches('/').replace("/./", "/");
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if let Some(gone) = name.strip_prefix(".wh.") {
            let gone = if gone == ".wh..opq" {
                parent.to_owned()
            } else {
                format!("{parent}/{gone}")
            };
            let opaque = name == ".wh..wh..opq";
            tree.retain(|path, _| !path.starts_with(&format!("{gone}/")) && (opaque || *path != gone));
            continue;
        }
        let header = entry.header().clone();
        let link = entry
            .link_name()
            .expect("link")
            .map(|link| link.display().to_string());
        let mut content = String::new();
        let owner = format!("{}:{}", header.uid().expect("uid"), header.gid().expect("gid"));
        let mode = header.mode().expect("mode") & 0o7777;
        let kind = header.entry_type();
        let said = if kind.is_dir() {
            format!("d {mode:o} {owner}")
        } else if kind.is_symlink() {
            format!("l {owner} -> {}", link.expect("a target"))
        } else if kind.is_hard_link() {
            format!("same as /{}", link.expect("a target").trim_start_matches("./"))
        } else if kind.is_file() {
            let text = entry.read_to_string(&mut content).map(|_| content.as_str());
            format!("f {mode:o} {owner} {}", text.unwrap_or("binary").trim_end())
        } else {
            format!("{kind:?} {mode:o} {owner}")
        };
        tree.insert(path, said);
    }
}

fn context(host: &Host) {
    for (path, text) in [
        ("a.txt", "a"),
        ("b.txt", "b"),
        ("c.md", "c"),
        ("d/1", "1"),
        ("d/sub/2", "2"),
        ("d/sub/deep/3", "3"),
    ] {
        host.write(&format!("context/{path}"), text);
    }
    let mode = |path: &str, mode| {
        let path = host.work().join("context").join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
    };
    mode("a.txt", 0o4755);
    mode("b.txt", 0o600);
    mode("d/sub", 0o700);
    let link =
        |target: &str, path: &str| symlink(target, host.work().join("context").join(path)).expect("link");
    link("a.txt", "link");
    link("sub", "d/inner");
    std::fs::hard_link(
        host.work().join("context/d/1"),
        host.work().join("context/d/same"),
    )
    .expect("link");
}

#[test]
fn privileged_the_configuration_and_the_history_are_those_of_buildkit() {
    let host = Host::with_busybox();
    let text = "ARG V=test\nFROM busybox:${V} AS base\nARG A=b\nARG B\nRUN echo hi\nRUN [\"echo\", \"q\\\"uote\"]\n\
        ENV A1=1 B1=\"two words\" C1='$x'\nENV OLD form  of it\nENV A1=2 D=$A1\nLABEL k=v \"k 2\"=\"v ${OLD%% *}\"\n\
        EXPOSE 80 9/TCP 8000-8001 53/udp\nVOLUME /v /w\nVOLUME [\"/z z\"]\nWORKDIR /x\nWORKDIR y/../z\nUSER 1000:1000\n\
        SHELL [\"/bin/sh\", \"-ec\"]\nCMD echo hi   there\nSTOPSIGNAL SIGINT\n\
        HEALTHCHECK --interval=90s --timeout=1.5s --retries=3 CMD wget -q localhost\nONBUILD RUN echo \"a  b\" \\\n  c\nMAINTAINER Some One\n\
        FROM base\nENTRYPOINT [\"/x\"]\n";
    let image = built(&host, text, &json!({"target": "base", "args": {"B": "2 3"}}));
    let mut config = image.config["config"].clone();
    let labels = config["Labels"].as_object_mut().expect("labels");
    labels.retain(|name, _| !name.starts_with("com.docker.compose."));
    assert_eq!(
        config,
        json!({
            "User": "1000:1000",
            "ExposedPorts": {"53/udp": {}, "80/tcp": {}, "8000/tcp": {}, "8001/tcp": {}, "9/tcp": {}},
            "Env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "A1=2", "B1=two words", "C1=$x", "OLD=form  of it", "D=1",
            ],
            "Cmd": ["/bin/sh", "-ec", "echo hi   there"],
            "Volumes": {"/v": {}, "/w": {}, "/z z": {}},
            "WorkingDir": "/x/z",
            "Labels": {"k": "v", "k 2": "v form"},
            "StopSignal": "SIGINT",
            "Shell": ["/bin/sh", "-ec"],
            "ArgsEscaped": true,
            "Healthcheck": {
                "Test": ["CMD-SHELL", "wget -q localhost"],
                "Interval": 90_000_000_000_i64, "Timeout": 1_500_000_000, "Retries": 3,
            },
            "OnBuild": ["RUN echo \"a  b\"   c"],
        })
    );
    assert_eq!(image.config["author"], "Some One");
    let history: Vec<(String, bool)> = image.history().into_iter().skip(1).collect();
    let expected = [
        ("ARG A=b", true),
        ("ARG B=2 3", true),
        ("RUN |2 A=b B=2 3 /bin/sh -c echo hi # buildkit", false),
        ("RUN |2 A=b B=2 3 echo q\"uote # buildkit", false),
        ("ENV A1=1 B1=two words C1=$x", true),
        ("ENV OLD=form  of it", true),
        ("ENV A1=2 D=1", true),
        ("LABEL k=v k 2=v form", true),
        ("EXPOSE [53/udp 80/tcp 8000/tcp 8001/tcp 9/tcp]", true),
        ("VOLUME [/v /w]", true),
        ("VOLUME [/z z]", true),
        ("WORKDIR /x", false),
        ("WORKDIR /x/z", false),
        ("USER 1000:1000", true),
        ("SHELL [/bin/sh -ec]", true),
        ("CMD [\"/bin/sh\" \"-ec\" \"echo hi   there\"]", true),
        ("STOPSIGNAL SIGINT", true),
        (
            "HEALTHCHECK &{[\"CMD-SHELL\" \"wget -q localhost\"] \"1m30s\" \"1.5s\" \"0s\" \"0s\" '\\x03'}",
            true,
        ),
        ("MAINTAINER Some One", true),
    ];
    let expected: Vec<(String, bool)> = expected.map(|(text, empty)| (text.to_owned(), empty)).into();
    assert_eq!(history, expected);
    assert_eq!(image.layers, 5, "the base, two RUN, two WORKDIR");
    let image = built(&host, text, &json!({}));
    let config = &image.config["config"];
    assert_eq!(
        (&config["Entrypoint"], &config["Cmd"]),
        (&json!(["/x"]), &Value::Null)
    );
    assert_eq!(config["OnBuild"], Value::Null, "a trigger is used up");
    assert!(
        image
            .history()
            .iter()
            .any(|(text, _)| text.ends_with("-ec echo \"a  b\"   c # buildkit"))
    );
    host.finish();
}

#[test]
fn privileged_files_land_where_buildkit_puts_them_and_as_it_puts_them() {
    let host = Host::with_busybox();
    context(&host);
    let text = "FROM busybox:test\nRUN mkdir -m 711 /there && chown 5:6 /there && ln -s /there /link && echo old >/there/1\n\
        COPY a.txt /one\nCOPY a.txt b.txt /two/\nCOPY d /three\nCOPY *.txt link /four/\nCOPY d /link\n\
        COPY --chown=app:extra --chmod=u=rwX,go=rX d /five/\nCOPY --chown=77 --chmod=4750 b.txt /six/seven/\n\
        COPY --chmod=+x <<EOF <<\"plain\" /eight/\nhi $HOME ${X:-x} \\$A\nEOF\n$HOME\nplain\n\
        COPY --exclude=sub --exclude=!sub/2 d /nine/\nUSER app\nWORKDIR /home/new\nCOPY [\"c.md\", \"./\"]\n";
    let image = built(&host, text, &json!({}));
    let expected = [
        ("/one", "f 4755 0:0 a"),
        ("/two", "d 755 0:0"),
        ("/two/a.txt", "f 4755 0:0 a"),
        ("/two/b.txt", "f 600 0:0 b"),
        ("/three/sub", "d 700 0:0"),
        ("/three/sub/deep/3", "f 644 0:0 3"),
        ("/three/inner", "l 0:0 -> sub"),
        ("/three/same", "same as /three/1"),
        ("/four/link", "f 4755 0:0 a"),
        ("/four/c.md", "nothing"),
        ("/link", "l 0:0 -> /there"),
        ("/there", "d 711 5:6"),
        ("/there/1", "f 644 0:0 1"),
        ("/five", "d 755 1000:2000"),
        ("/five/sub", "d 755 1000:2000"),
        ("/five/sub/2", "f 644 1000:2000 2"),
        ("/six", "d 750 77:77"),
        ("/six/seven/b.txt", "f 4750 77:77 b"),
        ("/eight/EOF", "f 755 0:0 hi  x $A"),
        ("/eight/plain", "f 755 0:0 $HOME"),
        ("/nine/1", "f 644 0:0 1"),
        ("/nine/sub/2", "f 644 0:0 2"),
        ("/nine/sub/deep", "nothing"),
        ("/home/new", "d 755 1000:1000"),
        ("/home/new/c.md", "f 644 0:0 c"),
    ];
    for (path, said) in expected {
        assert_eq!(image.at(path), said, "{path}");
    }
    let history = image.history();
    for text in [
        "COPY --chown=77 --chmod=4750 b.txt /six/seven/ # buildkit",
        "COPY --chmod=+x <<EOF <<plain /eight/ # buildkit",
        "COPY c.md ./ # buildkit",
    ] {
        assert!(history.contains(&(text.to_owned(), false)), "{text}: {history:?}");
    }
    host.finish();
}

#[test]
fn privileged_the_dockerignore_hides_and_brings_back() {
    let host = Host::with_busybox();
    context(&host);
    let text = "FROM busybox:test\nCOPY . /x/\n";
    for (ignore, paths) in [
        ("*\n!a.txt\n", "/x/a.txt"),
        (
            "# all\n**\n!**/3\n",
            "/x/d /x/d/sub /x/d/sub/deep /x/d/sub/deep/3",
        ),
        (
            "/d/\nDockerfile\n.dockerignore\n*.txt\n!a.*\n",
            "/x/a.txt /x/c.md /x/link",
        ),
        (
            "{a,b}.txt\n../c.md\n[^abcd]*\n.d*\nD*\nd/sub\nd/[^s]*\n",
            "/x/a.txt /x/b.txt /x/c.md /x/d /x/d/same",
        ),
    ] {
        host.write("context/.dockerignore", ignore);
        let image = built(&host, text, &json!({}));
        let below: Vec<&str> = image
            .tree
            .keys()
            .map(String::as_str)
            .filter(|path| path.starts_with("/x/"))
            .collect();
        assert_eq!(below.join(" "), paths, "{ignore}");
    }
    host.write("context/.dockerignore", "d\n");
    let error = refused(&host, "FROM busybox:test\nCOPY d /x/\n");
    assert!(error.contains("`d` is left out by the .dockerignore"), "{error}");
    host.finish();
}

#[test]
fn privileged_a_run_has_its_variables_and_leaves_only_what_it_made() {
    let host = Host::with_busybox();
    context(&host);
    host.write("token", "secret!");
    let text = "FROM busybox:test\nENV Z=1 A=2\nARG M=3\nENV Z=4\nRUN cat /proc/$$/environ | tr '\\0' '\\n' >/env; hostname >/name\n\
        RUN <<EOF\n#!/bin/sh -e\necho \"$0\" >/script\nEOF\nRUN <<-\"EOF\"\n\techo \"$M\" >/line\n\tEOF\n\
        RUN cat <<one >/first && cat <<two >/second\n$A\none\nb\ntwo\n\
        RUN --mount=type=cache,target=/cache/deep --mount=type=tmpfs,target=/t/m --mount=source=d,target=/b,rw \
        --mount=type=secret,id=token,mode=0444 rm /b/1; cat /run/secrets/token >/dev/null; touch /cache/deep/x\n\
        RUN --mount=target=/b ls /b/d >/seen; rm -r /home; mkdir -m 700 /home; echo n >/home/n\n";
    let build = json!({"secrets": ["token"]});
    compose(&host, text, &build);
    let file = host.work().join("compose.yaml");
    let mut parsed: Value = serde_json::from_slice(&std::fs::read(&file).expect("file")).expect("JSON");
    parsed["secrets"] = json!({"token": {"file": "token"}});
    std::fs::write(&file, parsed.to_string()).expect("write");
    host.rcompose(["build", "-q"]).success();
    let archive = host.work().join("saved.tar");
    let path = archive.to_str().expect("utf-8 path");
    host.rcompose(["image", "save", "-o", path, "made:1"]).success();
    let image = saved(&archive);
    let search = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (path, said) in [
        ("/env", format!("f 644 0:0 {search}\nA=2\nM=3\nZ=4\nHOME=/root")),
        ("/name", "f 644 0:0 buildkitsandbox".to_owned()),
        ("/script", "f 644 0:0 /dev/pipes/EOF".to_owned()),
        ("/line", "f 644 0:0 3".to_owned()),
        ("/first", "f 644 0:0 2".to_owned()),
        ("/second", "f 644 0:0 b".to_owned()),
        ("/seen", "f 644 0:0 1\ninner\nsame\nsub".to_owned()),
        ("/home", "d 700 0:0".to_owned()),
        ("/home/n", "f 644 0:0 n".to_owned()),
    ] {
        assert_eq!(image.at(path), said, "{path}");
    }
    for gone in [
        "/cache",
        "/t",
        "/b",
        "/run/secrets",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/etc/hostname",
        "/dev/pipes",
    ] {
        assert_eq!(image.at(gone), "nothing", "{gone}");
    }
    assert!(!format!("{:?}", image.history()).contains("secret!"));
    host.finish();
}

#[test]
fn privileged_mistakes_are_told_with_their_line() {
    let host = Host::with_busybox();
    context(&host);
    for (text, line, message) in [
        ("FROM busybox:test\nRUNN x\n", 2, "did you mean `RUN`"),
        (
            "FROM busybox:test\nCOPY --chwon=1 a.txt /\n",
            2,
            "did you mean `chown`",
        ),
        (
            "FROM busybox:test\n\nCOPY a.txt \\\n  nothere \\\n  /x/\n",
            3,
            "`nothere` is not there",
        ),
        ("FROM busybox:test\nENV A=\"${B:?set it}\"\n", 2, "B: set it"),
        ("FROM busybox:test\nENV A=${B^^}\n", 2, "no form of expansion"),
        (
            "FROM busybox:test\nRUN cat <<EOF>/x\nhi\nEOF\n",
            2,
            "is not closed",
        ),
        (
            "FROM busybox:test\nCOPY --chown=nobodyhere a.txt /\n",
            2,
            "no user `nobodyhere`",
        ),
        ("FROM busybox:test\nCOPY --chmod=rwx a.txt /\n", 2, "is no mode"),
        (
            "FROM busybox:test\nCOPY a.txt b.txt /x\n",
            2,
            "must be a directory",
        ),
        ("FROM busybox:test\nSTOPSIGNAL SIGFOO\n", 2, "is no signal"),
        ("FROM busybox:test\nEXPOSE 70000\n", 2, "is no port"),
        ("FROM busybox:test\nCMD [\"a\", 1]\n", 2, "is no string"),
        (
            "FROM busybox:test\nHEALTHCHECK --interval=1us CMD x\n",
            2,
            "too short",
        ),
        (
            "FROM busybox:test\nRUN --mount=type=cache,target=/c,sharing=most true\n",
            2,
            "sharing=most",
        ),
        (
            "FROM busybox:test\nRUN mkdir /x /y; ln -s /x /y/d\nCOPY . /y/\n",
            3,
            "cannot copy a directory over d",
        ),
    ] {
        let error = refused(&host, text);
        assert!(
            error.contains(message) && error.contains(&format!("Dockerfile:{line}:")),
            "{text}: {error}"
        );
    }
    host.finish();
}
