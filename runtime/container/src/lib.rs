//! rcompose container.
