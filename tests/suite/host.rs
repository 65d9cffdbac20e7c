//! A private rcompose on the real kernel: its own data and run root, the real binaries, and a check that nothing is left behind.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// One data root, one run root, one working directory.
pub(crate) struct Host {
    directory: TempDir,
    before: KernelObjects,
}

/// What a command printed, and its status.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ran {
    /// Panics with everything it printed unless it succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Panics with everything it printed unless it ended with this code.
    #[track_caller]
    pub(crate) fn fails_with(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }
}

impl Host {
    /// An empty host with the busybox image `busybox:test` in its store.
    pub(crate) fn with_busybox() -> Self {
        let host = Self::empty();
        host.rcompose([
            "image",
            "import",
            crate::images::busybox_tar().to_str().expect("utf-8 path"),
            "busybox:test",
        ])
        .success();
        host
    }

    /// An empty host.
    pub(crate) fn empty() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "privileged tests need root: run scripts/test.sh as root"
        );
        let directory = tempfile::Builder::new()
            .prefix("rct")
            .tempdir()
            .expect("temporary directory");
        std::fs::create_dir(directory.path().join("work")).expect("working directory");
        Self {
            directory,
            before: KernelObjects::now(),
        }
    }

    /// The working directory of commands.
    pub(crate) fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// The data root.
    pub(crate) fn data_root(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The run root.
    pub(crate) fn run_root(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    /// Writes a file in the working directory, by rename as editors do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        let temporary = path.with_file_name(format!(
            ".{}.tmp",
            path.file_name().and_then(OsStr::to_str).expect("name")
        ));
        std::fs::write(&temporary, text).expect("write");
        std::fs::rename(&temporary, &path).expect("rename");
    }

    /// A command that has not started.
    pub(crate) fn command<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcompose"));
        command
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", self.directory.path())
            .env("RCOMPOSE_DATA_ROOT", self.data_root())
            .env("RCOMPOSE_RUN_ROOT", self.run_root())
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub(crate) fn rcompose<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Ran {
        run(&mut self.command(arguments))
    }

    /// `ps -a --format json`, one value a container.
    pub(crate) fn ps(&self) -> Vec<serde_json::Value> {
        let ran = self.rcompose(["ps", "-a", "--format", "json"]).success();
        ran.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
            .collect()
    }

    /// Containers of a project, without its file.
    pub(crate) fn ps_of(&self, project: &str) -> Vec<serde_json::Value> {
        let ran = self.rcompose(["-p", project, "ps", "-a", "--format", "json"]);
        ran.stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The one container of a service, as `ps` shows it.
    #[track_caller]
    pub(crate) fn container(&self, service: &str) -> serde_json::Value {
        let mut found: Vec<_> = self
            .ps()
            .into_iter()
            .filter(|container| container["Service"] == service)
            .collect();
        assert_eq!(found.len(), 1, "containers of {service}: {found:?}");
        found.remove(0)
    }

    /// Brings everything down and checks that the kernel holds nothing of ours any more.
    pub(crate) fn finish(self) {
        self.bring_down();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = KernelObjects::now().since(&self.before, self.directory.path());
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn bring_down(&self) {
        let projects = std::fs::read_dir(self.data_root().join("projects")).map(|entries| {
            entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect::<Vec<_>>()
        });
        for project in projects.unwrap_or_default() {
            let ran = self.rcompose(["-p", &project, "down", "-v", "-t", "0", "--remove-orphans"]);
            assert!(ran.code == 0 || std::thread::panicking(), "{}", ran.stderr);
        }
    }
}

impl Drop for Host {
    /// A failed test leaves no containers running either.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.bring_down();
            // Bridges go a moment later, by their records.
            std::thread::sleep(Duration::from_secs(2));
        }
    }
}

/// Runs a command to its end and keeps what it printed.
pub(crate) fn run(command: &mut Command) -> Ran {
    let start = Instant::now();
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let code = status
        .code()
        .unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0));
    Ran {
        code,
        stdout: text(stdout),
        stderr: text(stderr),
        took: start.elapsed(),
    }
}

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Names of things that a leak would leave in the kernel.
struct KernelObjects {
    mounts: BTreeSet<String>,
    links: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    tables: BTreeSet<String>,
}

impl KernelObjects {
    fn now() -> Self {
        let lines = |text: String| text.lines().map(str::to_owned).collect();
        Self {
            mounts: lines(std::fs::read_to_string("/proc/self/mounts").unwrap_or_default()),
            links: names_in(Path::new("/sys/class/net")),
            cgroups: cgroups(),
            tables: Command::new("nft")
                .args(["list", "tables"])
                .output()
                .map(|output| lines(String::from_utf8_lossy(&output.stdout).into_owned()))
                .unwrap_or_default(),
        }
    }

    /// What is there now, was not there before, and can only be ours: other tests run beside this one.
    fn since(&self, before: &Self, root: &Path) -> Vec<String> {
        let root = root.to_str().expect("utf-8 path");
        let mut left: Vec<String> = self
            .mounts
            .difference(&before.mounts)
            .filter(|mount| mount.contains(root))
            .map(|mount| format!("mount {mount}"))
            .collect();
        let hash = ours(root);
        let is_ours = |name: &&String| hash.as_ref().is_some_and(|hash| name.contains(hash.as_str()));
        left.extend(
            self.links
                .difference(&before.links)
                .filter(is_ours)
                .map(|link| format!("link {link}")),
        );
        left.extend(
            self.cgroups
                .difference(&before.cgroups)
                .filter(is_ours)
                .map(|cgroup| format!("cgroup {cgroup}")),
        );
        left.extend(
            self.tables
                .difference(&before.tables)
                .filter(is_ours)
                .map(|table| format!("table {table}")),
        );
        left.extend(
            processes_of(root)
                .into_iter()
                .map(|process| format!("process {process}")),
        );
        left
    }
}

/// The hash that names every kernel object of the data root; its own record says so.
fn ours(root: &str) -> Option<String> {
    let identity = std::fs::read_to_string(Path::new(root).join("data/identity")).ok()?;
    Some(identity.trim().to_owned())
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    std::fs::read_dir(directory)
        .map(|entries| {
            entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect()
        })
        .unwrap_or_default()
}

fn cgroups() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for hierarchy in names_in(Path::new("/sys/fs/cgroup")) {
        let top = Path::new("/sys/fs/cgroup").join(&hierarchy);
        for group in names_in(&top)
            .into_iter()
            .filter(|name| name.starts_with("rcompose-"))
        {
            let children = names_in(&top.join(&group))
                .into_iter()
                .filter(|name| top.join(&group).join(name).is_dir());
            found.extend(children.map(|child| format!("{hierarchy}/{group}/{child}")));
        }
    }
    found
}

/// Shims and supervisors whose command line names the root.
fn processes_of(root: &str) -> Vec<String> {
    names_in(Path::new("/proc"))
        .into_iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (pid != std::process::id().to_string() && line.contains(root)).then(|| format!("{pid}: {line}"))
        })
        .collect()
}
