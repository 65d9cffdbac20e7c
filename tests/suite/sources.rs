//! What builds take from elsewhere, through the binary: files and archives of a web server, repositories of a git daemon,
//! named contexts of all kinds, and SSH agents.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::host::{Host, Ran, eventually, run};

/// An answer of the web server: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// A web server on loopback that serves what it is given and remembers what it was asked.
pub(crate) struct Web {
    pub(crate) address: String,
    files: Arc<Mutex<BTreeMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let web = Self {
            address: format!("http://{}", listener.local_addr().expect("address")),
            files: Arc::default(),
            asked: Arc::default(),
        };
        let (files, asked) = (Arc::clone(&web.files), Arc::clone(&web.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream, &files, &asked);
            }
        });
        web
    }

    pub(crate) fn serve(&self, path: &str, headers: &[(&'static str, &str)], body: &[u8]) {
        self.answer(path, 200, headers, body);
    }

    fn answer(&self, path: &str, status: u16, headers: &[(&'static str, &str)], body: &[u8]) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let answer = (status, headers.collect(), body.to_vec());
        self.files.lock().expect("lock").insert(path.to_owned(), answer);
    }

    /// Requests since the last time, `GET /path` and what else they were sent.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("lock"))
    }
}

fn answer(stream: TcpStream, files: &Mutex<BTreeMap<String, Answer>>, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("stream"));
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let Some(first) = lines.first() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let header = |name: &str| {
        let found = lines.iter().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        found.unwrap_or_default()
    };
    let extra = format!("{}{}", header("if-none-match"), header("authorization"));
    asked
        .lock()
        .expect("lock")
        .push(format!("{path} {extra}").trim().to_owned());
    let (mut status, headers, mut body) =
        files
            .lock()
            .expect("lock")
            .get(&path)
            .cloned()
            .unwrap_or((404, Vec::new(), b"nothing".to_vec()));
    let etag = headers.iter().find(|(name, _)| *name == "ETag");
    if etag.is_some_and(|(_, etag)| *etag == header("if-none-match")) {
        (status, body) = (304, Vec::new());
    }
    let mut head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Content-Length") {
        write!(head, "Content-Length: {}\r\n", body.len()).expect("text");
    }
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("text");
    }
    let mut stream = stream;
    drop(stream.write_all(format!("{head}\r\n").as_bytes()));
    drop(stream.write_all(&body));
}

/// `git daemon` on loopback, or another process of a test; ended with it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn git(directory: &Path, words: &str) -> String {
    let mut arguments = vec![
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
        "-c",
        "protocol.file.allow=always",
    ];
    arguments.extend(words.split(' '));
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "{words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository `repo` in the working directory with these files; returns its commit.
pub(crate) fn repository(host: &Host, name: &str, files: &[(&str, &str)]) -> String {
    let root = host.work().join(name);
    for (path, text) in files {
        host.write(&format!("{name}/{path}"), text);
    }
    git(&root, "init -q -b main .");
    git(&root, "add -A");
    git(&root, "commit -q -m one");
    git(&root, "rev-parse HEAD")
}

