//! In: `rcompose down`. Out: containers and networks gone; volumes and images when asked for.

use clap::ValueEnum;

use super::creation::remove_orphans;
use super::{Context, seconds, service_names, supervisor};
use crate::error::CliError;
use crate::plan::{self, Intent};
use crate::ui::print;

/// Options of `rcompose down`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Remove named volumes of the file and anonymous volumes too
    #[arg(short = 'v', long)]
    pub volumes: bool,
    /// Remove containers of services that the file no longer has
    #[arg(long)]
    pub remove_orphans: bool,
    /// Remove images too
    #[arg(long, value_name = "WHICH")]
    pub rmi: Option<RemoveImages>,
    /// Seconds to wait for a container to stop
    #[arg(short = 't', long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// `--rmi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RemoveImages {
    /// Images of every service.
    All,
    /// Images that were built and have no name of their own in the file.
    Local,
}

/// Takes a project down.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let target = context.target(&args.services)?;
    let intent = Intent::Down(plan::Down {
        services: service_names(&args.services),
        volumes: args.volumes,
        images: match args.rmi {
            None => plan::RemoveImages::Nothing,
            Some(RemoveImages::Local) => plan::RemoveImages::Local,
            Some(RemoveImages::All) => plan::RemoveImages::All,
        },
        remove_orphans: remove_orphans(context, args.remove_orphans),
        timeout: seconds(args.timeout),
    });
    let whole = args.services.is_empty() && !context.globals.dry_run;
    if whole {
        supervisor::end(context, &target.name)?;
    }
    let done = context.operate("down", &target, &intent);
    if whole && context.project_dir(&target.name)?.read()?.is_some() {
        // Something was kept: containers of services that the file no longer has, or what could not be removed.
        supervisor::keep(context, &target.name)?;
    }
    if whole && args.volumes && done.is_ok() {
        context.runtime()?.remove_unused_anonymous_volumes(&target.name)?;
    }
    if done?.done == 0 && !context.globals.dry_run {
        print::err(&format!("nothing of {} is there\n", target.name));
    }
    Ok(())
}
