//! A host for one test: roots of its own, a busybox image, the real shim; and a look at what is left when the test is over.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcompose_runtime::image_store::{ImageConfig, Platform, Reference, archive};
use rcompose_runtime::request::{
    ContainerRequest, EndpointRequest, ExecRequest, NetworkRequest, NetworkingRequest,
};
use rcompose_runtime::state::ContainerState;
use rcompose_runtime::{LocalRuntime, Roots, Runtime};

/// The project of all containers of a test.
pub(crate) const PROJECT: &str = "p";

/// Programs of the test image that are links to busybox.
const PROGRAMS: [&str; 16] = [
    "sh", "sleep", "cat", "echo", "nslookup", "httpd", "wget", "true", "false", "ls", "id", "env",
    "hostname", "kill", "touch", "nc",
];

/// Roots of its own, removed with everything in them.
pub(crate) struct Scene {
    pub(crate) directory: PathBuf,
    pub(crate) runtime: LocalRuntime,
}

impl Scene {
    /// A new host called `label`.
    pub(crate) fn new(label: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("rcompose-door-{}-{label}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a scratch directory");
        let scene = Self {
            runtime: runtime(&directory),
            directory,
        };
        scene.import_busybox();
        scene
    }

    /// A second process's view of the same host.
    pub(crate) fn another_runtime(&self) -> LocalRuntime {
        runtime(&self.directory)
    }

