//! In: `rcompose logout`. Out: no login for the registry, neither in docker's config.json nor in a credential helper.

use rcompose_runtime::image_store::{log_out, registry_name};

use super::Context;
use super::image_source::registry_configuration;
use crate::error::{CliError, chain};
use crate::ui::print;

/// Options of `rcompose logout`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Registry (default: Docker Hub)
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
}

/// Logs out.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let registry = registry_name(args.server.as_deref().unwrap_or_default());
    if context.only_says(&format!("log out of {registry}")) {
        return Ok(());
    }
    let configuration = registry_configuration(&|name| context.variable(name))
        .map_err(|error| CliError::user(chain(&*error)))?;
    let had = log_out(&configuration, &registry).map_err(|error| CliError::user(chain(&error)))?;
    print::out(&if had {
        format!("Removed the login for {registry}\n")
    } else {
        format!("Not logged in to {registry}\n")
    })?;
    Ok(())
}
