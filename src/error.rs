//! In: the errors of every room. Out: [`CliError`], what a command ends with, and the exit code it maps to.
//! **Invariant:** one match maps kind to exit code; an error is printed once, at the end of the command.

use std::fmt;
use std::io;

use rcompose_runtime::RuntimeError;

use crate::diagnostic::Diagnostics;
use crate::engine::Failure;
use crate::source::span::SourceMap;
use crate::state::StateError;
use crate::ui::report;

/// What kind of thing went wrong, and so the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A command line, a missing thing: the user can mend it. Exit 1.
    User,
    /// Findings in files, rendered as they are to be printed. Exit 1.
    Findings,
    /// Bad usage that clap cannot see. Exit 1, as docker compose does.
    Usage,
    /// The host or the runtime failed. Exit 1.
    Runtime,
    /// Interrupted by a signal. Exit 130.
    Interrupted,
    /// A process inside a container ended with this code, or could not be started.
    Process(u8),
}

/// The end of a command that did not succeed.
#[derive(Debug)]
pub struct CliError {
    /// Kind.
    pub kind: ErrorKind,
    /// Message; a lowercase fragment or several rendered lines. Empty prints nothing.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CliError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// An error that the user can mend.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    /// Flags that exclude each other and the like.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A flag that this version cannot honour.
    pub fn unsupported_flag(flag: &str, why: &str) -> Self {
        Self::new(ErrorKind::Usage, format!("{flag} is not supported: {why}"))
    }

    /// Findings in files, with the texts they point into.
    pub fn findings(findings: &Diagnostics, sources: &SourceMap) -> Self {
        Self::new(ErrorKind::Findings, report::render(findings, sources))
    }

    /// Steps that failed, one a line.
    pub fn failures(failures: &[Failure]) -> Self {
        let lines: Vec<String> = failures
            .iter()
            .map(|failure| format!("{failure}: {}", failure.error.chain()))
            .collect();
        Self::new(ErrorKind::Runtime, lines.join("\n"))
    }

    /// The user stopped it.
    pub fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, "interrupted")
    }

    /// Nothing more to say than an exit code.
    pub fn process(code: i32) -> Self {
        Self::new(ErrorKind::Process(u8::try_from(code).unwrap_or(255)), "")
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with the exit code of a process, such as 127.
    #[must_use]
    pub fn with_code(mut self, code: u8) -> Self {
        self.kind = ErrorKind::Process(code);
        self
    }

    /// Exit code of the program.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::User | ErrorKind::Findings | ErrorKind::Usage | ErrorKind::Runtime => 1,
            ErrorKind::Interrupted => 130,
            ErrorKind::Process(code) => code,
        }
    }

    /// What is printed, with its line feed; empty when there is nothing to say.
    pub fn text(&self) -> String {
        let hint = self
            .hint
            .as_ref()
            .map(|hint| format!("  = help: {hint}\n"))
            .unwrap_or_default();
        match self.kind {
            ErrorKind::Process(_) if self.message.is_empty() => String::new(),
            ErrorKind::Findings => self.message.clone() + &hint,
            ErrorKind::User
            | ErrorKind::Usage
            | ErrorKind::Runtime
            | ErrorKind::Interrupted
            | ErrorKind::Process(_) => {
                format!("Error: {}\n{hint}", self.message)
            }
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<RuntimeError> for CliError {
    fn from(error: RuntimeError) -> Self {
        if let RuntimeError::Io { source, .. } = &error
            && source.kind() == io::ErrorKind::BrokenPipe
        {
            return Self::process(141);
        }
        let cancelled = matches!(error, RuntimeError::Cancelled);
        let kind = if cancelled {
            ErrorKind::Interrupted
        } else {
            ErrorKind::Runtime
        };
        Self::new(kind, chain(&error))
    }
}

impl From<crate::watch::files::WatchError> for CliError {
    fn from(error: crate::watch::files::WatchError) -> Self {
        Self::user(chain(&error))
    }
}

impl From<StateError> for CliError {
    fn from(error: StateError) -> Self {
        Self::new(ErrorKind::Runtime, chain(&error))
    }
}

impl From<rcompose_runtime::image_store::ImageError> for CliError {
    fn from(error: rcompose_runtime::image_store::ImageError) -> Self {
        Self::new(ErrorKind::Runtime, chain(&error))
    }
}

impl From<io::Error> for CliError {
    /// Standard output is the one stream whose errors end a command; that its reader went away is nothing to speak of
    /// (exit 141 is 128 + SIGPIPE, as other programs end then).
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::process(141);
        }
        Self::new(ErrorKind::Runtime, format!("cannot write: {error}"))
    }
}

/// The message and those of its causes, each once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_map_to_docker_composes_exit_codes() {
        assert_eq!(CliError::user("x").exit_code(), 1);
        assert_eq!(CliError::from(RuntimeError::Cancelled).exit_code(), 130);
        assert_eq!(CliError::process(7).exit_code(), 7);
        assert_eq!(CliError::process(7).text(), "");
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(CliError::from(closed).text(), "");
        assert_eq!(
            CliError::unsupported_flag("--menu", "there is none")
                .with_hint("use x")
                .text(),
            "Error: --menu is not supported: there is none\n  = help: use x\n"
        );
    }
}