/// Serves the repositories of the working directory; returns `git://127.0.0.1:PORT`.
fn daemon(host: &Host) -> (Process, String) {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").expect("listener");
        free.local_addr().expect("address").port()
    };
    let work = host.work();
    // The program itself: `git daemon` would only start it.
    let programs = git(&host.work(), "--exec-path");
    let child = Command::new(Path::new(&programs).join("git-daemon"))
        .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
        .arg(format!("--port={port}"))
        .arg(format!("--base-path={}", work.display()))
        .arg("--log-destination=none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("git daemon starts");
    let daemon = Process(child);
    eventually("git daemon listens", Duration::from_secs(10), || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    (daemon, format!("git://127.0.0.1:{port}"))
}

/// Builds the service `s` and runs a command in its image.
fn built(host: &Host, command: &str) -> String {
    host.rcompose(["build", "s"]).success();
    in_image(host, command)
}

fn in_image(host: &Host, command: &str) -> String {
    let ran = host.rcompose(["run", "--rm", "-T", "--no-deps", "s", "/bin/sh", "-c", command]);
    ran.success().stdout
}

fn refused(ran: Ran, words: &[&str]) {
    let ran = ran.fails_with(1);
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` in:\n{}", ran.stderr);
    }
}

const SERVICE: &str = "name: sources\nservices:\n  s:\n    build: .\n";

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_uid(7);
        header.set_gid(8);
        archive
            .append_data(&mut header, path, text.as_bytes())
            .expect("entry");
    }
    archive.into_inner().expect("tar").finish().expect("gzip")
}

#[test]
fn privileged_add_takes_files_from_the_web() {
    let (host, web) = (Host::with_busybox(), Web::start());
    let url = &web.address;
    let sha = |text: &[u8]| {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(text);
        digest
            .iter()
            .fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    };
    let time = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    web.serve("/plain.txt", &[("ETag", "\"1\""), time], b"one");
    web.answer("/moved", 302, &[("Location", "/plain.txt?x=y")], b"");
    web.serve("/plain.txt?x=y", &[], b"after a redirect");
    web.serve("/", &[], b"no name");
    web.serve("/%2e%2e", &[], b"up");
    web.serve("/a.tgz", &[], &tar_of(&[("in/side", "packed")]));
    host.write("compose.yaml", SERVICE);
    host.write(
        "Dockerfile",
        &format!(
            "FROM busybox:test\nADD {url}/plain.txt /as\nADD {url}/plain.txt {url}/ /many/\nADD --chown=app --chmod=640 {url}/moved /owned\n\
             ADD {url}/a.tgz /kept/\nADD --unpack=true {url}/a.tgz /out/\nADD --checksum={} {url}/plain.txt /checked/\n",
            sha(b"one")
        ),
    );
    let seen = built(
        &host,
        "stat -c '%n %a %U %Y' /as /owned; cat /as /owned; ls /many /kept /checked; cat /out/in/side; stat -c ' %u:%g' /out/in/side",
    );
    assert_eq!(
        seen,
        "/as 600 root 784111777\n/owned 640 app 0\noneafter a redirect/checked:\nplain.txt\n\n/kept:\na.tgz\n\n/many:\n__unnamed__\nplain.txt\npacked 7:8\n"
    );

    // Nothing changed: the server is asked whether, and nothing is done again. A checksum needs no server at all.
    web.asked();
    let again = host.rcompose(["build", "s"]).success();
    assert!(!again.stderr.contains("done in 1"), "{}", again.stderr);
    let asked = web.asked();
    assert!(asked.contains(&"/plain.txt \"1\"".to_owned()), "{asked:?}");
    let image = host.rcompose(["image", "ls", "-q"]).success().stdout;
    web.serve("/plain.txt", &[("ETag", "\"2\"")], b"two");
    assert_eq!(built(&host, "cat /as /checked/plain.txt"), "twoone");
    assert_ne!(host.rcompose(["image", "ls", "-q"]).success().stdout, image);

    let fails = |line: &str, words: &[&str]| {
        host.write("Dockerfile", &format!("FROM busybox:test\n{line}\n"));
        refused(host.rcompose(["build", "s"]), words);
    };
    let wrong = sha(b"other");
    fails(
        &format!("ADD --checksum={wrong} {url}/plain.txt /x"),
        &["Dockerfile:2", "/plain.txt", &wrong, &sha(b"two")],
    );
    fails(&format!("ADD {url}/none /x"), &["Dockerfile:2", "/none", "404"]);
    web.answer("/loop", 302, &[("Location", "/loop")], b"");
    fails(&format!("ADD {url}/loop /x"), &["redirects"]);
    web.answer("/file", 302, &[("Location", "")], b"");
    fails("ADD http://127.0.0.1:1/x /x", &["http://127.0.0.1:1/x"]);
    web.serve("/short", &[("Content-Length", "99")], b"cut");
    fails(&format!("ADD {url}/short /x"), &["/short"]);
    fails(&format!("COPY {url}/plain.txt /x"), &["COPY takes no URL"]);
    fails("ADD --checksum=sha256:0 Dockerfile /x", &["--checksum"]);
    fails(&format!("ADD {url}/plain.txt {url}/a.tgz /x"), &["/x/"]);

    // A password goes to the host it was written for, and is not shown.
    let other = Web::start();
    other.serve("/there", &[], b"there");
    web.answer(
        "/here",
        302,
        &[("Location", &format!("{}/there", other.address))],
        b"",
    );
    web.asked();
    let login = url.replace("http://", "http://me:secret@");
    host.write("Dockerfile", &format!("FROM busybox:test\nADD {login}/here /x\n"));
    assert_eq!(built(&host, "cat /x"), "there");
    assert_eq!(web.asked(), ["/here Basic bWU6c2VjcmV0"]);
    assert_eq!(other.asked(), ["/there"]);
    fails(&format!("ADD {login}/none /x"), &["404"]);
    host.finish();
}

#[test]
fn privileged_add_takes_repositories() {
    let host = Host::with_busybox();
    let (daemon, url) = daemon(&host);
    repository(&host, "part", &[("p", "part\n")]);
    let first = repository(&host, "repo.git", &[("top", "top\n"), ("sub/a", "one\n")]);
    let root = host.work().join("repo.git");
    std::os::unix::fs::symlink("/etc", root.join("out")).expect("link");
    git(
        &root,
        &format!(
            "submodule --quiet add {}/part {}",
            host.work().display(),
            "module"
        ),
    );
    // As others would reach it.
    let modules = std::fs::read_to_string(root.join(".gitmodules")).expect("modules");
    let here = host.work().display().to_string();
    host.write("repo.git/.gitmodules", &modules.replace(&here, &url));
    git(&root, "add -A");
    git(&root, "commit -q -m two");
    git(&root, "tag -a -m tag v2");
    let second = git(&root, "rev-parse HEAD");
    let url = format!("{url}/repo.git");
    host.write("compose.yaml", SERVICE);
    host.write(
        "Dockerfile",
        &format!(
            "FROM busybox:test\nADD {url} /all\nADD {url}#main:sub /sub\nADD --keep-git-dir=true {url}#v2 /kept\n\
             ADD --checksum={first} {url}#{first} /old\nADD {url}?tag=v2&subdir=sub&checksum={second}&submodules=0 /query\n"
        ),
    );
    let seen = built(
        &host,
        "cat /all/top /all/module/p /sub/a /query/a; ls -A /all /old; test -d /kept/.git && cat /kept/.git/config",
    );
    assert!(
        seen.starts_with(
            "top\npart\none\none\n/all:\n.gitmodules\nmodule\nout\nsub\ntop\n\n/old:\nsub\ntop\n"
        ),
        "{seen}"
    );
    assert!(seen.contains(&url), "{seen}");
    let id = host.rcompose(["image", "ls", "-q"]).success().stdout;
    host.rcompose(["build", "s"]).success();
    assert_eq!(host.rcompose(["image", "ls", "-q"]).success().stdout, id);
    git(&root, "rm -q -r sub/a");
    git(&root, "commit -q -m three");
    host.write("Dockerfile", &format!("FROM busybox:test\nADD {url} /all\n"));
    assert_eq!(built(&host, "ls /all"), "module\nout\ntop\n");

    let fails = |line: &str, words: &[&str]| {
        host.write("Dockerfile", &format!("FROM busybox:test\n{line}\n"));
        refused(host.rcompose(["build", "s"]), words);
    };
    fails(
        &format!("ADD {url}#nope /x"),
        &["Dockerfile:2", &url, "no ref `nope`"],
    );
    fails(&format!("ADD {url}#main:../etc /x"), &["leads out"]);
    fails(&format!("ADD {url}#main:out /x"), &["`out`"]);
    fails(&format!("ADD {url}#--upload-pack=touch /x"), &["no ref"]);
    fails(
        &format!("ADD --checksum={first} {url}#main /x"),
        &["is at commit", &first],
    );
    fails(&format!("ADD {url}?surprise=1 /x"), &["`surprise` is not known"]);
    fails(&format!("COPY {url} /x"), &["COPY takes no URL"]);
    fails(
        &format!("ADD file://{}/repo.git /x", host.work().display()),
        &["of this host"],
    );
    fails("ADD ext::sh -c touch%20/tmp/rcompose-ext /x", &["Dockerfile:2"]);
    drop(daemon);
    host.finish();
}

#[test]
fn privileged_contexts_lie_anywhere() {
    let (host, web) = (Host::with_busybox(), Web::start());
    let files = [
        ("ctx/Dockerfile", "FROM busybox:test\nCOPY . /c\n"),
        ("ctx/a", "a\n"),
        ("ctx/.dockerignore", "a\n"),
        ("other.Dockerfile", "FROM busybox:test\nCOPY ctx/a /other\n"),
    ];
    repository(&host, "repo", &files);
    let repo = format!("file://{}/repo", host.work().display());
    let build = |text: &str| {
        host.write(
            "compose.yaml",
            &format!("name: sources\nservices:\n  s:\n    build: {text}\n"),
        );
    };
    build(&format!("{repo}#main:ctx"));
    assert_eq!(
        built(&host, "ls -A /c; cat /c/a"),
        ".dockerignore\nDockerfile\na\na\n"
    );
    build(&format!("{{context: '{repo}', dockerfile: other.Dockerfile}}"));
    assert_eq!(built(&host, "cat /other"), "a\n");
    build(&format!("{{context: '{repo}', dockerfile: /other.Dockerfile}}"));
    assert_eq!(built(&host, "cat /other"), "a\n");

    web.serve(
        "/ctx.tar.gz",
        &[],
        &tar_of(&[("Dockerfile", "FROM busybox:test\nCOPY b /b\n"), ("b", "b\n")]),
    );
    web.serve("/only", &[], b"FROM busybox:test\nCOPY context /c\n");
    build(&format!("{}/ctx.tar.gz", web.address));
    assert_eq!(built(&host, "cat /b; stat -c %u:%g /b"), "b\n7:8\n");
    build(&format!("{}/only", web.address));
    assert_eq!(built(&host, "head -n 1 /c"), "FROM busybox:test\n");

    let fails = |text: &str, words: &[&str]| {
        build(text);
        refused(host.rcompose(["build", "s"]), words);
    };
    fails(&format!("{}/none", web.address), &["/none", "404"]);
    fails(&format!("{repo}#none"), &["/repo", "no ref `none`"]);
    fails(
        &format!("{{context: '{repo}', dockerfile: none}}"),
        &["none", "/repo"],
    );
    fails("s3://bucket/x", &["s3://"]);
    host.write("ctx.tar", "x");
    fails("./ctx.tar", &["ctx.tar", "is a file"]);
    host.finish();
}

#[test]
fn privileged_named_contexts_stand_for_stages_and_images() {
    let (host, web) = (Host::with_busybox(), Web::start());
    host.write("dir/kept", "kept\n");
    host.write("dir/left", "left\n");
    host.write("dir/.dockerignore", "left\n");
    repository(&host, "repo", &[("g", "git\n")]);
    web.serve("/file", &[], b"web\n");
    host.write(
        "compose.yaml",
        &format!(
            "name: sources\nservices:\n  s:\n    command: [x]\n    build:\n      context: .\n      additional_contexts:\n        dir: ./dir\n        stage: docker-image://busybox:test\n        \
             docker.io/library/alpine:latest: docker-image://busybox:test\n        git: file://{}/repo\n        web: {}/file\n        made: service:base\n        \
             layout: oci-layout://./layout:one\n        empty: docker-image://scratch\n  base:\n    command: [x]\n    build:\n      context: .\n      dockerfile_inline: |\n        FROM busybox:test\n        RUN echo base > /base\n",
            host.work().display(),
            web.address
        ),
    );
    let layout = host.work().join("layout.tar");
    let layout = layout.to_str().expect("utf-8 path");
    host.rcompose(["image", "tag", "busybox:test", "layout.example/x:one"])
        .success();
    host.rcompose(["image", "save", "-o", layout, "layout.example/x:one"])
        .success();
    std::fs::create_dir(host.work().join("layout")).expect("directory");
    let unpacked = Command::new("tar")
        .args(["-xf", layout, "-C"])
        .arg(host.work().join("layout"))
        .status();
    assert!(unpacked.expect("tar runs").success());
    host.rcompose(["image", "rm", "layout.example/x:one"]).success();
    host.write(
        "Dockerfile",
        "FROM nowhere.example/never AS stage\nRUN exit 1\nFROM made AS second\nFROM dir AS files\nFROM alpine\nCOPY --from=stage /etc/passwd /stage\nCOPY --from=dir . /dir\n\
         COPY --from=git g /g\nCOPY --from=web context /web\nCOPY --from=second /base /base\nCOPY --from=layout /etc/group /group\nCOPY --from=files /kept /kept\n\
         RUN --mount=from=dir,target=/m ls -A /m > /mounted\n",
    );
    // The service whose image is a context is built before, though nobody asked for it.
    let seen = built(
        &host,
        "head -n 1 /stage; ls -A /dir; cat /g /web /base /mounted; head -n 1 /group; cat /kept",
    );
    assert_eq!(
        seen,
        "root:x:0:0:root:/root:/bin/sh\n.dockerignore\nkept\ngit\nweb\nbase\n.dockerignore\nkept\nroot:x:0:\nkept\n"
    );
    host.rcompose(["up", "--no-start", "--build"]).success();

    let fails = |text: &str, words: &[&str]| {
        host.write("compose.yaml", text);
        refused(host.rcompose(["build", "s"]), words);
    };
    fails(
        "name: sources\nservices:\n  s: {build: {context: ., additional_contexts: {a: 'service:t'}}}\n  t: {build: {context: ., additional_contexts: {b: 'service:s'}}}\n",
        &["s -> t -> s", "compose.yaml:3"],
    );
    host.write("Dockerfile", "FROM c\n");
    let with = |place: &str| {
        format!(
            "name: sources\nservices:\n  s: {{build: {{context: ., additional_contexts: {{c: '{place}'}}}}}}\n"
        )
    };
    fails(&with("./missing"), &["the context c", "missing is no directory"]);
    fails(&with("oci-layout://./layout:two"), &["two", "one"]);
    fails(&with("oci-layout://./dir"), &["dir"]);
    fails(&with("target:x"), &["target:x"]);
    host.finish();
}

#[test]
fn privileged_a_step_speaks_with_the_ssh_agent() {
    let host = Host::with_busybox();
    let key = host.work().join("key");
    let make = |path: &Path, passphrase: &str| {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-C", "mine", "-N", passphrase, "-f"])
            .arg(path)
            .status();
        assert!(made.expect("ssh-keygen runs (openssh-client)").success());
    };
    make(&key, "");
    let socket = host.work().join("agent.sock");
    let agent = Process(
        Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent starts"),
    );
    eventually("the agent listens", Duration::from_secs(10), || socket.exists());
    let added = Command::new("ssh-add")
        .arg("-q")
        .arg(&key)
        .env("SSH_AUTH_SOCK", &socket)
        .status();
    assert!(added.expect("ssh-add runs").success());

    // The real client, with the libraries it needs.
    let libraries = Command::new("ldd")
        .arg("/usr/bin/ssh-add")
        .output()
        .expect("ldd runs");
    let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
    let paths = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    for path in paths.chain(["/usr/bin/ssh-add"]) {
        let copy = host.work().join("client").join(path.trim_start_matches('/'));
        std::fs::create_dir_all(copy.parent().expect("parent")).expect("directory");
        std::fs::copy(path, copy).expect("copy");
    }
    let ask = "ssh-add -l > /who; ssh-add -D 2> /removed; stat -c '%a %U %n' $SSH_AUTH_SOCK > /socket";
    let dockerfile =
        |mount: &str| format!("FROM busybox:test\nCOPY client/ /\nRUN --mount=type=ssh{mount} {ask}\n");
    host.write(
        "compose.yaml",
        "name: sources\nservices:\n  s:\n    build: {context: ., ssh: [default]}\n",
    );
    host.write("Dockerfile", &dockerfile(""));
    run(host.command(["build", "s"]).env("SSH_AUTH_SOCK", &socket)).success();
    assert_eq!(
        in_image(&host, "cut -d' ' -f 3- /who; cat /removed /socket"),
        "mine (ED25519)\nFailed to remove all identities.\n600 root /run/buildkit/ssh_agent.0\n"
    );
    let listed = Command::new("ssh-add")
        .arg("-l")
        .env("SSH_AUTH_SOCK", &socket)
        .output()
        .expect("ssh-add runs");
    assert!(listed.status.success(), "the step removed the keys");
    assert_eq!(in_image(&host, "ls /run"), "", "nothing of the mount is left");

    host.write(
        "Dockerfile",
        &dockerfile(",id=deploy,target=/agent,mode=0640,uid=1000"),
    );
    host.write(
        "compose.yaml",
        "name: sources\nservices:\n  s:\n    build: {context: .}\n",
    );
    host.rcompose(["build", "--ssh", "deploy=./key", "s"]).success();
    assert_eq!(
        in_image(&host, "cut -d' ' -f 3- /who; cat /socket"),
        "mine (ED25519)\n640 app /agent\n"
    );

    host.write(
        "Dockerfile",
        "FROM busybox:test\nRUN --mount=type=ssh test ! -e $SSH_AUTH_SOCK\n",
    );
    host.rcompose(["build", "s"]).success();
    let fails = |arguments: &[&str], words: &[&str]| refused(host.rcompose(arguments), words);
    fails(&["build", "--ssh", "default", "s"], &["SSH_AUTH_SOCK"]);
    fails(&["build", "--ssh", "x=./none", "s"], &["none"]);
    host.write(
        "Dockerfile",
        "FROM busybox:test\nRUN --mount=type=ssh,required true\n",
    );
    fails(&["build", "s"], &["Dockerfile:2", "--ssh default"]);
    make(&host.work().join("locked"), "secret");
    fails(
        &["build", "--ssh", "default=./locked", "s"],
        &["locked", "passphrase"],
    );
    drop(agent);
    fails(
        &["build", "--ssh", &format!("default={}", socket.display()), "s"],
        &["agent.sock"],
    );
    host.finish();
}

#[test]
fn privileged_dockerfiles_are_checked() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        "name: sources\nservices:\n  s: {build: .}\n  t: {build: {context: ., dockerfile: Broken}}\n",
    );
    host.write(
        "Dockerfile",
        "FROM busybox:test AS One\nENV A=$B\nCMD echo $PATH\n",
    );
    host.write("Broken", "FROM busybox:test\nRUUN true\n");
    let ran = host.rcompose(["build", "--check"]).fails_with(1);
    for words in [
        "Dockerfile:1:1: warning[dockerfile-check]: StageNameCasing",
        "  1 | FROM busybox:test AS One",
        "Dockerfile:2:1: warning[dockerfile-check]: UndefinedVar: the variable `$B` is not defined",
        "Dockerfile:3:1: warning[dockerfile-check]: JSONArgsRecommended",
        "Broken:2:1: error[dockerfile]: unknown instruction `RUUN`",
        "did you mean `RUN`?",
    ] {
        assert!(ran.stdout.contains(words), "{words}\n{}", ran.stdout);
    }
    assert!(
        !host
            .rcompose(["image", "ls"])
            .success()
            .stdout
            .contains("sources-s"),
        "nothing is built"
    );
    let built = host.rcompose(["build", "s"]).success();
    assert_eq!(
        built.stderr.matches("StageNameCasing (line 1)").count(),
        1,
        "{}",
        built.stderr
    );
    host.write(
        "Dockerfile",
        "# check=skip=StageNameCasing;error=true\nFROM busybox:test AS One\nCMD echo\n",
    );
    refused(
        host.rcompose(["build", "s"]),
        &["JSONArgsRecommended", "check=error=true"],
    );
    host.write("Dockerfile", "FROM busybox:test\nCMD [\"true\"]\n");
    host.rcompose(["build", "--check", "s"]).success();
    host.finish();
}

#[test]
fn privileged_builds_are_printed_limited_and_pushed() {
    let host = Host::with_busybox();
    let registry = crate::registry::Registry::start();
    let name = format!("{}/team/web", registry.address());
    host.write(
        "compose.yaml",
        &format!("name: sources\nservices:\n  s:\n    image: {name}:1\n    build: {{context: ., tags: ['{name}:2'], args: {{A: '${{HOME:+x}}'}}, additional_contexts: {{base: 'service:b.c'}}}}\n  b.c: {{build: {{context: ., dockerfile_inline: FROM busybox:test}}}}\n"),
    );
    host.write("Dockerfile", "FROM base\nRUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null > /limit; true\n");
    let printed = host.rcompose(["build", "--print", "s"]).success().stdout;
    let bake: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(
        bake["group"]["default"]["targets"],
        serde_json::json!(["b_c", "s"])
    );
    let target = &bake["target"]["s"];
    assert_eq!(target["contexts"]["base"], "target:b_c");
    assert_eq!(
        target["tags"],
        serde_json::json!([format!("{name}:2"), format!("{name}:1")])
    );
    assert_eq!(
        (&target["args"]["A"], &target["output"][0]),
        (&"x".into(), &"type=docker".into())
    );

    host.rcompose(["build", "--push", "--memory", "64m", "--builder", "default", "s"])
        .success();
    assert_eq!(in_image(&host, "cat /limit").trim(), (64 << 20).to_string());
    for tag in ["1", "2"] {
        let manifest = ureq::get(format!(
            "http://{}/v2/team/web/manifests/{tag}",
            registry.address()
        ))
        .header("accept", "application/vnd.oci.image.manifest.v1+json")
        .call();
        assert!(manifest.is_ok(), "{tag}: {manifest:?}");
    }
    refused(
        host.rcompose(["build", "--builder", "other", "s"]),
        &["--builder", "default"],
    );
    refused(host.rcompose(["build", "--memory", "much", "s"]), &["--memory"]);
    host.finish();
}

#[test]
fn privileged_images_of_other_platforms_are_made_without_running_them() {
    let host = Host::with_busybox();
    let compose = |more: &str| {
        host.write(
            "compose.yaml",
            &format!("name: sources\nservices:\n  s:\n    build: {{context: .{more}}}\n"),
        );
    };
    compose(", platforms: [linux/s390x]");
    host.write("a", "a\n");
    host.write(
        "Dockerfile",
        "FROM --platform=$BUILDPLATFORM busybox:test AS tools\nARG TARGETARCH\nARG BUILDARCH\nRUN echo $TARGETARCH > /for; test $BUILDARCH != $TARGETARCH\nFROM scratch\nCOPY --from=tools /for /for\nCOPY a /a\n",
    );
    host.rcompose(["build", "s"]).success();
    let inspected = host.rcompose(["image", "inspect", "sources-s"]).success().stdout;
    assert!(inspected.contains("s390x"), "{inspected}");
    host.write("Dockerfile", "FROM scratch\nCOPY a /a\nRUN x\n");
    refused(
        host.rcompose(["build", "s"]),
        &["Dockerfile:3", "linux/s390x", "$BUILDPLATFORM"],
    );
    host.write("Dockerfile", "FROM --platform=$NOTHING scratch\nCOPY a /a\n");
    refused(
        host.rcompose(["build", "s"]),
        &["Dockerfile:1", "expands to nothing"],
    );
    compose(", platforms: [linux/s390x, linux/amd64, linux/arm64]");
    host.write("Dockerfile", "FROM scratch\nCOPY a /a\n");
    let ran = host.rcompose(["build", "s"]).success();
    assert!(ran.stderr.contains("of its platforms linux/"), "{}", ran.stderr);
    run(host
        .command(["build", "s"])
        .env("DOCKER_DEFAULT_PLATFORM", "linux/s390x"))
    .success();
    let inspected = host.rcompose(["image", "inspect", "sources-s"]).success().stdout;
    assert!(inspected.contains("s390x"), "{inspected}");
    host.finish();
}

#[test]
fn privileged_failures_point_into_the_dockerfile() {
    let host = Host::with_busybox();
    host.write("compose.yaml", SERVICE);
    host.write("settings.json", "{}");
    let fails = |text: &str, words: &[&str]| {
        host.write("Dockerfile", text);
        refused(host.rcompose(["build", "s"]), words);
    };
    fails(
        "FROM busybox:test\nRUUN x\n",
        &[
            "Dockerfile:2:1: unknown instruction `RUUN`",
            "  2 | RUUN x\n    | ^^^^",
            "= help: did you mean `RUN`?",
        ],
    );
    fails(
        "FROM busybox:test\nCOPY --chwon=1 a /\n",
        &["Dockerfile:2:", "did you mean `chown`?"],
    );
    fails(
        "FROM busybox:test\nCOPY setings.json /\n",
        &[
            "Dockerfile:2:6: `setings.json` is not there",
            "did you mean `settings.json`?",
        ],
    );
    fails(
        "FROM busybox:test AS tools\nFROM scratch\nCOPY --from=tolos /etc /\n",
        &["Dockerfile:3:", "did you mean `tools`?"],
    );
    fails(
        "FROM busybox:test\nWORKDIR /\nRUN echo before && \\\n  exit 3\nENV A=1\n",
        &[
            "exit code 3",
            "  2 | WORKDIR /",
            "> 3 | RUN echo before",
            "> 4 |   exit 3",
            "  5 | ENV A=1",
            "  > before",
        ],
    );
    host.write(".dockerignore", "settings.json\n");
    fails(
        "FROM busybox:test\nCOPY settings.json /\n",
        &["Dockerfile:2:6", "left out by the .dockerignore"],
    );
    host.finish();
}
