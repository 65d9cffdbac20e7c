//! In: what of a Dockerfile stands on `@host`, this machine's own files. Out: the stages, layers and trees it starts from.
//! While a build goes on, the host counts as its lowest layer, whose digest is what is known of it: so every key says on which host a step
//! was done. In the image only a word remains of it ([`ImageDocument::host`](crate::image_config::ImageDocument)).
//! **Invariant:** nothing of the host gets into a layer, and no step done on it is told to builds elsewhere.

use std::path::PathBuf;

use super::builder::Build;
use super::cached_layer::SourceTree;
use super::material::Material;
use super::request::StepsKept;
use super::stage_state::StageState;
use crate::digest::Digest;
use crate::image::Image;
use crate::platform::Platform;

/// The image that is the host's own root.
pub const HOST: &str = "@host";

/// The host's root as a build sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBase {
    /// What is known of it, cheaply: another one when something of it is seen to have changed.
    pub identity: Digest,
    /// What a list of layers ends with that stands on it.
    pub lower: Vec<PathBuf>,
}

impl Build<'_> {
    /// The host's root, looked at once a build.
    pub(super) fn host(&self) -> Result<&HostBase, String> {
        let host = self.host.get_or_init(|| {
            let host = self.runner.host()?;
            self.take(Material::content("rcompose:@host", &host.identity));
            Ok(host)
        });
        host.as_ref().map_err(Clone::clone)
    }

    /// `FROM @host`
    pub(super) fn host_as_base(&self, stage: usize, platform: Platform) -> Result<StageState, String> {
        let here = Platform::host();
        if platform.suits(&here).is_none() {
            return Err(format!("@host is for {here}, not for {platform}"));
        }
        self.refuse_to_tell(stage)?;
        let mut state = StageState::nothing(platform);
        state.layers = vec![self.host()?.identity];
        state.document.config.cmd = Some(vec!["/bin/sh".to_owned()]);
        state.record(format!("FROM {HOST}"), None, None);
        Ok(state)
    }

    /// The layers of an image, lowest first.
    pub(super) fn layers_of(&self, image: &Image) -> Result<Vec<Digest>, String> {
        let mut layers = image.diff_ids.clone();
        if image.host.is_some() {
            // The host as it is now, whatever it was when the image was built.
            layers.insert(0, self.host()?.identity);
        }
        Ok(layers)
    }

    /// The host, if these layers stand on it, and the layers that are in the store.
    pub(super) fn apart<'l>(&self, layers: &'l [Digest]) -> (Option<&HostBase>, &'l [Digest]) {
        match (self.host.get(), layers) {
            (Some(Ok(host)), [first, others @ ..]) if *first == host.identity => (Some(host), others),
            _ => (None, layers),
        }
    }

    /// The layers of a tree, where they say what is in it: of the host less is known, its files are read.
    pub(super) fn telling<'l>(&self, from: &'l SourceTree) -> Option<&'l [Digest]> {
        let layers = from.layers.as_deref()?;
        self.apart(layers).0.is_none().then_some(layers)
    }

    /// Said before the work is done: what the result would be asked to tell elsewhere is true here alone.
    pub(super) fn refuse_to_tell(&self, stage: usize) -> Result<(), String> {
        let request = self.request;
        let asked = [
            ("cache_to", request.steps_kept != StepsKept::Here),
            ("provenance", request.attestations.provenance.is_some()),
            ("sbom", request.attestations.sbom),
        ];
        match asked.iter().find(|(_, is_asked)| *is_asked) {
            Some((key, _)) if self.result.contains(&stage) => Err(format!(
                "{key}: an image that stands on @host is of this machine alone, nothing of it can be told elsewhere; leave `{key}` out, or \
                 copy from a stage on @host into one that starts from an image"
            )),
            _ => Ok(()),
        }
    }
}
