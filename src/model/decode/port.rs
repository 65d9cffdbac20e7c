//! In: the long `ports:` of a service. Out: [`Port`]s.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::unsupported;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::expand::range;
use crate::model::fields::Fields;
use crate::model::port::{Port, Protocol};

pub(super) fn decode(service: &Fields<'_>, findings: &mut Diagnostics) -> Vec<Port> {
    service
        .items("ports")
        .filter_map(|port| self::port(&port, findings))
        .collect()
}

fn port(port: &Fields<'_>, findings: &mut Diagnostics) -> Option<Port> {
    let protocol = match port.text("protocol") {
        Some("udp") => Protocol::Udp,
        Some("tcp") | None => Protocol::Tcp,
        Some(other) => {
            let why = format!("ports of `{other}` are not published; use `tcp` or `udp`");
            findings.push(unsupported::essential(port, "protocol", &why));
            return None;
        }
    };
    let mut refuse = |key: &str, text: &str, what: &str| {
        findings.push(
            Diagnostic::error(
                "bad-port",
                format!("{}: `{text}` is not {what}", port.path().key(key)),
            )
            .at(port.value_span(key)),
        );
    };
    // Zero is "any free port", as in docker.
    let published = match port.text("published").filter(|text| *text != "0") {
        None => None,
        Some(text) => match range(text) {
            Some(range) if range.0 > 0 => Some(range),
            _ => {
                refuse("published", text, "a port of the host or a range of them");
                return None;
            }
        },
    };
    let host_ip = match port.text("host_ip").map(|text| (text, text.parse())) {
        None => None,
        Some((_, Ok(address))) => Some(address),
        Some((text, Err(_))) => {
            refuse("host_ip", text, "an IP address");
            return None;
        }
    };
    let Some(target) = port.number::<u16>("target").filter(|target| *target > 0) else {
        refuse(
            "target",
            port.text("target").unwrap_or("0"),
            "a port of the container (1 to 65535)",
        );
        return None;
    };
    Some(Port {
        target,
        published,
        host_ip,
        protocol,
        span: port.span(),
    })
}
