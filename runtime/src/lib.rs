//! The door of the runtime: the one crate the engine imports. In: requests in the terms of users. Out: states.
//! **Invariant:** a decision of the engine is never taken here; every effect has a deterministic name and survives a cut anywhere.

pub mod fake;
pub mod request;
pub mod runtime;
pub mod state;

pub use fake::FakeRuntime;
pub use runtime::{Runtime, RuntimeError};
