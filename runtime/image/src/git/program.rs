//! In: an address and a ref. Out: its commit, and that commit's files in a directory, by the `git` program.
//! **Invariant:** `git` asks nobody anything, takes nothing of ours for an option, and is ended when it takes too long.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long one call of `git` may take.
const PATIENCE: Duration = Duration::from_mins(3);
/// The same where somebody watches it and may stop it.
const LONG_PATIENCE: Duration = Duration::from_hours(1);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(5);
/// Variables that lead `git` to the repository of a hook that we may run in.
const FOREIGN: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
];

/// The program with the environment it runs in.
#[derive(Debug)]
pub struct Git<'a> {
    environment: &'a [(String, String)],
    patience: Duration,
    cancel: Option<&'a AtomicBool>,
}

impl<'a> Git<'a> {
    /// `git` is found, and finds its logins, with this environment.
    pub fn new(environment: &'a [(String, String)]) -> Self {
        Self {
            environment,
            patience: PATIENCE,
            cancel: None,
        }
    }

    /// The same for a build: it may take as long as it needs, and ends when this is set.
    #[must_use]
    pub fn cancelled_by(self, cancel: &'a AtomicBool) -> Self {
        Self {
            patience: LONG_PATIENCE,
            cancel: Some(cancel),
            ..self
        }
    }

    /// The commit, or annotated tag, that a ref of a repository is at.
    pub fn resolve(&self, url: &str, reference: &str) -> Result<String, String> {
        if is_hash(reference) {
            return Ok(reference.to_ascii_lowercase());
        }
        let (status, listed) = self.run(
            Path::new("/"),
            &["ls-remote", "--exit-code", "--", url, reference],
        )?;
        match status.code() {
            Some(0) => chosen(&listed, reference),
            // git-ls-remote(1): nothing matched.
            Some(2) => Err(format!("the repository has no ref `{reference}`")),
            _ => Err(said(&listed)),
        }
    }

    /// The files of a commit in an empty directory. Submodules stay empty, as docker compose leaves them.
    pub fn check_out(&self, url: &str, commit: &str, directory: &Path) -> Result<(), String> {
        let steps: [&[&str]; 3] = [
            &["init", "--quiet", "."],
            &["fetch", "--quiet", "--depth=1", "--", url, commit],
            &["checkout", "--quiet", "--detach", "FETCH_HEAD"],
        ];
        for step in steps {
            let (status, text) = self.run(directory, step)?;
            if !status.success() {
                return Err(said(&text));
            }
        }
        Ok(())
    }

    /// Fetches the submodules of what was checked out, and theirs. `git` itself lets none of them be a path of this host.
    pub fn submodules(&self, directory: &Path) -> Result<(), String> {
        let arguments = [
            "submodule",
            "--quiet",
            "update",
            "--init",
            "--recursive",
            "--depth=1",
        ];
        let (status, text) = self.run(directory, &arguments)?;
        if status.success() {
            Ok(())
        } else {
            Err(said(&text))
        }
    }

    /// The commit that was checked out.
    pub fn head(&self, directory: &Path) -> Result<String, String> {
        let (status, head) = self.run(directory, &["rev-parse", "HEAD"])?;
        if status.success() {
            Ok(head.trim().to_owned())
        } else {
            Err(said(&head))
        }
    }

    /// Calls where it was fetched from `origin`, as a clone does.
    pub fn name_remote(&self, directory: &Path, url: &str) -> Result<(), String> {
        let (status, text) = self.run(directory, &["remote", "add", "--", "origin", url])?;
        if status.success() {
            Ok(())
        } else {
            Err(said(&text))
        }
    }

    /// Whether what was checked out is this commit.
    pub fn expect(&self, directory: &Path, commit: &str) -> Result<(), String> {
        let head = self.head(directory)?;
        if head.starts_with(&commit.to_ascii_lowercase()) {
            return Ok(());
        }
        Err(format!("it is at commit {head}, not {commit}"))
    }

    /// One call; its output and complaints together.
    fn run(&self, directory: &Path, arguments: &[&str]) -> Result<(ExitStatus, String), String> {
        let unkept = |error: std::io::Error| format!("cannot keep what git says: {error}");
        let memory = memfd_create("git", MemfdFlags::CLOEXEC);
        let mut output = File::from(memory.map_err(|error| unkept(error.into()))?);
        let stream = |file: &File| file.try_clone().map_err(unkept);
        let mut command = Command::new("git");
        command
            .args(["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never"])
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stream(&output)?)
            .stderr(stream(&output)?);
        for name in FOREIGN {
            command.env_remove(name);
        }
        let is_set = |name: &str| {
            self.environment
                .iter()
                .any(|(key, value)| key == name && !value.is_empty())
        };
        if !is_set("GIT_TERMINAL_PROMPT") {
            command.env("GIT_TERMINAL_PROMPT", "0");
        }
        if !is_set("GIT_SSH") && !is_set("GIT_SSH_COMMAND") {
            command.env("GIT_SSH_COMMAND", "ssh -o ControlMaster=no -o BatchMode=yes");
        }
        if self.cancel.is_some() {
            // A group of its own, so that what `git` starts ends with it.
            command.process_group(0);
        }
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start `git`: {error}; it fetches what lies in repositories"))?;
        let status = self.wait(child)?;
        let mut bytes = Vec::new();
        output
            .rewind()
            .and_then(|()| output.read_to_end(&mut bytes))
            .map_err(|error| format!("cannot read what git says: {error}"))?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn wait(&self, mut child: Child) -> Result<ExitStatus, String> {
        let end = Instant::now() + self.patience;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) => {
                    self.end(&mut child)?;
                    return Err("cancelled".to_owned());
                }
                Ok(None) if Instant::now() < end => std::thread::sleep(LOOK),
                Ok(None) => {
                    self.end(&mut child)?;
                    return Err(format!(
                        "git took longer than {} seconds",
                        self.patience.as_secs()
                    ));
                }
                Err(error) => return Err(format!("cannot wait for `git`: {error}")),
            }
        }
    }

    fn end(&self, child: &mut Child) -> Result<(), String> {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group.filter(|_| self.cancel.is_some()) {
            // It may have ended this very moment; the wait below tells.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
        child
            .kill()
            .and_then(|()| child.wait())
            .map(drop)
            .map_err(|error| format!("cannot end `git`: {error}"))
    }
}

