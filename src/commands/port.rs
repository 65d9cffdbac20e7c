//! In: `rcompose port`. Out: where on the host a port of a service's container is found.
//! **Invariant:** what is not published is an error, never an empty line.

use rcompose_runtime::state::PublishedPort;

use super::Context;
use crate::error::CliError;
use crate::ui::print;

/// Options of `rcompose port`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which replica
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// tcp or udp
    #[arg(long, value_name = "PROTOCOL", default_value = "tcp")]
    pub protocol: String,
    /// Service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Port inside the container, such as 80 or 53/udp
    #[arg(value_name = "PRIVATE_PORT")]
    pub port: String,
}

/// Prints the host's side of a published port.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let (number, protocol) = args.port.split_once('/').unwrap_or((&args.port, &args.protocol));
    let number: u16 = number.parse().map_err(|_| {
        CliError::usage(format!("{number} is no port")).with_hint("a port is a number from 1 to 65535")
    })?;
    let subject = context.subject(false)?;
    let container = context.one_container(&subject, &args.service, args.index, false)?;
    let protocol = protocol.to_ascii_lowercase();
    let found = container
        .ports
        .iter()
        .find(|port| port.target == number && port.protocol == protocol);
    let Some(port) = found else {
        let known: Vec<String> = container
            .ports
            .iter()
            .map(|port| format!("{}/{}", port.target, port.protocol))
            .collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        return Err(CliError::user(format!(
            "no port {number}/{protocol} for container {}",
            container.name
        ))
        .with_hint(format!("published ports: {known}")));
    };
    print::out(&format!("{}\n", address(port)))?;
    Ok(())
}

fn address(port: &PublishedPort) -> String {
    if port.host_ip.contains(':') {
        format!("[{}]:{}", port.host_ip, port.host_port)
    } else {
        format!("{}:{}", port.host_ip, port.host_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_version_six_stand_in_brackets() {
        let port = |host_ip: &str| PublishedPort {
            host_ip: host_ip.to_owned(),
            host_port: 8080,
            target: 80,
            protocol: "tcp".to_owned(),
        };
        assert_eq!(address(&port("127.0.0.1")), "127.0.0.1:8080");
        assert_eq!(address(&port("::1")), "[::1]:8080");
    }
}
