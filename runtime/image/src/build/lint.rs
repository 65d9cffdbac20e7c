//! In: a Dockerfile, its `.dockerignore` and what is known of its base images. Out: what could be better in it, rule by rule.
//! Rules, names and sentences' sense are those of `docker build --check` (docs.docker.com, build checks).
//! **Invariant:** pure; a Dockerfile that docker finds nothing in has no finding here, and the other way round.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use super::dockerfile::{Dockerfile, Instruction, Located};
use super::ignore::PatternList;
use super::request::BuildRequest;
use crate::platform::Platform;

mod casing;
mod options;
mod stage;
mod start;
mod variable;

pub use options::LintOptions;

/// What is checked.
pub struct Checked<'a> {
    /// The Dockerfile's text.
    pub text: &'a str,
    /// The same, parsed.
    pub dockerfile: &'a Dockerfile,
    /// What the context leaves out.
    pub ignore: &'a PatternList,
    /// Build arguments that are given.
    pub arguments: &'a BTreeMap<String, Option<String>>,
    /// `os/architecture` that is built for.
    pub platform: String,
    /// `NAME=value` of a base image's environment; none when it is not known, and then any variable may be its.
    pub environment_of: &'a dyn Fn(&str) -> Option<Vec<String>>,
}

impl<'a> Checked<'a> {
    /// What a build is asked, and its parsed texts.
    pub fn of(
        request: &'a BuildRequest,
        dockerfile: &'a Dockerfile,
        ignore: &'a PatternList,
        environment_of: &'a dyn Fn(&str) -> Option<Vec<String>>,
    ) -> Self {
        let platform = request.platform.clone().unwrap_or_else(Platform::host);
        Self {
            text: &request.dockerfile,
            dockerfile,
            ignore,
            arguments: &request.arguments,
            platform: platform.to_string(),
            environment_of,
        }
    }
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintFinding {
    /// The rule's name, as `# check=skip=` knows it.
    pub rule: &'static str,
    /// First line, from 1.
    pub line: usize,
    /// Last line.
    pub last_line: usize,
    /// One sentence.
    pub message: String,
}

/// All findings, in the order of the file, and whether the file itself wants them to be errors (`# check=error=true`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lint {
    /// What was found and not skipped.
    pub findings: Vec<LintFinding>,
    /// They end a build.
    pub is_error: bool,
}

/// Checks a Dockerfile.
///
/// # Errors
/// `# check=` is malformed.
pub fn lint(checked: &Checked<'_>) -> Result<Lint, String> {
    let options = LintOptions::parse(checked.dockerfile.directives.check.as_deref().unwrap_or_default())?;
    let mut found = Found(Vec::new());
    casing::check(checked, &mut found);
    start::check(checked, &mut found);
    stage::check(checked, &mut found);
    let mut findings = found.0;
    findings.retain(|finding| options.wants(finding.rule));
    findings.sort_by_key(|finding| finding.line);
    findings.dedup();
    Ok(Lint {
        is_error: options.error && !findings.is_empty(),
        findings,
    })
}

/// Findings in the making.
struct Found(Vec<LintFinding>);

impl Found {
    fn at(&mut self, located: &Located, rule: &'static str, message: String) {
        self.0.push(LintFinding {
            rule,
            line: located.first_line,
            last_line: located.last_line,
            message,
        });
    }
}

/// The words as they were written, up to a heredoc or the end of the first lines.
fn written(located: &Located) -> impl Iterator<Item = &str> {
    located.source.split_whitespace()
}

/// The instruction's own word as it was written.
fn verb(located: &Located) -> &str {
    written(located).next().unwrap_or_default()
}

/// The nearest of some names, at most two letters away, as docker proposes it.
fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let mut best: Option<(usize, &str)> = None;
    for candidate in names {
        if candidate == name {
            return None;
        }
        let distance = strsim::levenshtein(name, candidate);
        if distance < best.map_or(3, |(distance, _)| distance) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Arguments that are declared before the first stage, with their raw defaults.
fn global_arguments(dockerfile: &Dockerfile) -> Vec<(&str, Option<&str>)> {
    let before = dockerfile
        .instructions
        .iter()
        .take_while(|located| !matches!(located.instruction, Instruction::From(_)));
    let mut found = Vec::new();
    for located in before {
        if let Instruction::Arg(arguments) = &located.instruction {
            found.extend(
                arguments
                    .iter()
                    .map(|(name, default)| (name.as_str(), default.as_deref())),
            );
        }
    }
    found
}

/// Names that every build has without declaring them.
const PREDEFINED: [&str; 9] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

/// The variables of a stage.
#[derive(Debug, Clone, Default)]
struct Variables {
    names: BTreeSet<String>,
    /// The base image's environment is not known.
    open: bool,
}

#[cfg(test)]
mod tests;
