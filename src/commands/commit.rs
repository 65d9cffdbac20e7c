//! In: `rcompose commit SERVICE [NAME]`. Out: an image of what the service's container has become, as docker commit makes it.
//! **Invariant:** a running container is frozen while it is copied, unless that is refused, and always thawed again.

use jiff::Timestamp;
use rcompose_runtime::image_store::build::change;
use rcompose_runtime::image_store::{Committed, ImageConfig, Reference, commit};
use rcompose_runtime::state::{ContainerState, Status};
use rcompose_runtime::{HOST, LocalRuntime, Runtime as _};

use super::Context;
use crate::error::{CliError, chain};
use crate::ui::print;

/// Options of `rcompose commit`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Who made it
    #[arg(short = 'a', long, value_name = "NAME", default_value = "")]
    pub author: String,
    /// Dockerfile instruction to apply, such as `CMD ["sh"]`. May be given several times.
    #[arg(short = 'c', long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// Which replica
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// What is said of it in its history
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "")]
    pub message: String,
    /// Freeze the container meanwhile
    #[arg(
        short = 'p',
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub pause: bool,
    /// Service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Name of the image
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Makes the image.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let name: Option<Reference> = args
        .name
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error: rcompose_runtime::image_store::ReferenceError| CliError::user(chain(&error)))?;
    let subject = context.subject(false)?;
    let container = context.one_container(&subject, &args.service, args.index, false)?;
    if container.image == HOST {
        return Err(CliError::user(format!(
            "container {} is a view of this host's own files: no image can hold them, but one can be built `FROM @host`",
            container.name
        )));
    }
    let runtime = context.runtime()?;
    let store = runtime.images()?;
    let base = store.find(&container.image_id)?.ok_or_else(|| {
        CliError::user(format!(
            "the image of container {} is not in the store any more",
            container.name
        ))
    })?;
    let mut config = config_of(&base.config, &container);
    for instruction in &args.change {
        change(&mut config, instruction)
            .map_err(|error| CliError::usage(format!("--change {instruction}: {error}")))?;
    }
    if context.only_says(&format!("commit {}", container.name)) {
        return Ok(());
    }
    let committed = Committed {
        config,
        author: args.author.clone(),
        message: args.message.clone(),
        created_by: container.command.join(" "),
        created: Timestamp::now().to_string(),
    };
    let files = runtime.container_files(&container.id)?;
    let frozen = args.pause && container.status == Status::Running;
    let image = while_frozen(runtime, &container.id, frozen, || {
        Ok(commit(store, &base, &files.upper, committed)?)
    })?;
    if let Some(name) = name {
        store.tag(&image.id, &name, None)?;
    }
    print::out(&format!("{}\n", image.id))?;
    Ok(())
}

fn while_frozen<T>(
    runtime: &LocalRuntime,
    id: &str,
    frozen: bool,
    work: impl FnOnce() -> Result<T, CliError>,
) -> Result<T, CliError> {
    if frozen {
        runtime.pause(id)?;
    }
    let done = work();
    if frozen {
        runtime.unpause(id)?;
    }
    done
}

/// The image's configuration with what the container was made with. Labels of compose describe the container, not the image.
fn config_of(base: &ImageConfig, container: &ContainerState) -> ImageConfig {
    let mut config = base.clone();
    let Some(request) = &container.request else {
        return config;
    };
    if let Some(entrypoint) = &request.entrypoint {
        config.entrypoint = Some(entrypoint.clone()).filter(|words| !words.is_empty());
        config.cmd = None;
    }
    if let Some(command) = &request.command {
        config.cmd = Some(command.clone()).filter(|words| !words.is_empty());
    }
    for (name, value) in &request.environment {
        config.env.retain(|pair| pair.split('=').next() != Some(name));
        config
            .env
            .extend(value.as_ref().map(|value| format!("{name}={value}")));
    }
    for (field, given) in [
        (&mut config.user, &request.user),
        (&mut config.working_dir, &request.working_directory),
        (&mut config.stop_signal, &request.stop_signal),
    ] {
        if let Some(given) = given {
            field.clone_from(given);
        }
    }
    let own = |(name, _): &(&String, &String)| {
        !name.starts_with("com.docker.compose.") && !name.starts_with("rcompose.")
    };
    let labels = request.labels.iter().filter(own);
    config
        .labels
        .extend(labels.map(|(name, value)| (name.clone(), value.clone())));
    let exposed = request.expose.iter().filter(|port| !port.contains('-'));
    let whole = |port: &String| {
        if port.contains('/') {
            port.clone()
        } else {
            format!("{port}/tcp")
        }
    };
    config.exposed_ports.extend(exposed.map(whole));
    config
}
