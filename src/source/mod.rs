//! From files to one tree: paths, flags and environment come in, a merged and interpolated [`node::Node`] goes out.
//! **Invariant:** every scalar keeps the file and the bytes it was written at; only `load` touches the disk.

pub mod dotenv;
pub mod env;
pub mod interpolate;
pub mod node;
pub mod path;
pub mod span;
pub mod template;
pub mod yaml;
