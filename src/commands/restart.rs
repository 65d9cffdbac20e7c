//! In: `rcompose restart`. Out: containers stopped and started in place, dependents with `restart: true` after them.

use super::{Context, seconds, service_names, supervisor};
use crate::error::CliError;
use crate::plan::Intent;

/// Options of `rcompose restart`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Do not restart dependents
    #[arg(long)]
    pub no_deps: bool,
    /// Seconds to wait for a container to stop
    #[arg(short = 't', long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Restarts containers.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let target = context.target(&args.services)?;
    let intent = Intent::Restart {
        services: service_names(&args.services),
        timeout: seconds(args.timeout),
        no_deps: args.no_deps,
    };
    context.operate("restart", &target, &intent).map(drop)?;
    supervisor::keep(context, &target.name)
}
