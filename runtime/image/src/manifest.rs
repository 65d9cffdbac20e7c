//! Bytes of a manifest or index and the media type they came under in, a checked `Manifest` or `Index` out.
//! **Invariant:** bytes that could be read as another kind of document than the one announced are refused (CVE-2021-41190).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::digest::Digest;
use crate::platform::Platform;

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An uncompressed OCI layer.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// A gzip-compressed OCI layer.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A zstd-compressed OCI layer.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Docker image manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What a client sends as `Accept`.
pub const ACCEPTED: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// The most layers an image may have: what overlay takes in one mount is 500 (kernel `fs/overlayfs`, `OVL_MAX_STACK`).
pub const MOST_LAYERS: usize = 500;
const MOST_INDEX_ENTRIES: usize = 1000;
/// The longest image configuration that is read: 8 MiB.
pub const LONGEST_CONFIG: u64 = 8 << 20;

/// Why a document is not usable as what it was announced to be.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not JSON, or a field has the wrong type.
    #[error("{media_type} is not valid")]
    Json {
        /// The announced type.
        media_type: String,
        /// Where it is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The announced type is none of [`ACCEPTED`].
    #[error("{media_type:?} is not an image manifest or index")]
    UnknownType {
        /// The announced type.
        media_type: String,
    },
    /// Docker's manifest version 2, schema 1.
    #[error(
        "{media_type} (schema 1) is no longer supported: the image must be pushed again by a current tool"
    )]
    Schema1 {
        /// The announced type.
        media_type: String,
    },
    /// Announced as one type, written as another.
    #[error("announced as {announced} but written as {written}")]
    TypeMismatch {
        /// By header or descriptor.
        announced: String,
        /// In the document.
        written: String,
    },
    /// The document has fields of another kind of document.
    #[error("{media_type} has a field {field:?} that belongs to another kind of document")]
    Ambiguous {
        /// The announced type.
        media_type: String,
        /// The field that must not be there.
        field: &'static str,
    },
    /// `schemaVersion` is not 2.
    #[error("schema version {version} is not 2")]
    SchemaVersion {
        /// What was read.
        version: u64,
    },
    /// A Helm chart, a signature or anything else that is not an image.
    #[error("not a container image: its {part} is {media_type:?}")]
    NotAnImage {
        /// `configuration` or `layer`.
        part: &'static str,
        /// The type of that part.
        media_type: String,
    },
    /// More entries than any real document has.
    #[error("{count} {what} are more than the {limit} allowed")]
    TooMany {
        /// `layers` or `index entries`.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The index has nothing for this host.
    #[error("no image for {wanted}, only for {offered}")]
    NoPlatform {
        /// What was wanted.
        wanted: Platform,
        /// What the index has.
        offered: String,
    },
}

/// A pointer to content: what it is, its address and its length in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the content.
    pub media_type: String,
    /// Its address.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// In an index: what the image runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// In an OCI layout: names and notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// One image: its configuration and layers, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u64,
    /// Repeats the announced type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image's configuration; its digest is the image's id.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// The same image for several platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u64,
    /// Repeats the announced type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Manifests, each for one platform.
    pub manifests: Vec<Descriptor>,
}

/// What a tag or digest may point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestDocument {
    /// One image.
    Manifest(Manifest),
    /// One image for several platforms.
    Index(Index),
}

impl ManifestDocument {
    /// Reads `bytes`, announced as `media_type` by a `Content-Type` header or a descriptor.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let is_index = match media_type {
            OCI_MANIFEST | DOCKER_MANIFEST => false,
            OCI_INDEX | DOCKER_INDEX => true,
            _ if media_type.starts_with("application/vnd.docker.distribution.manifest.v1") => {
                return Err(ManifestError::Schema1 {
                    media_type: media_type.to_owned(),
                });
            }
            _ => {
                return Err(ManifestError::UnknownType {
                    media_type: media_type.to_owned(),
                });
            }
        };
        let json = |source| ManifestError::Json {
            media_type: media_type.to_owned(),
            source,
        };
        check_unambiguous(
            media_type,
            is_index,
            &serde_json::from_slice(bytes).map_err(json)?,
        )?;
        if is_index {
            let index: Index = serde_json::from_slice(bytes).map_err(json)?;
            at_most(MOST_INDEX_ENTRIES, index.manifests.len(), "index entries")?;
            Ok(Self::Index(index))
        } else {
            let manifest: Manifest = serde_json::from_slice(bytes).map_err(json)?;
            at_most(MOST_LAYERS, manifest.layers.len(), "layers")?;
            manifest.check_is_image()?;
            Ok(Self::Manifest(manifest))
        }
    }
}

