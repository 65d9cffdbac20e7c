//! In: `rcompose system df|prune`. Out: what images, containers, volumes and builds of all projects take of the disk; less of it.

mod df;
mod prune;

use super::Context;
use crate::error::CliError;

/// Options of `rcompose system`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs of `rcompose system`.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Show what rcompose takes of the disk
    Df(df::Args),
    /// Remove stopped containers, unused networks, images without a name and what builds keep
    Prune(prune::Args),
}

/// Shows, or removes.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    match &args.command {
        Command::Df(args) => df::run(context, args),
        Command::Prune(args) => prune::run(context, args),
    }
}
