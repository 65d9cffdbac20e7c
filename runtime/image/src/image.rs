//! What the store knows of one image: enough to start a container from it after reading one small file.
//! **Invariant:** an `Image` is a record on disk; every directory it names was complete when the record was written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::attestation::Attestation;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image_config::ImageConfig;
use crate::platform::Platform;
use crate::reference::Reference;

/// A local image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Digest of the configuration: the image's id, as docker counts.
    pub id: Digest,
    /// Digest of what the registry served under the name: a manifest or an index. `None` for images that never were in one.
    #[serde(default)]
    pub manifest: Option<Digest>,
    /// From [`crate::ImageStore::resolve`] the name asked for; from [`crate::ImageStore::list`] all of its names, digests included.
    #[serde(skip)]
    pub references: Vec<Reference>,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub created: Option<String>,
    /// System and processor it runs on.
    pub platform: Platform,
    /// Bytes of its uncompressed layer archives.
    pub size: u64,
    /// Digests of its uncompressed layer archives, lowest first.
    pub diff_ids: Vec<Digest>,
    /// The layers stand on `@host`, the files of this machine; what was known of them when the image was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Digest>,
    /// How to run it.
    pub config: ImageConfig,
    /// What its last build was asked to attest of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<Attestation>,
    /// Where the layers' directories are.
    #[serde(skip)]
    pub(crate) layers: PathBuf,
}

impl Image {
    /// Whether it can be taken to where this machine's files are not.
    ///
    /// # Errors
    /// It stands on `@host`.
    pub fn can_leave(&self) -> Result<(), ImageError> {
        match self.host {
            None => Ok(()),
            Some(_) => Err(ImageError::StandsOnHost {
                name: self
                    .references
                    .first()
                    .map_or_else(|| self.id.to_string(), Reference::familiar),
            }),
        }
    }

    /// The layers' directories, top-most first, as overlay's `lowerdir` wants them. A layer that occurs twice is named
    /// once, where it is highest: overlay refuses a directory given twice, and the lower one has no effect.
    pub fn layer_directories(&self) -> Vec<PathBuf> {
        let mut directories: Vec<PathBuf> = Vec::with_capacity(self.diff_ids.len());
        for diff_id in self.diff_ids.iter().rev() {
            let directory = self.layers.join(diff_id.hex());
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        directories
    }
}
