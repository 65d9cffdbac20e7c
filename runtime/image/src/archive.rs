//! Images as files: `load`, `save` and `import`, as docker spells them. Tar streams and directories in and out.
//! **Invariant:** names inside an archive are looked up in the archive's own table, never on the file system.

mod describe;
mod import;
mod load;
mod members;
mod output;
mod save;

pub use import::import;
pub use load::{DirectoryImage, load, load_directory};
pub use output::Output;
pub use save::save;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What an archive says of its images besides their blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As `docker save` since 25 writes it: an OCI layout that is a docker archive, too.
    Docker,
    /// An OCI layout.
    Oci,
}

/// An entry of docker's `manifest.json` (moby image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format").
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
    /// The descriptors of the layers, by diff id.
    #[serde(default, skip_deserializing)]
    layer_sources: BTreeMap<String, LayerSource>,
}

/// A layer in docker's `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerSource {
    media_type: String,
    size: u64,
    digest: Digest,
}

/// Where an OCI layout has a blob.
fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// What an OCI layout calls itself (OCI image-spec, image-layout.md).
const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Where containerd and docker put the whole name of an image in an OCI index.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// Where OCI puts the tag, and many tools the whole name.
const OCI_REF_NAME: &str = "org.opencontainers.image.ref.name";

#[cfg(test)]
mod tests;
