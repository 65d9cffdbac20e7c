//! In: the networks as they must be. Out: the kernel's table for one data root, added to or replaced by the program `nft`.
//!
//! **Invariant:** no table but our own is flushed or deleted.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::atomic_file;
use crate::docker_user;
use crate::error::NetworkError;
use crate::host_lock::HostLock;
use crate::nf_tables::{self, INET};
use crate::ruleset::table_definition;
use crate::ruleset_change::{self, Applied};
use crate::spec::NetworkState;

/// Searched after `PATH`: users' paths often lack the system directories.
const SYSTEM_DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// The program `nft`.
#[derive(Clone, Debug)]
pub struct Nft {
    program: PathBuf,
}

impl Nft {
    /// Finds the program in `path` (the value of `PATH`) or the system's directories.
    ///
    /// # Errors
    /// [`NetworkError::NftMissing`], to be asked for before anything is made.
    pub fn locate(path: Option<&OsStr>) -> Result<Self, NetworkError> {
        let given = path.into_iter().flat_map(std::env::split_paths);
        given
            .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
            .map(|directory| directory.join("nft"))
            .find(|program| program.is_file())
            .map(|program| Self { program })
            .ok_or(NetworkError::NftMissing)
    }

    /// Applies `ruleset` as one transaction.
    pub fn apply(&self, ruleset: &str) -> Result<(), NetworkError> {
        self.run(&["-f", "-"], ruleset).map(drop)
    }

    /// Runs it with `input`; returns what it wrote.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Result<String, NetworkError> {
        let start = |source| NetworkError::NftStart {
            path: self.program.clone(),
            source,
        };
        let mut child = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        // It reads all input before it writes anything, so neither side waits for the other.
        let written = child
            .stdin
            .take()
            .map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().map_err(start)?;
        if output.status.success() {
            return written
                .map(|()| String::from_utf8_lossy(&output.stdout).into_owned())
                .map_err(start);
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(NetworkError::NftRefused {
            message: if message.is_empty() {
                output.status.to_string()
            } else {
                message
            },
        })
    }
}

/// The firewall of one data root.
#[derive(Clone, Debug)]
pub struct Firewall {
    table: String,
    run_root: PathBuf,
    nft: Nft,
}

impl Firewall {
    /// The firewall whose table is `table` ([`crate::name::table_name`]) and whose lock and last ruleset are in `run_root`,
    /// which exists.
    pub fn new(table: String, run_root: &Path, nft: Nft) -> Self {
        Self {
            table,
            run_root: run_root.to_owned(),
            nft,
        }
    }

    /// Waits for the firewall's lock. Hold it from reading the leases to the end of [`Self::synchronise`].
    pub fn lock(&self) -> Result<HostLock, NetworkError> {
        HostLock::acquire(&self.run_root.join("firewall.lock"))
    }

    /// Makes the kernel's table what `networks` need; tells whether anything had to be done. The calling thread is in the
    /// host's network namespace and holds `lock`.
    pub fn synchronise(&self, _lock: &HostLock, networks: &[NetworkState]) -> Result<bool, NetworkError> {
        let mut wanted = table_definition(&self.table, networks);
        if !networks.is_empty() && docker_user::present()? {
            // A comment to nft; makes the text another one when Docker appears later.
            wanted.push_str("# beside Docker\n");
        }
        let path = self.applied_path();
        let known = read_if_present(&path)?;
        let applied = match (&known, self.table_exists()?) {
            (_, false) => Applied::Absent,
            (Some(text), true) => Applied::Known(text),
            (None, true) => Applied::Unknown,
        };
        let Some(script) = ruleset_change::script(&self.table, applied, &wanted) else {
            return Ok(false);
        };
        // Gone while the kernel changes: a process killed in between leaves a table of unknown content.
        atomic_file::remove(&path)?;
        self.nft.apply(&script)?;
        let now: Vec<&str> = networks
            .iter()
            .map(|network| network.spec.bridge.as_str())
            .collect();
        let before = bridges_in(known.as_deref().unwrap_or_default());
        let gone: Vec<&str> = before
            .into_iter()
            .filter(|bridge| !now.contains(bridge))
            .collect();
        docker_user::synchronise(&self.nft, &now, &gone)?;
        if !networks.is_empty() {
            atomic_file::replace(&path, wanted.as_bytes())?;
        }
        Ok(true)
    }

    /// Whether our table is in the kernel: it is not after a reboot or somebody's `nft flush ruleset`.
    pub fn table_exists(&self) -> Result<bool, NetworkError> {
        nf_tables::table_exists(INET, &self.table)
    }

    /// Removes our table and our rules elsewhere.
    pub fn remove_table(&self, lock: &HostLock) -> Result<(), NetworkError> {
        self.synchronise(lock, &[]).map(drop)
    }

    fn applied_path(&self) -> PathBuf {
        self.run_root.join("firewall.nft")
    }
}

fn read_if_present(path: &Path) -> Result<Option<String>, NetworkError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(NetworkError::file("read", path)(source)),
    }
}

/// The bridges of a ruleset written earlier, out of the elements of its set `bridges`.
fn bridges_in(ruleset: &str) -> Vec<&str> {
    let line = ruleset
        .lines()
        .find(|line| line.trim_start().starts_with("set bridges "));
    let elements = line
        .and_then(|line| line.split_once("elements = {"))
        .map_or("", |(_, elements)| elements);
    elements.split('"').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let found = Nft::locate(Some(OsStr::new("/nonexistent")));
        if let Err(error) = found {
            assert_eq!(
                error.to_string(),
                "the program `nft` is not installed: install the package `nftables`"
            );
        }
    }

    #[test]
    fn the_bridges_of_an_earlier_ruleset_are_read_back() {
        let text =
            "table inet rcompose {\n\tset bridges { type ifname; elements = { \"rc-a\", \"rc-b\" } }\n";
        assert_eq!(bridges_in(text), ["rc-a", "rc-b"]);
        assert!(bridges_in("set bridges { type ifname; }").is_empty());
    }
}
