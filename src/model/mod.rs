//! In: the merged tree of a project's files. Out: the typed [`Project`], which cannot be invalid.
//! **Invariant:** only `load` and what it calls (`env_file`, `service_files`) reads, by way of `source`; every value a later
//! diagnostic may point at keeps its span.

pub mod attestation;
pub mod build;
pub mod build_cache;
mod cast;
pub mod checked;
mod command_line;
mod consequence;
pub mod cycle;
pub mod decode;
pub mod deploy;
pub mod develop;
pub mod env_file;
mod expand;
mod fields;
pub mod file_object;
pub mod health;
pub mod key_span;
pub mod load;
pub mod mount;
pub mod name;
pub mod network;
pub mod normalise;
pub mod port;
pub mod profile;
pub mod project;
pub mod provenance;
pub mod schema;
pub mod service;
mod service_files;
mod snippet;
pub mod units;
pub mod validate;
pub mod volume;

pub use checked::Checked;
pub use load::{Options, Outcome, check, load};
pub use name::{ProjectName, ServiceName};
pub use project::Project;
pub use service::Service;
