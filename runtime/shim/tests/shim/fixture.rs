//! In: a test's name and what differs from an ordinary container. Out: a container directory, and shims started for it.
//! **Invariant:** dropping it leaves nothing: no process, no control group, no directory.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rcompose_container::cgroup::Cgroup;
use rcompose_container::spec::{
    CgroupSpec, ContainerSpec, LogSpec, NamespaceChoice, NamespaceSpec, ProcessKeeper, ProcessSpec,
    ResolverSpec, RestartPolicy, RootfsSpec, Workload,
};
use rcompose_shim::protocol::{Reply, Request, StartPlan};
use rcompose_shim::{Mode, ShimClient, ShimError, StartupHandle};
use serde_json::Value;

/// Nothing a test waits for takes longer, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One container and its directories.
pub(crate) struct Container {
    root: PathBuf,
    pub(crate) spec: ContainerSpec,
    pub(crate) plan: StartPlan,
    /// A plain process that is kept instead of the container.
    pub(crate) keeper: Option<ProcessKeeper>,
}

fn program() -> &'static OwnedFd {
    static PROGRAM: OnceLock<OwnedFd> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = Path::new(env!("CARGO_BIN_EXE_rcompose-shim-alone"));
        rcompose_sys::descriptor::sealed_copy(path).expect("a sealed copy")
    })
}

/// A command line for the container's shell.
pub(crate) fn shell(script: &str) -> ProcessSpec {
    ProcessSpec {
        arguments: vec!["/bin/sh".into(), "-c".into(), script.into()],
        environment: vec!["PATH=/bin".into()],
        working_directory: "/".into(),
        user: String::new(),
        additional_groups: Vec::new(),
        capabilities: vec![0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31],
        no_new_privileges: false,
        seccomp: None,
        rlimits: Vec::new(),
        oom_score_adj: None,
        terminal: false,
        terminal_size: None,
    }
}

