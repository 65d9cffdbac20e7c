//! The door on this host's kernel, with the real shim: run as root, with nftables and busybox-static.

#[cfg(test)]
mod containers;
#[cfg(test)]
mod joined;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod scene;
