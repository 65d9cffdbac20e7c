//! In: network namespaces as descriptors. Out: the shim's one thread moved between its container's and the host's.
//! **Invariant:** what runs in the host's namespace is one closure; a return that fails ends the shim rather than letting it go on in the wrong one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::ShimError;

/// The host's namespace and the container's.
#[derive(Debug)]
pub(crate) struct Namespaces {
    host: OwnedFd,
    container: OwnedFd,
}

impl Namespaces {
    /// The namespace the shim was started in is both, until [`Self::unshare`] or [`Self::join`].
    pub(crate) fn current() -> Result<Self, ShimError> {
        Ok(Namespaces {
            host: own()?,
            container: own()?,
        })
    }

    /// Moves into a new, empty namespace.
    pub(crate) fn unshare(&mut self) -> Result<(), ShimError> {
        rcompose_sys::process::unshare(rcompose_sys::process::flag::NEW_NETWORK)
            .map_err(ShimError::system("make a network namespace"))?;
        self.container = own()?;
        Ok(())
    }

    /// Moves into the namespace of the process `pid`, the caller having made sure who that is.
    pub(crate) fn join(&mut self, pid: i32) -> Result<(), ShimError> {
        let target = open(&format!("/proc/{pid}/ns/net"))?;
        enter(target.as_fd())?;
        self.container = target;
        Ok(())
    }

    /// Moves into the container's namespace, wherever the shim was. Called before anything is cloned.
    pub(crate) fn enter_container(&self) -> Result<(), ShimError> {
        enter(self.container.as_fd())
    }

    /// Lets go of the container's namespace: it ends when its last process does.
    pub(crate) fn leave(self) -> Result<(), ShimError> {
        enter(self.host.as_fd())
    }

    /// Runs `open` in the host's namespace: the sockets it opens stay there.
    pub(crate) fn in_host<T>(&self, open: impl FnOnce() -> T) -> Result<T, ShimError> {
        enter(self.host.as_fd())?;
        let opened = open();
        if enter(self.container.as_fd()).is_err() {
            // Going on here would start the container's next process in the host's network.
            std::process::abort();
        }
        Ok(opened)
    }
}

fn own() -> Result<OwnedFd, ShimError> {
    open("/proc/self/ns/net")
}

fn open(path: &str) -> Result<OwnedFd, ShimError> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(ShimError::system(format!("open {path}")))
}

fn enter(namespace: BorrowedFd<'_>) -> Result<(), ShimError> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
        .map_err(ShimError::system("enter a network namespace"))
}
