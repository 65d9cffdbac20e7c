//! In: `rcompose stop`. Out: containers stopped, kept, in reverse order of dependence.

use super::{Context, seconds, service_names};
use crate::error::CliError;
use crate::plan::Intent;

/// Options of `rcompose stop`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Seconds to wait for a container to stop
    #[arg(short = 't', long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Stops containers.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let target = context.target(&args.services)?;
    let intent = Intent::Stop {
        services: service_names(&args.services),
        timeout: seconds(args.timeout),
    };
    context.operate("stop", &target, &intent).map(drop)
}
