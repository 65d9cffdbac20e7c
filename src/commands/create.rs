//! In: `rcompose create`. Out: containers that exist and do not run.

use super::creation::{image_policy, recreate, remove_orphans, scale};
use super::{Asked, Context, StoreImages, service_names};
use crate::error::CliError;
use crate::plan::{Intent, Starts, Up};
use crate::ui::progress::{Look, Progress};

/// Options of `rcompose create`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Build images first
    #[arg(long)]
    pub build: bool,
    /// Do not build, even when an image is missing
    #[arg(long)]
    pub no_build: bool,
    /// When to pull: always, missing, never or build
    #[arg(long, value_name = "POLICY")]
    pub pull: Option<String>,
    /// Recreate containers even when nothing changed
    #[arg(long)]
    pub force_recreate: bool,
    /// Keep existing containers even when something changed
    #[arg(long)]
    pub no_recreate: bool,
    /// Remove containers of services that the file no longer has
    #[arg(long)]
    pub remove_orphans: bool,
    /// Replicas of a service, SERVICE=N; overrides the file
    #[arg(long, value_name = "SERVICE=N")]
    pub scale: Vec<String>,
    /// Do not show the progress of pulls
    #[arg(long)]
    pub quiet_pull: bool,
    /// Answer yes to every question; none is ever asked
    #[arg(short = 'y', long)]
    pub yes: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Creates containers.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let images_asked = image_policy(args.pull.as_deref(), args.build, args.no_build)?;
    let recreate = recreate(args.force_recreate, args.no_recreate)?;
    let files = context.load(&args.services)?;
    let scale = scale("--scale ", &args.scale, &files)?;
    let intent = Intent::Up(Up {
        services: service_names(&args.services),
        recreate,
        scale: scale.clone(),
        remove_orphans: remove_orphans(context, args.remove_orphans),
        start: Starts::Nothing,
        images: images_asked,
        ..Up::default()
    });
    let mut record = files.record();
    record.services = service_names(&args.services);
    record.scale = scale;
    let images = StoreImages::new(context, Some(&files));
    let look = Look {
        quiet_pull: args.quiet_pull,
        ..context.look()
    };
    let progress = Progress::new("create", look, Some(files.sources.clone()));
    let asked = Asked {
        record: Some(&record),
        ..Asked::default()
    };
    let prepared = files.prepare()?;
    context
        .reconcile(&prepared, Some(&files), &intent, &images, &progress, &asked)
        .map(drop)
}
