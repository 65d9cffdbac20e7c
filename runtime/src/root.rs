//! In: the two directories all state lives in. Out: the place of every record and the names that set two of them apart.
//! **Invariant:** nothing is created outside the two roots, and a name from a file never leads out of its directory.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use crate::runtime::RuntimeError;

/// Where state that outlives the machine's run is kept unless told otherwise.
pub const DEFAULT_DATA_ROOT: &str = "/var/lib/rcompose";
/// Where state of this boot is kept unless told otherwise.
pub const DEFAULT_RUN_ROOT: &str = "/run/rcompose";
/// Characters of an id that name its run directory and control group.
const SHORT_ID: usize = 12;

/// The two directories all state lives in.
#[derive(Debug, Clone)]
pub struct Roots {
    data: PathBuf,
    run: PathBuf,
    hash: String,
    boot_id: String,
}

impl Roots {
    /// The state below `data` and `run`, absolute paths that need not exist; creates nothing.
    /// A link on the way to the data root is followed, so that one root has one name.
    pub fn new(data: &Path, run: &Path) -> Result<Self, RuntimeError> {
        for path in [data, run] {
            if !path.is_absolute() {
                return Err(RuntimeError::Invalid(format!(
                    "{} is not an absolute path",
                    path.display()
                )));
            }
        }
        let data = resolve(data)?;
        let table = rcompose_network::name::table_name(&data, false);
        let hash = table.rsplit('_').next().unwrap_or_default().to_owned();
        let boot_file = "/proc/sys/kernel/random/boot_id";
        let boot_id = fs::read_to_string(boot_file)
            .map_err(failed("read", boot_file))?
            .trim_end()
            .to_owned();
        Ok(Self {
            data,
            run: resolve(run)?,
            hash,
            boot_id,
        })
    }

    /// The data root, links resolved.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The run root, links resolved.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// Eight hexadecimal characters that differ for different data roots; part of the names of control groups and firewall table.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether the data root is [`DEFAULT_DATA_ROOT`], whose kernel objects have plain names.
    pub fn is_default(&self) -> bool {
        self.data == Path::new(DEFAULT_DATA_ROOT)
    }

    /// Identity of this boot of the machine (random(4)).
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// `data/projects`.
    pub fn projects(&self) -> PathBuf {
        self.data.join("projects")
    }

    /// `data/projects/<project>`.
    pub fn project(&self, project: &str) -> Result<PathBuf, RuntimeError> {
        Ok(self.projects().join(file_name(project)?))
    }

    /// `data/projects/<project>/containers`.
    pub fn project_containers(&self, project: &str) -> Result<PathBuf, RuntimeError> {
        Ok(self.project(project)?.join("containers"))
    }

    /// `data/names/<name>`: which container has the name, made with `O_EXCL`.
    pub fn container_name(&self, name: &str) -> Result<PathBuf, RuntimeError> {
        Ok(self.data.join("names").join(file_name(name)?))
    }

    /// `data/networks`.
    pub fn networks(&self) -> PathBuf {
        self.data.join("networks")
    }

    /// `data/networks/<name>`.
    pub fn network(&self, name: &str) -> Result<PathBuf, RuntimeError> {
        Ok(self.networks().join(file_name(name)?))
    }

    /// `data/volumes`.
    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }

    /// `data/volumes/<name>`.
    pub fn volume(&self, name: &str) -> Result<PathBuf, RuntimeError> {
        Ok(self.volumes().join(file_name(name)?))
    }

    /// `data/images`.
    pub fn images(&self) -> PathBuf {
        self.data.join("images")
    }

    /// `run/containers`.
    pub fn run_containers(&self) -> PathBuf {
        self.run.join("containers")
    }

    /// `run/containers/<first 12 characters of the id>`.
    pub fn run_container(&self, id: &str) -> PathBuf {
        self.run_containers().join(short_id(id))
    }

    /// `run/networks`.
    pub fn run_networks(&self) -> PathBuf {
        self.run.join("networks")
    }

    /// `run/networks/<name>`.
    pub fn run_network(&self, name: &str) -> Result<PathBuf, RuntimeError> {
        Ok(self.run_networks().join(file_name(name)?))
    }

    /// `run/processes/<name>`.
    pub fn run_process(&self, name: &str) -> Result<PathBuf, RuntimeError> {
        Ok(self.run.join("processes").join(file_name(name)?))
    }

    /// `run/firewall.lock`: held while ports are chosen and the firewall is replaced.
    pub fn firewall_lock(&self) -> PathBuf {
        self.run.join("firewall.lock")
    }

    /// `run/networks.lock`: held while a subnet is chosen.
    pub fn networks_lock(&self) -> PathBuf {
        self.run.join("networks.lock")
    }

    /// The control group above all containers of this root, relative to each hierarchy.
    pub fn cgroup(&self) -> String {
        format!("rcompose-{}", self.hash)
    }

    /// The control group of one container.
    pub fn container_cgroup(&self, id: &str) -> String {
        format!("{}/{}", self.cgroup(), short_id(id))
    }

    /// Makes both roots and the directories that every mutating call needs.
    pub(crate) fn create(&self) -> Result<(), RuntimeError> {
        directory(&self.data, 0o710)?;
        directory(&self.run, 0o700)?;
        for path in [
            self.projects(),
            self.data.join("names"),
            self.networks(),
            self.volumes(),
            self.run_containers(),
            self.run_networks(),
        ] {
            directory(&path, 0o700)?;
        }
        // For people who find our kernel objects and ask where they belong.
        let identity = self.data.join("identity");
        if identity.exists() {
            Ok(())
        } else {
            crate::atomic::write(&identity, format!("{}\n", self.hash).as_bytes(), 0o600)
        }
    }
}

