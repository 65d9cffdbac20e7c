//! What a project is called: a name and where it was given come in, a valid name goes out.
//! **Invariant:** a name given by flag or variable is taken as it is or refused; others are made valid.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::Path;

use super::env::Environment;
use super::node::{Node, VariableOrigin};
use super::span::Span;
use super::template;
use crate::diagnostic::Diagnostic;

/// Where a project's name is given, strongest first.
#[derive(Clone, Debug)]
pub(super) enum NameSource<'a> {
    /// `-p`.
    Flag(&'a str),
    /// `COMPOSE_PROJECT_NAME`.
    Variable(&'a str, VariableOrigin),
    /// The top-level `name` of the last file that has one, not yet interpolated.
    File(&'a Node, &'a Environment),
    /// The name of the project's directory.
    Directory(&'a Path),
}

/// Where a project's name came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameOrigin {
    /// `-p`.
    Flag,
    /// `COMPOSE_PROJECT_NAME`, set there.
    Variable(VariableOrigin),
    /// The top-level `name` written there.
    File(Span),
    /// The name of the project's directory.
    Directory,
}

impl NameSource<'_> {
    /// Where the name is from, without the name.
    pub(super) fn origin(&self) -> NameOrigin {
        match self {
            Self::Flag(_) => NameOrigin::Flag,
            Self::Variable(_, origin) => NameOrigin::Variable(origin.clone()),
            Self::File(node, _) => NameOrigin::File(node.span),
            Self::Directory(_) => NameOrigin::Directory,
        }
    }
}

const RULE: &str =
    "a project name has lower-case letters, digits, `-` and `_`, and begins with a letter or digit";

/// The project's name, with a warning if what a file says had to be changed.
///
/// # Errors
/// The name is not valid, or nothing valid is left of it.
pub(super) fn project_name(source: &NameSource<'_>) -> Result<(String, Option<Diagnostic>), Diagnostic> {
    match source {
        NameSource::Flag(name) => given(name, "`-p`").map_err(|error| error.help(RULE)),
        NameSource::Variable(name, origin) => given(name, "`COMPOSE_PROJECT_NAME`").map_err(|mut error| {
            if let VariableOrigin::File(span) = origin {
                error = error.label(*span, "set here");
            }
            error.help(RULE)
        }),
        NameSource::File(node, environment) => {
            let text = node.scalar_text().unwrap_or_default();
            let found = template::substitute(&text, &|name| environment.get(name).map(str::to_owned));
            let name = normalized(&found.text);
            let invalid = |message: String| {
                Diagnostic::error("invalid-project-name", message)
                    .at(node.span)
                    .help(RULE)
            };
            if node.is_scalar() && found.faults.is_empty() && name.is_empty() {
                return Err(invalid(format!(
                    "nothing is left of the project name `{}`",
                    found.text
                )));
            }
            let warning = (name != found.text && found.faults.is_empty()).then(|| {
                let message = format!("the project name `{}` becomes `{name}`", found.text);
                Diagnostic::warning("changed-project-name", message)
                    .at(node.span)
                    .help(RULE)
            });
            Ok((name, warning))
        }
        NameSource::Directory(directory) => {
            let base = directory.file_name().unwrap_or_default().to_string_lossy();
            let name = normalized(&base);
            if name.is_empty() {
                let message = format!("the directory {} gives no project name", directory.display());
                return Err(Diagnostic::error("invalid-project-name", message)
                    .help("give one with `-p NAME` or a top-level `name:`"));
            }
            Ok((name, None))
        }
    }
}

fn given(name: &str, by: &str) -> Result<(String, Option<Diagnostic>), Diagnostic> {
    if normalized(name) == name {
        return Ok((name.to_owned(), None));
    }
    Err(Diagnostic::error(
        "invalid-project-name",
        format!("{by} gives the project name `{name}`, which is not valid"),
    ))
}

/// Lower case, without other characters than letters, digits, `-` and `_`, and without leading `-` and `_`.
pub(super) fn normalized(name: &str) -> String {
    let lower = name.to_lowercase();
    let kept: String = lower
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_files_are_made_valid_and_given_ones_refused() {
        assert_eq!(normalized("My App_1"), "myapp_1");
        assert_eq!(normalized("_-x.y"), "xy");
        assert!(project_name(&NameSource::Flag("ok-1")).is_ok());
        assert_eq!(
            project_name(&NameSource::Flag("My App")).map_err(|error| error.code),
            Err("invalid-project-name")
        );
        assert_eq!(
            project_name(&NameSource::Directory(Path::new("/a/My.Dir"))).map(|(name, _)| name),
            Ok("mydir".into())
        );
        assert!(project_name(&NameSource::Directory(Path::new("/"))).is_err());
    }
}
