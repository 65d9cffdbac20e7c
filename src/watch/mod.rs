//! In: a running project and its files. Out: triggers when something that counts was saved.
//! **Invariant:** the only way back into the flow; what a change means is decided in `rules`, by pure code.

pub mod files;
pub mod ignored;
pub mod rules;
pub mod sync;
