//! In: values. Out: text for people and scripts: tables, templates, colours, progress, logs, reports.
//! **Invariant:** the only room that prints; it decides nothing.

pub mod age;
pub mod report;
pub mod style;
pub mod table;
pub mod template;
