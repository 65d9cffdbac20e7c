//! The rules in a container's network namespace that lead 127.0.0.11:53 to the resolver's own ports, so that the container
//! may bind port 53 itself. Sent straight to the kernel: starting `nft` would cost more than the rest of the network.
//!
//! **Invariant:** only packets to 127.0.0.11, port 53, are touched; connection tracking turns the replies back.

use rustix::io::Errno;

use crate::attribute::{ACK, APPEND, CREATE, EXCLUSIVE, Message};
use crate::error::NetworkError;
use crate::netlink::Netlink;
use crate::nf_tables::{
    IPV4, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWTABLE, NFTA_CHAIN_NAME,
    NFTA_CHAIN_TABLE, NFTA_TABLE_NAME, commit, lacking, message,
};
use crate::sandbox::RESOLVER_ADDRESS;

const TABLE: &str = "rcompose_dns";
const CHAIN: &str = "output";
const DNS_PORT: u16 = 53;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;

const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NF_INET_LOCAL_OUT: u32 = 3;
/// `NF_IP_PRI_NAT_DST`.
const PRIORITY_NAT: i32 = -100;

const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;

/// Redirects 127.0.0.11:53 to `udp_port` and `tcp_port` of the same address, in the calling thread's network namespace.
/// Redirecting again replaces the ports.
pub(crate) fn redirect(udp_port: u16, tcp_port: u16) -> Result<(), NetworkError> {
    let mut netlink = Netlink::netfilter()?;
    let rules = || [rule(IPPROTO_UDP, udp_port, 0), rule(IPPROTO_TCP, tcp_port, ACK)];
    let table = |kind, flags| message(kind, flags, IPV4).text(NFTA_TABLE_NAME, TABLE);
    let new = std::iter::once(table(NFT_MSG_NEWTABLE, CREATE | EXCLUSIVE));
    let result = match commit(&mut netlink, new.chain([chain()]).chain(rules())) {
        // Deleting makes the kernel wait milliseconds when the socket is closed: only when there is something to replace.
        Err(Errno::EXIST) => {
            let replaced = [
                table(NFT_MSG_DELTABLE, 0),
                table(NFT_MSG_NEWTABLE, CREATE),
                chain(),
            ];
            commit(&mut netlink, replaced.into_iter().chain(rules()))
        }
        result => result,
    };
    result.map_err(|source| match source {
        // ENOENT is what a missing chain type or expression module gives.
        Errno::NOENT => NetworkError::KernelLacks {
            feature: "NAT in nftables (CONFIG_NFT_NAT)",
            remedy: "load the modules nft_chain_nat and nft_nat",
            source,
        },
        source => lacking(source).unwrap_or_else(|| {
            NetworkError::kernel("redirect the container's DNS queries to its resolver")(source)
        }),
    })
}

/// The base chain: type nat, hook output.
fn chain() -> Message {
    message(NFT_MSG_NEWCHAIN, CREATE, IPV4)
        .text(NFTA_CHAIN_TABLE, TABLE)
        .text(NFTA_CHAIN_NAME, CHAIN)
        .nest(NFTA_CHAIN_HOOK, |hook| {
            hook.u32_be(NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT)
                .attribute(NFTA_HOOK_PRIORITY, &PRIORITY_NAT.to_be_bytes())
        })
        .text(NFTA_CHAIN_TYPE, "nat")
}

/// `ip daddr 127.0.0.11 meta l4proto <protocol> th dport 53 dnat to 127.0.0.11:<port>`.
fn rule(protocol: u8, port: u16, flags: u16) -> Message {
    let address = RESOLVER_ADDRESS.octets();
    message(NFT_MSG_NEWRULE, CREATE | APPEND | flags, IPV4)
        .text(NFTA_RULE_TABLE, TABLE)
        .text(NFTA_RULE_CHAIN, CHAIN)
        .nest(NFTA_RULE_EXPRESSIONS, |rule| {
            let rule = equals(payload(rule, NETWORK_HEADER, 16, 4), &address);
            let rule = equals(layer_4_protocol(rule), &[protocol]);
            let rule = equals(payload(rule, TRANSPORT_HEADER, 2, 2), &DNS_PORT.to_be_bytes());
            let rule = immediate(rule, REGISTER_1, &address);
            let rule = immediate(rule, REGISTER_2, &port.to_be_bytes());
            destination_nat(rule)
        })
}

fn expression(rule: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    rule.nest(NFTA_LIST_ELEM, |element| {
        element.text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data)
    })
}

const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

/// Loads header bytes into register 1: `NFTA_PAYLOAD_{DREG,BASE,OFFSET,LEN}`.
fn payload(rule: Message, base: u32, offset: u32, length: u32) -> Message {
    expression(rule, "payload", |data| {
        data.u32_be(1, REGISTER_1)
            .u32_be(2, base)
            .u32_be(3, offset)
            .u32_be(4, length)
    })
}

/// Loads `NFT_META_L4PROTO` into register 1: `NFTA_META_{DREG,KEY}`.
fn layer_4_protocol(rule: Message) -> Message {
    const NFT_META_L4PROTO: u32 = 16;
    expression(rule, "meta", |data| {
        data.u32_be(1, REGISTER_1).u32_be(2, NFT_META_L4PROTO)
    })
}

/// Goes on only when register 1 holds `value`: `NFTA_CMP_{SREG,OP,DATA}`, with `NFT_CMP_EQ` = 0.
fn equals(rule: Message, value: &[u8]) -> Message {
    expression(rule, "cmp", |data| {
        data.u32_be(1, REGISTER_1)
            .u32_be(2, 0)
            .nest(3, |data| data.attribute(NFTA_DATA_VALUE, value))
    })
}

/// Puts `value` into `register`: `NFTA_IMMEDIATE_{DREG,DATA}`.
fn immediate(rule: Message, register: u32, value: &[u8]) -> Message {
    expression(rule, "immediate", |data| {
        data.u32_be(1, register)
            .nest(2, |data| data.attribute(NFTA_DATA_VALUE, value))
    })
}

/// `NFTA_NAT_{TYPE,FAMILY,REG_ADDR_MIN,REG_PROTO_MIN}`, with `NFT_NAT_DNAT` = 1.
fn destination_nat(rule: Message) -> Message {
    expression(rule, "nat", |data| {
        data.u32_be(1, 1)
            .u32_be(2, u32::from(IPV4))
            .u32_be(3, REGISTER_1)
            .u32_be(5, REGISTER_2)
    })
}
