//! The `rcompose` program.
fn main() {}
