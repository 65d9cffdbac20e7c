//! In: a parsed command line. Out: its verb, run. One file per verb: its `Args`, then `run(&Context, &Args)`.
//! Shared here: [`Context`] (globals, environment, runtime, signals), [`Target`] and [`LoadedProject`] (what a verb works on),
//! [`Context::operate`] and [`Context::reconcile`] (the only way to change a project), [`StoreImages`] (pull and build).
//! **Invariant:** a verb prints through `ui` and ends with a [`CliError`], whose kind is the exit code.

mod attachment;
mod build_cache;
mod build_request;
mod build_story;
mod context;
mod creation;
mod image_source;
mod interrupt;
mod listing;
mod project;
mod remote;
mod run_request;
mod session;
mod subject;
mod supervisor;
mod work;

pub mod attach;
pub mod build;
pub mod builder;
pub mod check;
pub mod commit;
pub mod config;
pub mod convert;
pub mod cp;
pub mod create;
pub mod diff;
pub mod down;
pub mod events;
pub mod exec;
pub mod export;
pub mod image;
pub mod images;
pub mod kill;
pub mod login;
pub mod logout;
pub mod logs;
pub mod ls;
pub mod pause;
pub mod plan;
pub mod port;
pub mod ps;
pub mod pull;
pub mod push;
pub mod restart;
pub mod rm;
pub mod run;
pub mod scale;
pub mod schema;
pub mod start;
pub mod stats;
pub mod stop;
pub mod supervise;
pub mod system;
pub mod top;
pub mod up;
pub mod version;
pub mod volumes;
pub mod wait;
pub mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

pub use build_request::{BuildOptions, Surroundings, build_request, dockerignore};
pub use context::{Context, Stream};
pub use image_source::{StoreImages, build_arguments};
pub use interrupt::Interrupts;
pub use project::{LoadedProject, Target, options_of};
pub use subject::Subject;
pub use work::Asked;

use crate::cli::{Cli, Command, plain_flags};
use crate::error::CliError;
use crate::ui::print;

/// The program: parses the command line, runs the verb, prints its error and gives its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(plain_flags(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; wrong flags end with 1, as docker compose ends then.
            let failed = error.use_stderr();
            let told = error.print();
            return ExitCode::from(u8::from(failed || told.is_err()));
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::err(&error.text());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), CliError> {
    let context = Context::new(cli.global)?;
    if cli.version {
        print::out(concat!("rcompose version ", env!("CARGO_PKG_VERSION"), "\n"))?;
        return Ok(());
    }
    refuse(&context, cli.command.as_ref())?;
    tell_unheeded(&context);
    let Some(command) = cli.command else {
        print::out(&Cli::command().render_long_help().to_string())?;
        return Ok(());
    };
    match command {
        Command::Attach(args) => attach::run(&context, &args),
        Command::Build(args) => build::run(&context, &args),
        Command::Builder(args) => builder::run(&context, &args),
        Command::Check(args) => check::run(&context, &args),
        Command::Commit(args) => commit::run(&context, &args),
        Command::Config(args) => config::run(&context, &args),
        Command::Convert(args) => convert::run(&context, &args),
        Command::Cp(args) => cp::run(&context, &args),
        Command::Create(args) => create::run(&context, &args),
        Command::Diff(args) => diff::run(&context, &args),
        Command::Down(args) => down::run(&context, &args),
        Command::Events(args) => events::run(&context, &args),
        Command::Exec(args) => exec::run(&context, &args),
        Command::Export(args) => export::run(&context, &args),
        Command::Image(args) => image::run(&context, &args),
        Command::Images(args) => images::run(&context, &args),
        Command::Kill(args) => kill::run(&context, &args),
        Command::Login(args) => login::run(&context, &args),
        Command::Logout(args) => logout::run(&context, &args),
        Command::Logs(args) => logs::run(&context, &args),
        Command::Ls(args) => ls::run(&context, &args),
        Command::Pause(args) => pause::pause(&context, &args),
        Command::Plan(args) => plan::run(&context, &args),
        Command::Port(args) => port::run(&context, &args),
        Command::Ps(args) => ps::run(&context, &args),
        Command::Pull(args) => pull::run(&context, &args),
        Command::Push(args) => push::run(&context, &args),
        Command::Restart(args) => restart::run(&context, &args),
        Command::Rm(args) => rm::run(&context, &args),
        Command::Run(args) => run::run(&context, &args),
        Command::Scale(args) => scale::run(&context, &args),
        Command::Schema(args) => schema::run(&context, &args),
        Command::Start(args) => start::run(&context, &args),
        Command::Stats(args) => stats::run(&context, &args),
        Command::Stop(args) => stop::run(&context, &args),
        Command::Supervise(args) => supervise::run(context, &args),
        Command::System(args) => system::run(&context, &args),
        Command::Top(args) => top::run(&context, &args),
        Command::Unpause(args) => pause::unpause(&context, &args),
        Command::Up(args) => up::run(&context, &args),
        Command::Version(args) => version::run(&context, &args),
        Command::Volumes(args) => volumes::run(&context, &args),
        Command::Wait(args) => wait::run(&context, &args),
        Command::Watch(args) => watch::run(&context, &args),
    }
}

/// Global flags that cannot be honoured by a command.
fn refuse(context: &Context, command: Option<&Command>) -> Result<(), CliError> {
    let globals = &context.globals;
    let refused = [
        (
            context.is_compatible() && !matches!(command, Some(Command::Config(_))),
            "--compatibility",
            "containers and images are named with `-` (only `config` takes it); unset COMPOSE_COMPATIBILITY if that asks for it",
        ),
        (
            !globals.insecure_registry.is_empty(),
            "--insecure-registry",
            "set `plain-http = true` for the registry in ~/.config/rcompose/config.toml",
        ),
    ];
    match refused.into_iter().find(|(given, _, _)| *given) {
        Some((_, flag, why)) => Err(CliError::unsupported_flag(flag, why)),
        None => Ok(()),
    }
}

/// Says which variables of docker compose are set and change nothing here.
fn tell_unheeded(context: &Context) {
    let unheeded = [
        ("COMPOSE_MENU", "`up` shows no menu of keys"),
        ("COMPOSE_EXPERIMENTAL", "there are no experimental features"),
        (
            "COMPOSE_CONVERT_WINDOWS_PATHS",
            "paths are converted on Windows only",
        ),
    ];
    for (variable, why) in unheeded {
        if context.is_set(variable) {
            print::err(&format!("warning: {variable} changes nothing: {why}\n"));
        }
    }
}

/// Names of services as the engine takes them.
pub fn service_names(names: &[String]) -> Vec<crate::model::ServiceName> {
    names
        .iter()
        .map(|name| crate::model::ServiceName::new(name.as_str()))
        .collect()
}

/// `--timeout` in seconds as a duration.
pub fn seconds(timeout: Option<u64>) -> Option<std::time::Duration> {
    timeout.map(std::time::Duration::from_secs)
}
