//! From files to one tree: paths, flags and environment come in, a merged and interpolated [`node::Node`] goes out.
//! **Invariant:** every scalar keeps the file and the bytes it was written at; only `load` touches the disk, by `disk`, `input`
//! and `env`.

pub mod canonical;
pub mod comments;
pub mod convert;
mod discover;
mod disk;
pub mod dotenv;
pub mod emit;
pub mod env;
mod history;
pub mod home;
pub mod implied;
mod input;
pub mod interpolate;
pub mod load;
pub mod longhand;
pub mod mapping;
pub mod merge;
mod name;
pub mod node;
pub mod parallel;
pub mod path;
pub mod port_budget;
pub mod rebase;
pub mod remote;
pub mod resolve;
pub mod span;
pub mod template;
pub mod toml;
pub mod touched;
pub mod unique;
pub mod written;
pub mod yaml;
