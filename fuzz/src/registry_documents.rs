//! What registries and people call images, and what registries say of them: names, platforms, manifests, indexes, configurations.

use rcompose_runtime::image_store::manifest::{ACCEPTED, MOST_LAYERS, ManifestDocument};
use rcompose_runtime::image_store::{Digest, ImageDocument, Platform, Reference};
use serde_json::Value;

use super::text;

/// Image names: what is printed reads back the same, in both spellings, and every part is safe in a path and a URL.
pub fn reference(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse().ok(), Some(platform));
    }
    let Ok(reference) = text.parse::<Reference>() else {
        return;
    };
    for printed in [reference.to_string(), reference.familiar()] {
        assert_eq!(
            printed.parse::<Reference>().ok(),
            Some(reference.clone()),
            "{printed}"
        );
    }
    let is_word = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '_', '-'])
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    assert!(reference.repository().split('/').all(is_word), "{reference}");
    let host = reference.registry().bytes();
    assert!(
        host.clone()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)),
        "{reference}"
    );
    assert!(
        host.len() <= 255 && reference.repository().len() <= 255,
        "{reference}"
    );
    assert!(
        reference
            .tag()
            .is_none_or(|tag| tag.len() <= 128 && !tag.contains('/') && !tag.starts_with(['.', '-'])),
        "{reference}"
    );
    assert!(
        reference.tag().is_some() || reference.digest().is_some(),
        "{reference}"
    );
    let pinned = reference.with_digest(Digest::of(bytes));
    assert_eq!(pinned.familiar().parse().ok(), Some(pinned));
}

/// Manifests, indexes and configurations: one document has one meaning, within bounds, and what is chosen suits.
pub fn manifest(bytes: &[u8]) {
    let understood: Vec<ManifestDocument> = ACCEPTED
        .iter()
        .filter_map(|media_type| ManifestDocument::parse(media_type, bytes).ok())
        .collect();
    let document: Option<Value> = serde_json::from_slice(bytes).ok();
    let has = |field: &str| {
        document
            .as_ref()
            .is_some_and(|document| document.get(field).is_some())
    };
    let host = Platform::host();
    let mut kinds = [false; 2];
    for understood in &understood {
        match understood {
            ManifestDocument::Manifest(manifest) => {
                kinds[0] = true;
                assert!(!has("manifests") && !has("fsLayers"), "CVE-2021-41190");
                assert!(manifest.layers.len() <= MOST_LAYERS);
            }
            ManifestDocument::Index(index) => {
                kinds[1] = true;
                assert!(
                    !has("layers") && !has("config") && !has("fsLayers"),
                    "CVE-2021-41190"
                );
                if let Ok(chosen) = index.choose(&host) {
                    let suits = |offered: &Platform| host.suits(offered).is_some();
                    assert!(chosen.platform.as_ref().is_none_or(suits) || index.manifests.len() == 1);
                }
            }
        }
    }
    assert_ne!(kinds, [true; 2], "a document is read as two kinds");
    if let Ok(configuration) = serde_json::from_slice::<ImageDocument>(bytes) {
        let written = serde_json::to_vec(&configuration).unwrap_or_default();
        let again: Option<ImageDocument> = serde_json::from_slice(&written).ok();
        assert_eq!(again.as_ref(), Some(&configuration));
        assert_eq!(
            again.map(|again| again.platform()),
            Some(configuration.platform())
        );
    }
}
