//! In: `rcompose convert`. Out: one compose file in the other language, YAML as TOML or TOML as YAML.
//! **Invariant:** no file is written over unless `--force` says so, and the file read never changes.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::Context;
use crate::error::CliError;
use crate::source::convert::{Language, convert};
use crate::source::load;
use crate::source::resolve::reason;
use crate::source::written::is_toml;
use crate::ui::{print, report};

/// Options of `rcompose convert`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The compose file; `-` is standard input. Without one, the file that the other commands would use
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write to a file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Language to convert to; without it the one the file is not written in
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub to: Option<To>,
    /// Write over a file that is there
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// Language to convert to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
}

/// Converts the file.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let path = source(context, args)?;
    let from = language(&path, args)?;
    if let Some(output) = &args.output {
        check_output(&context.cwd.join(output), from.other(), args.force)?;
    }
    let bytes = read(&path)
        .map_err(|error| CliError::user(format!("cannot read {}: {}", path.display(), reason(&error))))?;
    let (text, findings, sources) = convert(&path, bytes, from);
    let Some(text) = text else {
        return Err(CliError::findings(&findings, &sources));
    };
    report::print(&findings, &sources);
    let Some(output) = &args.output else {
        return Ok(print::out(&text)?);
    };
    let output = context.cwd.join(output);
    std::fs::write(&output, text)
        .map_err(|error| CliError::user(format!("cannot write {}: {}", output.display(), reason(&error))))
}

