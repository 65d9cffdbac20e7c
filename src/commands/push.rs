//! In: `rcompose push`. Out: images that services are built to, in their registries; what is there already is not sent again.

use super::{Context, StoreImages, service_names};
use crate::error::CliError;
use crate::event::{Event, Events as _, Kind, StepInfo};
use crate::graph::Graph;
use crate::model::Service;
use crate::plan::{Action, OnFailure};
use crate::ui::progress::{Look, Progress, ProgressKind};

/// Options of `rcompose push`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Go on when an image cannot be pushed
    #[arg(long)]
    pub ignore_push_failures: bool,
    /// Push the images of dependencies too
    #[arg(long)]
    pub include_deps: bool,
    /// Print nothing but errors
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Pushes images.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let files = context.load(&args.services)?;
    let mut names = service_names(&args.services);
    if args.include_deps && !names.is_empty() {
        let graph = Graph::of(&files.project).map_err(|found| CliError::findings(&found, &files.sources))?;
        names = graph.with_dependencies(&names).into_iter().collect();
    }
    let mut look = context.look();
    if args.quiet {
        look = Look {
            kind: ProgressKind::Quiet,
            ..look
        };
    }
    let progress = Progress::new("push", look, None);
    let mut actions: Vec<Action> = Vec::new();
    for service in files.project.services.values() {
        if !names.is_empty() && !names.contains(&service.name) {
            continue;
        }
        let pushed = names_to_push(service);
        if pushed.is_empty() {
            progress.emit(skipped(service));
        }
        for reference in pushed {
            let action = Action::PushImage { reference };
            if !actions.contains(&action) {
                actions.push(action);
            }
        }
    }
    let images = StoreImages::new(context, Some(&files));
    let on_failure = if args.ignore_push_failures {
        OnFailure::Warn
    } else {
        OnFailure::Abort
    };
    context.run_images(actions, &images, &progress, on_failure)
}

/// The names of what a service is built to. An image that is not built here, or was given no name for a registry, is nobody's to push.
pub(super) fn names_to_push(service: &Service) -> Vec<String> {
    match (&service.image, &service.build) {
        (Some(image), Some(build)) => [image].into_iter().chain(&build.tags).cloned().collect(),
        (Some(_) | None, _) => Vec::new(),
    }
}

fn skipped(service: &Service) -> Event {
    Event::StepDone {
        step: StepInfo {
            id: 0,
            verb: "skip".to_owned(),
            kind: Kind::Service,
            name: service.name.to_string(),
            reason: String::new(),
        },
        millis: 0,
    }
}
