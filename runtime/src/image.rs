//! In: names of images. Out: what containers are made from, the host's own root included, and what is in use.
//! **Invariant:** a layer in use is never collected: the store's lease is held until the container that names it is on record.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rcompose_container::spec::MountSource;
use rcompose_image::{ImageConfig, ImageError, ImageStore};

use crate::complete::ImageView;
use crate::container::{read_spec, text};
use crate::local::LocalRuntime;
use crate::root;
use crate::runtime::RuntimeError;

/// The image that is the host's own root, seen copy-on-write; also its id.
pub const HOST: &str = "@host";

impl LocalRuntime {
    /// The store of images of this data root.
    pub fn images(&self) -> Result<&ImageStore, RuntimeError> {
        if let Some(store) = self.images.get() {
            return Ok(store);
        }
        root::directory(self.roots.data(), 0o710)?;
        let store = ImageStore::open(&self.roots.images()).map_err(image_error)?;
        Ok(self.images.get_or_init(|| store))
    }

    /// Keeps images from being collected until it is dropped.
    pub(crate) fn image_lease(&self) -> Result<rcompose_image::Lease, RuntimeError> {
        self.images()?.lease().map_err(image_error)
    }

    /// Notes that a container is made of the image.
    pub(crate) fn note_image_use(&self, id: &str) -> Result<(), RuntimeError> {
        match id.parse() {
            Ok(id) => self.images()?.note_use(&id).map_err(image_error),
            Err(_) => Ok(()),
        }
    }

    /// A local image, if it is there.
    pub(crate) fn image_view(&self, reference: &str) -> Result<Option<ImageView>, RuntimeError> {
        if reference == HOST {
            return Ok(Some(host_view()));
        }
        if !self.roots.images().exists() {
            return Ok(None);
        }
        let Some(image) = self.images()?.find(reference).map_err(image_error)? else {
            return Ok(None);
        };
        let layers = image
            .layer_directories()
            .iter()
            .map(|path| text(path))
            .collect::<Result<_, _>>()?;
        Ok(Some(ImageView {
            id: image.id.to_string(),
            config: image.config,
            layers,
        }))
    }

    /// Ids of the images that containers of any project use.
    pub fn images_in_use(&self) -> Result<BTreeSet<String>, RuntimeError> {
        let mut used = BTreeSet::new();
        for located in self.located_everywhere()? {
            used.insert(located.record.image_id);
        }
        Ok(used)
    }

    /// Directories of layers that containers of any project are made of; a collection of the store must spare them.
    pub fn layers_in_use(&self) -> Result<BTreeSet<PathBuf>, RuntimeError> {
        let mut used = BTreeSet::new();
        for located in self.located_everywhere()? {
            let spec = read_spec(&located.directory)?;
            used.extend(spec.rootfs.lower.iter().map(PathBuf::from));
            for mount in &spec.mounts {
                if let MountSource::Layers { lower, .. } = &mount.source {
                    used.extend(lower.iter().map(PathBuf::from));
                }
            }
        }
        Ok(used)
    }
}

fn host_view() -> ImageView {
    let config = ImageConfig {
        cmd: Some(vec!["/bin/sh".to_owned()]),
        env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
        ..ImageConfig::default()
    };
    ImageView {
        id: HOST.to_owned(),
        config,
        layers: vec!["/".to_owned()],
    }
}

/// An error of the store as one of the runtime.
pub(crate) fn image_error(error: ImageError) -> RuntimeError {
    RuntimeError::Io {
        what: "look into the store of images".to_owned(),
        source: std::io::Error::other(error),
    }
}
