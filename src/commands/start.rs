//! In: `rcompose start`. Out: existing containers running, in order of dependence.

use super::{Asked, Context, seconds, service_names, supervisor};
use crate::error::CliError;
use crate::plan::Intent;

/// Options of `rcompose start`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Wait until services run, or are healthy
    #[arg(long)]
    pub wait: bool,
    /// Give up waiting after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub wait_timeout: Option<u64>,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Starts containers.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let target = context.target(&args.services)?;
    let intent = Intent::Start {
        services: service_names(&args.services),
        wait: args.wait,
    };
    let asked = Asked {
        wait_timeout: seconds(args.wait_timeout),
        ..Asked::default()
    };
    context
        .operate_asking("start", &target, &intent, &asked)
        .map(drop)?;
    supervisor::keep(context, &target.name)
}
