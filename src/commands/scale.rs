//! In: `rcompose scale SERVICE=N…`. Out: that many replicas; nothing else changes.

use super::creation;
use super::{Asked, Context, StoreImages};
use crate::error::CliError;
use crate::plan::{Intent, Up};
use crate::ui::progress::Progress;

/// Options of `rcompose scale`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Leave dependencies alone
    #[arg(long)]
    pub no_deps: bool,
    /// Replicas of a service
    #[arg(value_name = "SERVICE=N", required = true)]
    pub replicas: Vec<String>,
}

/// Changes the number of replicas.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let files = context.load(&[])?;
    let scale = creation::scale("", &args.replicas, &files)?;
    let intent = Intent::Up(Up::scaled(scale.clone(), args.no_deps));
    // A later reload keeps the number; everything else of the record stays.
    let before = context.project_dir(files.project.name.as_str())?.read()?;
    let mut record = before.unwrap_or_else(|| files.record());
    record.scale.extend(scale);
    let images = StoreImages::new(context, Some(&files));
    let progress = Progress::new("scale", context.look(), Some(files.sources.clone()));
    let asked = Asked {
        record: Some(&record),
        ..Asked::default()
    };
    let prepared = files.prepare()?;
    context
        .reconcile(&prepared, Some(&files), &intent, &images, &progress, &asked)
        .map(drop)?;
    super::supervisor::keep(context, files.project.name.as_str())
}
