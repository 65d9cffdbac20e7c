//! rcompose sys.
