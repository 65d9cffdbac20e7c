//! From files to one tree: paths, flags and environment come in, a merged and interpolated [`node::Node`] goes out.
//! **Invariant:** every scalar keeps the file and the bytes it was written at; only `load` touches the disk.

pub mod node;
pub mod path;
pub mod span;
