//! In: files with private keys. Out: an `ssh-agent` that knows them, for as long as a step runs.
//! **Invariant:** nobody is asked for a passphrase, and the agent ends with its owner.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::store::PreparedLayer;

/// How long an agent may take to open its socket.
const PATIENCE: Duration = Duration::from_secs(10);

/// An agent of our own.
pub(crate) struct KeyAgent {
    process: Child,
    directory: PreparedLayer,
}

impl KeyAgent {
    /// Starts `ssh-agent` with its socket in the directory and gives it the keys.
    pub(crate) fn start(directory: PreparedLayer, keys: &[PathBuf]) -> Result<Self, String> {
        let socket = directory.path().join("agent");
        let process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("cannot start `ssh-agent`, which holds key files for a build: {error}; install openssh-client")
            })?;
        let mut agent = Self { process, directory };
        let end = Instant::now() + PATIENCE;
        while !socket.exists() {
            if agent.process.try_wait().is_ok_and(|ended| ended.is_some()) || Instant::now() > end {
                return Err("`ssh-agent` did not open its socket".to_owned());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        for key in keys {
            agent.add(key)?;
        }
        Ok(agent)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("agent")
    }

    fn add(&self, key: &Path) -> Result<(), String> {
        let said = |why: &str| format!("cannot use the SSH key {}: {why}", key.display());
        let added = Command::new("ssh-add")
            .args(["-q", "--"])
            .arg(key)
            .env("SSH_AUTH_SOCK", self.socket())
            // No terminal and no window: a key with a passphrase is refused, not asked for.
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("SSH_ASKPASS", "/bin/false")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| said(&format!("cannot start `ssh-add`: {error}")))?;
        if added.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&added.stderr);
        Err(match text.lines().find(|line| !line.trim().is_empty()) {
            Some(line) => said(line.trim()),
            None => said("it needs a passphrase; give it to your own agent and use that"),
        })
    }
}

impl Drop for KeyAgent {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
