//! In: `rcompose pause` and `rcompose unpause`. Out: containers frozen, or thawed.

use super::{Context, service_names};
use crate::error::CliError;
use crate::plan::Intent;

/// Options of `rcompose pause`.
#[derive(Debug, Clone, clap::Args)]
pub struct PauseArgs {
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Options of `rcompose unpause`.
#[derive(Debug, Clone, clap::Args)]
pub struct UnpauseArgs {
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Freezes containers.
pub fn pause(context: &Context, args: &PauseArgs) -> Result<(), CliError> {
    let target = context.target(&args.services)?;
    let services = service_names(&args.services);
    context
        .operate("pause", &target, &Intent::Pause { services })
        .map(drop)
}

/// Thaws containers.
pub fn unpause(context: &Context, args: &UnpauseArgs) -> Result<(), CliError> {
    let target = context.target(&args.services)?;
    let services = service_names(&args.services);
    context
        .operate("unpause", &target, &Intent::Unpause { services })
        .map(drop)
}
