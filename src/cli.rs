//! In: the command line. Out: [`Cli`], what was typed, with docker compose's names and defaults.
//! **Invariant:** nothing is looked up or decided here; a flag that cannot be honoured is refused by its command, never dropped.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::ui::progress::ProgressKind;

/// Run Compose projects with no engine behind it.
#[derive(Debug, Parser)]
#[command(
    name = "rcompose",
    version,
    disable_version_flag = true,
    propagate_version = false,
    max_term_width = 100
)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// Print the version and exit.
    #[arg(short = 'v', long = "version", hide = true)]
    pub version: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options before the command, as docker compose spells them.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct GlobalArgs {
    /// Compose file, YAML or TOML; `-` is standard input. May be given several times, later files override earlier ones.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Project name.
    #[arg(short = 'p', long, value_name = "NAME")]
    pub project_name: Option<String>,
    /// Directory that relative paths start from (default: that of the first compose file).
    #[arg(long, value_name = "DIR", alias = "workdir")]
    pub project_directory: Option<PathBuf>,
    /// Profile to enable; `*` enables all. May be given several times.
    #[arg(long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// File of variables for interpolation, instead of `.env`. May be given several times.
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// When to use colours and control sequences (default: `COMPOSE_ANSI`, else auto).
    #[arg(long, value_enum, value_name = "WHEN")]
    pub ansi: Option<When>,
    /// Kind of progress output (default: `COMPOSE_PROGRESS`, else auto).
    #[arg(long, value_enum, value_name = "KIND", global = true)]
    pub progress: Option<ProgressKind>,
    /// How many things may be done at once; -1 lets rcompose choose (default: `COMPOSE_PARALLEL_LIMIT`, else -1).
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub parallel: Option<i64>,
    /// Say what would be done, and do nothing.
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Include resources that no service uses.
    #[arg(long)]
    pub all_resources: bool,
    /// Name images with `_` instead of `-` (`config` only, which then spells nothing out).
    #[arg(long)]
    pub compatibility: bool,
    /// Accepted as docker compose accepts it, where it does nothing either.
    #[arg(long, hide = true)]
    pub verbose: bool,
    /// Registry to reach without TLS (refused: config.toml says so).
    #[arg(long, hide = true, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
    /// The same as `--ansi never`.
    #[arg(long, hide = true)]
    pub no_ansi: bool,
}

/// Answer to "use colours?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Never.
    Never,
    /// Always.
    Always,
    /// When writing to a terminal.
    Auto,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Join a running container's streams
    Attach(commands::attach::Args),
    /// Build or rebuild services
    Build(commands::build::Args),
    /// Show what builds keep for later ones, and remove it
    Builder(commands::builder::Args),
    /// Say everything there is to say about the compose file, without running it
    Check(commands::check::Args),
    /// Make an image of what a service's container has become
    Commit(commands::commit::Args),
    /// Parse, resolve and print the compose file in canonical format
    Config(commands::config::Args),
    /// Turn a compose file from YAML into TOML, or from TOML into YAML
    Convert(commands::convert::Args),
    /// Copy files between the host and a service's container
    Cp(commands::cp::Args),
    /// Create containers without starting them
    Create(commands::create::Args),
    /// Show what a service's container changed in its file system
    Diff(commands::diff::Args),
    /// Stop and remove containers and networks
    Down(commands::down::Args),
    /// Show what happened, and what happens, to a project
    Events(commands::events::Args),
    /// Run a command in a running container
    Exec(commands::exec::Args),
    /// Write the file system of a service's container as a tar
    Export(commands::export::Args),
    /// Work with the local image store
    Image(commands::image::Args),
    /// List the images that the containers use
    Images(commands::images::Args),
    /// Send a signal to containers
    Kill(commands::kill::Args),
    /// Log in to a registry
    Login(commands::login::Args),
    /// Log out of a registry
    Logout(commands::logout::Args),
    /// Show what containers print
    Logs(commands::logs::Args),
    /// List projects
    Ls(commands::ls::Args),
    /// Freeze services
    Pause(commands::pause::PauseArgs),
    /// Say what `up` would change, and why
    Plan(commands::plan::Args),
    /// Print the host's side of a published port
    Port(commands::port::Args),
    /// List containers
    Ps(commands::ps::Args),
    /// Pull images
    Pull(commands::pull::Args),
    /// Push the images of services to their registries
    Push(commands::push::Args),
    /// Restart containers
    Restart(commands::restart::Args),
    /// Remove stopped containers
    Rm(commands::rm::Args),
    /// Run a one-off command in a container of its own
    Run(commands::run::Args),
    /// Change the number of replicas
    Scale(commands::scale::Args),
    /// Print the JSON Schema of Compose files, for editors
    Schema(commands::schema::Args),
    /// Start existing containers
    Start(commands::start::Args),
    /// Show what containers use of this machine
    Stats(commands::stats::Args),
    /// Stop containers without removing them
    Stop(commands::stop::Args),
    /// Keep a project equal to its files (started by `up`)
    #[command(hide = true)]
    Supervise(commands::supervise::Args),
    /// Show what rcompose takes of the disk, and remove what is not used
    System(commands::system::Args),
    /// List the processes in the containers
    Top(commands::top::Args),
    /// Thaw services
    Unpause(commands::pause::UnpauseArgs),
    /// Create and start everything
    Up(commands::up::Args),
    /// Print the version
    Version(commands::version::Args),
    /// List volumes
    Volumes(commands::volumes::Args),
    /// Wait until containers end
    Wait(commands::wait::Args),
    /// Update containers when watched files change
    Watch(commands::watch::Args),
}

