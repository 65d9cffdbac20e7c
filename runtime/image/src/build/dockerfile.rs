//! In: the text of a Dockerfile. Out: its instructions, typed, each with the lines it was written on.
//! **Invariant:** no I/O, no expansion of variables, and every error names a line; a foreign frontend is never fetched.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod flags;
mod heredoc;
mod instruction;
mod lines;
mod mount;
mod parse;
mod words;

pub use heredoc::is_heredoc;
pub use instruction::{
    Copy, From, HealthcheckInstruction, Heredoc, Instruction, KeyValue, Mount, MountKind, Run, Words,
};
pub use lines::{Directives, LogicalLine};
pub use parse::{parse, parse_trigger};

/// A Dockerfile, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Parser directives of the first lines.
    pub directives: Directives,
    /// Instructions in order.
    pub instructions: Vec<Located>,
}

/// An instruction and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What it says.
    pub instruction: Instruction,
    /// First line, from 1.
    pub first_line: usize,
    /// Last line, from 1.
    pub last_line: usize,
    /// As written, for progress and history.
    pub source: String,
}

/// What is wrong with a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct DockerfileError {
    /// From 1.
    pub line: usize,
    /// Lowercase fragment.
    pub message: String,
}

#[cfg(test)]
mod tests;
