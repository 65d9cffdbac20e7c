//! In: values. Out: text for people and scripts: tables, templates, colours, progress, logs, reports.
//! **Invariant:** the only room that prints; it decides nothing.

pub mod age;
pub mod container_view;
pub mod follower;
pub mod log_view;
pub mod print;
pub mod progress;
pub mod provenance;
pub mod relay;
pub mod report;
pub mod style;
pub mod table;
pub mod template;
pub mod terminal;
