//! In: a directory with an OCI layout. Out: one of its images, in the store and without a name.
//! **Invariant:** blobs are checked by the same reader as those of archives; nothing but the layout's own directory is read.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use rustix::fs::OFlags;
use serde_json::Value;

use super::Sources;
use crate::archive::load;
use crate::build::overlay::Tree;
use crate::image::Image;

/// OCI image-spec, annotations.md.
const NAME: &str = "org.opencontainers.image.ref.name";
const LONGEST_INDEX: u64 = 16 << 20;

/// An image of an OCI layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutPlace {
    /// The layout's directory.
    pub directory: PathBuf,
    /// Its tag there, or its digest.
    pub image: LayoutImage,
}

/// Which image of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayoutImage {
    /// By its name in the index.
    Tag(String),
    /// By digest, `sha256:…`.
    Digest(String),
}

impl LayoutPlace {
    /// `path`, `path:tag` or `path@digest`; without either, the tag `latest`.
    pub fn parse(text: &str) -> Self {
        let whole = |path: &str, image| Self {
            directory: PathBuf::from(path),
            image,
        };
        if let Some((path, digest)) = text.split_once('@') {
            return whole(path, LayoutImage::Digest(digest.to_owned()));
        }
        match text.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => whole(path, LayoutImage::Tag(tag.to_owned())),
            _ => whole(text, LayoutImage::Tag("latest".to_owned())),
        }
    }
}

impl Sources<'_> {
    /// The image, read into the store.
    pub(crate) fn layout(&self, place: &LayoutPlace) -> Result<Image, String> {
        let shown = place.directory.display();
        let unreadable = |error: std::io::Error| format!("cannot read the OCI layout {shown}: {error}");
        let tree = Tree::directory(&place.directory).map_err(unreadable)?;
        let mut text = Vec::new();
        let index = tree
            .open("index.json".as_ref(), OFlags::RDONLY)
            .map_err(unreadable)?;
        File::from(index)
            .take(LONGEST_INDEX)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        let mut index: Value =
            serde_json::from_slice(&text).map_err(|error| format!("the index of {shown}: {error}"))?;
        let manifests = index.get_mut("manifests").and_then(Value::as_array_mut);
        let manifests =
            manifests.ok_or_else(|| format!("{shown} is no OCI layout: its index has no manifests"))?;
        let only = manifests.len() == 1;
        let known = names(manifests);
        manifests.retain(|manifest| match &place.image {
            LayoutImage::Digest(digest) => manifest.get("digest").and_then(Value::as_str) == Some(digest),
            LayoutImage::Tag(tag) => {
                let name = name(manifest);
                // `latest` may be what nobody wrote.
                name.is_some_and(|name| is_called(name, tag)) || only && name.is_none() && tag == "latest"
            }
        });
        manifests.truncate(1);
        let Some(chosen) = manifests.first_mut() else {
            let wanted = match &place.image {
                LayoutImage::Tag(name) | LayoutImage::Digest(name) => name,
            };
            return Err(format!(
                "{shown} has no image `{wanted}`; there are: {}",
                known.join(", ")
            ));
        };
        // It gets no name: the build uses it by its id.
        if let Some(manifest) = chosen.as_object_mut() {
            manifest.remove("annotations");
        }
        let index = index.to_string();
        let (reader, writer) = std::io::pipe().map_err(unreadable)?;
        let images = std::thread::scope(|scope| {
            let written = scope.spawn(|| write_archive(&place.directory, &index, writer));
            let images = load(self.store, reader, None);
            let written = written.join();
            match (images, written) {
                (Ok(images), Ok(Ok(()))) => Ok(images),
                (Err(error), Ok(Ok(()) | Err(_)) | Err(_)) => Err(match std::error::Error::source(&error) {
                    Some(cause) => format!("cannot use the OCI layout {shown}: {error}: {cause}"),
                    None => format!("cannot use the OCI layout {shown}: {error}"),
                }),
                (Ok(_), Ok(Err(error))) => Err(unreadable(error)),
                (Ok(_), Err(_)) => Err(format!("cannot read the OCI layout {shown}")),
            }
        })?;
        images
            .into_iter()
            .next()
            .ok_or_else(|| format!("{shown} has no image for this machine"))
    }
}

fn name(manifest: &Value) -> Option<&str> {
    manifest.get("annotations")?.get(NAME)?.as_str()
}

/// Some tools write the tag alone, others the whole name.
fn is_called(name: &str, tag: &str) -> bool {
    name == tag || name.rsplit_once(':').is_some_and(|(_, last)| last == tag)
}

fn names(manifests: &[Value]) -> Vec<String> {
    let digest = |manifest: &Value| manifest.get("digest").and_then(Value::as_str).map(str::to_owned);
    manifests
        .iter()
        .filter_map(|manifest| name(manifest).map(str::to_owned).or_else(|| digest(manifest)))
        .collect()
}

/// The layout as the archive that the store reads, with an index of its own.
fn write_archive(directory: &std::path::Path, index: &str, into: impl std::io::Write) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(into);
    archive.follow_symlinks(false);
    let mut header = tar::Header::new_gnu();
    header.set_size(index.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    archive.append_data(&mut header, "index.json", index.as_bytes())?;
    for algorithm in std::fs::read_dir(directory.join("blobs"))? {
        let algorithm = algorithm?;
        for blob in std::fs::read_dir(algorithm.path())? {
            let blob = blob?;
            if blob.file_type()?.is_file() {
                let name = std::path::Path::new("blobs")
                    .join(algorithm.file_name())
                    .join(blob.file_name());
                archive.append_path_with_name(blob.path(), name)?;
            }
        }
    }
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_a_layout_has_a_tag_or_a_digest() {
        let parsed = |text: &str| {
            let place = LayoutPlace::parse(text);
            (place.directory.display().to_string(), place.image)
        };
        let tag = |tag: &str| LayoutImage::Tag(tag.to_owned());
        assert_eq!(parsed("/a/b"), ("/a/b".to_owned(), tag("latest")));
        assert_eq!(parsed("/a:x/b"), ("/a:x/b".to_owned(), tag("latest")));
        assert_eq!(parsed("/a/b:v1"), ("/a/b".to_owned(), tag("v1")));
        assert_eq!(
            parsed("/a/b@sha256:12"),
            ("/a/b".to_owned(), LayoutImage::Digest("sha256:12".to_owned()))
        );
        assert!(
            is_called("docker.io/library/x:v1", "v1") && is_called("v1", "v1") && !is_called("av1", "v1")
        );
    }
}
