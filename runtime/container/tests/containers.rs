//! Containers made for real, looked at from inside: needs root and busybox (Debian's busybox-static).
//! A program of its own with one thread, since only such a one may clone; it takes libtest's arguments, so `cargo test` and nextest can drive it.

#[cfg(test)]
#[path = "containers/cases.rs"]
mod cases;
#[cfg(test)]
#[path = "containers/sandbox.rs"]
mod sandbox;
#[cfg(test)]
#[path = "containers/walls.rs"]
mod walls;

#[cfg(test)]
fn main() {
    cases::main();
}

#[cfg(not(test))]
fn main() {}
