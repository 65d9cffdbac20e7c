//! The files of an archive in, the images it describes out: by docker's `manifest.json`, by OCI's `index.json`, or by the manifest of a
//! plain directory.
//! **Invariant:** a manifest is used only if it has the digest it is named by; what is no image for the wanted platform is left out.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::members::Members;
use super::{CONTAINERD_NAME, DockerManifest, OCI_REF_NAME, blob_name};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::manifest::{Descriptor, Index, Manifest, ManifestDocument, ManifestError};
use crate::platform::Platform;
use crate::reference::Reference;

const DEEPEST_INDEX: u32 = 4;

/// An image of the archive: names of members, and the image's own names.
pub(super) struct Described {
    pub(super) config: String,
    pub(super) layers: Vec<String>,
    pub(super) names: Vec<Reference>,
}

/// The images of an archive. Of an image for several platforms that for `platform`, without one the host's.
pub(super) fn describe(members: &Members, platform: Option<&Platform>) -> Result<Vec<Described>, ImageError> {
    if members.has("manifest.json") {
        // Only its form tells what wrote it: docker a list, skopeo (`dir:`) the registry's manifest.
        if members
            .content("manifest.json")?
            .trim_ascii_start()
            .starts_with(b"{")
        {
            let manifest: Manifest = parse(members, "manifest.json")?;
            return Ok(vec![of_manifest(&manifest, Vec::new(), &Digest::hex)]);
        }
        let manifests: Vec<DockerManifest> = parse(members, "manifest.json")?;
        return manifests.into_iter().map(of_docker).collect();
    }
    if !members.has("index.json") {
        return Err(ImageError::NoMember {
            member: "manifest.json or index.json".to_owned(),
        });
    }
    let index: Index = parse(members, "index.json")?;
    let host = Platform::host();
    let wanted = platform.unwrap_or(&host);
    let mut described = Vec::new();
    for descriptor in wanted_of(&index.manifests, wanted) {
        if let Some(manifest) = manifest(members, descriptor, wanted, 0)? {
            described.push(of_manifest(&manifest, names(descriptor), &blob_name));
        }
    }
    Ok(described)
}

fn of_docker(manifest: DockerManifest) -> Result<Described, ImageError> {
    let names = manifest.repo_tags.unwrap_or_default();
    Ok(Described {
        config: manifest.config,
        layers: manifest.layers.unwrap_or_default(),
        names: names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
    })
}

fn of_manifest(manifest: &Manifest, names: Vec<Reference>, member: &dyn Fn(&Digest) -> String) -> Described {
    Described {
        config: member(&manifest.config.digest),
        layers: manifest
            .layers
            .iter()
            .map(|layer| member(&layer.digest))
            .collect(),
        names,
    }
}

/// Of several manifests with one name that say what they are for, those for the wanted platform.
fn wanted_of<'m>(manifests: &'m [Descriptor], wanted: &Platform) -> Vec<&'m Descriptor> {
    let suits = |one: &Descriptor| {
        one.platform
            .as_ref()
            .is_some_and(|platform| wanted.suits(platform).is_some())
    };
    let has_rival = |one: &Descriptor| {
        let mut rivals = manifests.iter().filter(|other| names(other) == names(one));
        one.platform.is_some() && rivals.any(suits)
    };
    manifests
        .iter()
        .filter(|one| suits(one) || !has_rival(one))
        .collect()
}

/// The manifest behind a descriptor; `None` for what is no image, such as attestations.
fn manifest(
    members: &Members,
    descriptor: &Descriptor,
    wanted: &Platform,
    depth: u32,
) -> Result<Option<Manifest>, ImageError> {
    let name = blob_name(&descriptor.digest);
    let bytes = members.content(&name)?;
    let actual = Digest::of(&bytes);
    if actual != descriptor.digest {
        return Err(ImageError::WrongDigest {
            what: name,
            expected: descriptor.digest,
            actual,
        });
    }
    match ManifestDocument::parse(&descriptor.media_type, &bytes) {
        Ok(ManifestDocument::Manifest(manifest)) => Ok(Some(manifest)),
        Ok(ManifestDocument::Index(index)) if depth < DEEPEST_INDEX => {
            let chosen = index
                .choose(wanted)
                .map_err(|source| ImageError::Manifest { source })?;
            manifest(members, chosen, wanted, depth + 1)
        }
        Ok(ManifestDocument::Index(_))
        | Err(ManifestError::NotAnImage { .. } | ManifestError::UnknownType { .. }) => Ok(None),
        Err(source) => Err(ImageError::Manifest { source }),
    }
}

/// Many tools write only a tag into OCI's annotation; that alone names no image.
fn names(descriptor: &Descriptor) -> Vec<Reference> {
    let absent = BTreeMap::new();
    let annotations = descriptor.annotations.as_ref().unwrap_or(&absent);
    let whole = annotations
        .get(CONTAINERD_NAME)
        .and_then(|name| name.parse().ok());
    let reference = || {
        annotations
            .get(OCI_REF_NAME)
            .filter(|name| name.contains([':', '/']))?
            .parse()
            .ok()
    };
    whole.or_else(reference).into_iter().collect()
}

fn parse<T: DeserializeOwned>(members: &Members, name: &str) -> Result<T, ImageError> {
    serde_json::from_slice(&members.content(name)?).map_err(|source| ImageError::Member {
        member: name.to_owned(),
        source,
    })
}
