//! Everything that drives rcompose as its users do: through the binary, on a real kernel, with real registries and services.
//! Tests whose names contain `privileged` make kernel objects and need root; they fail, never skip, without it.

mod bad_input;
mod crash;
mod host;
mod images;
mod operate;
mod plan;
mod registry;
mod reload;
mod runtime;
mod wordpress;
