//! The door of the runtime: the one crate the engine imports. In: requests in the terms of users. Out: states.
//! **Invariant:** a decision of the engine is never taken here; every effect has a deterministic name and survives a cut anywhere.

mod atomic;
mod build;
pub mod complete;
mod container;
mod etc_files;
pub mod fake;
mod host;
mod host_identity;
mod host_view;
mod image;
mod inside;
mod local;
mod network;
mod observe;
mod peers;
mod ports;
mod process;
mod record;
mod repair;
pub mod request;
mod root;
pub mod runtime;
mod start;
mod start_plan;
pub mod state;
mod top;
mod usage;
mod volume;
mod wait;
mod wire;

/// The store of images and its registries, for those who pull and build.
pub use rcompose_image as image_store;

pub use build::BuildRunner;
pub use fake::FakeRuntime;
pub use image::{HOST, ImageTrees};
pub use inside::{AttachSession, ExecSession};
pub use local::LocalRuntime;
pub use process::KeptProcess;
pub use rcompose_container::cgroup::Statistics;
pub use rcompose_container::spec::ProcessKeeper;
pub use root::{DEFAULT_DATA_ROOT, DEFAULT_RUN_ROOT, Roots};
pub use runtime::{Runtime, RuntimeError};
pub use top::ProcessRow;
pub use usage::{ContainerFiles, VolumeUsage};
