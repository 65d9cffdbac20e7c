//! In: `rcompose watch`. Out: the project up, its `develop.watch` rules at work in the supervisor, and lines of what they did.

use std::time::Duration;

use super::up::Bringing;
use super::{Context, supervisor, up};
use crate::error::CliError;
use crate::event::Event;
use crate::state::event_log::Tail;
use crate::ui::print;
use crate::ui::progress::news;

/// How soon an event is shown, and a signal noticed.
const STEP: Duration = Duration::from_millis(30);

/// Options of `rcompose watch`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Do not bring the services up first
    #[arg(long)]
    pub no_up: bool,
    /// Remove replaced images after a rebuild (--prune=false keeps them)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub prune: bool,
    /// Do not show what builds print
    #[arg(long)]
    pub quiet: bool,
    /// Services to show; none means all. The rules of the others work all the same
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Watches.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let bringing = Bringing::new(
        context,
        &up::Args {
            quiet_build: args.quiet,
            services: args.services.clone(),
            keep_images: !args.prune,
            ..up::Args::default()
        },
    )?;
    let name = bringing.name();
    let watched: Vec<&str> = bringing
        .files
        .project
        .services
        .values()
        .filter(|service| !service.watch.is_empty())
        .map(|service| service.name.as_str())
        .filter(|name| args.services.is_empty() || args.services.iter().any(|service| service == name))
        .collect();
    if watched.is_empty() {
        return Err(CliError::user("none of the services has watch rules")
            .with_hint("add `develop: {watch: [{path: ., action: sync, target: /app}]}` to one"));
    }
    if args.no_up {
        if context.project_dir(&name)?.read()?.is_none() {
            return Err(CliError::user(format!("project {name} is not up")).with_hint("leave --no-up out"));
        }
    } else {
        bringing.reconcile_and_keep()?;
    }
    if context.globals.dry_run {
        return Ok(());
    }
    let dir = context.project_dir(&name)?;
    let mut events = Tail::new(dir.path())?;
    supervisor::keep(context, &name)?;
    print::err(&format!("Watch enabled for {}\n", watched.join(", ")));
    let cancel = context.cancel()?;
    while !cancel.load(std::sync::atomic::Ordering::Relaxed) {
        for recorded in events.appended()? {
            let others = matches!(&recorded.what, Event::Synced { service, .. }
                if !args.services.is_empty() && !args.services.contains(service));
            if let Some(line) = news(&recorded.what, true).filter(|_| !others) {
                print::out(&format!("{line}\n"))?;
            }
        }
        std::thread::sleep(STEP);
    }
    Err(CliError::process(130))
}
