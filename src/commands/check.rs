//! In: `rcompose check`. Out: everything there is to say about the project's files, and whether they can be used.
//! **Invariant:** nothing is changed, and nothing of the runtime is opened; each finding is told once, in the order of the files.

use clap::ValueEnum;

use super::{Context, service_names};
use crate::diagnostic::{Diagnostics, Severity, code, nearest};
use crate::engine::lower::Origin;
use crate::engine::{prepare, read_inputs};
use crate::error::CliError;
use crate::model::{self, Options, profile, validate};
use crate::source::span::SourceMap;
use crate::ui::{print, report};

/// Options of `rcompose check`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Format; json is one object a line
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// End with 1 on warnings too
    #[arg(long)]
    pub deny_warnings: bool,
    /// Print only what makes it end with 1
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Explain the code of a finding, with an example
    #[arg(long, value_name = "CODE", conflicts_with_all = ["format", "deny_warnings", "quiet", "services"])]
    pub explain: Option<String>,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Format of the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines and excerpts.
    Text,
    /// JSON Lines.
    Json,
}

/// Prints all findings.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    if let Some(name) = &args.explain {
        return explain(name);
    }
    let (mut findings, mut sources) = inspect(&Options {
        services: args.services.clone(),
        ..Options::new(context.load_options())
    });
    sources.show_from(&context.cwd);
    let worst = if args.deny_warnings {
        Severity::Warning
    } else {
        Severity::Error
    };
    let failed = findings.iter().any(|finding| finding.severity >= worst);
    let summary = summary(&findings, &sources);
    if args.quiet {
        findings = findings
            .into_iter()
            .filter(|finding| finding.severity >= worst)
            .collect();
    }
    match args.format {
        Format::Json => print::out(&report::json_lines(&findings, &sources))?,
        Format::Text => {
            let text = if context.stdout.terminal {
                report::framed(&findings, &sources)
            } else {
                report::plain(&findings, &sources)
            };
            print::out(&text)?;
            if !args.quiet {
                print::out(&summary)?;
            }
        }
    }
    if failed { Err(CliError::process(1)) } else { Ok(()) }
}

/// All that can be said of a project before it runs, ordered by place.
pub fn inspect(options: &Options) -> (Diagnostics, SourceMap) {
    let outcome = model::load(options);
    let mut findings = outcome.findings();
    if let Some(root) = &outcome.normalised {
        findings.append(validate::notes(root));
    }
    if let Some(project) = &outcome.project {
        if let Err(unknown) = profile::select(project, &service_names(&options.services), true) {
            findings.extend(unknown);
        }
        let facts = read_inputs(project, Origin::default());
        match prepare(project, &facts) {
            Ok(prepared) => findings.append(prepared.warnings),
            Err(found) => findings.append(found),
        }
    }
    findings.sort();
    (findings, outcome.sources)
}

fn explain(name: &str) -> Result<(), CliError> {
    match code::find(name) {
        Some(code) => Ok(print::out(&code.explanation())?),
        None => {
            let error = CliError::user(format!("there is no code `{name}`"));
            let near = nearest(name, code::all().map(|code| code.name));
            Err(match near {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint("a code is what stands in brackets: `error[unknown-key]`"),
            })
        }
    }
}

/// `1 error, 2 warnings in compose.yaml, web.env`.
pub(super) fn summary(findings: &Diagnostics, sources: &SourceMap) -> String {
    let counted = [Severity::Error, Severity::Warning, Severity::Note]
        .map(|severity| (findings.count(severity), severity.word()))
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }));
    let counted: Vec<String> = counted.collect();
    let counted = if counted.is_empty() {
        "no findings".to_owned()
    } else {
        counted.join(", ")
    };
    let mut files: Vec<String> = Vec::new();
    for (id, _) in sources.files() {
        let file = sources.shown(id).display().to_string();
        if !files.contains(&file) {
            files.push(file);
        }
    }
    if files.is_empty() {
        format!("{counted}\n")
    } else {
        format!("{counted} in {}\n", files.join(", "))
    }
}

#[cfg(test)]
mod tests;
