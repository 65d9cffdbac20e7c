//! Git repositories as build contexts, sources of `ADD`, and homes of compose files: what an address means, and its files.
//! **Invariant:** nothing of an address is ever an option or a program for `git`.

mod address;
mod program;

pub use address::GitAddress;
pub use program::Git;
