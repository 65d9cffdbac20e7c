//! In: the runtime. Out: [`Observed`], one snapshot of everything a plan may depend on.
//! **Invariant:** each question is asked once, and nothing is changed.

use rcompose_runtime::{Runtime, RuntimeError};

use super::step::ImageSource;
use crate::plan::{ImageState, Observed, Wanted};

/// Looks at a project's containers, networks, volumes and images, and at external ones that it names.
///
/// # Errors
/// The runtime's records cannot be read.
pub fn observe(
    runtime: &dyn Runtime,
    images: &dyn ImageSource,
    wanted: &Wanted,
) -> Result<Observed, RuntimeError> {
    let mut observed = Observed {
        containers: runtime.containers(&wanted.project)?,
        ..Observed::default()
    };
    for network in runtime.networks(&wanted.project)? {
        observed.networks.insert(network.request.name.clone(), network);
    }
    for volume in runtime.volumes(&wanted.project)? {
        observed.volumes.insert(volume.request.name.clone(), volume);
    }
    for name in wanted.networks.keys() {
        if !observed.networks.contains_key(name)
            && let Some(network) = runtime.network(name)?
        {
            observed.networks.insert(name.clone(), network);
        }
    }
    for name in wanted.volumes.keys() {
        if !observed.volumes.contains_key(name)
            && let Some(volume) = runtime.volume(name)?
        {
            observed.volumes.insert(name.clone(), volume);
        }
    }
    for service in wanted.services.values() {
        let reference = &service.image.reference;
        if !observed.images.contains_key(reference)
            && let Some(id) = runtime.image_id(reference)?
        {
            let age = images.age(reference);
            observed.images.insert(reference.clone(), ImageState { id, age });
        }
    }
    Ok(observed)
}
