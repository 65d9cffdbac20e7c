//! The rcompose engine: Compose files in, running containers out, by the flow load, plan, execute.

pub mod cli;
pub mod commands;
pub mod diagnostic;
pub mod engine;
pub mod error;
pub mod event;
pub mod graph;
pub mod logs;
pub mod model;
pub mod plan;
pub mod source;
pub mod state;
pub mod ui;
pub mod watch;
