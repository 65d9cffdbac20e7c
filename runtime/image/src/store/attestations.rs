//! In: what is attested of an image. Out: it is on the image's record, and in the documents the image is handed on with.
//! **Invariant:** an image is never handed on with fewer attestations than its record has.

use super::{ImageStore, write_json};
use crate::attestation::{Attestation, AttestedIndex, Predicate};
use crate::error::ImageError;
use crate::image::Image;
use crate::manifest::Descriptor;
use crate::reference::Reference;

impl ImageStore {
    /// Records what is attested of an image, instead of what was.
    pub(crate) fn attest(&self, image: Image, attestations: Vec<Attestation>) -> Result<Image, ImageError> {
        if image.attestations == attestations {
            return Ok(image);
        }
        let image = Image {
            attestations,
            ..image
        };
        write_json(&self.image_path(&image.id), &image, true)?;
        Ok(image)
    }

    /// The documents of the index that an image with attestations goes by; none for one without. `manifest` points at the image's own.
    pub(crate) fn attested_index(
        &self,
        image: &Image,
        manifest: &Descriptor,
        names: &[Reference],
    ) -> Result<Option<AttestedIndex>, ImageError> {
        if image.attestations.is_empty() {
            return Ok(None);
        }
        let damaged = |source| ImageError::Member {
            member: "attestation".to_owned(),
            source,
        };
        let mut predicates = Vec::new();
        for Attestation {
            predicate_type,
            predicate,
        } in &image.attestations
        {
            let bytes = self
                .read_blob(predicate)?
                .ok_or_else(|| ImageError::NoAttestation {
                    predicate_type: predicate_type.clone(),
                })?;
            predicates.push(Predicate {
                predicate_type: predicate_type.clone(),
                content: serde_json::from_slice(&bytes).map_err(damaged)?,
            });
        }
        AttestedIndex::of(manifest, &image.platform, names, &predicates)
            .map(Some)
            .map_err(damaged)
    }
}
