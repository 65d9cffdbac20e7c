//! In: what compose files name elsewhere. Out: copies under the data root, each fetched once.
//! **Invariant:** a copy appears whole (temporary name, rename) and never changes; nothing is asked of a person.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rcompose_runtime::image_store::git::{Git, GitAddress};
use rcompose_runtime::image_store::published::{published_digest, published_project};
use rcompose_runtime::image_store::{Digest, Reference};

use super::image_source::registry_configuration;
use crate::error::chain;
use crate::source::remote::{Fetched, Remote, Remotes};
use crate::ui::print;

/// Fetches remote files; what a name stands for is asked once.
#[derive(Debug)]
pub(super) struct RemoteFiles {
    directory: PathBuf,
    environment: Vec<(String, String)>,
    known: Mutex<BTreeMap<String, PathBuf>>,
}

impl RemoteFiles {
    /// Copies go below `data_root`; `git` and registries are reached with the logins that `environment` leads to.
    pub(super) fn new(data_root: &Path, environment: &[(String, String)]) -> Self {
        Self {
            directory: data_root.join("remote"),
            environment: environment.to_vec(),
            known: Mutex::default(),
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let mut named = self.environment.iter().filter(|(key, _)| key == name);
        named
            .next()
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// docker compose's switches; both kinds are on unless switched off.
    fn check_allowed(&self, switch: &str) -> Result<(), String> {
        match self.variable(switch) {
            None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(()),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Err(format!("{switch} forbids it")),
            Some(other) => Err(format!("{switch} is neither true nor false: `{other}`")),
        }
    }

    /// The copy of what `key` names, made by `resolve` and `fill` unless it is known.
    fn copy(
        &self,
        key: &str,
        resolve: impl FnOnce() -> Result<String, String>,
        fill: impl FnOnce(&str, &Path) -> Result<(), String>,
    ) -> Result<PathBuf, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = known.get(key) {
            return Ok(copy.clone());
        }
        let version = resolve()?;
        // Two addresses with one commit may still be two repositories.
        let name = format!("{}-{version}", Digest::of(key.as_bytes()).short());
        let copy = self.directory.join(name);
        if !copy.is_dir() {
            self.fill(&copy, |place| fill(&version, place))?;
            print::err(&format!("fetched {key} at {version} into {}\n", copy.display()));
        }
        known.insert(key.to_owned(), copy.clone());
        Ok(copy)
    }

    fn fill(&self, copy: &Path, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
        let told = |what: &str, path: &Path, error: &std::io::Error| {
            format!("cannot {what} {}: {error}", path.display())
        };
        // What is fetched may hold secrets of its readers.
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory);
        made.map_err(|error| told("create", &self.directory, &error))?;
        let place = copy.with_extension(format!("{}.tmp", std::process::id()));
        match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(told("remove", &place, &error));
            }
            Ok(()) | Err(_) => {}
        }
        fs::create_dir(&place).map_err(|error| told("create", &place, &error))?;
        let filled = fill(&place).and_then(|()| match fs::rename(&place, copy) {
            // Somebody else was faster; the same version has the same content.
            Err(_) if copy.is_dir() => Ok(()),
            renamed => renamed.map_err(|error| told("create", copy, &error)),
        });
        if filled.is_err() || place.exists() {
            fs::remove_dir_all(&place).unwrap_or_default();
        }
        filled
    }

    fn artifact(&self, name: &str) -> Result<Fetched, String> {
        self.check_allowed("COMPOSE_EXPERIMENTAL_OCI_REMOTE")?;
        let reference: Reference = name.parse().map_err(|error| chain(&error))?;
        let configuration =
            registry_configuration(&|name| self.variable(name)).map_err(|error| chain(&*error))?;
        let root = self.copy(
            &format!("oci://{name}"),
            || match reference.digest() {
                Some(digest) => Ok(digest.hex()),
                None => published_digest(&configuration, &reference)
                    .map(|digest| digest.hex())
                    .map_err(|error| chain(&error)),
            },
            |hex, place| {
                let digest = Digest::from_hex(hex).map_err(|error| chain(&error))?;
                let files = published_project(&configuration, &reference.with_digest(digest));
                for (file, content) in files.map_err(|error| chain(&error))? {
                    let path = place.join(file);
                    fs::write(&path, content)
                        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
                }
                Ok(())
            },
        )?;
        let path = root.join("compose.yaml");
        Ok(Fetched { root, path })
    }
}

impl Remotes for RemoteFiles {
    fn fetch(&self, remote: &Remote) -> Result<Fetched, String> {
        let wanted = match remote {
            Remote::Artifact(name) => return self.artifact(name),
            Remote::Git(wanted) => GitAddress::parse(wanted)
                .ok_or_else(|| "it is no address of a git repository".to_owned())??,
        };
        self.check_allowed("COMPOSE_EXPERIMENTAL_GIT_REMOTE")?;
        let git = Git::new(&self.environment);
        let reference = wanted.reference.as_deref().unwrap_or("HEAD");
        let root = self.copy(
            &format!("{}#{reference}", wanted.url),
            || git.resolve(&wanted.url, reference),
            |commit, place| git.check_out(&wanted.url, commit, place),
        )?;
        if let Some(commit) = &wanted.commit {
            git.expect(&root, commit)?;
        }
        let path = match &wanted.subdirectory {
            None => root.clone(),
            Some(subdirectory) => {
                // A symbolic link of the repository may lead anywhere; what is loaded lies in it.
                let path = root.join(subdirectory);
                let missing = |error| format!("cannot find `{}` in it: {error}", subdirectory.display());
                let real = path.canonicalize().map_err(missing)?;
                let whole = root.canonicalize().map_err(missing)?;
                if !real.starts_with(&whole) {
                    return Err(format!(
                        "`{}` leads out of the repository",
                        subdirectory.display()
                    ));
                }
                path
            }
        };
        Ok(Fetched { root, path })
    }
}
