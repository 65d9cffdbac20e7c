//! The container: from a resolved spec to a running first process, by one clone3 in a single-threaded program.
//! **Invariant:** no threads, no allocation-heavy frameworks, no decision that the engine could have taken.

mod beneath;
pub mod capability;
pub mod cgroup;
mod copy_up;
pub mod create;
pub mod defaults;
pub mod device;
pub mod exec;
pub mod host;
pub mod host_base;
mod identity;
mod init;
mod launch;
mod mask;
mod message;
mod mount;
mod namespace;
mod reaper;
pub mod rlimit;
mod rootfs;
pub mod seccomp;
pub mod signal;
pub mod spec;
pub mod sysctl;
mod system_mounts;
mod tty;
mod user_mounts;
