//! In: an entry of `ports:`. Out: the long form of each port it stands for (grammar of docker/go-connections `nat`).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::IpAddr;

use crate::diagnostic::Diagnostic;
use crate::source::implied::Implied;
use crate::source::node::{Mapping, Node, Value};
use crate::source::path::Trail;

const FORM: &str = "write `[HOST_IP:][HOST_PORT:]CONTAINER_PORT[/tcp|/udp]`, e.g. `\"8080:80\"`";

/// What a long form cannot say.
fn check_long(long: &Mapping, path: &Trail<'_>) -> Result<(), Diagnostic> {
    if let Some(ip) = long.get("host_ip").filter(|ip| ip.as_str() == Some("")) {
        return Err(Diagnostic::error("bad-port", format!("{path}: an empty host_ip")).at(ip.span));
    }
    if let Some(port) = long.get("published")
        && matches!(port.value, Value::Float(_))
    {
        let message = format!(
            "{path}.published must be a whole number or text, not {}",
            port.describe()
        );
        return Err(Diagnostic::error("wrong-type", message)
            .at(port.span)
            .help("write the port without a point or exponent"));
    }
    Ok(())
}

/// The long forms of an entry; a long form stays as it is.
pub(super) fn expand(item: &Node, path: &Trail<'_>) -> Result<Vec<Node>, Diagnostic> {
    if let Some(long) = item.as_map() {
        check_long(long, path)?;
        return Ok(vec![super::with_target(item, path, "target: 80")?]);
    }
    // A bare `0x50` is the number 80.
    let number = item.as_i64().map(|port| port.to_string().into());
    let text = number.or_else(|| item.scalar_text()).unwrap_or_default();
    let refuse = |reason: String, help: &str| {
        Diagnostic::error("bad-port", format!("{path}: {reason}"))
            .at(item.span)
            .help(help)
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (ip, published, target) = match parts[..] {
        [target] => (String::new(), "", target),
        [published, target] => (String::new(), published, target),
        [ref ip @ .., published, target] => (ip.join(":"), published, target),
        [] => (String::new(), "", ""),
    };
    let (target, written_protocol) = target.split_once('/').unwrap_or((target, ""));
    let protocol = if written_protocol.is_empty() {
        "tcp"
    } else {
        written_protocol
    };
    let ip = ip
        .strip_prefix('[')
        .and_then(|ip| ip.strip_suffix(']'))
        .map_or(ip.clone(), str::to_owned);
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return Err(refuse(format!("`{ip}` is not an IP address"), FORM));
    }
    if target.is_empty() {
        return Err(refuse(format!("`{text}` names no port of the container"), FORM));
    }
    let targets = range(target).filter(|(first, _)| *first > 0).ok_or_else(|| {
        refuse(
            format!("`{target}` is not a port of the container (1 to 65535)"),
            FORM,
        )
    })?;
    let protocol = protocol.to_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(refuse(
            format!("`{protocol}` is not a protocol"),
            "the protocols are `tcp` and `udp`",
        ));
    }
    let length = |range: (u16, u16)| u32::from(range.1 - range.0) + 1;
    let published_text = published;
    let hosts = match published {
        "" => None,
        _ => Some(range(published).ok_or_else(|| {
            refuse(
                format!("`{published}` is not a port of the host (1 to 65535)"),
                FORM,
            )
        })?),
    };
    let long = |published: Option<String>, port: u16| {
        let mut long = Mapping::new();
        let mut put = |key: &str, node: Node| {
            long.insert(key, item.span, node);
        };
        put("mode", item.remade_text("ingress").implied_by(Implied::PortMode));
        if !ip.is_empty() {
            put("host_ip", item.remade_text(ip.clone()));
        }
        let number = item.remade(Value::Int(i64::from(port)));
        put("target", of_range(number, target));
        if let Some(port) = published {
            put("published", of_range(item.remade_text(port), published_text));
        }
        let mut spoken = item.remade_text(protocol.clone());
        if written_protocol.is_empty() {
            spoken = spoken.implied_by(Implied::PortProtocol);
        }
        put("protocol", spoken);
        item.remade(Value::Map(long))
    };
    match hosts {
        None => Ok((targets.0..=targets.1).map(|target| long(None, target)).collect()),
        // One port of the container may be published on any free one of a range.
        Some(hosts) if targets.0 == targets.1 && hosts.0 != hosts.1 => {
            Ok(vec![long(Some(format!("{}-{}", hosts.0, hosts.1)), targets.0)])
        }
        Some(hosts) if length(hosts) == length(targets) => Ok((hosts.0..=hosts.1)
            .zip(targets.0..=targets.1)
            .map(|(published, target)| long(Some(published.to_string()), target))
            .collect()),
        Some(hosts) => Err(refuse(
            format!(
                "the ranges differ in length: `{published}` has {} ports, `{target}` has {}",
                length(hosts),
                length(targets)
            ),
            "make both ranges equally long, or publish a range of the host to one port of the container",
        )),
    }
}

/// A port, or one of the ports that a range stands for.
fn of_range(port: Node, written: &str) -> Node {
    if port.scalar_text().as_deref() == Some(written) {
        port
    } else {
        port.implied_by(Implied::PortOfRange)
    }
}

/// `first-last` or one port.
pub(in crate::model) fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}