/// The arguments with `--flag=true` as `--flag`, and without `--flag=false`, as Go's flags are spelled (strconv.ParseBool).
/// What follows `--`, or the service of `exec` and `run`, belongs to somebody else and stays.
pub fn plain_flags(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let root = Cli::command();
    let mut verb: Option<&clap::Command> = None;
    let mut plain = Vec::new();
    let mut rest = arguments.into_iter();
    plain.extend(rest.next());
    for argument in rest.by_ref() {
        let text = argument.to_str().unwrap_or_default();
        if text == "--" {
            plain.push(argument);
            break;
        }
        if !text.starts_with('-') {
            let passes_on =
                verb.is_some_and(|verb| verb.get_arguments().any(clap::Arg::is_trailing_var_arg_set));
            verb = verb.or_else(|| root.find_subcommand(text));
            plain.push(argument);
            if passes_on {
                break;
            }
            continue;
        }
        let flag = text.strip_prefix("--").and_then(|text| text.split_once('='));
        let is_plain = |name: &str| {
            let known = verb
                .into_iter()
                .chain([&root])
                .flat_map(clap::Command::get_arguments);
            let mut known = known.filter(|known| known.get_long() == Some(name));
            known.any(|known| matches!(known.get_action(), ArgAction::SetTrue))
        };
        match flag.filter(|(name, _)| is_plain(name)) {
            Some((name, "1" | "t" | "T" | "true" | "TRUE" | "True")) => {
                plain.push(format!("--{name}").into());
            }
            Some((_, "0" | "f" | "F" | "false" | "FALSE" | "False")) => {}
            Some(_) | None => plain.push(argument),
        }
    }
    plain.extend(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(line: &str) -> String {
        let words = line.split(' ').map(OsString::from);
        let plain = plain_flags(words).into_iter();
        plain
            .map(|word| word.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_may_be_given_the_values_of_go() {
        assert_eq!(
            plain("rcompose --dry-run=true up --detach=false --build=1"),
            "rcompose --dry-run up --build"
        );
        assert_eq!(
            plain("rcompose ps --orphans=false"),
            "rcompose ps --orphans=false"
        );
        assert_eq!(
            plain("rcompose up --scale=web=2 --wait=maybe"),
            "rcompose up --scale=web=2 --wait=maybe"
        );
        assert_eq!(
            plain("rcompose exec -T web tool --all=true"),
            "rcompose exec -T web tool --all=true"
        );
        assert_eq!(
            plain("rcompose up -- --build=true"),
            "rcompose up -- --build=true"
        );
    }

    #[test]
    fn global_flags_stand_before_the_verb_and_some_anywhere() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("rcompose -f a.yaml -p x up -d").is_ok());
        assert!(parse("rcompose up -d --dry-run --progress plain").is_ok_and(|cli| cli.global.dry_run));
        assert!(parse("rcompose -f a.yaml logs -f web").is_ok_and(|cli| cli.global.files.len() == 1));
        assert!(parse("rcompose up --bogus").is_err());
    }
}
