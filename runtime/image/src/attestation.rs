//! In: what is attested of an image, and the manifest it goes by. Out: the documents that carry it beside the image in an index
//! (moby/buildkit, docs/attestations/attestation-storage.md).
//! **Invariant:** an attestation names the digest of the manifest it is about, and no other manifest of the index can be run.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::Digest;
use crate::manifest::{Descriptor, Index, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use crate::package_url::image_url;
use crate::platform::Platform;
use crate::reference::Reference;

/// A statement with its predicate (in-toto attestation framework, v0.1).
const IN_TOTO: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";

/// Something attested of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// What kind of thing it is, as a URI.
    pub predicate_type: String,
    /// Digest of the predicate, a JSON document in the store.
    pub predicate: Digest,
}

/// A predicate with its type.
pub(crate) struct Predicate {
    pub(crate) predicate_type: String,
    pub(crate) content: Value,
}

/// The documents of an index with an image and its attestations, besides those of the image.
pub(crate) struct AttestedIndex {
    /// The configuration of the attestation manifest, and what that manifest lists.
    pub(crate) blobs: Vec<(&'static str, Vec<u8>)>,
    pub(crate) attestation_manifest: Vec<u8>,
    pub(crate) index: Vec<u8>,
}

impl AttestedIndex {
    /// Of an image that `image` points at and that goes by `names`.
    pub(crate) fn of(
        image: &Descriptor,
        platform: &Platform,
        names: &[Reference],
        predicates: &[Predicate],
    ) -> Result<Self, serde_json::Error> {
        let mut subjects: Vec<String> = names.iter().map(|name| image_url(name, platform)).collect();
        if subjects.is_empty() {
            // The framework's word for what has no name.
            subjects.push("_".to_owned());
        }
        let subjects: Vec<Value> = subjects
            .into_iter()
            .map(|name| json!({"name": name, "digest": {"sha256": image.digest.hex()}}))
            .collect();
        let mut blobs = Vec::new();
        let mut layers = Vec::new();
        for predicate in predicates {
            let statement = serde_json::to_vec(&json!({
                "_type": STATEMENT,
                "predicateType": predicate.predicate_type,
                "subject": subjects,
                "predicate": predicate.content,
            }))?;
            let kind = ("in-toto.io/predicate-type", predicate.predicate_type.as_str());
            layers.push(descriptor(IN_TOTO, &statement, None, &[kind]));
            blobs.push((IN_TOTO, statement));
        }
        let nowhere = Platform {
            architecture: "unknown".to_owned(),
            os: "unknown".to_owned(),
            variant: None,
        };
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.digest).collect();
        let config = serde_json::to_vec(&json!({
            "architecture": nowhere.architecture,
            "os": nowhere.os,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }))?;
        let attestation_manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, &config, None, &[]),
            "layers": layers,
        }))?;
        blobs.push((OCI_CONFIG, config));
        let about = image.digest.to_string();
        let annotations = [
            ("vnd.docker.reference.digest", about.as_str()),
            ("vnd.docker.reference.type", "attestation-manifest"),
        ];
        let index = serde_json::to_vec(&Index {
            schema_version: 2,
            media_type: Some(OCI_INDEX.to_owned()),
            manifests: vec![
                Descriptor {
                    platform: Some(platform.clone()),
                    ..image.clone()
                },
                descriptor(OCI_MANIFEST, &attestation_manifest, Some(nowhere), &annotations),
            ],
        })?;
        Ok(Self {
            blobs,
            attestation_manifest,
            index,
        })
    }
}

fn descriptor(
    media_type: &str,
    content: &[u8],
    platform: Option<Platform>,
    annotations: &[(&str, &str)],
) -> Descriptor {
    let annotations: BTreeMap<String, String> = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(content),
        size: content.len() as u64,
        platform,
        annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ManifestDocument;

    #[test]
    fn an_index_offers_the_image_alone_and_names_what_is_attested() {
        let platform: Platform = "linux/arm64/v8".parse().unwrap();
        let image = descriptor(OCI_MANIFEST, b"the image's manifest", None, &[]);
        let predicate = Predicate {
            predicate_type: "https://example.org/kind".to_owned(),
            content: json!({"b": 1, "a": [2]}),
        };
        let names = ["localhost:5000/app:1".parse().unwrap()];
        let attested = AttestedIndex::of(&image, &platform, &names, &[predicate]).unwrap();

        let ManifestDocument::Index(index) = ManifestDocument::parse(OCI_INDEX, &attested.index).unwrap()
        else {
            panic!("no index");
        };
        assert_eq!(index.choose(&platform).unwrap().digest, image.digest);
        let about = &index.manifests[1];
        assert_eq!(about.digest, Digest::of(&attested.attestation_manifest));
        assert_eq!(
            about.annotations.as_ref().unwrap()["vnd.docker.reference.digest"],
            image.digest.to_string()
        );
        let statement: Value = serde_json::from_slice(&attested.blobs[0].1).unwrap();
        assert_eq!(
            statement["subject"],
            json!([{"name": "pkg:docker/localhost:5000/app@1?platform=linux%2Farm64%2Fv8", "digest": {"sha256": image.digest.hex()}}])
        );
        assert_eq!(statement["predicate"].to_string(), r#"{"b":1,"a":[2]}"#);

        let nameless = AttestedIndex::of(&image, &platform, &[], &[]).unwrap();
        let config: Value = serde_json::from_slice(&nameless.blobs[0].1).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!([]));
    }
}