/// The characters of an id that name its run directory and control group.
pub(crate) fn short_id(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

/// For `map_err`: `verb` was tried on `path`.
pub(crate) fn failed<E: Into<io::Error>>(
    verb: &str,
    path: impl AsRef<Path>,
) -> impl FnOnce(E) -> RuntimeError {
    let what = format!("{verb} {}", path.as_ref().display());
    move |error| RuntimeError::Io {
        what,
        source: error.into(),
    }
}

/// Makes a directory and what is above it; one that exists is fine and keeps its mode.
pub(crate) fn directory(path: &Path, mode: u32) -> Result<(), RuntimeError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(failed("make directory", path))
}

/// Removes a directory and everything in it; one that is not there is fine. Never follows a link, never leaves the file system's tree.
pub(crate) fn remove_directory(path: &Path) -> Result<(), RuntimeError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), RuntimeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The entries of a directory, by name; none when it is not there.
pub(crate) fn entries(path: &Path) -> Result<Vec<String>, RuntimeError> {
    let listing = match fs::read_dir(path) {
        Ok(listing) => listing,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed("list", path)(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let name = entry.map_err(failed("list", path))?.file_name();
        names.extend(name.into_string().ok());
    }
    Ok(names)
}

/// A name from a request, checked to be one plain component of a path.
fn file_name(name: &str) -> Result<&str, RuntimeError> {
    let plain =
        !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && !name.contains(['/', '\0']);
    if plain {
        Ok(name)
    } else {
        Err(RuntimeError::Invalid(format!(
            "{name:?} cannot be a name: it must be 1 to 255 characters, without `/` and not starting with `.`"
        )))
    }
}

/// The path with links resolved as far as it exists.
fn resolve(path: &Path) -> Result<PathBuf, RuntimeError> {
    let mut rest: Vec<&std::ffi::OsStr> = Vec::new();
    let mut existing = path;
    loop {
        match fs::canonicalize(existing) {
            Ok(mut resolved) => {
                resolved.extend(rest.iter().rev());
                return Ok(resolved);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("resolve", path)(error)),
        }
        let (Some(Component::Normal(name)), Some(parent)) =
            (existing.components().next_back(), existing.parent())
        else {
            return Err(RuntimeError::Invalid(format!("{} leads nowhere", path.display())));
        };
        rest.push(name);
        existing = parent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_has_one_hash_whatever_it_is_called() {
        let scratch = std::env::temp_dir().join(format!("rcompose-root-{}", std::process::id()));
        fs::create_dir_all(scratch.join("real")).unwrap();
        std::os::unix::fs::symlink(scratch.join("real"), scratch.join("link")).unwrap();
        let roots = |data: &str| Roots::new(&scratch.join(data), &scratch.join("run")).unwrap();
        let (real, link) = (roots("real/not/yet"), roots("link/not/yet"));
        assert_eq!(real.hash(), link.hash());
        assert_eq!(
            real.data(),
            scratch
                .join("real/not/yet")
                .canonicalize()
                .unwrap_or_else(|_| real.data().to_owned())
        );
        assert_ne!(real.hash(), roots("real/other").hash());
        assert!(!scratch.join("run").exists(), "looking creates nothing");
        assert_eq!(
            real.container_cgroup(&"ab".repeat(32)),
            format!("rcompose-{}/abababababab", real.hash())
        );
        fs::remove_dir_all(&scratch).unwrap();
    }

    #[test]
    fn a_name_never_leads_out() {
        let roots = Roots::new(Path::new("/tmp/x"), Path::new("/tmp/y")).unwrap();
        for name in ["", ".", "..", "../a", "a/b", ".hidden", "a\0b", &"a".repeat(256)] {
            assert!(roots.network(name).is_err(), "{name:?}");
        }
        assert_eq!(
            roots.volume("shop_data").unwrap(),
            Path::new("/tmp/x/volumes/shop_data")
        );
        assert!(Roots::new(Path::new("relative"), Path::new("/tmp/y")).is_err());
    }
}
