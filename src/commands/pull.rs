//! In: `rcompose pull`. Out: images of services in the local store; one that fails does not stop the others.

use rcompose_runtime::Runtime as _;

use super::{Context, StoreImages, service_names};
use crate::error::CliError;
use crate::graph::Graph;
use crate::model::Service;
use crate::model::service::PullPolicy;
use crate::plan::{Action, OnFailure};
use crate::ui::progress::{Look, Progress, ProgressKind};

/// Options of `rcompose pull`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Leave services with a build section out
    #[arg(long)]
    pub ignore_buildable: bool,
    /// Go on when an image cannot be pulled
    #[arg(long)]
    pub ignore_pull_failures: bool,
    /// Pull the images of dependencies too
    #[arg(long)]
    pub include_deps: bool,
    /// missing or always
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
    /// Print nothing but errors
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Several at once: always done
    #[arg(long = "parallel", hide = true)]
    pub parallel_pulls: bool,
    /// One after the other (refused: see --parallel 1 before the command)
    #[arg(long, hide = true)]
    pub no_parallel: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Pulls images.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    if args.no_parallel {
        return Err(CliError::unsupported_flag(
            "--no-parallel",
            "use `rcompose --parallel 1 pull`",
        ));
    }
    let policy = match args.policy.as_deref() {
        None => None,
        Some("always") => Some(PullPolicy::Always),
        Some("missing") => Some(PullPolicy::Missing),
        Some(other) => {
            return Err(
                CliError::usage(format!("--policy {other} is no policy")).with_hint("use missing or always")
            );
        }
    };
    let files = context.load(&args.services)?;
    let mut names = service_names(&args.services);
    if args.include_deps && !names.is_empty() {
        let graph = Graph::of(&files.project).map_err(|found| CliError::findings(&found, &files.sources))?;
        names = graph.with_dependencies(&names).into_iter().collect();
    }
    let mut due: Vec<Action> = Vec::new();
    // An image that can be built instead need not be in any registry.
    let mut optional: Vec<Action> = Vec::new();
    for service in files.project.services.values() {
        let named = names.is_empty() || names.contains(&service.name);
        if !named || !is_due(context, service, policy.as_ref(), args)? {
            continue;
        }
        let Some(reference) = service.image.clone() else {
            continue;
        };
        let action = Action::PullImage {
            reference,
            platform: service.platform.clone(),
        };
        if service.build.is_some() {
            optional.push(action);
        } else if !due.contains(&action) {
            due.push(action);
        }
    }
    optional.retain(|action| !due.contains(action));
    optional.dedup();
    let images = StoreImages::new(context, Some(&files));
    let mut look = context.look();
    if args.quiet {
        look = Look {
            kind: ProgressKind::Quiet,
            ..look
        };
    }
    let progress = Progress::new("pull", look, None);
    if !optional.is_empty() {
        context.run_images(optional, &images, &progress, OnFailure::Warn)?;
    }
    if due.is_empty() {
        return Ok(());
    }
    let on_failure = if args.ignore_pull_failures {
        OnFailure::Warn
    } else {
        OnFailure::Abort
    };
    context.run_images(due, &images, &progress, on_failure)
}

/// Whether the image of a service is to be fetched.
fn is_due(
    context: &Context,
    service: &Service,
    asked: Option<&PullPolicy>,
    args: &Args,
) -> Result<bool, CliError> {
    let Some(reference) = &service.image else {
        return Ok(false);
    };
    if reference.starts_with('@') || args.ignore_buildable && service.build.is_some() {
        return Ok(false);
    }
    Ok(match asked.unwrap_or(&service.pull_policy) {
        PullPolicy::Never | PullPolicy::Build => false,
        PullPolicy::Missing if asked.is_some() || service.key_spans.get("pull_policy").is_some() => {
            context.runtime()?.image_id(reference)?.is_none()
        }
        PullPolicy::Missing | PullPolicy::Always | PullPolicy::Every(_) => true,
    })
}
