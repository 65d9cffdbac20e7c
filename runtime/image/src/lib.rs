//! Images: names, registries, the local store, archives. Bytes from elsewhere in, verified layer directories out.
//! **Invariant:** no content enters the store before its digest is checked, and no archive entry leaves its directory.

pub mod archive;
mod attestation;
mod auth;
pub mod build;
mod byte_size;
mod commit;
mod compression;
pub mod configuration;
pub mod digest;
mod download;
pub mod error;
mod flatten;
pub mod git;
mod hashing_writer;
mod image;
pub mod image_config;
pub mod layer_tar;
mod lock;
pub mod manifest;
mod package_url;
pub mod platform;
pub mod published;
pub mod pull;
pub mod push;
pub mod reference;
mod registry;
#[cfg(test)]
mod sample_tar;
mod sbom;
pub mod store;
mod tar_stream;
pub mod unpack;
mod workers;

pub use attestation::Attestation;
pub use auth::{AuthError, Keeper};
pub use commit::{Committed, commit};
pub use configuration::{Configuration, ConfigurationError, RegistryConfiguration};
pub use digest::{Digest, DigestError};
pub use error::ImageError;
pub use flatten::{ChangeKind, TreeChange, differences, export};
pub use image::Image;
pub use image_config::{HealthCheck, History, ImageConfig, ImageDocument};
pub use platform::{Platform, PlatformError};
pub use pull::{Described, PullError, PullEvent, PullPhase, describe, pull, pull_layers};
pub use push::{Delivery, PushError, PushEvent, PushPhase, Pushed, deliver, push, push_image};
pub use reference::{Reference, ReferenceError};
pub use registry::{Proxies, RegistryError, log_in, log_out, registry_name, try_kept_login};
pub use sbom::SbomError;
pub use store::{Collected, ImageStore, Layer, Lease, PreparedLayer, Removal};
