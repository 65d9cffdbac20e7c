//! A tar of a root file system in, an image of one layer out.
//! **Invariant:** the layer is what was unpacked: its digest is that of its canonical tar, not of the archive given.

use std::io::Read;

use crate::error::ImageError;
use crate::image::Image;
use crate::image_config::{History, ImageConfig, ImageDocument};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::ImageStore;
use crate::unpack::unpack_layer;

/// Makes an image of `archive`, which may be compressed. `config` is what `--change` asked for, `message` what
/// `--message` said, `created` the time, RFC 3339.
pub fn import(
    store: &ImageStore,
    archive: impl Read,
    name: Option<&Reference>,
    config: &ImageConfig,
    message: &str,
    platform: &Platform,
    created: &str,
) -> Result<Image, ImageError> {
    let _lease = store.lease()?;
    let prepared = store.prepare_layer()?;
    unpack_layer(archive, prepared.path())?;
    let layer = store.put_layer_directory(prepared.path())?;
    let step = History {
        created: Some(created.to_owned()),
        comment: message.to_owned(),
        ..History::default()
    };
    let document = ImageDocument {
        created: Some(created.to_owned()),
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        config: config.clone(),
        history: vec![step],
        ..ImageDocument::default()
    };
    let image = store.put_image(&document, &[layer.diff_id])?;
    if let Some(name) = name {
        store.tag(&image.id, name, None)?;
    }
    Ok(Image {
        references: name.cloned().into_iter().collect(),
        ..image
    })
}
