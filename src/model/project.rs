//! In: decoded parts. Out: [`Project`], the whole of what the files ask for.
//! **Invariant:** every reference between parts (`depends_on`, networks, volumes, configs, secrets) resolves.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::Utf8PathBuf;
use indexmap::IndexMap;

use super::file_object::FileObject;
use super::name::{NetworkKey, ProjectName, ServiceName, VolumeKey};
use super::network::Network;
use super::service::Service;
use super::volume::Volume;

/// A project, decoded, normalised and consistent.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// Absolute directory that relative paths start from.
    pub directory: Utf8PathBuf,
    /// Enabled services, in file order.
    pub services: IndexMap<ServiceName, Service>,
    /// Services switched off by profiles (known, so that their containers are no orphans).
    pub disabled: IndexMap<ServiceName, Service>,
    /// Networks that an enabled service uses, `default` included when implied.
    pub networks: IndexMap<NetworkKey, Network>,
    /// Named volumes.
    pub volumes: IndexMap<VolumeKey, Volume>,
    /// Top-level `configs`.
    pub configs: IndexMap<String, FileObject>,
    /// Top-level `secrets`.
    pub secrets: IndexMap<String, FileObject>,
}
