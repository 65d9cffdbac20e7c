//! In: what a thing is called by its users. Out: the name or hardware address of its kernel object, the same each time.
//!
//! **Invariant:** two data roots never get the same name for different things.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest name the kernel takes for an interface: `IFNAMSIZ` less its NUL (netdevice(7)).
pub const INTERFACE_NAME_MAX: usize = 15;

/// What every bridge of ours begins with, unless the user named it.
pub const BRIDGE_PREFIX: &str = "rc-";

/// What the host end of every veth of ours begins with.
pub const VETH_PREFIX: &str = "rv";

/// The bridge of `network`: `rc-<network>` when that is a valid interface name and `default_root` says that the data
/// root is the default one; else five characters of the name and a hash of root and name.
pub fn bridge_name(network: &str, data_root: &Path, default_root: bool) -> String {
    let plain = format!("{BRIDGE_PREFIX}{network}");
    if default_root && is_interface_name(&plain) {
        return plain;
    }
    let start: String = network
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(5)
        .collect();
    let hash = fold(hash(&[data_root.as_os_str().as_bytes(), network.as_bytes()]), 24);
    format!("{BRIDGE_PREFIX}{start}-{hash:06x}")
}

/// The host end of a container's veth: begins with the container's id, differs for each network and each start.
pub fn veth_name(container_id: &str, network: &str, attempt: u32) -> String {
    let id: String = container_id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    let parts = [
        container_id.as_bytes(),
        network.as_bytes(),
        &attempt.to_be_bytes(),
    ];
    format!("{VETH_PREFIX}{id}{:05x}", fold(hash(&parts), 20))
}

/// The nftables table of a data root: `rcompose` for the default one, `rcompose_<hash>` for others.
pub fn table_name(data_root: &Path, default_root: bool) -> String {
    if default_root {
        return "rcompose".to_owned();
    }
    format!(
        "rcompose_{:08x}",
        fold(hash(&[data_root.as_os_str().as_bytes()]), 32)
    )
}

/// The hardware address that goes with `address`: locally administered, and the same whenever the address is given
/// again, so neighbours' ARP caches stay right.
pub fn mac_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x72, a, b, c, d]
}

/// Whether the kernel takes `name` for an interface (`dev_valid_name`): 1 to 15 bytes, no `/`, `:` or space, not a dot name.
pub fn is_interface_name(name: &str) -> bool {
    (1..=INTERFACE_NAME_MAX).contains(&name.len())
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"/:%".contains(&byte))
}

/// FNV-1a over the parts with a separator: spread, not secrecy, is what names need.
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    parts.iter().fold(OFFSET, |hash, part| {
        step(part.iter().copied().fold(hash, step), 0)
    })
}

/// The hash folded to its `bits` low bits, so that all of it counts.
fn fold(hash: u64, bits: u32) -> u64 {
    (hash ^ (hash >> bits) ^ (hash >> (2 * bits).min(63))) & ((1 << bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_root_keeps_readable_names_and_others_are_told_apart() {
        let default = Path::new("/var/lib/rcompose");
        assert_eq!(bridge_name("shop_default", default, true), "rc-shop_default");
        let long = bridge_name("wordpress_default", default, true);
        assert!(long.starts_with("rc-wordp-") && long.len() == 15, "{long}");
        assert_ne!(long, bridge_name("wordpress_backend", default, true));
        let first = bridge_name("web", Path::new("/tmp/a"), false);
        assert_ne!(first, bridge_name("web", Path::new("/tmp/b"), false));
        assert!(is_interface_name(&first), "{first}");
        assert_ne!(
            table_name(Path::new("/tmp/a"), false),
            table_name(Path::new("/tmp/b"), false)
        );
        assert_eq!(table_name(default, true), "rcompose");
    }

    #[test]
    fn a_name_the_kernel_refuses_never_comes_out() {
        for network in ["", "a/b", "a b", "..", "ünïcödé", "a:b", "12345678901234567890"] {
            let name = bridge_name(network, Path::new("/var/lib/rcompose"), true);
            assert!(is_interface_name(&name), "{network} -> {name}");
        }
        assert!(!is_interface_name("a-name-over-15-b"));
    }

    #[test]
    fn each_start_and_each_network_gets_a_fresh_veth() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let names: std::collections::BTreeSet<_> = (0..50)
            .flat_map(|attempt| ["web", "db"].map(|network| veth_name(id, network, attempt)))
            .collect();
        assert_eq!(names.len(), 100);
        assert!(
            names
                .iter()
                .all(|name| name.starts_with("rv01234567") && is_interface_name(name))
        );
    }
}
