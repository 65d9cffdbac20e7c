//! In: `rcompose version`. Out: which version this is.

use serde_json::json;

use super::Context;
use crate::error::CliError;
use crate::ui::print;

/// Options of `rcompose version`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// pretty or json
    #[arg(short = 'f', long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print the number only
    #[arg(long)]
    pub short: bool,
}

/// Prints the version.
pub fn run(_context: &Context, args: &Args) -> Result<(), CliError> {
    let version = env!("CARGO_PKG_VERSION");
    let text = match args.format.as_deref() {
        _ if args.short => version.to_owned(),
        None | Some("pretty" | "") => format!("rcompose version {version}"),
        Some("json") => json!({"version": version}).to_string(),
        Some(other) => {
            return Err(CliError::usage(format!(
                "--format {other}: expected pretty or json"
            )));
        }
    };
    print::out(&format!("{text}\n"))?;
    Ok(())
}
