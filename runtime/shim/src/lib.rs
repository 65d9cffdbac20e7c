//! The shim: one small single-threaded process per container that builds it and keeps it.
//! **Invariant:** it needs nobody else alive, and nothing here starts a thread.

pub mod protocol;
