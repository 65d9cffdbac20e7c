//! In: names of images. Out: what containers are made from, the host's own root included, and what is in use.
//! **Invariant:** a layer in use is never collected: the store's lease is held until the container that names it is on record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rcompose_container::spec::MountSource;
use rcompose_image::{Image, ImageConfig, ImageError, ImageStore, Lease, PreparedLayer};

use crate::complete::ImageView;
use crate::container::{read_spec, text};
use crate::host_view::{self, Hidden};
use crate::local::LocalRuntime;
use crate::root;
use crate::runtime::RuntimeError;

/// The image that is the host's own root, seen copy-on-write; also its id.
pub use rcompose_image::build::HOST;

/// What the files of two images are merged from.
#[derive(Debug)]
pub struct ImageTrees {
    /// Directories of each, top-most first.
    pub lower: [Vec<PathBuf>; 2],
    _marks: Option<PreparedLayer>,
    _lease: Lease,
}

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
    pub(crate) fn image_lease(&self) -> Result<Lease, RuntimeError> {
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
            return Ok(Some(view_of_host()));
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
            stands_on_host: image.host.is_some(),
            config: image.config,
            layers,
        }))
    }

    /// What the files of two images are merged from, the host's included where they stand on it; to be read while the value lives.
    pub fn image_trees(&self, images: [&Image; 2]) -> Result<ImageTrees, RuntimeError> {
        let lease = self.image_lease()?;
        let on_host = images.iter().any(|image| image.host.is_some());
        let marks = on_host
            .then(|| self.mark_host(&host_view::parts_of_this_host(&self.roots)))
            .transpose()?;
        let lower = images.map(|image| {
            let host = image.host.and(marks.as_ref());
            let host = host
                .into_iter()
                .flat_map(|marks| [marks.path().to_owned(), "/".into()]);
            image.layer_directories().into_iter().chain(host).collect()
        });
        Ok(ImageTrees {
            lower,
            _marks: marks,
            _lease: lease,
        })
    }

    /// A directory of marks that hide parts of this host; gone with the value.
    pub(crate) fn mark_host(
        &self,
        hidden: &BTreeMap<PathBuf, Hidden>,
    ) -> Result<PreparedLayer, RuntimeError> {
        host_view::can_be_base()?;
        let marks = self.images()?.prepare_layer().map_err(image_error)?;
        host_view::mark(marks.path(), hidden)?;
        Ok(marks)
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

fn view_of_host() -> ImageView {
    let config = ImageConfig {
        cmd: Some(vec!["/bin/sh".to_owned()]),
        env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
        ..ImageConfig::default()
    };
    ImageView {
        id: HOST.to_owned(),
        config,
        layers: Vec::new(),
        stands_on_host: true,
    }
}

/// An error of the store as one of the runtime.
pub(crate) fn image_error(error: ImageError) -> RuntimeError {
    RuntimeError::Io {
        what: "look into the store of images".to_owned(),
        source: std::io::Error::other(error),
    }
}
