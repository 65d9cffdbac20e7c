//! rcompose shim.
