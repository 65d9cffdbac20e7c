//! In: `rcompose run`. Out: a container of its own for one command, with this program's streams until it ends.
//! **Invariant:** not a byte of its output is missed: its process begins when this program is attached.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use rcompose_runtime::request::ContainerRequest;
use rcompose_runtime::runtime::Waited;
use rcompose_runtime::state::Status;
use rcompose_runtime::{LocalRuntime, Runtime};

use super::creation::{image_policy, remove_orphans};
use super::project::LoadedProject;
use super::run_request::{Terminal, apply, request};
use super::session::{Left, exit, has_terminal, start_failure, stay_attached, unprepared};
use super::{Asked, Context, StoreImages};
use crate::engine::lower::image_name;
use crate::engine::read_inputs;
use crate::error::CliError;
use crate::model::service::Condition;
use crate::model::{Service, ServiceName};
use crate::plan::{Intent, Up};
use crate::state::ProjectLock;
use crate::ui::print;
use crate::ui::progress::{Look, Progress, ProgressKind};
use crate::ui::relay::DETACH;

/// Options of `rcompose run`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Build the image first
    #[arg(long)]
    pub build: bool,
    /// Add a capability
    #[arg(long, value_name = "CAP")]
    pub cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "CAP")]
    pub cap_drop: Vec<String>,
    /// Run in the background and print the container's id
    #[arg(short = 'd', long)]
    pub detach: bool,
    /// Entrypoint instead of the service's
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// Variable, NAME=VALUE; NAME alone takes this shell's value
    #[arg(short = 'e', long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// File of variables
    #[arg(long, value_name = "FILE")]
    pub env_from_file: Vec<PathBuf>,
    /// Keep standard input open
    #[arg(short = 'i', long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub interactive: bool,
    /// Label, NAME=VALUE
    #[arg(short = 'l', long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Without a terminal
    #[arg(short = 'T', long = "no-tty", visible_alias = "no-TTY", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub no_tty: Option<bool>,
    /// Leave dependencies alone
    #[arg(long)]
    pub no_deps: bool,
    /// Publish a port
    #[arg(short = 'p', long, value_name = "PORT", conflicts_with = "service_ports")]
    pub publish: Vec<String>,
    /// When to pull: always, missing, never or the file's policy
    #[arg(long, value_name = "POLICY")]
    pub pull: Option<String>,
    /// Print nothing but what the command prints
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Do not show what builds print
    #[arg(long)]
    pub quiet_build: bool,
    /// Do not show the progress of pulls
    #[arg(long)]
    pub quiet_pull: bool,
    /// Remove containers of services that the file no longer has
    #[arg(long)]
    pub remove_orphans: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Publish the service's ports
    #[arg(short = 'P', long)]
    pub service_ports: bool,
    /// With a terminal
    #[arg(short = 't', long, hide = true, conflicts_with = "no_tty")]
    pub tty: bool,
    /// Be found by the service's names, too
    #[arg(long)]
    pub use_aliases: bool,
    /// Run as this user
    #[arg(short = 'u', long, value_name = "USER")]
    pub user: Option<String>,
    /// Mount, SOURCE:TARGET[:OPTIONS]
    #[arg(short = 'v', long, value_name = "MOUNT")]
    pub volume: Vec<String>,
    /// Run in this directory
    #[arg(short = 'w', long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Command and its arguments, instead of the service's
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Runs a command; its exit code becomes this program's.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let mut files = context.load(std::slice::from_ref(&args.service))?;
    let Some(mut service) = files.project.services.get(args.service.as_str()).cloned() else {
        return Err(CliError::user(format!("no such service: {}", args.service)));
    };
    let asked_for = args.tty || !args.no_tty.unwrap_or(!has_terminal());
    let terminal = Terminal {
        tty: if args.detach {
            service.tty && !args.no_tty.unwrap_or(false)
        } else {
            asked_for
        },
        stdin_open: args.interactive && (!args.detach || service.stdin_open),
    };
    apply(context, args, &mut files.project, &mut service, &terminal)?;
    let runtime = context.runtime()?;
    let slug = slug()?;
    let facts = read_inputs(&files.project, files.origin());
    let request = request(args, &files, &service, &slug, &facts)?;
    prepare_around(context, args, &mut files, &service, &slug)?;
    if context.only_says(&format!("create and start container {}", request.name)) {
        return Ok(());
    }
    if !args.no_deps {
        await_dependencies(context, runtime, &files, &service)?;
    }
    let id = start(context, runtime, &request, !args.detach)?;
    if args.detach {
        print::out(&format!("{id}\n"))?;
        return Ok(());
    }
    // Signals are the command's from here on.
    context.interrupts.take_over();
    let keys = if terminal.tty { DETACH.as_slice() } else { &[] };
    let left = stay_attached(runtime, &id, terminal.tty, terminal.stdin_open, keys, true);
    match left {
        Ok(Left::Ended(code)) => {
            finish(context, &request.project, &id, args.rm)?;
            exit(code)
        }
        Ok(Left::GivenUp(code)) => {
            runtime.kill(&id, "KILL").unwrap_or_default();
            finish(context, &request.project, &id, args.rm)?;
            exit(code)
        }
        Ok(Left::Detached) => Ok(()),
        Err(error) => {
            // It may never have begun: what was made for it goes, as far as that is possible.
            runtime.kill(&id, "KILL").unwrap_or_default();
            finish(context, &request.project, &id, args.rm).unwrap_or_default();
            Err(error)
        }
    }
}