    fn import_busybox(&self) {
        let root = self.directory.join("busybox");
        for name in ["bin", "etc", "tmp", "data"] {
            std::fs::create_dir_all(root.join(name)).expect("a directory");
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
        for program in PROGRAMS {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(program)).expect("a link");
        }
        std::fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/srv:/bin/sh\n",
        )
        .expect("a file");
        std::fs::write(root.join("etc/group"), "root:x:0:\nwww:x:33:\n").expect("a file");
        std::fs::write(root.join("data/seed"), "from the image\n").expect("a file");
        let mut tar = Command::new("tar")
            .args([
                "-C",
                root.to_str().expect("UTF-8"),
                "--owner=0",
                "--group=0",
                "-cf",
                "-",
                ".",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar starts");
        let name: Reference = "busybox".parse().expect("a name");
        let config = ImageConfig {
            cmd: Some(vec!["sh".into()]),
            ..ImageConfig::default()
        };
        let platform = Platform {
            architecture: "amd64".into(),
            os: "linux".into(),
            variant: None,
        };
        let store = self.runtime.images().expect("a store");
        let output = tar.stdout.take().expect("its output");
        archive::import(
            store,
            output,
            Some(&name),
            &config,
            "",
            &platform,
            "2000-01-01T00:00:00Z",
        )
        .expect("an image");
        assert!(tar.wait().expect("tar ends").success());
    }

    /// A request for `service` that runs a shell line, on the network `net`.
    pub(crate) fn request(service: &str, line: &str) -> ContainerRequest {
        ContainerRequest {
            name: format!("{PROJECT}-{service}-1"),
            service: service.to_owned(),
            command: Some(vec!["sh".into(), "-c".into(), line.to_owned()]),
            stop_grace: Some(Duration::from_secs(5)),
            network: NetworkingRequest::Bridges(vec![EndpointRequest {
                network: "net".into(),
                names: vec![service.to_owned()],
                address: None,
                mac: None,
                interface: None,
            }]),
            ..ContainerRequest::minimal(PROJECT, "busybox")
        }
    }

    pub(crate) fn network(&self) {
        self.runtime
            .create_network(&network_request("net"))
            .expect("a network");
    }

    /// Creates, wires and starts one container.
    pub(crate) fn up(&self, request: &ContainerRequest) -> String {
        let id = self.runtime.create_container(request, None).expect("a container");
        self.runtime.wire(std::slice::from_ref(&id)).expect("wired");
        self.runtime.start(&id).expect("started");
        id
    }

    pub(crate) fn state(&self, id: &str) -> ContainerState {
        self.runtime.container(id).expect("a state")
    }

    /// Runs a shell line inside; its output, which must be that of a success.
    #[track_caller]
    pub(crate) fn inside(&self, id: &str, line: &str) -> String {
        let request = ExecRequest {
            command: vec!["sh".into(), "-c".into(), line.into()],
            ..ExecRequest::default()
        };
        let (code, output) = self.runtime.run_inside(id, &request).expect("it runs");
        let output = String::from_utf8_lossy(&output).into_owned();
        assert_eq!(code, 0, "{line}: {output}");
        output
    }

    /// Takes everything down and looks for what is left.
    #[track_caller]
    pub(crate) fn down(self) {
        let runtime = &self.runtime;
        let ids: Vec<String> = runtime
            .containers(PROJECT)
            .expect("states")
            .into_iter()
            .map(|c| c.id)
            .collect();
        for id in &ids {
            runtime
                .kill(id, "KILL")
                .or_else(|_| runtime.stop(id, &rcompose_runtime::runtime::StopOptions::default()))
                .expect("down");
        }
        runtime.unwire(&ids).expect("unwired");
        for id in &ids {
            runtime.remove_container(id, true).expect("removed");
        }
        for network in runtime.networks(PROJECT).expect("networks") {
            runtime.remove_network(&network.request.name).expect("removed");
        }
        for volume in runtime.volumes(PROJECT).expect("volumes") {
            runtime.remove_volume(&volume.request.name).expect("removed");
        }
        runtime.repair(PROJECT).expect("nothing to mend");
        let hash = runtime.roots().hash().to_owned();
        let left = leftovers(&self.directory, &hash);
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed already; end what it left running.
            for state in self.runtime.containers(PROJECT).unwrap_or_default() {
                drop(self.runtime.kill(&state.id, "KILL"));
                drop(self.runtime.unwire(std::slice::from_ref(&state.id)));
            }
            for network in self.runtime.networks(PROJECT).unwrap_or_default() {
                drop(self.runtime.remove_network(&network.request.name));
            }
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

fn runtime(directory: &Path) -> LocalRuntime {
    let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/rcompose-shim");
    assert!(
        shim.is_file(),
        "{} is missing: run `cargo build -p rcompose --bin rcompose-shim` first",
        shim.display()
    );
    let roots = Roots::new(&directory.join("data"), &directory.join("run")).expect("roots");
    LocalRuntime::new(roots, Some(shim.canonicalize().expect("a path")))
}

pub(crate) fn network_request(name: &str) -> NetworkRequest {
    NetworkRequest {
        name: name.into(),
        project: PROJECT.into(),
        key: name.into(),
        config_hash: "1".into(),
        internal: false,
        subnet: None,
        gateway: None,
        ip_range: None,
        bridge: None,
        mtu: None,
        icc: true,
        reserved: vec![],
        labels: std::collections::BTreeMap::new(),
    }
}

/// What a web server on a port of this host answers.
pub(crate) fn fetch(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Kernel objects and processes that belong to the root and should be gone.
fn leftovers(directory: &Path, hash: &str) -> Vec<String> {
    let mut left = Vec::new();
    let path = directory.to_str().expect("UTF-8");
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    left.extend(
        mounts
            .lines()
            .filter(|line| line.contains(path))
            .map(|line| format!("mount {line}")),
    );
    for hierarchy in names(Path::new("/sys/fs/cgroup")) {
        for top in [
            PathBuf::from("/sys/fs/cgroup").join(&hierarchy),
            PathBuf::from("/sys/fs/cgroup"),
        ] {
            let own = top.join(format!("rcompose-{hash}"));
            let children = names(&own).into_iter().filter(|name| own.join(name).is_dir());
            left.extend(children.map(|name| format!("control group {}/{name}", own.display())));
        }
    }
    let tables = Command::new("nft")
        .args(["list", "tables"])
        .output()
        .expect("nft runs")
        .stdout;
    let tables = String::from_utf8_lossy(&tables).into_owned();
    left.extend(
        tables
            .lines()
            .filter(|line| line.contains(hash))
            .map(|line| format!("table {line}")),
    );
    for pid in names(Path::new("/proc"))
        .into_iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // A shim may still be on its way out after it has told of the end.
        if line.contains(path) {
            let deadline = Instant::now() + Duration::from_secs(5);
            while Path::new("/proc").join(&pid).exists() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            if Path::new("/proc").join(&pid).exists() {
                left.push(format!("process {pid} {line}"));
            }
        }
    }
    left.extend(
        names(&directory.join("run/containers"))
            .into_iter()
            .map(|name| format!("run directory {name}")),
    );
    left.extend(
        names(&directory.join("run/networks"))
            .into_iter()
            .map(|name| format!("network directory {name}")),
    );
    left
}

fn names(directory: &Path) -> BTreeSet<String> {
    std::fs::read_dir(directory)
        .map(|entries| {
            entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect()
        })
        .unwrap_or_default()
}
