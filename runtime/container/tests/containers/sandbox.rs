//! A busybox image, containers made from it, and what they print.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcompose_container::cgroup::Cgroup;
use rcompose_container::create::{Running, StandardStreams, StartContext, StartError, start};
use rcompose_container::exec::{Target, exec};
use rcompose_container::spec::{
    CgroupSpec, ContainerSpec, LogSpec, NamespaceChoice, NamespaceSpec, ProcessSpec, ResolverSpec,
    RestartPolicy, RootfsSpec,
};
use rcompose_container::{capability, defaults, seccomp};
use rustix::process::{WaitId, WaitIdOptions, waitid};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A directory with an image and one container's spec; everything goes when it is dropped.
pub(crate) struct Sandbox {
    pub(crate) directory: PathBuf,
    pub(crate) spec: ContainerSpec,
    pub(crate) joined: Vec<(String, OwnedFd)>,
}

/// What a process printed and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

/// A started process whose output is still to be read.
pub(crate) struct Started {
    pub(crate) running: Running,
    stdout: File,
    stderr: File,
}

impl Sandbox {
    /// A container that runs `arguments` with every default.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(format!("rcompose-container-{name}"));
        make_image(&directory);
        let path = |below: &str| directory.join(below).to_str().unwrap().to_owned();
        let capabilities = capability::DEFAULT.to_vec();
        let spec = ContainerSpec {
            id: format!("{:064x}", std::process::id()),
            name: format!("test-{name}"),
            process: ProcessSpec {
                seccomp: Some(seccomp::compile(&capabilities).into()),
                capabilities,
                ..process(arguments)
            },
            rootfs: RootfsSpec {
                lower: vec![path("evil"), path("image")],
                upper: path("upper"),
                work: path("work"),
                read_only: false,
            },
            mounts: Vec::new(),
            namespaces: NamespaceSpec {
                network: NamespaceChoice::Host,
                pid: NamespaceChoice::Private,
                ipc: NamespaceChoice::Private,
                uts: NamespaceChoice::Private,
                cgroup: NamespaceChoice::Private,
            },
            hostname: "inside".into(),
            domainname: None,
            cgroup: CgroupSpec {
                path: format!("rcompose-test-{}/{name}", std::process::id()),
                ..CgroupSpec::default()
            },
            devices: Vec::new(),
            masked_paths: defaults::masked_paths(2),
            readonly_paths: defaults::readonly_paths(),
            sysctls: Vec::new(),
            shm_size: defaults::SHM_SIZE,
            init: false,
            stdin_open: false,
            stop_signal: 15,
            stop_grace_ms: 10_000,
            restart: RestartPolicy::No,
            health: None,
            log: LogSpec {
                path: None,
                max_size: 0,
                max_files: 1,
            },
            resolver: ResolverSpec::default(),
            ports: Vec::new(),
            privileged: false,
        };
        Self {
            directory,
            spec,
            joined: Vec::new(),
        }
    }

    /// A container that runs a shell script.
    pub(crate) fn script(text: &str) -> Self {
        Self::new(&["/bin/sh", "-c", text])
    }

    /// A path of the top-most image layer, for what an image should not contain.
    pub(crate) fn evil(&self, path: &str) -> PathBuf {
        self.directory.join("evil").join(path)
    }

    pub(crate) fn start(&self) -> Result<Started, StartError> {
        let stdin: OwnedFd = File::open("/dev/null").unwrap().into();
        let (stdout, stdout_inside) = pipe();
        let (stderr, stderr_inside) = pipe();
        let streams = StandardStreams::Pipes {
            stdin: stdin.as_fd(),
            stdout: stdout_inside.as_fd(),
            stderr: stderr_inside.as_fd(),
        };
        let running = start(&self.spec, streams, &StartContext { joined: &self.joined })?;
        Ok(Started {
            running,
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
    }

    /// Runs it to its end and removes its control group.
    pub(crate) fn run(&self) -> Output {
        let started = self.start().unwrap_or_else(|error| panic!("{error}"));
        let cgroup = started.running.cgroup.clone();
        let output = started.finish();
        cgroup.remove().unwrap();
        output
    }

    /// The error of a container that must not start.
    pub(crate) fn refused(&self) -> StartError {
        match self.start() {
            Err(error) => error,
            Ok(started) => {
                let cgroup = started.running.cgroup.clone();
                cgroup.kill_all().unwrap();
                let output = started.finish();
                cgroup.remove().unwrap();
                panic!("it started: {output:?}");
            }
        }
    }
}

/// A busybox image and the directories around it.
fn make_image(directory: &Path) {
    for below in ["image/bin", "image/etc", "image/tmp", "evil", "upper", "work"] {
        fs::create_dir_all(directory.join(below)).unwrap();
    }
    fs::copy("/bin/busybox", directory.join("image/bin/busybox")).expect("install busybox-static");
    for applet in [
        "sh",
        "cat",
        "ls",
        "id",
        "echo",
        "true",
        "sleep",
        "hostname",
        "mount",
        "umount",
        "stat",
        "readlink",
        "pwd",
        "touch",
        "mkdir",
        "grep",
        "env",
        "kill",
        "unshare",
        "chroot",
        "dd",
        "tty",
        "ps",
        "wc",
        "head",
        "test",
        "sysctl",
        "mknod",
        "cut",
        "awk",
        "ulimit",
        "domainname",
        "nc",
        "stty",
        "tr",
        "sort",
        "false",
        "find",
        "seq",
        "mv",
        "ln",
        "rm",
    ] {
        symlink("busybox", directory.join("image/bin").join(applet)).unwrap();
    }
    fs::write(
        directory.join("image/etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv/web:/bin/sh\n",
    )
    .unwrap();
    fs::write(
        directory.join("image/etc/group"),
        "root:x:0:\nweb:x:33:\naudio:x:29:web\nvideo:x:44:\n",
    )
    .unwrap();
    fs::write(directory.join("image/etc/script-without-mode"), "echo x").unwrap();
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Ok(cgroup) = Cgroup::at(&self.spec.cgroup.path) {
            drop(cgroup.kill_all());
            drop(cgroup.remove());
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

impl Started {
    /// Runs a process in it to its end.
    pub(crate) fn exec(&self, process: &ProcessSpec) -> Result<Output, StartError> {
        let stdin: OwnedFd = File::open("/dev/null").unwrap().into();
        let (stdout, stdout_inside) = pipe();
        let (stderr, stderr_inside) = pipe();
        let streams = StandardStreams::Pipes {
            stdin: stdin.as_fd(),
            stdout: stdout_inside.as_fd(),
            stderr: stderr_inside.as_fd(),
        };
        let target = Target {
            pidfd: self.running.pidfd.as_fd(),
            cgroup: &self.running.cgroup,
        };
        let running = exec(&target, process, streams)?;
        drop((stdout_inside, stderr_inside));
        Ok(Started {
            running,
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
        .finish())
    }

    /// Reads everything and waits for the end.
    pub(crate) fn finish(mut self) -> Output {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        Output {
            stdout,
            stderr,
            code: wait(&self.running),
        }
    }

    /// Ends it by force.
    pub(crate) fn kill(self) {
        self.running.cgroup.kill_all().unwrap();
        wait(&self.running);
        self.running.cgroup.remove().unwrap();
    }
}

/// Reaps a process; its code, or 128 and its signal.
pub(crate) fn wait(running: &Running) -> i32 {
    let status = waitid(WaitId::PidFd(running.pidfd.as_fd()), WaitIdOptions::EXITED)
        .unwrap()
        .unwrap();
    status
        .exit_status()
        .unwrap_or_else(|| 128 + status.terminating_signal().unwrap())
}

/// A process with every default and no confinement beyond the container's.
pub(crate) fn process(arguments: &[&str]) -> ProcessSpec {
    ProcessSpec {
        arguments: arguments.iter().map(ToString::to_string).collect(),
        environment: vec!["PATH=/sbin:/bin".into()],
        working_directory: "/".into(),
        user: String::new(),
        additional_groups: Vec::new(),
        capabilities: capability::DEFAULT.to_vec(),
        no_new_privileges: false,
        seccomp: None,
        rlimits: Vec::new(),
        oom_score_adj: None,
        terminal: false,
        terminal_size: None,
    }
}

pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
}

/// Whether any mount of this process's namespace mentions the path.
pub(crate) fn mounted_below(path: &Path) -> bool {
    fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .contains(path.to_str().unwrap())
}
