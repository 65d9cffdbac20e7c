//! Dockerfiles as people write them (tests/data/dockerfiles): those whose packages Debian has are built and run.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::host::{Host, eventually};

fn dockerfile(name: &str) -> String {
    let path = format!("tests/data/dockerfiles/{name}.Dockerfile");
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a Dockerfile")
}

/// A host that has Debian.
fn host_with_debian() -> Host {
    let host = Host::empty();
    let base = Command::new("scripts/base-image.sh")
        .arg(env!("CARGO_BIN_EXE_rcompose"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RCOMPOSE_DATA_ROOT", host.data_root())
        .env("RCOMPOSE_RUN_ROOT", host.run_root())
        .status()
        .expect("the script starts");
    assert!(base.success(), "debian:bookworm-slim is available");
    host
}

#[test]
fn privileged_dockerfiles_with_packages_of_debian_are_built_and_run() {
    let host = host_with_debian();
    for (directory, name) in [
        ("py", "debian-python"),
        ("web", "debian-nginx-php"),
        ("c", "debian-c"),
        ("dev", "dev-toolbox"),
    ] {
        host.write(&format!("{directory}/Dockerfile"), &dockerfile(name));
    }
    host.write(
        "py/app/server.py",
        "import http.server, os, sys\nclass Page(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        self.send_response(200); self.end_headers()\n        self.wfile.write(b'python as %d on %s' % (os.getuid(), os.environ['PORT'].encode()))\nhttp.server.HTTPServer(('0.0.0.0', int(os.environ['PORT'])), Page).serve_forever()\n",
    );
    host.write(
        "c/c/Makefile",
        "$(BUILD)/hello: hello.c\n\t$(CC) $(CFLAGS) -o $@ $<\n",
    );
    host.write(
        "c/c/hello.c",
        "#include <stdio.h>\n#include <unistd.h>\nint main(int n, char **v) { printf(\"hello %s from %d\\n\", n > 1 ? v[1] : \"nobody\", getuid()); }\n",
    );
    host.write("dev/.bashrc", "export FROM_THE_CONTEXT=yes\n");
    host.write("netrc", "machine example.invalid\n");
    host.write(
        "compose.yaml",
        "name: d\nservices:\n  py: {build: ./py}\n  web:\n    build: ./web\n    depends_on: {py: {condition: service_healthy}}\n  c: {build: ./c, profiles: [once]}\n  dev:\n    build: {context: ./dev, args: {USERNAME: maria}, secrets: [netrc]}\n    profiles: [once]\nsecrets: {netrc: {file: ./netrc}}\n",
    );
    host.rcompose(["build"]).success();
    host.rcompose(["up", "-d"]).success();
    let page = |url: &str| {
        let script = format!("import urllib.request as r; print(r.urlopen('{url}').read().decode())");
        host.rcompose(["exec", "-T", "py", "python3", "-c", &script])
            .stdout
    };
    assert!(page("http://py:8000").contains("python as 10001 on 8000"));
    eventually("nginx answers", Duration::from_secs(20), || {
        page("http://web").contains("built from a heredoc")
    });
    let logs = host.rcompose(["logs", "web"]).success();
    assert!(logs.stdout.contains("php 8"), "{}", logs.stdout);
    let hello = host.rcompose(["run", "--rm", "-T", "c"]).success();
    assert_eq!(hello.stdout, "hello world from 1000\n");
    let dev = host.rcompose([
        "run",
        "--rm",
        "-T",
        "dev",
        "bash",
        "-c",
        ". ~/.bashrc; id -un; pwd; echo $FROM_THE_CONTEXT; make --version | head -1",
    ]);
    let dev = dev.success();
    assert!(
        dev.stdout.starts_with("maria\n/home/maria\nyes\nGNU Make"),
        "{}",
        dev.stdout
    );
    let again = host.rcompose(["build"]).success();
    let done: Vec<&str> = again
        .stderr
        .lines()
        .filter(|line| line.contains(" DONE "))
        .collect();
    let bases = again.stderr.matches("] FROM ").count();
    assert_eq!(done.len(), bases, "all steps are cached: {}", again.stderr);
    host.rcompose(["down", "--rmi", "all"]).success();
    host.finish();
}

#[test]
fn privileged_programs_in_four_languages_are_built_in_stages_and_run() {
    let host = host_with_debian();
    for (directory, text) in [
        ("package.json", r#"{"name": "page", "version": "1.2.3"}"#),
        (
            "build.js",
            "const fs = require('fs'); fs.mkdirSync('dist'); fs.copyFileSync('src/server.js', 'dist/server.js');",
        ),
        (
            "src/server.js",
            "const {version} = require('./package.json'); require('http').createServer((_, answer) => answer.end(`node ${version} as ${process.getuid()} in ${process.env.NODE_ENV}`)).listen(process.env.PORT);",
        ),
    ] {
        host.write(&format!("node/{directory}"), text);
    }
    host.write("go/go.mod", "module example.invalid/app\n\ngo 1.19\n");
    host.write(
        "go/main.go",
        "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nvar version = \"none\"\n\nfunc main() { fmt.Println(\"go\", version, \"as\", os.Getuid()) }\n",
    );
    host.write(
        "rust/Cargo.toml",
        "[package]\nname = \"hello\"\nversion = \"0.3.0\"\nedition = \"2021\"\n",
    );
    host.write(
        "rust/Cargo.lock",
        "version = 3\n\n[[package]]\nname = \"hello\"\nversion = \"0.3.0\"\n",
    );
    host.write(
        "rust/src/main.rs",
        "fn main() { println!(\"rust {}\", env!(\"CARGO_PKG_VERSION\")); }\n",
    );
    host.write(
        "java/src/example/Hello.java",
        "package example;\n\npublic class Hello {\n    public static void main(String[] names) {\n        System.out.println(\"java \" + Runtime.version().feature() + \" for \" + names[0]);\n    }\n}\n",
    );
    for language in ["node", "go", "rust", "java"] {
        host.write(
            &format!("{language}/Dockerfile"),
            &dockerfile(&format!("debian-{language}")),
        );
    }
    host.write(
        "compose.yaml",
        "name: l\nservices:\n  node: {build: ./node}\n  go: {build: {context: ./go, args: {VERSION: v2}}, profiles: [once]}\n  rust: {build: ./rust, profiles: [once]}\n  java: {build: ./java, profiles: [once], command: [Ann]}\n",
    );
    host.rcompose(["--profile", "once", "build"]).success();
    for (service, said) in [
        ("go", "go v2 as 65532\n"),
        ("rust", "rust 0.3.0\n"),
        ("java", "java 17 for Ann\n"),
    ] {
        assert_eq!(
            host.rcompose(["run", "--rm", "-T", service]).success().stdout,
            said
        );
    }
    host.rcompose(["up", "-d", "--wait"]).success();
    let asks = "fetch('http://127.0.0.1:3000').then(answer => answer.text()).then(console.log)";
    let page = host
        .rcompose(["exec", "-T", "node", "node", "-e", asks])
        .success();
    assert_eq!(page.stdout, "node 1.2.3 as 65534 in production\n");
    host.rcompose(["down", "--rmi", "all"]).success();
    host.finish();
}