impl Container {
    /// A container that runs `script`, on no network, with nothing restarted.
    pub(crate) fn new(name: &str, script: &str) -> Self {
        let root = std::env::temp_dir().join(format!("rcompose-shim-{}-{name}", std::process::id()));
        let lower = root.join("image");
        for directory in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            fs::create_dir_all(lower.join(directory)).expect("an image");
        }
        fs::copy("/bin/busybox", lower.join("bin/busybox")).expect("busybox-static is installed");
        for applet in [
            "sh", "cat", "echo", "sleep", "nslookup", "seq", "stty", "kill", "touch", "test", "head", "yes",
            "id", "ip",
        ] {
            std::os::unix::fs::symlink("busybox", lower.join("bin").join(applet)).expect("an applet");
        }
        let id = format!("{:0<64}", format!("{:x}{:x}", std::process::id(), hash(name)));
        let data = root.join("data");
        for directory in [&data.join("upper"), &data.join("work"), &root.join("run")] {
            fs::create_dir_all(directory).expect("a directory");
        }
        let text = |path: PathBuf| path.to_str().expect("UTF-8").to_owned();
        fs::DirBuilder::new()
            .mode(0o700)
            .create(root.join("run").join(&id[..12]))
            .expect("a run directory");
        let spec = ContainerSpec {
            name: name.into(),
            process: shell(script),
            rootfs: RootfsSpec {
                lower: vec![text(lower)],
                upper: text(data.join("upper")),
                work: text(data.join("work")),
                read_only: false,
            },
            mounts: Vec::new(),
            namespaces: NamespaceSpec {
                network: NamespaceChoice::Private,
                pid: NamespaceChoice::Private,
                ipc: NamespaceChoice::Private,
                uts: NamespaceChoice::Private,
                cgroup: NamespaceChoice::Private,
            },
            hostname: "box".into(),
            domainname: None,
            cgroup: CgroupSpec {
                path: format!("rcompose-shim-test/{}", &id[..12]),
                ..CgroupSpec::default()
            },
            devices: Vec::new(),
            masked_paths: Vec::new(),
            readonly_paths: Vec::new(),
            sysctls: Vec::new(),
            shm_size: 1 << 20,
            init: false,
            stdin_open: false,
            stop_signal: 15,
            stop_grace_ms: 5000,
            restart: RestartPolicy::No,
            health: None,
            log: LogSpec {
                path: Some(text(data.join("container.log"))),
                max_size: 1 << 30,
                max_files: 3,
            },
            resolver: ResolverSpec::default(),
            ports: Vec::new(),
            privileged: false,
            id,
        };
        let plan = StartPlan {
            attachments: Vec::new(),
            boot_id: rcompose_shim::boot_id().expect("a boot"),
            wait_for_attach: false,
            container_directory: text(data),
        };
        Container {
            root,
            spec,
            plan,
            keeper: None,
        }
    }

    pub(crate) fn run_directory(&self) -> PathBuf {
        self.root.join("run").join(&self.spec.id[..12])
    }

    pub(crate) fn data(&self, name: &str) -> PathBuf {
        Path::new(&self.plan.container_directory).join(name)
    }

    /// Writes the records and starts a shim; its first reply.
    pub(crate) fn shim(&self, mode: Mode) -> Reply {
        self.spawn(mode).wait(Some(PATIENCE)).expect("a reply")
    }

    /// Kills every shim of this container, and waits until its lock is free.
    pub(crate) fn kill_whoever_keeps_it(&self) {
        let run_directory = self.run_directory();
        let wanted = run_directory.to_str().expect("UTF-8").as_bytes();
        let keepers = || -> Vec<String> {
            let processes = fs::read_dir("/proc").expect("/proc").flatten();
            let keeps = |entry: &fs::DirEntry| {
                let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                command
                    .split(|byte| *byte == 0)
                    .any(|argument| argument == wanted)
            };
            processes
                .filter(keeps)
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect()
        };
        // Again, because one may fork while it is looked for.
        wait_until("no shim is left", || {
            let found = keepers();
            for pid in &found {
                drop(Command::new("/bin/kill").args(["-9", pid]).output());
            }
            found.is_empty() && keepers().is_empty()
        });
        let lock = File::create(run_directory.join("lock")).expect("a lock");
        wait_until("its lock is free", || lock.try_lock_shared().is_ok());
        // Not by closing: a process forked at this moment has a copy of the descriptor.
        lock.unlock().expect("an unlocked file");
    }

    /// Writes the records and starts a shim.
    pub(crate) fn spawn(&self, mode: Mode) -> StartupHandle {
        let workload = match &self.keeper {
            Some(keeper) => Workload::Process(keeper.clone()),
            None => Workload::Container(Box::new(self.spec.clone())),
        };
        let spec = minicbor::to_vec(workload).expect("CBOR");
        fs::write(self.data("spec.cbor"), spec).expect("spec.cbor");
        fs::write(
            self.run_directory().join("start.cbor"),
            minicbor::to_vec(&self.plan).expect("CBOR"),
        )
        .expect("start.cbor");
        rcompose_shim::spawn(program().as_fd(), &self.run_directory(), mode).expect("a shim")
    }

    /// Starts it; the pid of the first process.
    pub(crate) fn start(&self) -> i32 {
        match self.shim(Mode::Run) {
            Reply::Started { pid } => pid,
            other => panic!("{other:?}"),
        }
    }

    /// The same for a script that prints `ready` once it has set its traps.
    pub(crate) fn start_ready(&self) -> i32 {
        let pid = self.start();
        wait_until("it is ready", || {
            self.log_lines().iter().any(|(_, line)| line == "ready\n")
        });
        pid
    }

    /// What it printed besides `ready`.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.log_lines()
            .into_iter()
            .map(|(_, line)| line)
            .filter(|line| line != "ready\n")
            .collect()
    }

    pub(crate) fn client(&self) -> ShimClient {
        self.try_client().expect("a shim")
    }

    pub(crate) fn try_client(&self) -> Result<ShimClient, ShimError> {
        let directory = File::open(self.run_directory()).expect("a run directory");
        ShimClient::connect(directory.as_fd())
    }

    /// One request and its first reply.
    pub(crate) fn ask(&self, request: &Request) -> Reply {
        self.client()
            .request(request, &[], Some(PATIENCE))
            .expect("a reply")
            .0
    }

    /// Stops it with the spec's signal and grace; its exit code.
    pub(crate) fn stop(&self) -> i32 {
        exit_code(&self.ask(&Request::Stop {
            signal: None,
            grace_ms: None,
            before: Vec::new(),
        }))
    }

    /// Stops it with SIGKILL; its exit code.
    pub(crate) fn kill(&self) -> i32 {
        exit_code(&self.ask(&Request::Stop {
            signal: Some(9),
            grace_ms: Some(0),
            before: Vec::new(),
        }))
    }

    pub(crate) fn state(&self) -> Value {
        json(&self.run_directory().join("state.json"))
    }

    pub(crate) fn exit_record(&self) -> Value {
        json(&self.data("exit.json"))
    }

    /// Runs a command inside; its exit code, output and errors.
    pub(crate) fn exec(&self, script: &str) -> (i32, String, String) {
        let (mut stdout, stdout_writer) = std::io::pipe().expect("a pipe");
        let (mut stderr, stderr_writer) = std::io::pipe().expect("a pipe");
        let null = File::open("/dev/null").expect("/dev/null");
        let client = self.client();
        let request = Request::Exec {
            process: shell(script),
            kill_on_close: true,
        };
        let descriptors = [null.as_fd(), stdout_writer.as_fd(), stderr_writer.as_fd()];
        match client
            .request(&request, &descriptors, Some(PATIENCE))
            .expect("a reply")
            .0
        {
            Reply::Started { .. } => {}
            other => panic!("{other:?}"),
        }
        drop((stdout_writer, stderr_writer));
        let read = |pipe: &mut std::io::PipeReader| std::io::read_to_string(pipe).expect("text");
        let (stdout, stderr) = (read(&mut stdout), read(&mut stderr));
        (
            exit_code(&client.receive(Some(PATIENCE)).expect("a reply").0),
            stdout,
            stderr,
        )
    }

    /// The messages of the log, rotated files left out.
    pub(crate) fn log_lines(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.data("container.log")).unwrap_or_default();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines
            .map(|line| (string(&line["stream"]), string(&line["log"])))
            .collect()
    }

    /// Kills the shim and nobody else, and waits until it is gone.
    pub(crate) fn kill_shim(&self) {
        let pid = self.state()["shim_pid"].as_i64().expect("a pid");
        assert!(
            Command::new("/bin/kill")
                .args(["-9", &pid.to_string()])
                .status()
                .expect("kill")
                .success()
        );
        wait_until("the shim is gone", || {
            matches!(self.try_client(), Err(ShimError::NotRunning))
        });
        let lock = File::open(self.run_directory().join("lock")).expect("a lock");
        wait_until("its lock is free", || lock.try_lock_shared().is_ok());
        // Not by closing: a process forked at this moment has a copy of the descriptor.
        lock.unlock().expect("an unlocked file");
    }

    pub(crate) fn cgroup_exists(&self) -> bool {
        let group = Cgroup::at(&self.spec.cgroup.path).expect("control groups");
        group.directories().any(|directory| directory.exists())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Ok(client) = self.try_client() {
            let stop = Request::Stop {
                signal: Some(9),
                grace_ms: Some(0),
                before: Vec::new(),
            };
            // It may end by itself at this moment.
            drop(client.request(&stop, &[], Some(PATIENCE)));
        }
        if let Ok(group) = Cgroup::at(&self.spec.cgroup.path) {
            drop(group.kill_all());
            drop(group.remove());
        }
        drop(fs::remove_dir_all(&self.root));
    }
}

fn hash(name: &str) -> u32 {
    name.bytes()
        .fold(5381, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte))
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

pub(crate) fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

pub(crate) fn exit_code(reply: &Reply) -> i32 {
    match reply {
        Reply::Exited { code } => *code,
        other => panic!("{other:?}"),
    }
}

/// Waits for something that takes a moment.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs (and is no zombie).
pub(crate) fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.trim_start().chars().next());
        state.is_some_and(|state| state != 'Z' && state != 'X')
    })
}
