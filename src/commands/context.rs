//! In: global flags, environment and directory of the process. Out: [`Context`], what every command works with.
//! **Invariant:** opened lazily: a command pays for what it uses.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use rcompose_runtime::{DEFAULT_DATA_ROOT, DEFAULT_RUN_ROOT, LocalRuntime, Roots};

use super::interrupt::Interrupts;
use crate::cli::{GlobalArgs, When};
use crate::error::CliError;
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
    runtime: OnceLock<LocalRuntime>,
}

impl Context {
    /// Looks at the process.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn new(globals: GlobalArgs) -> Result<Self, CliError> {
        let cwd = std::env::current_dir()
            .map_err(|error| CliError::user(format!("cannot find the working directory: {error}")))?;
        let environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let no_color = environment
            .iter()
            .any(|(name, value)| name == "NO_COLOR" && !value.is_empty());
        let stream = |terminal: bool| {
            let colour = match globals.ansi {
                _ if globals.no_ansi => false,
                Some(When::Never) => false,
                Some(When::Always) => true,
                Some(When::Auto) | None => terminal && !no_color,
            };
            Stream {
                terminal,
                style: Style { colour },
            }
        };
        Ok(Self {
            stdout: stream(print::out_is_terminal()),
            stderr: stream(print::err_is_terminal()),
            globals,
            environment,
            cwd,
            interrupts: Interrupts::default(),
            runtime: OnceLock::new(),
        })
    }

    /// A variable of the process environment; an empty one counts as unset.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether a variable says yes, as docker reads booleans.
    pub fn is_set(&self, name: &str) -> bool {
        let yes = ["1", "t", "T", "true", "TRUE", "True", "y", "yes"];
        self.variable(name).is_some_and(|value| yes.contains(&value))
    }

    /// This machine's runtime, in the roots that `RCOMPOSE_DATA_ROOT` and `RCOMPOSE_RUN_ROOT` name. Nothing is touched yet.
    pub fn runtime(&self) -> Result<&LocalRuntime, CliError> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let root = |variable: &str, default: &str| self.cwd.join(self.variable(variable).unwrap_or(default));
        let roots = Roots::new(
            &root("RCOMPOSE_DATA_ROOT", DEFAULT_DATA_ROOT),
            &root("RCOMPOSE_RUN_ROOT", DEFAULT_RUN_ROOT),
        )?;
        let shim = self.variable("RCOMPOSE_SHIM").map(|path| self.cwd.join(path));
        Ok(self.runtime.get_or_init(|| LocalRuntime::new(roots, shim)))
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