/// Twelve hexadecimal digits.
fn slug() -> Result<String, CliError> {
    let mut bytes = [0; 8];
    let file = std::fs::File::open("/dev/urandom");
    file.and_then(|mut file| io::Read::read_exact(&mut file, &mut bytes))
        .map_err(unprepared)?;
    Ok(format!("{:012x}", u64::from_be_bytes(bytes) >> 16))
}

/// Brings up what the container needs: its dependencies, and its own image, networks and volumes. For these, a service without
/// replicas stands in for it, so that the service's own containers are left alone.
fn prepare_around(
    context: &Context,
    args: &Args,
    files: &mut LoadedProject,
    service: &Service,
    slug: &str,
) -> Result<(), CliError> {
    let mut stand_in = service.clone();
    let mut name = format!("{}-run", service.name);
    if files.project.services.contains_key(name.as_str()) {
        name = format!("{name}-{slug}");
    }
    stand_in.name = ServiceName::new(name);
    stand_in.image = Some(image_name(&files.project, service));
    stand_in.container_name = None;
    stand_in.ports.clear();
    stand_in.scale = 0;
    if args.no_deps {
        stand_in.depends_on.clear();
    }
    let name = stand_in.name.clone();
    files.project.services.insert(name.clone(), stand_in);
    let prepared = files.prepare()?;
    let images = StoreImages::new(context, Some(files));
    let look = context.look();
    let look = Look {
        kind: if args.quiet {
            ProgressKind::Quiet
        } else {
            look.kind
        },
        quiet_pull: args.quiet_pull,
        quiet_build: args.quiet_build,
        ..look
    };
    let progress = Progress::new("run", look, Some(files.sources.clone()));
    let intent = Intent::Up(Up {
        services: vec![name.clone()],
        remove_orphans: remove_orphans(context, args.remove_orphans),
        images: image_policy(args.pull.as_deref(), args.build, false)?,
        ..Up::default()
    });
    let done = context.reconcile(
        &prepared,
        Some(files),
        &intent,
        &images,
        &progress,
        &Asked::default(),
    );
    files.project.services.shift_remove(&name);
    done.map(drop)
}

/// Waits for what the service's `depends_on` asks for.
fn await_dependencies(
    context: &Context,
    runtime: &LocalRuntime,
    files: &LoadedProject,
    service: &Service,
) -> Result<(), CliError> {
    let awaited = service
        .depends_on
        .iter()
        .filter(|(_, dependency)| dependency.condition != Condition::Started);
    for (name, dependency) in awaited {
        let containers = runtime.containers(files.project.name.as_str())?;
        for container in containers
            .iter()
            .filter(|container| container.service == name.as_str() && !container.one_off)
        {
            let cancel = context.cancel()?;
            let problem = match dependency.condition {
                Condition::Started => None,
                Condition::Healthy => match runtime.wait_healthy(&container.id, None, cancel)? {
                    Waited::Healthy => None,
                    Waited::Unhealthy(output) => Some(format!("is unhealthy: {}", output.trim())),
                    Waited::Exited(code) => Some(format!("exited ({code})")),
                },
                Condition::CompletedSuccessfully => match runtime.wait_exited(&container.id, None, cancel)? {
                    0 => None,
                    code => Some(format!("exited ({code})")),
                },
            };
            if let Some(problem) = problem.filter(|_| dependency.required) {
                return Err(CliError::user(format!(
                    "dependency failed to start: container {} {problem}",
                    container.name
                )));
            }
        }
    }
    Ok(())
}

/// Creates, wires and starts the container; its id. What was made is taken back when a later step fails.
fn start(
    context: &Context,
    runtime: &LocalRuntime,
    request: &ContainerRequest,
    wait_for_attach: bool,
) -> Result<String, CliError> {
    let lock = lock(context, &request.project, context.cancel()?)?;
    let id = runtime.create_container(request, None)?;
    let ids = [id.clone()];
    let started = runtime
        .wire(&ids)
        .and_then(|()| runtime.start_container(&id, wait_for_attach));
    if let Err(error) = started {
        // The first error counts; the next command repairs what is left.
        runtime.unwire(&ids).unwrap_or_default();
        runtime.remove_container(&id, true).unwrap_or_default();
        return Err(start_failure(error));
    }
    drop(lock);
    Ok(id)
}

fn lock(context: &Context, project: &str, cancel: &AtomicBool) -> Result<ProjectLock, CliError> {
    let mut waiting =
        |holder: &str| print::err(&format!("waiting for {holder}, which works on this project\n"));
    context
        .project_dir(project)?
        .lock(cancel, &mut waiting)?
        .ok_or_else(CliError::interrupted)
}

/// Gives back what the container holds of networks and ports, and removes it when asked.
fn finish(context: &Context, project: &str, id: &str, remove: bool) -> Result<(), CliError> {
    let runtime = context.runtime()?;
    let lock = lock(context, project, &AtomicBool::new(false))?;
    match runtime.container(id)?.status {
        // Somebody started it again.
        Status::Running | Status::Paused | Status::Restarting => return Ok(()),
        Status::Created | Status::Exited { .. } => {}
    }
    runtime.unwire(&[id.to_owned()])?;
    if remove {
        runtime.remove_container(id, true)?;
    }
    drop(lock);
    Ok(())
}
