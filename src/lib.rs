//! The rcompose engine.
