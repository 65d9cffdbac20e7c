//! In: a build that is done. Out: its image, with what was asked to be attested of it in the store.
//! **Invariant:** an image has the attestations that its last build was asked for, and no other.

use std::sync::PoisonError;

use jiff::Timestamp;
use serde_json::Value;

use super::builder::{Build, FoundImages};
use super::material::Material;
use super::overlay::Tree;
use super::provenance::{Done, predicate};
use super::request::{BuildError, BuildEvent, BuildRequest};
use crate::attestation::Attestation;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::Image;
use crate::package_url::image_url;
use crate::reference::Reference;
use crate::sbom;
use crate::store::ImageStore;

/// What asks BuildKit to describe more than the result.
const SCANS: [&str; 2] = ["BUILDKIT_SBOM_SCAN_STAGE", "BUILDKIT_SBOM_SCAN_CONTEXT"];

impl Build<'_> {
    /// What the build has taken from elsewhere, sorted.
    pub(super) fn materials(&self) -> Result<Vec<Material>, ImageError> {
        let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        let mut materials = images_of(self.store, &images)?;
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        materials.extend(taken.iter().cloned().chain(self.request.context_material.clone()));
        materials.sort();
        materials.dedup();
        Ok(materials)
    }

    /// Notes what the build takes from elsewhere, besides images by name.
    pub(super) fn take(&self, material: Material) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.push(material);
    }
}

fn images_of(store: &ImageStore, images: &FoundImages) -> Result<Vec<Material>, ImageError> {
    let mut materials = Vec::new();
    for (name, found) in images {
        let Some(Ok(image)) = found.get() else { continue };
        let reference = match image.references.first() {
            Some(reference) => Some(reference.clone()),
            // Asked for by its id: it was built here, maybe under a name.
            None => names(store, image)?.into_iter().next(),
        };
        let uri = match reference {
            Some(reference) => image_url(&reference, &image.platform),
            None => name.clone(),
        };
        // One that never was in a registry has no other digest than its id.
        materials.push(Material::content(&uri, &image.manifest.unwrap_or(image.id)));
    }
    Ok(materials)
}

fn names(store: &ImageStore, image: &Image) -> Result<Vec<Reference>, ImageError> {
    let known = store.list()?.into_iter().find(|known| known.id == image.id);
    Ok(known.map(|known| known.references).unwrap_or_default())
}

/// Puts what is asked for on the image's record.
pub(super) fn attest(
    store: &ImageStore,
    request: &BuildRequest,
    image: Image,
    materials: &[Material],
    started: Timestamp,
    events: &(dyn Fn(BuildEvent) + Sync),
) -> Result<Image, BuildError> {
    let asked = &request.attestations;
    let mut attestations = Vec::new();
    let mut put = |predicate_type: &str, predicate: &Value| -> Result<(), ImageError> {
        attestations.push(Attestation {
            predicate_type: predicate_type.to_owned(),
            predicate: store.put_blob(predicate.to_string().as_bytes())?,
        });
        Ok(())
    };
    if asked.sbom {
        let warn = |message: String| events(BuildEvent::Note(message));
        put(sbom::PREDICATE_TYPE, &bill_of_materials(&image, &warn)?)?;
        for scan in SCANS.iter().filter(|scan| is_mentioned(request, scan)) {
            warn(format!(
                "{scan}: the bill of materials is of the image alone, stages and context are not described"
            ));
        }
    }
    if let Some(provenance) = &asked.provenance {
        let finished = Timestamp::now();
        let unique = format!("{started}{finished}{}{}", std::process::id(), image.id);
        let done = Done {
            request,
            materials,
            platform: &image.platform,
            started,
            finished,
            invocation: &Digest::of(unique.as_bytes()).hex()[..25],
        };
        put(provenance.version.predicate_type(), &predicate(&done, provenance))?;
    }
    Ok(store.attest(image, attestations)?)
}

fn bill_of_materials(image: &Image, warn: &dyn Fn(String)) -> Result<Value, BuildError> {
    let failed = |source| BuildError::BillOfMaterials { source };
    let layers = image.layer_directories();
    let inventory = if layers.is_empty() {
        sbom::Inventory::default()
    } else {
        let tree = Tree::readable(&layers).map_err(|source| {
            failed(sbom::SbomError::Read {
                path: "".into(),
                source,
            })
        })?;
        sbom::inventory(&tree).map_err(failed)?
    };
    for note in &inventory.notes {
        warn(format!("the bill of materials is not complete: {note}"));
    }
    let created = image.created.as_deref().and_then(|created| created.parse().ok());
    let created = created.unwrap_or(Timestamp::UNIX_EPOCH).as_second();
    Ok(sbom::document(&image.id, created, &inventory))
}

/// Whether an argument of that name is given or declared.
fn is_mentioned(request: &BuildRequest, name: &str) -> bool {
    let mut words = request
        .dockerfile
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    request.arguments.contains_key(name) || words.any(|word| word == name)
}
