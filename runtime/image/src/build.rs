//! In: a Dockerfile, its context and the store. Out: an image in the same store that containers run from.
//! **Invariant:** nothing in a context or an image decides more than the content of its own layers.

pub mod dockerfile;
pub mod expand;
pub mod ignore;
