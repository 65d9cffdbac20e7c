//! The few requests to nftables that are too frequent for the `nft` program: a small ruleset as one batch, and whether a
//! table or chain exists (`linux/netfilter/nf_tables.h`, `linux/netfilter/nfnetlink.h`).
//!
//! **Invariant:** a batch takes effect whole or not at all.

use rustix::io::Errno;

use crate::attribute::{ACK, Message};
use crate::error::NetworkError;
use crate::netlink::Netlink;

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_SUBSYS_NFTABLES: u16 = 10;

pub(crate) const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
pub(crate) const NFT_MSG_DELTABLE: u16 = 2;
pub(crate) const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_GETCHAIN: u16 = 4;
pub(crate) const NFT_MSG_NEWRULE: u16 = 6;

pub(crate) const NFTA_TABLE_NAME: u16 = 1;
pub(crate) const NFTA_CHAIN_TABLE: u16 = 1;
pub(crate) const NFTA_CHAIN_NAME: u16 = 3;

/// `NFPROTO_INET`.
pub(crate) const INET: u8 = 1;
/// `NFPROTO_IPV4`.
pub(crate) const IPV4: u8 = 2;

/// A message to nftables of type `kind`: the header is `struct nfgenmsg`.
pub(crate) fn message(kind: u16, flags: u16, family: u8) -> Message {
    Message::new(NFNL_SUBSYS_NFTABLES << 8 | kind, flags).fixed(&[family, 0, 0, 0])
}

/// Applies `messages` as one transaction.
pub(crate) fn commit(
    netlink: &mut Netlink,
    messages: impl IntoIterator<Item = Message>,
) -> Result<(), Errno> {
    let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    let frame = |kind, flags| Message::new(kind, flags).fixed(&[0, 0, high, low]);
    let mut bytes = frame(NFNL_MSG_BATCH_BEGIN, 0).finish(netlink.next_sequence())?;
    let mut last = 0;
    for message in messages {
        last = netlink.next_sequence();
        bytes.extend_from_slice(&message.finish(last)?);
    }
    bytes.extend_from_slice(&frame(NFNL_MSG_BATCH_END, 0).finish(netlink.next_sequence())?);
    netlink.batch(&bytes, last)
}

/// Whether table `name` of `family` exists in the calling thread's network namespace.
pub(crate) fn table_exists(family: u8, name: &str) -> Result<bool, NetworkError> {
    exists(
        message(NFT_MSG_GETTABLE, ACK, family).text(NFTA_TABLE_NAME, name),
        name,
    )
}

/// Whether `chain` exists in `table` of `family` in the calling thread's network namespace.
pub(crate) fn chain_exists(family: u8, table: &str, chain: &str) -> Result<bool, NetworkError> {
    let message = message(NFT_MSG_GETCHAIN, ACK, family)
        .text(NFTA_CHAIN_TABLE, table)
        .text(NFTA_CHAIN_NAME, chain);
    exists(message, chain)
}

fn exists(message: Message, name: &str) -> Result<bool, NetworkError> {
    match Netlink::netfilter()?.query(message, |_| Some(())) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(source) => Err(lacking(source)
            .unwrap_or_else(|| NetworkError::kernel(format!("look up `{name}` in nftables"))(source))),
    }
}

/// The error for a kernel without nftables, when that is what `source` says.
pub(crate) fn lacking(source: Errno) -> Option<NetworkError> {
    let missing = [
        Errno::INVAL,
        Errno::OPNOTSUPP,
        Errno::PROTONOSUPPORT,
        Errno::AFNOSUPPORT,
    ];
    missing.contains(&source).then_some(NetworkError::KernelLacks {
        feature: "nftables with NAT (CONFIG_NF_TABLES, CONFIG_NFT_NAT)",
        remedy: "load the modules nf_tables, nft_chain_nat and nft_nat, or use a distribution's kernel",
        source,
    })
}
