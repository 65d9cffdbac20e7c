//! In: a Dockerfile, its context and the store. Out: an image in the same store that containers run from.
//! **Invariant:** nothing in a context or an image decides more than the content of its own layers.

mod add_sources;
mod attest;
mod builder;
pub mod cache;
mod cached_layer;
mod change;
mod chmod;
mod configure;
mod copy;
mod copy_step;
mod created_by;
mod destination;
pub mod dockerfile;
mod earlier_copy;
pub mod expand;
mod failure;
mod file_batch;
mod fingerprint;
mod foreign;
mod hash_index;
mod identity;
pub mod ignore;
pub mod lint;
mod lint_summary;
mod material;
mod named;
mod on_host;
pub(crate) mod overlay;
mod path_pattern;
mod provenance;
pub mod remote;
mod request;
mod run_mounts;
mod run_step;
mod scope;
mod shared_cache;
mod shell_pattern;
pub mod ssh;
pub mod stage;
mod stage_outcome;
mod stage_run;
mod stage_state;
pub mod step;
mod step_key;
mod stubs;
mod substitute;
mod transfer;
mod unpack_step;
mod workdir_step;
mod written;

pub use builder::{Built, build};
pub use change::change;
pub use failure::pointed_at;
pub use lint_summary::environment_of;
pub use material::Material;
pub use on_host::{HOST, HostBase};
pub use request::{AttestationRequest, ProvenanceRequest, ProvenanceVersion, StepsKept};
pub use request::{BuildError, BuildEvent, BuildRequest, FindImage, NamedContext};
pub use shared_cache::{BringLayer, CacheMode, DoneStep, ImportedCache, cache_image};

#[cfg(test)]
mod tests;
