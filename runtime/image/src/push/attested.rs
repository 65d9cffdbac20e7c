//! An image with attestations in, an index with both in the registry out.
//! **Invariant:** the index is named when the image, its manifest and its attestations are there.

use super::PushError;
use super::delivery::Delivery;
use crate::attestation::AttestedIndex;
use crate::digest::Digest;
use crate::image::Image;
use crate::manifest::{Descriptor, OCI_INDEX, OCI_MANIFEST};

impl Delivery<'_> {
    /// The documents of the index the image is to have under its name; none for one without attestations.
    pub(super) fn attested(
        &self,
        image: &Image,
        media_type: &str,
        manifest: &[u8],
    ) -> Result<Option<AttestedIndex>, PushError> {
        let manifest = Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(manifest),
            size: manifest.len() as u64,
            platform: None,
            annotations: None,
        };
        self.store
            .attested_index(image, &manifest, std::slice::from_ref(self.reference))
            .map_err(|source| self.store_error(source))
    }

    /// Brings the manifests of an index there, and gives it the name. The layers are there.
    pub(super) fn attested_image(
        &self,
        media_type: &str,
        manifest: &[u8],
        attested: &AttestedIndex,
    ) -> Result<(), PushError> {
        for (media_type, bytes) in &attested.blobs {
            self.blob(media_type, bytes)?;
        }
        let manifests = [
            (media_type, manifest),
            (OCI_MANIFEST, &attested.attestation_manifest),
        ];
        for (media_type, bytes) in manifests {
            let digest = Digest::of(bytes).to_string();
            let put = self.registry.put_manifest(&digest, media_type, bytes);
            put.map_err(|failure| self.registry_error(failure))?;
        }
        self.manifest(OCI_INDEX, &attested.index)?;
        Ok(())
    }
}
