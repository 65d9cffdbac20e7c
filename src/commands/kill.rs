//! In: `rcompose kill`. Out: a signal sent to the first process of containers.

use super::{Context, service_names};
use crate::error::CliError;
use crate::plan::Intent;

/// Options of `rcompose kill`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Signal to send
    #[arg(short = 's', long, value_name = "SIGNAL", default_value = "SIGKILL")]
    pub signal: String,
    /// Send it to containers of services that the file no longer has, too
    #[arg(long)]
    pub remove_orphans: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Sends a signal.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let target = context.target(&args.services)?;
    let intent = Intent::Kill {
        services: service_names(&args.services),
        signal: args.signal.clone(),
        remove_orphans: args.remove_orphans,
    };
    context.operate("kill", &target, &intent).map(drop)
}
