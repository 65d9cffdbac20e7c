//! Images of the store in; out: one archive that is an OCI layout and a `docker save` archive at the same time, or an OCI layout
//! alone, as an archive or a directory.
//! **Invariant:** what is written has the digests under which it is written; a layer changed on disk is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::output::Output;
use super::{CONTAINERD_NAME, DockerManifest, Format, LayerSource, OCI_LAYOUT, OCI_REF_NAME, blob_name};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::Image;
use crate::manifest::{Descriptor, Index, Manifest, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::ImageStore;

/// `repositories` of docker's oldest archives: repository, tag, the top-most layer.
type Repositories = BTreeMap<String, BTreeMap<String, String>>;

/// Writes the images called `names` (references, ids, or repositories, which mean all their tags) to `output`. With a
/// `platform`, every image must be for it. Layers go uncompressed, under their diff ids.
pub fn save(
    store: &ImageStore,
    names: &[String],
    platform: Option<&Platform>,
    format: Format,
    output: &mut Output<'_>,
) -> Result<(), ImageError> {
    let _lease = store.lease()?;
    let images = asked(store, names)?;
    images.iter().try_for_each(Image::can_leave)?;
    if let Some(wanted) = platform
        && let Some(other) = images
            .iter()
            .find(|image| wanted.suits(&image.platform).is_none())
    {
        return Err(ImageError::OtherPlatform {
            name: other
                .references
                .first()
                .map_or_else(|| other.id.to_string(), Reference::familiar),
            platform: other.platform.to_string(),
            wanted: wanted.to_string(),
        });
    }
    let mut archive = Archive {
        output,
        written: BTreeSet::new(),
    };
    let (mut docker, mut oci, mut repositories) = (Vec::new(), Vec::new(), Repositories::new());
    for image in &images {
        let (descriptor, layers) = archive.image(store, image)?;
        let tags: Vec<&Reference> = image
            .references
            .iter()
            .filter(|name| name.tag().is_some())
            .collect();
        for tag in &tags {
            oci.push(Descriptor {
                annotations: Some(annotations(tag, format)),
                ..descriptor.clone()
            });
            if let (Some(tag_name), Some(top)) = (tag.tag(), image.diff_ids.last()) {
                let repository = repositories.entry(tag.familiar_name()).or_default();
                repository.insert(tag_name.to_owned(), top.hex());
            }
        }
        if tags.is_empty() {
            oci.push(descriptor);
        }
        docker.push(DockerManifest {
            config: blob_name(&image.id),
            repo_tags: Some(tags.iter().map(|tag| tag.familiar()).collect())
                .filter(|tags: &Vec<_>| !tags.is_empty()),
            layers: Some(image.diff_ids.iter().map(blob_name).collect()),
            layer_sources: layers,
        });
    }
    let index = Index {
        schema_version: 2,
        media_type: Some(OCI_INDEX.to_owned()),
        manifests: oci,
    };
    archive.output.file("index.json", &json(&index)?)?;
    if format == Format::Docker {
        archive.output.file("manifest.json", &json(&docker)?)?;
    }
    archive.output.file("oci-layout", OCI_LAYOUT)?;
    if format == Format::Docker && !repositories.is_empty() {
        archive.output.file("repositories", &json(&repositories)?)?;
    }
    archive.output.finish()
}

/// The images, each once, in the order they are asked for, with the names they are asked for by.
fn asked(store: &ImageStore, names: &[String]) -> Result<Vec<Image>, ImageError> {
    let mut images: Vec<Image> = Vec::new();
    for name in names {
        let mut found = store.tagged(name)?;
        if found.is_empty() {
            let image = store.find(name)?;
            found.push(image.ok_or_else(|| ImageError::NoSuchImage { name: name.clone() })?);
        }
        for image in found {
            match images.iter_mut().find(|present| present.id == image.id) {
                Some(present) => {
                    let new = image.references.into_iter();
                    let new: Vec<_> = new.filter(|name| !present.references.contains(name)).collect();
                    present.references.extend(new);
                }
                None => images.push(image),
            }
        }
    }
    Ok(images)
}

/// docker's archives have the tag in OCI's annotation, OCI's own the whole name, as podman writes it.
fn annotations(name: &Reference, format: Format) -> BTreeMap<String, String> {
    let whole = name.to_string();
    match format {
        Format::Docker => [
            (CONTAINERD_NAME.to_owned(), whole),
            (OCI_REF_NAME.to_owned(), name.tag().unwrap_or_default().to_owned()),
        ]
        .into(),
        Format::Oci => [(OCI_REF_NAME.to_owned(), whole)].into(),
    }
}

struct Archive<'a, 'b> {
    output: &'a mut Output<'b>,
    written: BTreeSet<Digest>,
}

impl Archive<'_, '_> {
    /// Writes an image's blobs; returns what points at it, and its layers.
    fn image(
        &mut self,
        store: &ImageStore,
        image: &Image,
    ) -> Result<(Descriptor, BTreeMap<String, LayerSource>), ImageError> {
        let config = store
            .read_blob(&image.id)?
            .ok_or_else(|| ImageError::NoSuchImage {
                name: image.id.to_string(),
            })?;
        self.blob(&config)?;
        let mut layers = Vec::new();
        let mut sources = BTreeMap::new();
        for diff_id in &image.diff_ids {
            let size = self.layer(store, diff_id)?;
            layers.push(descriptor(OCI_LAYER, *diff_id, size));
            let source = LayerSource {
                media_type: OCI_LAYER.to_owned(),
                size,
                digest: *diff_id,
            };
            sources.insert(diff_id.to_string(), source);
        }
        let config = descriptor(OCI_CONFIG, image.id, config.len() as u64);
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            config,
            layers,
        };
        let bytes = json(&manifest)?;
        let digest = self.blob(&bytes)?;
        let manifest = descriptor(OCI_MANIFEST, digest, bytes.len() as u64);
        let tags = image.references.iter().filter(|name| name.tag().is_some());
        let tags: Vec<Reference> = tags.cloned().collect();
        let Some(attested) = store.attested_index(image, &manifest, &tags)? else {
            return Ok((manifest, sources));
        };
        for (_, bytes) in &attested.blobs {
            self.blob(bytes)?;
        }
        self.blob(&attested.attestation_manifest)?;
        let digest = self.blob(&attested.index)?;
        Ok((
            descriptor(OCI_INDEX, digest, attested.index.len() as u64),
            sources,
        ))
    }

    fn blob(&mut self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Digest::of(bytes);
        if self.written.insert(digest) {
            self.output.file(&blob_name(&digest), bytes)?;
        }
        Ok(digest)
    }

    /// Writes the uncompressed archive of a layer.
    fn layer(&mut self, store: &ImageStore, diff_id: &Digest) -> Result<u64, ImageError> {
        let record = store
            .layer_record(diff_id)?
            .ok_or(ImageError::NoLayer { diff_id: *diff_id })?;
        if !self.written.insert(*diff_id) {
            return Ok(record.size);
        }
        let mut content = |output: &mut dyn Write| store.write_layer(&record, output);
        self.output
            .large(&blob_name(diff_id), record.size, &mut content)?;
        Ok(record.size)
    }
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: None,
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec(value).map_err(|source| ImageError::Member {
        member: "description".to_owned(),
        source,
    })
}
