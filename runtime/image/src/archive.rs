//! Images as single files: `load`, `save` and `import`, as docker spells them. Tar streams in and out.
//! **Invariant:** names inside an archive are looked up in the archive's own table, never on the file system.

mod import;
mod load;
mod members;
mod save;

pub use import::import;
pub use load::load;
pub use save::save;

use serde::{Deserialize, Serialize};

/// An entry of docker's `manifest.json` (moby image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format").
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// What an OCI layout calls itself (OCI image-spec, image-layout.md).
const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Where containerd and docker put the whole name of an image in an OCI index.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// Where OCI puts the tag, and many tools the whole name.
const OCI_REF_NAME: &str = "org.opencontainers.image.ref.name";

#[cfg(test)]
mod tests;
