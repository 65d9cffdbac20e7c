//! In: a Dockerfile that is about to be built. Out: one warning about what could be better in it, or the end of the build where the
//! file itself asks for that (`# check=error=true`).

use super::builder::at_line;
use super::dockerfile::Dockerfile;
use super::ignore::PatternList;
use super::lint::{Checked, lint};
use super::request::{BuildError, BuildEvent, BuildRequest};
use crate::store::ImageStore;

/// Findings that are named; of more their number is told.
const NAMED: usize = 5;

pub(super) fn tell(
    store: &ImageStore,
    request: &BuildRequest,
    dockerfile: &Dockerfile,
    ignore: &PatternList,
    events: &(dyn Fn(BuildEvent) + Sync),
) -> Result<(), BuildError> {
    let environment_of = |name: &str| environment_of(store, name);
    let checked = Checked::of(request, dockerfile, ignore, &environment_of);
    let found = lint(&checked).map_err(|why| at_line(request, 1, why))?;
    let Some(first) = found.findings.first() else {
        return Ok(());
    };
    if found.is_error {
        let message = format!(
            "{}: {}; the file makes this an error by `# check=error=true`",
            first.rule, first.message
        );
        return Err(at_line(request, first.line, message));
    }
    let mut named: Vec<String> = found
        .findings
        .iter()
        .take(NAMED)
        .map(|finding| format!("{} (line {})", finding.rule, finding.line))
        .collect();
    if found.findings.len() > NAMED {
        named.push(format!("{} more", found.findings.len() - NAMED));
    }
    let message = format!("{}; `rcompose build --check` explains", named.join(", "));
    events(BuildEvent::Warning {
        line: first.line,
        message,
    });
    Ok(())
}

/// The environment of an image of this host; none when it is not here.
pub fn environment_of(store: &ImageStore, name: &str) -> Option<Vec<String>> {
    let image = store.find(name).ok().flatten()?;
    Some(image.config.env)
}
