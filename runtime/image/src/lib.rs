//! rcompose image.
