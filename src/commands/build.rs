//! In: `rcompose build`. Out: images of services with a `build:` section, in the local store.

use super::project::LoadedProject;
use super::push::names_to_push;
use super::{BuildOptions, Context, StoreImages, build_arguments, builder, service_names};
use crate::engine::lower::image_name;
use crate::error::CliError;
use crate::graph::Graph;
use crate::model::ServiceName;
use crate::model::attestation::{self, Provenance};
use crate::model::build::Build;
use crate::model::units::parse_bytes;
use crate::plan::{Action, Due, OnFailure, Plan, Reason, in_order};
use crate::ui::print;
use crate::ui::progress::{Look, Progress, ProgressKind};

mod bake;
mod check;
/// By a name of its own: clap reads an option of an option as a flag that may be without a value.
type AskedProvenance = Option<Provenance>;

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
    /// Push the images that have a name
    #[arg(long)]
    pub push: bool,
    /// Check the Dockerfiles and build nothing
    #[arg(long)]
    pub check: bool,
    /// Print the builds as a file of `docker buildx bake` and build nothing
    #[arg(long)]
    pub print: bool,
    /// Name of a buildx builder: there is only `default`
    #[arg(long, value_name = "NAME")]
    pub builder: Option<String>,
    /// Memory that a RUN may use, such as 512m
    #[arg(short = 'm', long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// SSH agent or keys for RUN --mount=type=ssh: default, ID=SOCKET or ID=KEY, several with commas
    #[arg(long, value_name = "ID")]
    pub ssh: Vec<String>,
    /// Attest how images are built: true, false, or mode=min|max,version=v0.2|v1
    #[arg(long, value_name = "MODE", value_parser = attestation::provenance)]
    pub provenance: Option<AskedProvenance>,
    /// Attest which packages are in images: true or false
    #[arg(long, value_name = "BOOL", value_parser = attestation::sbom)]
    pub sbom: Option<bool>,
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
    let plan = plan(&files, &names);
    if plan.is_empty() {
        print::err("No services to build\n");
        return Ok(());
    }
    let options = BuildOptions {
        no_cache: args.no_cache,
        pull: args.pull,
        arguments: build_arguments(&args.build_arg, context),
        ssh: args
            .ssh
            .iter()
            .flat_map(|given| given.split(','))
            .map(str::to_owned)
            .collect(),
        memory: args.memory.as_deref().map(memory).transpose()?,
        provenance: args.provenance.clone(),
        sbom: args.sbom,
    };
    let services: Vec<&ServiceName> = plan
        .steps
        .iter()
        .filter_map(|step| {
            if let Action::BuildImage { service, .. } = &step.action {
                Some(service)
            } else {
                None
            }
        })
        .collect();
    if args.print {
        let text = serde_json::to_string_pretty(&bake::bake(&files, &options, &services));
        return Ok(print::out(&format!("{}\n", text.unwrap_or_default()))?);
    }
    let images = StoreImages::new(context, Some(&files)).with_options(options);
    if args.check {
        return check::check(context, &images, &services);
    }
    let mut look = context.look();
    if args.quiet {
        look = Look {
            kind: ProgressKind::Quiet,
            ..look
        };
    }
    let progress = Progress::new("build", look, None);
    context.run_image_plan(&plan, &images, &progress)?;
    if !args.push {
        return Ok(());
    }
    let built = services
        .iter()
        .filter_map(|name| files.project.services.get(*name));
    let mut pushes: Vec<Action> = Vec::new();
    for reference in built.flat_map(names_to_push) {
        let action = Action::PushImage { reference };
        if !pushes.contains(&action) {
            pushes.push(action);
        }
    }
    let progress = Progress::new("push", look, None);
    context.run_images(pushes, &images, &progress, OnFailure::Abort)
}

/// The builds of these services, or of all, and of those whose images are their contexts.
fn plan(files: &LoadedProject, names: &[ServiceName]) -> Plan {
    let mut due: Due = Due::new();
    let mut open: Vec<ServiceName> = files.project.services.keys().cloned().collect();
    open.retain(|name| names.is_empty() || names.contains(name));
    open.reverse();
    while let Some(name) = open.pop() {
        let service = files.project.services.get(&name);
        let Some((service, section)) = service.and_then(|service| Some((service, service.build.as_ref()?)))
        else {
            continue;
        };
        let reference = image_name(&files.project, service);
        if due.contains_key(&reference) {
            continue;
        }
        let action = Action::BuildImage {
            service: name,
            reference: reference.clone(),
        };
        due.insert(reference, (action, Reason::Requested));
        // What a context is the image of is built too.
        open.extend(section.services().map(ServiceName::new));
    }
    in_order(due, &|service| {
        let section = files
            .project
            .services
            .get(service)
            .and_then(|service| service.build.as_ref());
        let others = section.into_iter().flat_map(Build::services);
        others
            .filter_map(|other| files.project.services.get(other))
            .map(|other| image_name(&files.project, other))
            .collect()
    })
}

/// `--memory` in bytes.
fn memory(text: &str) -> Result<u64, CliError> {
    let bytes = parse_bytes(text).map_err(|error| CliError::usage(format!("--memory {text}: {error}")))?;
    u64::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| CliError::usage(format!("--memory {text}: more than nothing is needed")))
}

fn refuse(args: &Args) -> Result<(), CliError> {
    builder::check(args.builder.as_deref())?;
    if args.no_rm {
        return Err(CliError::unsupported_flag(
            "--no-rm",
            "nothing intermediate is kept but cached layers",
        ));
    }
    Ok(())
}