/// One document, one meaning: the type inside must be the one outside, and no field of the other kind may be there.
fn check_unambiguous(media_type: &str, is_index: bool, document: &Value) -> Result<(), ManifestError> {
    let version = document.get("schemaVersion").and_then(Value::as_u64).unwrap_or(0);
    if version != 2 {
        return Err(ManifestError::SchemaVersion { version });
    }
    match document.get("mediaType") {
        Some(written) if written.as_str() != Some(media_type) => {
            let written = written
                .as_str()
                .map_or_else(|| written.to_string(), str::to_owned);
            return Err(ManifestError::TypeMismatch {
                announced: media_type.to_owned(),
                written,
            });
        }
        Some(_) | None => {}
    }
    let (foreign, own): (&[&'static str], &[&'static str]) = if is_index {
        (&["layers", "config", "fsLayers"], &["manifests"])
    } else {
        (&["manifests", "fsLayers"], &["layers", "config"])
    };
    let keys = || document.as_object().into_iter().flat_map(|object| object.keys());
    // Readers written in Go take `Layers` for `layers`.
    let is_written = |field: &str| keys().any(|key| key.eq_ignore_ascii_case(field));
    let is_misspelt = |field: &str| keys().any(|key| key.eq_ignore_ascii_case(field) && key != field);
    let common = ["mediaType", "schemaVersion"];
    let ambiguous = foreign.iter().find(|field| is_written(field)).or_else(|| {
        let known = own.iter().chain(&common);
        known.into_iter().find(|field| is_misspelt(field))
    });
    match ambiguous {
        Some(field) => Err(ManifestError::Ambiguous {
            media_type: media_type.to_owned(),
            field,
        }),
        None => Ok(()),
    }
}

fn at_most(limit: usize, count: usize, what: &'static str) -> Result<(), ManifestError> {
    if count > limit {
        Err(ManifestError::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}

impl Manifest {
    fn check_is_image(&self) -> Result<(), ManifestError> {
        let not_an_image = |part, media_type: &str| ManifestError::NotAnImage {
            part,
            media_type: media_type.to_owned(),
        };
        if !matches!(self.config.media_type.as_str(), OCI_CONFIG | DOCKER_CONFIG) {
            return Err(not_an_image("configuration", &self.config.media_type));
        }
        match self.layers.iter().find(|layer| !is_layer(&layer.media_type)) {
            Some(layer) => Err(not_an_image("layer", &layer.media_type)),
            None => Ok(()),
        }
    }
}

/// Layer types of OCI image-spec, layer.md, and Docker's; compression is told from the bytes, not from the name.
fn is_layer(media_type: &str) -> bool {
    let oci = media_type
        .strip_prefix("application/vnd.oci.image.layer.v1.tar")
        .or_else(|| media_type.strip_prefix("application/vnd.oci.image.layer.nondistributable.v1.tar"));
    match oci {
        Some(compression) => matches!(compression, "" | "+gzip" | "+zstd"),
        None => matches!(
            media_type,
            "application/vnd.docker.image.rootfs.diff.tar"
                | "application/vnd.docker.image.rootfs.diff.tar.gzip"
                | "application/vnd.docker.image.rootfs.diff.tar.zstd"
                | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        ),
    }
}

impl Index {
    /// The entry that suits `wanted` best; the first of equals. An entry that names no platform is taken only when it is alone.
    pub fn choose(&self, wanted: &Platform) -> Result<&Descriptor, ManifestError> {
        if let [only] = self.manifests.as_slice()
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let mut best: Option<(u32, &Descriptor)> = None;
        for descriptor in &self.manifests {
            let rank = descriptor
                .platform
                .as_ref()
                .and_then(|offered| wanted.suits(offered));
            if let Some(rank) = rank
                && best.is_none_or(|(other, _)| rank > other)
            {
                best = Some((rank, descriptor));
            }
        }
        best.map(|(_, descriptor)| descriptor).ok_or_else(|| {
            let real = self
                .manifests
                .iter()
                .filter_map(|entry| entry.platform.as_ref())
                .filter(|offered| offered.os != "unknown");
            let offered: Vec<String> = real.map(Platform::to_string).collect();
            let offered = if offered.is_empty() {
                "no platform at all".to_owned()
            } else {
                offered.join(", ")
            };
            ManifestError::NoPlatform {
                wanted: wanted.clone(),
                offered,
            }
        })
    }
}

#[cfg(test)]
#[path = "manifest/tests.rs"]
mod tests;
