//! An image and the directory of a container's changes in, an image with one layer more out.
//! **Invariant:** the changes are copied; the container keeps its own, and the layers below are the image's.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use crate::error::ImageError;
use crate::image::Image;
use crate::image_config::{History, ImageConfig};
use crate::layer_tar::write_layer_tar;
use crate::store::{ImageStore, LayerRecord};
use crate::unpack::unpack_layer;

/// What an image made of a container says of itself.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// How to run it.
    pub config: ImageConfig,
    /// Who made it.
    pub author: String,
    /// What is said of it in its history.
    pub message: String,
    /// What ran in the container.
    pub created_by: String,
    /// When, RFC 3339.
    pub created: String,
}

/// Makes an image of `base` with what `upper`, an overlay's upper directory, changes. Nobody should write to it meanwhile. The image
/// has no name yet.
pub fn commit(
    store: &ImageStore,
    base: &Image,
    upper: &Path,
    committed: Committed,
) -> Result<Image, ImageError> {
    let _lease = store.lease()?;
    let mut document = store.document(&base.id)?;
    let prepared = store.prepare_layer()?;
    let source = File::open(upper).map_err(ImageError::path("open", upper))?;
    let (reader, mut writer) = io::pipe().map_err(|source| ImageError::Write { source })?;
    let (diff_id, size) = std::thread::scope(|scope| {
        let packing = scope.spawn(move || write_layer_tar(source.as_fd(), &mut writer));
        let unpacked = unpack_layer(reader, prepared.path());
        let packed = packing
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (packed, unpacked) {
            (Ok(_), unpacked) => unpacked,
            // Where nobody reads any more, the reader says why.
            (Err(ImageError::Write { .. }), Err(error)) | (Err(error), _) => Err(error),
        }
    })?;
    let record = LayerRecord {
        diff_id,
        size,
        blob: None,
        packed: None,
        unsynced_since_boot: None,
    };
    store.commit_layer(prepared.path(), record)?;
    document.history.push(History {
        created: Some(committed.created.clone()),
        created_by: committed.created_by,
        author: committed.author.clone(),
        comment: committed.message,
        empty_layer: false,
    });
    document.created = Some(committed.created);
    document.author = committed.author;
    document.config = committed.config;
    let mut layers = base.diff_ids.clone();
    layers.push(diff_id);
    store.put_image(&document, &layers)
}
