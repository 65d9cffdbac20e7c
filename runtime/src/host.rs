//! In: this machine. Out: what containers may rely on, or one sentence on what is missing and what to do about it.
//! **Invariant:** asked before anything is created; asking changes nothing.

use std::fs;

use rcompose_container::cgroup::Layout;
use rcompose_network::firewall::Nft;
use rcompose_network::upstream::{RESOLV_CONF, ResolvConf, SYSTEMD_RESOLV_CONF};

use crate::runtime::RuntimeError;

/// What this machine offers.
#[derive(Debug)]
pub(crate) struct Host {
    /// The program `nft`.
    pub(crate) nft: Nft,
    /// How many processors this process may use.
    pub(crate) processors: usize,
}

impl Host {
    /// Looks at everything containers need.
    pub(crate) fn inspect() -> Result<Self, RuntimeError> {
        let lacks = |what: &str, remedy: &str| RuntimeError::Host {
            what: what.to_owned(),
            remedy: remedy.to_owned(),
        };
        if !rustix::process::geteuid().is_root() {
            return Err(lacks(
                "containers need root privileges",
                "run the command with sudo",
            ));
        }
        let path = std::env::var_os("PATH");
        let nft = Nft::locate(path.as_deref())
            .map_err(|_| lacks("the program nft is missing", "install the package nftables"))?;
        let file_systems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !file_systems
            .lines()
            .any(|line| line.trim_end().ends_with("\toverlay"))
        {
            return Err(lacks(
                "this kernel has no overlay file system",
                "load it with `modprobe overlay`",
            ));
        }
        Layout::detect().map_err(|error| {
            lacks(
                &format!("control groups are not usable: {error}"),
                "mount them, such as with `mount -t cgroup2 none /sys/fs/cgroup`",
            )
        })?;
        Ok(Self {
            nft,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }
}

/// The host's resolver configuration: its text, and what is understood of it.
pub(crate) fn resolver() -> (String, ResolvConf) {
    let text = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
    let systemd = fs::read_to_string(SYSTEMD_RESOLV_CONF).ok();
    let parsed = ResolvConf::of_host(&text, systemd.as_deref());
    (text, parsed)
}

/// The host's name.
pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
