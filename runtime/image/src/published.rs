//! A name in a registry comes in; what is published under it goes out without an image in the store: its digest, or the files of
//! a Compose project (docker compose's `publish`: `internal/oci/push.go` and `pkg/remote/oci.go`).
//! **Invariant:** every byte is checked against its digest, and no file has a name that leads out of a directory.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use serde::Deserialize;
use thiserror::Error;

use crate::configuration::Configuration;
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::reference::Reference;
use crate::registry::{Failure, Registry, RegistryError};

const PROJECT: &str = "application/vnd.docker.compose.project";
/// The type of the configuration where a registry does not know `artifactType` (OCI 1.0).
const PROJECT_CONFIGURATION: &str = "application/vnd.docker.compose.config.empty.v1+json";
const COMPOSE_FILE: &str = "application/vnd.docker.compose.file+yaml";
const ENVIRONMENT_FILE: &str = "application/vnd.docker.compose.envfile";
const COMPOSE_FILE_NAME: &str = "com.docker.compose.file";
const ENVIRONMENT_FILE_NAME: &str = "com.docker.compose.envfile";
/// Marks a compose file that others extend: it keeps its name.
const EXTENDED: &str = "com.docker.compose.extends";
/// The name of a compose file that has to have none.
const MAIN: &str = "compose.yaml";
/// The longest file that is read.
const LONGEST_FILE: u64 = 16 << 20;
/// The most files that are read.
const MOST_FILES: usize = 127;

/// Why nothing came of it.
#[derive(Debug, Error)]
pub enum PublishedError {
    /// The registry or a mirror did not give it.
    #[error("cannot read {name} from {url}")]
    Registry {
        /// What was asked for, as docker prints it.
        name: String,
        /// Where it was asked for.
        url: String,
        /// Why not.
        #[source]
        source: Box<RegistryError>,
    },
    /// It is something else, an image perhaps.
    #[error("{name} is no Compose project, but {found}")]
    NotAProject {
        /// What was asked for.
        name: String,
        /// What it is.
        found: String,
    },
    /// A part of the artifact breaks the rules.
    #[error("{name} is not usable: {problem}")]
    Malformed {
        /// What was asked for.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// The digest that the registry has under a name now: of the index where there is one, so that it holds for every platform.
pub fn published_digest(configuration: &Configuration, name: &Reference) -> Result<Digest, PublishedError> {
    let cancel = AtomicBool::new(false);
    let registry = Registry::new(configuration, name, &cancel);
    let served = registry.document(&tag_or_digest(name), name.digest());
    Ok(served.map_err(|failure| unreachable(name, failure))?.digest)
}

/// The files of a Compose project by name; `compose.yaml` is the one to load.
pub fn published_project(
    configuration: &Configuration,
    name: &Reference,
) -> Result<BTreeMap<String, Vec<u8>>, PublishedError> {
    let cancel = AtomicBool::new(false);
    let failed = |failure| unreachable(name, failure);
    let registry = Registry::new(configuration, name, &cancel);
    let mut served = registry
        .document(&tag_or_digest(name), name.digest())
        .map_err(failed)?;
    if served.is_index() {
        // An application with its images is an index with the project in it.
        let index: ArtifactIndex = read(name, &served.bytes)?;
        let is_project = |entry: &&IndexEntry| entry.artifact_type.as_deref() == Some(PROJECT);
        let entry = index
            .manifests
            .iter()
            .rfind(is_project)
            .ok_or_else(|| PublishedError::NotAProject {
                name: name.familiar(),
                found: "an index without one".to_owned(),
            })?;
        served = registry
            .document(&entry.digest.to_string(), Some(&entry.digest))
            .map_err(failed)?;
    }
    let manifest: ProjectManifest = read(name, &served.bytes)?;
    let kind = manifest.artifact_type.filter(|kind| !kind.is_empty());
    let is_project = match &kind {
        Some(kind) => kind == PROJECT,
        None => manifest.config.media_type == PROJECT_CONFIGURATION,
    };
    if !is_project {
        return Err(PublishedError::NotAProject {
            name: name.familiar(),
            found: kind.unwrap_or(manifest.config.media_type),
        });
    }
    if manifest.layers.len() > MOST_FILES {
        return Err(malformed(
            name,
            format!(
                "it has {} files, at most {MOST_FILES} are read",
                manifest.layers.len()
            ),
        ));
    }
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for layer in &manifest.layers {
        let note = |key: &str| layer.annotations.as_ref().and_then(|notes| notes.get(key));
        let file = match layer.media_type.as_str() {
            COMPOSE_FILE if note(EXTENDED).is_some() => named(name, note(COMPOSE_FILE_NAME))?,
            COMPOSE_FILE => MAIN,
            ENVIRONMENT_FILE => named(name, note(ENVIRONMENT_FILE_NAME))?,
            _ => continue,
        };
        let content = registry.small_blob(layer, LONGEST_FILE).map_err(failed)?;
        let known = files.entry(file.to_owned()).or_default();
        // What overrides a compose file is its next document.
        if layer.media_type == COMPOSE_FILE && !known.is_empty() {
            known.extend_from_slice(b"\n---\n");
            known.extend(content);
        } else {
            *known = content;
        }
    }
    if files.contains_key(MAIN) {
        return Ok(files);
    }
    Err(malformed(name, "it has no compose file".to_owned()))
}

fn tag_or_digest(name: &Reference) -> String {
    match name.digest() {
        Some(digest) => digest.to_string(),
        None => name.tag().unwrap_or("latest").to_owned(),
    }
}

fn unreachable(name: &Reference, failure: Failure) -> PublishedError {
    PublishedError::Registry {
        name: name.familiar(),
        url: failure.url,
        source: Box::new(failure.error),
    }
}

fn malformed(name: &Reference, problem: String) -> PublishedError {
    PublishedError::Malformed {
        name: name.familiar(),
        problem,
    }
}

fn read<'b, T: Deserialize<'b>>(name: &Reference, bytes: &'b [u8]) -> Result<T, PublishedError> {
    serde_json::from_slice(bytes).map_err(|error| malformed(name, error.to_string()))
}

/// A name that an annotation gives, if it is that of a file in one directory.
fn named<'n>(name: &Reference, file: Option<&'n String>) -> Result<&'n str, PublishedError> {
    match file.map(String::as_str) {
        None | Some("") => Err(malformed(name, "a file has no name".to_owned())),
        Some(file) if matches!(file, "." | "..") || file.contains(['/', '\\', '\0']) => {
            Err(malformed(name, format!("a file is called {file:?}")))
        }
        Some(file) => Ok(file),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProjectManifest {
    #[serde(default)]
    artifact_type: Option<String>,
    config: ArtifactConfiguration,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactConfiguration {
    media_type: String,
}

#[derive(Deserialize)]
struct ArtifactIndex {
    manifests: Vec<IndexEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexEntry {
    digest: Digest,
    #[serde(default)]
    artifact_type: Option<String>,
}
