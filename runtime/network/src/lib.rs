//! rcompose network.
