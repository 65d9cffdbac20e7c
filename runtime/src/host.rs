//! In: this machine. Out: what containers may rely on, or one sentence on what is missing and what to do about it.
//! **Invariant:** asked before anything is created; asking changes nothing.

use std::fs;

use rcompose_container::cgroup::{self, Layout};
use rcompose_container::host::Lack;
use rcompose_container::rlimit;
use rcompose_network::firewall::Nft;
use rcompose_network::upstream::{RESOLV_CONF, ResolvConf, SYSTEMD_RESOLV_CONF};

use crate::complete::asked_limits;
use crate::request::ContainerRequest;
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
        if let Some(Lack { what, remedy }) = rcompose_container::host::missing().into_iter().next() {
            return Err(RuntimeError::Host { what, remedy });
        }
        let path = std::env::var_os("PATH");
        let nft = Nft::locate(path.as_deref()).map_err(|_| RuntimeError::Host {
            what: "the program nft is missing".into(),
            remedy: "install the package nftables".into(),
        })?;
        Ok(Self {
            nft,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }
}

/// What of a request this host cannot honour, in words.
pub(crate) fn unsupported(request: &ContainerRequest) -> Vec<String> {
    let (group, limits) = asked_limits(request);
    let layout = Layout::detect().unwrap_or_default();
    let mut sentences = cgroup::unsupported(&layout, &group);
    sentences.extend(rlimit::unsupported(&limits));
    sentences
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
