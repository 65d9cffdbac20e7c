//! Images made on the spot, as bytes a registry can serve.

use std::io::Write;

use rcompose_image::{Digest, Platform};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

#[derive(Clone, Copy)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// An image and everything it is made of.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    /// As they travel.
    pub(crate) layers: Vec<Vec<u8>>,
    /// Digests of the plain layers.
    pub(crate) diff_ids: Vec<Digest>,
}

impl Sample {
    /// Every layer is a list of files; a name that ends in `/` is a directory.
    pub(crate) fn new(layers: &[(Packing, &[(&str, &str)])]) -> Self {
        Self::for_platform(&Platform::host().to_string(), layers)
    }

    pub(crate) fn for_platform(platform: &str, layers: &[(Packing, &[(&str, &str)])]) -> Self {
        let platform: Platform = platform.parse().unwrap();
        let plain: Vec<Vec<u8>> = layers.iter().map(|(_, files)| archive(files)).collect();
        let diff_ids: Vec<Digest> = plain.iter().map(|layer| Digest::of(layer)).collect();
        let packed: Vec<(Vec<u8>, String)> = layers
            .iter()
            .zip(&plain)
            .map(|((packing, _), layer)| pack(*packing, layer))
            .collect();
        let config = json!({
            "architecture": platform.architecture, "os": platform.os, "variant": platform.variant, "created": "2026-01-02T03:04:05Z",
            "config": {"Cmd": ["/bin/true"], "Env": ["PATH=/bin"], "Labels": {"layers": layers.len().to_string()}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": layers.iter().map(|_| json!({"created_by": "test"})).collect::<Vec<Value>>(),
        });
        let config = serde_json::to_vec(&config).unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": Digest::of(&config), "size": config.len()},
            "layers": packed.iter().map(|(bytes, media_type)| {
                json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
            }).collect::<Vec<Value>>(),
        });
        let manifest = serde_json::to_vec(&manifest).unwrap();
        Self {
            manifest,
            config,
            layers: packed.into_iter().map(|(bytes, _)| bytes).collect(),
            diff_ids,
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    pub(crate) fn id(&self) -> Digest {
        Digest::of(&self.config)
    }

    /// The blob with this digest.
    pub(crate) fn blob(&self, digest: &str) -> Option<&[u8]> {
        let mut blobs = self.layers.iter().chain([&self.config]);
        blobs
            .find(|blob| Digest::of(blob).to_string() == digest)
            .map(Vec::as_slice)
    }
}

/// An index over images for several platforms.
pub(crate) fn index(entries: &[(&str, &Sample)]) -> Vec<u8> {
    let manifests = entries.iter().map(|(platform, sample)| {
        let platform: Platform = platform.parse().unwrap();
        json!({"mediaType": MANIFEST, "digest": sample.digest(), "size": sample.manifest.len(), "platform": platform})
    });
    serde_json::to_vec(
        &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests.collect::<Vec<Value>>()}),
    )
    .unwrap()
}

/// Bytes no compressor makes smaller, the same every time.
pub(crate) fn noise(length: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut text = String::with_capacity(length);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push(char::from(b' ' + u8::try_from(state % 95).unwrap()));
    }
    text
}

pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        header.set_entry_type(if path.ends_with('/') {
            EntryType::Directory
        } else {
            EntryType::Regular
        });
        builder
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

fn pack(packing: Packing, layer: &[u8]) -> (Vec<u8>, String) {
    match packing {
        Packing::Plain => (layer.to_vec(), LAYER.to_owned()),
        Packing::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(layer).unwrap();
            (encoder.finish().unwrap(), format!("{LAYER}+gzip"))
        }
        Packing::Zstd => (zstd::encode_all(layer, 1).unwrap(), format!("{LAYER}+zstd")),
    }
}
