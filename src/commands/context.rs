//! In: global flags, environment and directory of the process. Out: [`Context`], what every command works with.
//! **Invariant:** opened lazily: a command pays for what it uses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use clap::ValueEnum;
use rcompose_runtime::{DEFAULT_DATA_ROOT, DEFAULT_RUN_ROOT, LocalRuntime, Roots};

use super::interrupt::Interrupts;
use super::remote::RemoteFiles;
use crate::cli::{GlobalArgs, When};
use crate::error::CliError;
use crate::source::remote::Remotes;
use crate::state::ProjectDir;
use crate::ui::print;
use crate::ui::style::Style;

/// A standard stream.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// It is a terminal.
    pub terminal: bool,
    /// Whether to colour.
    pub style: Style,
}

/// What every command works with.
#[derive(Debug)]
pub struct Context {
    /// Options before the command.
    pub globals: GlobalArgs,
    /// The process environment; what is not UTF-8 is left out.
    pub environment: Vec<(String, String)>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    /// Signals.
    pub interrupts: Interrupts,
    /// `COMPOSE_*` of `.env` or `--env-file`.
    settings: BTreeMap<String, String>,
    runtime: OnceLock<LocalRuntime>,
    remotes: OnceLock<Arc<RemoteFiles>>,
}

impl Context {
    /// Looks at the process.
    ///
    /// # Errors
    /// The working directory is gone; a variable that stands for a flag has a value that means nothing.
    pub fn new(globals: GlobalArgs) -> Result<Self, CliError> {
        let environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let uncoloured = |terminal| Stream {
            terminal,
            style: Style { colour: false },
        };
        let mut context = Self {
            stdout: uncoloured(print::out_is_terminal()),
            stderr: uncoloured(print::err_is_terminal()),
            globals,
            cwd: working_directory(&environment)?,
            environment,
            interrupts: Interrupts::default(),
            settings: BTreeMap::new(),
            runtime: OnceLock::new(),
            remotes: OnceLock::new(),
        };
        context.settings = crate::source::load::settings(&context.load_options());
        context.fill_globals()?;
        let no_color = context.variable("NO_COLOR").is_some();
        for stream in [&mut context.stdout, &mut context.stderr] {
            stream.style.colour = match context.globals.ansi {
                _ if context.globals.no_ansi => false,
                Some(When::Never) => false,
                Some(When::Always) => true,
                Some(When::Auto) | None => stream.terminal && !no_color,
            };
        }
        Ok(context)
    }

    /// Global flags that were not given take what their variables say.
    fn fill_globals(&mut self) -> Result<(), CliError> {
        if self.globals.ansi.is_none() {
            self.globals.ansi = self.choice("COMPOSE_ANSI")?;
        }
        if self.globals.progress.is_none() {
            self.globals.progress = self.choice("COMPOSE_PROGRESS")?;
        }
        if let (None, Some(limit)) = (self.globals.parallel, self.variable("COMPOSE_PARALLEL_LIMIT")) {
            let count = limit.parse().map_err(|_| {
                CliError::usage(format!("COMPOSE_PARALLEL_LIMIT is not a whole number: `{limit}`"))
            })?;
            self.globals.parallel = Some(count);
        }
        Ok(())
    }

    /// Whether names are to have `_` where docker compose has `-`: by `--compatibility` or its variable.
    pub fn is_compatible(&self) -> bool {
        self.globals.compatibility || self.is_set("COMPOSE_COMPATIBILITY")
    }

    /// A variable that takes one of the values of a flag.
    fn choice<T: ValueEnum>(&self, variable: &str) -> Result<Option<T>, CliError> {
        let Some(written) = self.variable(variable) else {
            return Ok(None);
        };
        T::from_str(written, false).map(Some).map_err(|_| {
            let known = T::value_variants().iter().filter_map(T::to_possible_value);
            let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
            CliError::usage(format!("{variable} means nothing as `{written}`"))
                .with_hint(format!("it may be {}", known.join(", ")))
        })
    }

