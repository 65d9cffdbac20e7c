//! The rcompose engine.

pub mod diagnostic;
pub mod source;
pub mod model;
pub mod engine;
pub mod event;
pub mod graph;
pub mod plan;
pub mod state;
