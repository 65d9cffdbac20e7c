//! In: what `config` was asked. Out: what it makes of the tree to print, and what was read; findings are printed.
//! **Invariant:** of a project with errors nothing is printed but the errors.

use super::listing::services;
use super::{Args, Format};
use crate::commands::Context;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::error::CliError;
use crate::model::checked::Parts;
use crate::model::load::together;
use crate::model::{self, Checked};
use crate::source::load::LoadOptions;
use crate::source::node::Node;
use crate::source::parallel::beside;
use crate::ui::{print, report};

/// Loads a project and gives its tree to `show`; what this host cannot do is found at the same time.
///
/// # Errors
/// All findings, rendered, when one is an error; a service that is not there.
pub(super) fn load<T: Send>(
    context: &Context,
    args: &Args,
    show: impl FnOnce(Parts<'_>) -> T + Send,
) -> Result<(T, Checked), CliError> {
    // Lists of names are of the whole project, whatever services are given.
    let whole = args.only_services || args.volumes || args.networks || args.models;
    let asked = if whole { &[][..] } else { &args.services };
    if args.no_interpolate && !asked.is_empty() {
        print::err("warning: with --no-interpolate all services are printed\n");
    }
    let mut checked = model::check(&model::Options {
        source: LoadOptions {
            interpolate: !args.no_interpolate,
            resolve_paths: !args.no_path_resolution,
            ..context.load_options()
        },
        services: asked.to_vec(),
        // So it is in docker compose, of the flag and not of its variable.
        normalise: !(args.no_normalize || context.globals.compatibility),
        consistency: !args.no_consistency,
        // What only lists names reads no `env_file` (docker compose), which may be missing then.
        environment: !(args.no_env_resolution || whole || args.images || args.only_profiles),
    });
    checked.sources.show_from(&context.cwd);
    if args.format == Some(Format::Json) && !args.no_interpolate {
        let unprintable = checked.to_print().as_ref().map(without_json).unwrap_or_default();
        if unprintable.has_errors() {
            return Err(CliError::findings(&unprintable, &checked.sources));
        }
    }
    let (refusals, shown) = beside(
        checked.is_large(),
        || checked.refusals(),
        || checked.parts().map(show),
    );
    let Some(shown) = shown else {
        return Err(CliError::findings(&checked.diagnostics, &checked.sources));
    };
    report::print(&together(&checked.diagnostics, &refusals), &checked.sources);
    match asked.iter().find(|service| !checked.selects(service)) {
        Some(unknown) => Err(CliError::user(format!("no such service: {unknown}"))),
        None => Ok((shown, checked)),
    }
}

/// What has no form in JSON: the SSH key of a build with its path. Docker compose refuses it, too.
fn without_json(root: &Node) -> Diagnostics {
    let mut findings = Diagnostics::new();
    for (name, service) in services(root) {
        let keys = service.get("build").and_then(|build| build.get("ssh"));
        for key in keys.and_then(Node::as_seq).unwrap_or_default() {
            if let Some((id, _)) = key.as_str().and_then(|key| key.split_once('=')) {
                findings.push(
                    Diagnostic::error(
                        "bad-value",
                        format!(
                            "services.{name}.build.ssh: the path of the key `{id}` cannot be written as JSON"
                        ),
                    )
                    .at(key.span)
                    .help("print YAML (`--format yaml`), or let the agent hold the key and name only its id"),
                );
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::SourceMap;
    use crate::source::yaml;

    #[test]
    fn an_ssh_key_with_a_path_is_not_written_as_json() {
        let codes = |keys: &str| {
            let text = format!("services: {{web: {{build: {{ssh: [{keys}]}}}}}}\n");
            let file = SourceMap::new().add("compose.yaml", text.as_str());
            let root = yaml::parse(file, &text, &mut Diagnostics::new()).remove(0);
            without_json(&root)
                .iter()
                .map(|finding| finding.code)
                .collect::<Vec<_>>()
        };
        assert_eq!(codes("default, id=/keys/id"), ["bad-value"]);
        assert_eq!(codes("default"), Vec::<&str>::new());
    }
}
