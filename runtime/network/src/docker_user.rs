//! Beside Docker, whose own forward chain drops by policy: accepting rules for our bridges in `ip filter DOCKER-USER`, the
//! chain Docker keeps for its host's owner.
//!
//! **Invariant:** without that chain nothing is run and nothing changed; rules of others are never touched.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::error::NetworkError;
use crate::firewall::Nft;
use crate::nf_tables::{IPV4, chain_exists};

const TABLE: &str = "filter";
const CHAIN: &str = "DOCKER-USER";

/// Whether Docker's chain is there.
pub(crate) fn present() -> Result<bool, NetworkError> {
    chain_exists(IPV4, TABLE, CHAIN)
}

/// Makes the rules in `DOCKER-USER` that let `bridges` forward; removes ours for the bridges in `gone`.
pub(crate) fn synchronise(nft: &Nft, bridges: &[&str], gone: &[&str]) -> Result<(), NetworkError> {
    if !present()? {
        return Ok(());
    }
    let listing = nft.run(&["-a", "list", "chain", "ip", TABLE, CHAIN], "")?;
    let script = changes(&listing, bridges, gone);
    if script.is_empty() {
        Ok(())
    } else {
        nft.run(&["-f", "-"], &script).map(drop)
    }
}

/// The `nft` commands that turn the chain as listed into the one wanted.
fn changes(listing: &str, bridges: &[&str], gone: &[&str]) -> String {
    let mut present = BTreeSet::new();
    // Writing to a String cannot fail.
    let mut script = String::new();
    for line in listing.lines().map(str::trim) {
        let Some((rule, handle)) = line.split_once(" # handle ") else {
            continue;
        };
        let Some(bridge) = bridges
            .iter()
            .chain(gone)
            .find(|bridge| rules(bridge).iter().any(|own| own == rule))
        else {
            continue;
        };
        if gone.contains(bridge) {
            let _ = writeln!(script, "delete rule ip {TABLE} {CHAIN} handle {handle}");
        } else {
            present.insert(rule.to_owned());
        }
    }
    for rule in bridges
        .iter()
        .flat_map(|bridge| rules(bridge))
        .filter(|rule| !present.contains(rule))
    {
        let _ = writeln!(script, "insert rule ip {TABLE} {CHAIN} {rule}");
    }
    script
}

/// Plain matches, which `iptables` can list too; our own table still decides what may pass.
fn rules(bridge: &str) -> [String; 2] {
    [
        format!("iifname \"{bridge}\" accept"),
        format!("oifname \"{bridge}\" accept"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_inserted_and_only_ours_is_deleted() {
        let listing = "table ip filter {\n\tchain DOCKER-USER { # handle 1\n\
            \t\tiifname \"rc-web\" accept # handle 7\n\
            \t\tiifname \"rc-old\" accept # handle 8\n\
            \t\tiifname \"eth1\" accept # handle 9\n\
            \t\tcounter packets 0 bytes 0 return # handle 2\n\t}\n}\n";
        assert_eq!(
            changes(listing, &["rc-web"], &["rc-old"]),
            "delete rule ip filter DOCKER-USER handle 8\n\
             insert rule ip filter DOCKER-USER oifname \"rc-web\" accept\n"
        );
    }
}