    /// A variable of the process environment, or one of `COMPOSE_*` that `.env` sets; an empty one counts as unset.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
            .or_else(|| self.settings.get(name))
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether a variable says yes, as docker compose reads booleans (`utils.StringToBool`).
    pub fn is_set(&self, name: &str) -> bool {
        let yes = ["1", "t", "true", "y", "yes"];
        self.variable(name)
            .is_some_and(|value| yes.contains(&value.to_ascii_lowercase().as_str()))
    }

    /// This machine's runtime, in the roots that `RCOMPOSE_DATA_ROOT` and `RCOMPOSE_RUN_ROOT` name. Nothing is touched yet.
    pub fn runtime(&self) -> Result<&LocalRuntime, CliError> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let roots = Roots::new(
            &self.root("RCOMPOSE_DATA_ROOT", DEFAULT_DATA_ROOT),
            &self.root("RCOMPOSE_RUN_ROOT", DEFAULT_RUN_ROOT),
        )?;
        let shim = self.variable("RCOMPOSE_SHIM").map(|path| self.cwd.join(path));
        Ok(self.runtime.get_or_init(|| LocalRuntime::new(roots, shim)))
    }

    fn root(&self, variable: &str, default: &str) -> PathBuf {
        self.cwd.join(self.variable(variable).unwrap_or(default))
    }

    /// Who fetches remote compose files, with the logins of the first environment that is given here: what a name elsewhere stands
    /// for is asked once in the life of a command, and once in that of a supervisor.
    pub(super) fn remotes(&self, environment: &[(String, String)]) -> Arc<dyn Remotes> {
        let root = || self.root("RCOMPOSE_DATA_ROOT", DEFAULT_DATA_ROOT);
        let remotes = self
            .remotes
            .get_or_init(|| Arc::new(RemoteFiles::new(&root(), environment)));
        Arc::<RemoteFiles>::clone(remotes)
    }

    /// Root of all state that outlives the machine's run.
    pub fn data_root(&self) -> Result<&Path, CliError> {
        Ok(self.runtime()?.roots().data())
    }

    /// The records of a project.
    pub fn project_dir(&self, project: &str) -> Result<ProjectDir, CliError> {
        Ok(ProjectDir::of(self.data_root()?, project))
    }

    /// The flag that SIGINT and SIGTERM set; from the first call on they no longer end the program, a second one does.
    pub fn cancel(&self) -> Result<&AtomicBool, CliError> {
        self.interrupts
            .watch()
            .map_err(|error| CliError::user(format!("cannot listen to signals: {error}")))?;
        Ok(self.interrupts.cancel())
    }

    /// With `--dry-run`, says what would be done; then it is not to be done.
    pub fn only_says(&self, what: &str) -> bool {
        if self.globals.dry_run {
            print::err(&format!(" DRY-RUN MODE - {what}\n"));
        }
        self.globals.dry_run
    }

    /// Steps that work at once (`--parallel`).
    pub fn parallel(&self) -> usize {
        let asked = self
            .globals
            .parallel
            .and_then(|count| usize::try_from(count).ok());
        asked
            .filter(|count| *count > 0)
            .unwrap_or(crate::engine::PARALLEL)
    }
}

/// The directory a person believes to be in: `PWD` where it names the working directory, so that one reached through a symbolic
/// link keeps the link's name, as Go's `os.Getwd` has it.
fn working_directory(environment: &[(String, String)]) -> Result<PathBuf, CliError> {
    let missing = |error| CliError::user(format!("cannot find the working directory: {error}"));
    let real = std::env::current_dir().map_err(missing)?;
    let believed = environment.iter().find(|(name, _)| name == "PWD");
    let believed = believed.map(|(_, path)| PathBuf::from(path));
    Ok(believed
        .filter(|path| path.is_absolute() && path.canonicalize().is_ok_and(|path| path == real))
        .unwrap_or(real))
}
