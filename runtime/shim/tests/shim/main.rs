//! The shim as a process, with real containers: namespaces, control groups and an overlay of busybox. Needs root.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test fails on every reply but the one it names"
)]

#[cfg(test)]
mod adoption;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod health;
#[cfg(test)]
mod life;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod names;
#[cfg(test)]
mod process;
#[cfg(test)]
mod streams;
