//! Everything that drives rcompose as its users do: through the binary, on a real kernel, with real registries and services.
//! Tests whose names contain `privileged` make kernel objects and need root; they fail, never skip, without it.

#[cfg(test)]
mod attestations;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod builder;
#[cfg(test)]
mod builds;
#[cfg(test)]
mod check;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod dockerfile;
#[cfg(test)]
mod dockerfiles;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod follow;
#[cfg(test)]
mod foreground;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod from_host;
mod host;
#[cfg(test)]
mod host_image;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod image_verbs;
#[cfg(test)]
mod images;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod one_off;
#[cfg(test)]
mod operate;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod pulls;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod remotes;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod runtime;
#[cfg(test)]
mod shared_cache;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod store_crash;
#[cfg(test)]
mod toml;
#[cfg(test)]
mod wordpress;
