//! The shim: one small single-threaded process per container that builds it and keeps it.
//! **Invariant:** it needs nobody else alive, and nothing here starts a thread.

mod bridge_removal;
pub mod client;
mod clock;
mod control;
mod deafness;
mod error;
pub mod health;
mod kept;
pub mod logs;
mod netns;
mod packet;
mod process_identity;
mod program;
pub mod protocol;
pub mod record;
mod resolver;
pub mod restart;
mod shim;
mod siblings;
pub mod spawn;
mod stdio;

pub use bridge_removal::spawn_bridge_removal;
pub use client::ShimClient;
pub use error::ShimError;
pub use process_identity::{boot_id, start_time};
pub use program::main;
pub use spawn::{Mode, StartupHandle, spawn};

/// The control socket in a run directory.
pub const CONTROL_SOCKET: &str = "control.sock";
/// The plan for one start in a run directory, a [`protocol::StartPlan`] written by the engine.
pub const START_FILE: &str = "start.cbor";
/// The state in a run directory, a [`record::State`] written by the shim.
pub const STATE_FILE: &str = "state.json";
/// The lock in a run directory: a shim lives exactly while it is held.
pub const LOCK_FILE: &str = "lock";
/// The workload in a data directory, a [`rcompose_container::spec::Workload`] written by the engine.
pub const SPEC_FILE: &str = "spec.cbor";
/// The exit record in a data directory, a [`record::ExitRecord`] written by the shim.
pub const EXIT_FILE: &str = "exit.json";

/// Signal numbers (signal(7), the same on every architecture Rust knows Linux on but MIPS, SPARC and Alpha).
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
