//! The container: from a resolved spec to a running first process, by one clone3 in a single-threaded program.
//! **Invariant:** no threads, no allocation-heavy frameworks, no decision that the engine could have taken.

pub mod spec;
