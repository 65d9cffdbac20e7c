//! In: `rcompose convert`. Out: one compose file in the other language, YAML as TOML or TOML as YAML.
//! **Invariant:** no file is written over unless `--force` says so, and the file read never changes.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::Context;
use crate::error::CliError;
use crate::source::convert::{Language, convert};
use crate::source::load;
use crate::source::resolve::reason;
use crate::source::span::SourceMap;
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
    let output = args.output.as_ref().map(|output| context.cwd.join(output));
    if let Some(output) = &output {
        check(output, from.other(), args.force)?;
    }
    let bytes = load::read(&path)
        .map_err(|error| CliError::user(format!("cannot read {}: {}", path.display(), reason(&error))))?;
    let (text, findings, sources) = convert(&path, bytes, from);
    let Some(text) = text else {
        return Err(CliError::findings(&findings, &sources));
    };
    report::print(&findings, &sources);
    let Some(output) = output else {
        return Ok(print::out(&text)?);
    };
    std::fs::write(&output, text)
        .map_err(|error| CliError::user(format!("cannot write {}: {}", output.display(), reason(&error))))
}

/// The file to convert: the one named, the first of `-f`, or the one the other commands would find.
fn source(context: &Context, args: &Args) -> Result<PathBuf, CliError> {
    if let Some(named) = args.file.as_ref().or(context.globals.files.first()) {
        return Ok(if named == Path::new("-") {
            named.clone()
        } else {
            context.cwd.join(named)
        });
    }
    let (files, findings) = load::discovered(&context.cwd);
    let sources = SourceMap::new();
    match files.into_iter().next() {
        Some(file) => {
            report::print(&findings, &sources);
            Ok(file)
        }
        None => Err(CliError::findings(&findings, &sources)),
    }
}

/// What the file is written in: its name says so, or for standard input what it is to become.
fn language(path: &Path, args: &Args) -> Result<Language, CliError> {
    let named = if is_toml(path) {
        Language::Toml
    } else {
        Language::Yaml
    };
    let to = args.to.map(|to| match to {
        To::Yaml => Language::Yaml,
        To::Toml => Language::Toml,
    });
    match to {
        Some(to) if path == Path::new("-") => Ok(to.other()),
        Some(to) if to == named => Err(CliError::user(format!(
            "{} is {} already",
            path.display(),
            named.name()
        ))),
        Some(_) | None => Ok(named),
    }
}

/// Whether the output may be written, and is named for what will be in it.
fn check(output: &Path, to: Language, force: bool) -> Result<(), CliError> {
    if is_toml(output) != (to == Language::Toml) {
        let message = format!("{} is no name for a {} file", output.display(), to.name());
        let hint = match to {
            Language::Yaml => {
                "rcompose reads a file as TOML if its name ends in `.toml`: use another ending, such as `.yaml`"
            }
            Language::Toml => "rcompose reads a file as TOML if its name ends in `.toml`",
        };
        return Err(CliError::user(message).with_hint(hint));
    }
    if output.exists() && !force {
        let message = format!("{} is there already", output.display());
        return Err(
            CliError::user(message).with_hint("write over it with `--force`, or name another file with `-o`")
        );
    }
    Ok(())
}
