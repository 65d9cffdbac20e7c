//! In: `rcompose rm`. Out: stopped containers removed, after a question on a terminal.

use rcompose_runtime::Runtime as _;
use rcompose_runtime::state::{ContainerState, Status};

use super::{Context, service_names};
use crate::error::CliError;
use crate::plan::{Intent, Remove};
use crate::ui::print;

/// Options of `rcompose rm`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Do not ask
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Stop them first
    #[arg(short = 's', long)]
    pub stop: bool,
    /// Remove anonymous volumes too
    #[arg(short = 'v', long)]
    pub volumes: bool,
    /// Containers of `run` too
    #[arg(short = 'a', long, hide = true)]
    pub all: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Removes stopped containers.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let target = context.target(&args.services)?;
    let containers = context.runtime()?.containers(&target.name)?;
    let concerned = |container: &&ContainerState| {
        let named = args.services.is_empty() || args.services.contains(&container.service);
        let down = matches!(container.status, Status::Created | Status::Exited { .. });
        named && (args.all || !container.one_off) && (args.stop || down)
    };
    let names: Vec<&str> = containers
        .iter()
        .filter(concerned)
        .map(|container| container.name.as_str())
        .collect();
    if names.is_empty() {
        print::err("No stopped containers\n");
        return Ok(());
    }
    if !args.force && !context.globals.dry_run {
        let question = format!("Going to remove {}\nAre you sure? [y/N] ", names.join(", "));
        match print::ask(&question) {
            Some(true) => {}
            Some(false) => return Ok(()),
            None => {
                return Err(
                    CliError::user("there is no terminal to ask on").with_hint("rm --force does not ask")
                );
            }
        }
    }
    let intent = Intent::Remove(Remove {
        services: service_names(&args.services),
        stop: args.stop,
        volumes: args.volumes,
        one_off: args.all,
    });
    context.operate("rm", &target, &intent).map(drop)
}
