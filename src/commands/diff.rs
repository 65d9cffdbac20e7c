//! In: `rcompose diff SERVICE`. Out: what the service's container changed in its file system, as docker marks it: A, C, D.
//! **Invariant:** nothing is changed; volumes and other mounts are no part of it.

use rcompose_runtime::HOST;
use rcompose_runtime::image_store::{TreeChange, differences};
use serde_json::{Value, json};

use super::Context;
use super::listing::lines;
use crate::error::CliError;
use crate::ui::print;

/// Options of `rcompose diff`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// text, or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: String,
    /// Which replica
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// Service
    #[arg(value_name = "SERVICE")]
    pub service: String,
}

/// Compares.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let subject = context.subject(false)?;
    let container = context.one_container(&subject, &args.service, args.index, false)?;
    if container.image == HOST {
        return Err(CliError::user(format!(
            "container {} is a view of this host's own files: there is no image to compare it with",
            container.name
        )));
    }
    let runtime = context.runtime()?;
    let files = runtime.container_files(&container.id)?;
    let mut new = vec![files.upper];
    new.extend(files.lower.iter().cloned());
    let changes = differences(runtime.images()?, &files.lower, &new)?;
    print::out(&story(&changes, &args.format)?)?;
    Ok(())
}

/// One line a change, or one object a line.
pub(in crate::commands) fn story(changes: &[TreeChange], format: &str) -> Result<String, CliError> {
    match format {
        "text" => {
            Ok(lines(changes.iter().map(|change| {
                format!("{} {}", change.kind, change.path.display())
            })))
        }
        "json" => Ok(lines(changes.iter().map(|change| record(change).to_string()))),
        other => Err(CliError::usage(format!(
            "--format {other}: expected text or json"
        ))),
    }
}

fn record(change: &TreeChange) -> Value {
    json!({"Kind": change.kind.to_string(), "Path": change.path.display().to_string()})
}
