//! In: `rcompose export SERVICE`. Out: the file system of the service's container as one tar, as docker compose writes it.
//! **Invariant:** volumes and other mounts are no part of it; an archive is written to a file of its own first.

use super::Context;
use super::image::archive_file::to_file_or_stdout;
use crate::error::CliError;
use rcompose_runtime::image_store::export;

/// Options of `rcompose export`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which replica
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// Archive; standard output without one
    #[arg(short = 'o', long, value_name = "TAR")]
    pub output: Option<std::path::PathBuf>,
    /// Service
    #[arg(value_name = "SERVICE")]
    pub service: String,
}

/// Exports.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let subject = context.subject(false)?;
    let container = context.one_container(&subject, &args.service, args.index, false)?;
    if context.only_says(&format!("export {}", container.name)) {
        return Ok(());
    }
    let runtime = context.runtime()?;
    let files = runtime.container_files(&container.id)?;
    if files.stands_on_host() {
        return Err(CliError::user(format!(
            "container {} stands on @host: most of its files are this machine's, and no archive takes them elsewhere; `rcompose cp` copies \
             those you want",
            container.name
        )));
    }
    let mut layers = vec![files.upper];
    layers.extend(files.lower);
    let store = runtime.images()?;
    to_file_or_stdout(context, args.output.as_deref(), &mut |output| {
        export(store, &layers, output).map(drop)
    })
}
