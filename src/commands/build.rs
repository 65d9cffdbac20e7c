//! In: `rcompose build`. Out: images of services with a `build:` section, in the local store.

use super::{BuildOptions, Context, StoreImages, build_arguments, service_names};
use crate::engine::lower::image_name;
use crate::error::CliError;
use crate::graph::Graph;
use crate::plan::{Action, OnFailure};
use crate::ui::print;
use crate::ui::progress::{Look, Progress, ProgressKind};

/// Options of `rcompose build`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Set a build argument, NAME=value or NAME
    #[arg(long, value_name = "NAME=VALUE")]
    pub build_arg: Vec<String>,
    /// Do not use the cache
    #[arg(long)]
    pub no_cache: bool,
    /// Pull newer base images
    #[arg(long)]
    pub pull: bool,
    /// Print nothing but errors
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Build dependencies too
    #[arg(long)]
    pub with_dependencies: bool,
    /// Push the images (refused: not there yet)
    #[arg(long)]
    pub push: bool,
    /// Check the Dockerfiles only (refused: not there yet)
    #[arg(long)]
    pub check: bool,
    /// Print the build plan (refused: not there yet)
    #[arg(long)]
    pub print: bool,
    /// Name of a buildx builder (refused)
    #[arg(long, value_name = "NAME")]
    pub builder: Option<String>,
    /// Memory limit of RUN (refused: not there yet)
    #[arg(short = 'm', long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// SSH agent for RUN --mount=type=ssh (refused: not there yet)
    #[arg(long, value_name = "ID")]
    pub ssh: Option<String>,
    /// Provenance attestation (refused: not there yet)
    #[arg(long, value_name = "MODE")]
    pub provenance: Option<String>,
    /// Bill of materials (refused: not there yet)
    #[arg(long, value_name = "MODE")]
    pub sbom: Option<String>,
    /// Compress the context: there is none to send, so nothing to do
    #[arg(long, hide = true)]
    pub compress: bool,
    /// Remove intermediate containers: always done
    #[arg(long, hide = true)]
    pub force_rm: bool,
    /// Keep intermediate containers (refused)
    #[arg(long, hide = true)]
    pub no_rm: bool,
    /// Builds always go on beside each other; accepted, as docker compose still does
    #[arg(long = "parallel", hide = true)]
    pub beside_each_other: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Builds images.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    refuse(args)?;
    let files = context.load(&args.services)?;
    let mut names = service_names(&args.services);
    if args.with_dependencies && !names.is_empty() {
        let graph = Graph::of(&files.project).map_err(|found| CliError::findings(&found, &files.sources))?;
        names = graph.with_dependencies(&names).into_iter().collect();
    }
    let actions: Vec<Action> = files
        .project
        .services
        .values()
        .filter(|service| names.is_empty() || names.contains(&service.name))
        .filter(|service| service.build.is_some())
        .map(|service| Action::BuildImage {
            service: service.name.clone(),
            reference: image_name(&files.project, service),
        })
        .collect();
    if actions.is_empty() {
        print::err("No services to build\n");
        return Ok(());
    }
    let options = BuildOptions {
        no_cache: args.no_cache,
        pull: args.pull,
        arguments: build_arguments(&args.build_arg, context),
    };
    let images = StoreImages::new(context, Some(&files)).with_options(options);
    let mut look = context.look();
    if args.quiet {
        look = Look {
            kind: ProgressKind::Quiet,
            ..look
        };
    }
    let progress = Progress::new("build", look, None);
    context.run_images(actions, &images, &progress, OnFailure::Abort)
}

fn refuse(args: &Args) -> Result<(), CliError> {
    let not_yet = "it is not there yet";
    let refused = [
        (args.push, "--push", not_yet),
        (args.check, "--check", not_yet),
        (args.print, "--print", not_yet),
        (
            args.builder.is_some(),
            "--builder",
            "rcompose builds by itself, without buildx",
        ),
        (args.memory.is_some(), "--memory", not_yet),
        (args.ssh.is_some(), "--ssh", not_yet),
        (
            args.provenance.as_deref().is_some_and(|mode| mode != "false"),
            "--provenance",
            not_yet,
        ),
        (
            args.sbom.as_deref().is_some_and(|mode| mode != "false"),
            "--sbom",
            not_yet,
        ),
        (
            args.no_rm,
            "--no-rm",
            "nothing intermediate is kept but cached layers",
        ),
    ];
    match refused.into_iter().find(|(given, _, _)| *given) {
        Some((_, flag, why)) => Err(CliError::unsupported_flag(flag, why)),
        None => Ok(()),
    }
}