/// Whether a ref is a whole commit (SHA-1 or SHA-256).
fn is_hash(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && reference.chars().all(|c| c.is_ascii_hexdigit())
}

/// The hash of exactly this ref: `git ls-remote` lists every ref that ends like it, so `feature/main` too for `main`.
/// The order is git's own (gitrevisions(7)).
fn chosen(listed: &str, reference: &str) -> Result<String, String> {
    let names = ["", "refs/", "refs/tags/", "refs/heads/"].map(|prefix| format!("{prefix}{reference}"));
    let find = |name: &String| {
        let mut lines = listed.lines().filter_map(|line| line.split_once('\t'));
        lines.find(|(hash, known)| known == name && is_hash(hash))
    };
    let found = names.iter().find_map(find);
    found
        .map(|(hash, _)| hash.to_owned())
        .ok_or_else(|| format!("the repository has no ref `{reference}`"))
}

/// What git complained of, short.
fn said(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let first = lines
        .iter()
        .find(|line| line.starts_with("fatal:"))
        .or(lines.first());
    match first {
        Some(line) => format!("git says: {}", line.trim_start_matches("fatal: ")),
        None => "git failed and said nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_refs_that_end_alike_the_exact_one_is_chosen() {
        let (a, b, c) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
        let listed = format!("{a}\trefs/heads/feature/main\n{b}\trefs/heads/main\n{c}\trefs/tags/v1\n");
        assert_eq!(chosen(&listed, "main"), Ok(b));
        assert_eq!(chosen(&listed, "tags/v1"), Ok(c));
        assert!(chosen(&listed, "eature/main").is_err());
        assert!(chosen("warning: x\n", "x").is_err());
    }

    /// A program called `git` that does this, and the variable that leads to it.
    fn program(script: &str) -> (tempfile::TempDir, (String, String)) {
        let directory = tempfile::tempdir().expect("temporary directory");
        let program = directory.path().join("git");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("executable");
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        (directory, ("PATH".to_owned(), path))
    }

    #[test]
    fn git_asks_nobody_and_knows_nothing_of_a_hook_around_it() {
        let (_directory, path) =
            program("echo \"$GIT_TERMINAL_PROMPT|$GIT_SSH_COMMAND|$GIT_DIR|$*\"; read x; exit 2");
        let says = |environment: &[(String, String)]| {
            let ran = Git::new(environment).run(Path::new("/"), &["ls-remote"]);
            ran.expect("it runs").1
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let alone = says(&[path.clone(), pair("GIT_DIR", "/r/.git")]);
        assert!(
            alone.starts_with("0|ssh -o ControlMaster=no -o BatchMode=yes||"),
            "{alone}"
        );
        assert!(alone.trim_end().ends_with("ls-remote"), "{alone}");
        let asked = says(&[
            path,
            pair("GIT_TERMINAL_PROMPT", "1"),
            pair("GIT_SSH_COMMAND", "mine"),
        ]);
        assert!(asked.starts_with("1|mine||"), "{asked}");
        let missing =
            Git::new(&[("PATH".to_owned(), "/nowhere".to_owned())]).resolve("https://h/r.git", "main");
        assert!(missing.is_err_and(|why| why.contains("cannot start `git`")));
    }

    #[test]
    fn a_git_that_hangs_is_ended() {
        let (_directory, path) = program("exec sleep 60");
        let environment = vec![path];
        let git = Git {
            patience: Duration::from_millis(200),
            ..Git::new(&environment)
        };
        let start = Instant::now();
        let failed = git.resolve("https://h.example/r.git", "main");
        assert!(failed.is_err_and(|why| why.contains("longer than")));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_cancelled_git_ends_with_all_it_started() {
        let (directory, path) = program("sleep 60 & echo $! > \"$(dirname \"$0\")/child\"; wait");
        let environment = vec![path];
        let cancel = AtomicBool::new(false);
        let git = Git::new(&environment).cancelled_by(&cancel);
        let child = directory.path().join("child");
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| git.resolve("https://h.example/r.git", "main"));
            while !std::fs::read_to_string(&child).is_ok_and(|text| text.ends_with('\n')) {
                std::thread::sleep(LOOK);
            }
            cancel.store(true, Ordering::Relaxed);
            assert_eq!(asked.join().expect("thread"), Err("cancelled".to_owned()));
        });
        let pid = std::fs::read_to_string(&child).expect("pid");
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let ended = || state().is_empty() || state().contains(") Z ");
        // Its end was ordered; on a busy machine it comes a moment later.
        let limit = Instant::now() + Duration::from_secs(10);
        while !ended() && Instant::now() < limit {
            std::thread::sleep(LOOK);
        }
        assert!(ended(), "{}", state());
    }
}
