//! In: `rcompose build --check`. Out: what is wrong with the Dockerfiles of services, and what could be better in them.
//! **Invariant:** nothing is built and no image is pulled; a Dockerfile of several services is told about once.

use std::collections::BTreeSet;

use rcompose_runtime::image_store::build::dockerfile;
use rcompose_runtime::image_store::build::ignore::PatternList;
use rcompose_runtime::image_store::build::lint::{Checked, lint};
use rcompose_runtime::image_store::build::{BuildRequest, RunningBuild};

use super::super::check::summary;
use super::super::{Context, StoreImages};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::error::{CliError, chain};
use crate::model::ServiceName;
use crate::source::span::{SourceMap, Span};
use crate::ui::{print, report};

/// Checks the Dockerfiles; a finding ends with 1, as docker's check does.
pub(super) fn check(
    context: &Context,
    images: &StoreImages<'_>,
    services: &[&ServiceName],
) -> Result<(), CliError> {
    // Contexts elsewhere are fetched, and stay until they are read.
    let _running = RunningBuild::begin(context.runtime()?.images()?)?;
    let (mut sources, mut findings) = (SourceMap::new(), Diagnostics::new());
    let mut seen = BTreeSet::new();
    for service in services {
        let request = images.build_request_of(service, context.cancel()?);
        let request =
            request.map_err(|error| CliError::user(format!("build of {service}: {}", chain(&*error))))?;
        let known = (
            request.dockerfile.clone(),
            request.dockerfile_name.clone(),
            request.arguments.clone(),
        );
        if seen.insert(known) {
            one(&request, images, &mut sources, &mut findings);
        }
    }
    sources.show_from(&context.cwd);
    let text = if context.stdout.terminal {
        report::framed(&findings, &sources)
    } else {
        report::plain(&findings, &sources)
    };
    print::out(&text)?;
    print::out(&summary(&findings, &sources))?;
    if findings.is_empty() {
        Ok(())
    } else {
        Err(CliError::process(1))
    }
}

fn one(
    request: &BuildRequest,
    images: &StoreImages<'_>,
    sources: &mut SourceMap,
    findings: &mut Diagnostics,
) {
    let text = &request.dockerfile;
    let file = sources.add(&request.dockerfile_name, text.clone());
    let lines = |first: usize, last: usize| {
        let starts = || std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        let start = starts().nth(first.saturating_sub(1)).unwrap_or(text.len());
        let end = starts().nth(last).map_or(text.len(), |next| next - 1);
        Span::new(file, start, end.max(start))
    };
    let wrong = |line: usize, message: String| {
        let place = lines(line, line);
        Diagnostic::error("dockerfile", message).at(place)
    };
    let parsed = match dockerfile::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => return findings.push(wrong(error.line, error.message)),
    };
    let ignore = match PatternList::parse(&request.dockerignore) {
        Ok(ignore) => ignore,
        Err(error) => return findings.push(wrong(1, format!("in the .dockerignore: {error}"))),
    };
    let environment_of = |name: &str| images.environment_of(name);
    match lint(&Checked::of(request, &parsed, &ignore, &environment_of)) {
        Err(why) => findings.push(wrong(1, why)),
        Ok(found) => findings.extend(found.findings.into_iter().map(|finding| {
            let message = format!("{}: {}", finding.rule, finding.message);
            let place = lines(finding.line, finding.last_line);
            if found.is_error {
                Diagnostic::error("dockerfile", message).at(place)
            } else {
                Diagnostic::warning("dockerfile-check", message).at(place)
            }
        })),
    }
}
