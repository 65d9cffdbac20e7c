//! The rcompose engine.

pub mod diagnostic;
pub mod source;
