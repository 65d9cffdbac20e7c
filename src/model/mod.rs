//! In: the canonical tree of a project. Out: the typed [`Project`], which cannot be invalid.
//! **Invariant:** no I/O; every value a later diagnostic may point at keeps its span.

pub mod build;
pub mod deploy;
pub mod develop;
pub mod file_object;
pub mod health;
pub mod mount;
pub mod name;
pub mod network;
pub mod port;
pub mod project;
pub mod service;
pub mod units;
pub mod volume;

pub use name::{ProjectName, ServiceName};
pub use project::Project;
pub use service::Service;
