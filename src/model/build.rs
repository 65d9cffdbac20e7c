//! In: decoded keys. Out: [`Build`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use indexmap::IndexMap;

use super::build_cache::{CacheExport, CacheImport};
use crate::model::attestation::Provenance;
use crate::source::span::Span;

/// `build:` of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Absolute directory, or a URL.
    pub context: String,
    /// Path relative to the context, or absolute; none is `Dockerfile`.
    pub dockerfile: Option<String>,
    /// The Dockerfile's text.
    pub dockerfile_inline: Option<String>,
    /// Build arguments; without a value they come from the project's environment (already resolved; still none when unset).
    pub args: IndexMap<String, Option<String>>,
    /// Stage.
    pub target: Option<String>,
    /// Labels of the image.
    pub labels: IndexMap<String, String>,
    /// Further tags.
    pub tags: Vec<String>,
    /// `network:` of RUN.
    pub network: Option<String>,
    /// `no_cache:`.
    pub no_cache: bool,
    /// `cache_from:`
    pub cache_from: Vec<CacheImport>,
    /// `cache_to:`
    pub cache_to: Vec<CacheExport>,
    /// `no_cache_filter:` names of stages.
    pub no_cache_filter: Vec<String>,
    /// `pull:`.
    pub pull: bool,
    /// `additional_contexts:`.
    pub additional_contexts: IndexMap<String, String>,
    /// `ssh:`, each `id` or `id=path`.
    pub ssh: Vec<String>,
    /// `platforms:`.
    pub platforms: Vec<String>,
    /// `extra_hosts:`.
    pub extra_hosts: Vec<(String, String)>,
    /// `secrets:`: the id that `RUN --mount` knows it by, and its key.
    pub secrets: Vec<(String, String)>,
    /// `shm_size:` in bytes.
    pub shm_size: Option<u64>,
    /// `ulimits:`: name, soft, hard; -1 unlimited.
    pub ulimits: IndexMap<String, (i64, i64)>,
    /// `provenance:`.
    pub provenance: Option<Provenance>,
    /// `sbom:`.
    pub sbom: bool,
    /// Where the key stands.
    pub span: Span,
}

impl Build {
    /// Services whose images have to be there before this build: its contexts `service:NAME`.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let contexts = self.additional_contexts.values();
        contexts.filter_map(|place| place.strip_prefix("service:"))
    }
}
