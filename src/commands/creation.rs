//! In: flags that commands which create containers share. Out: their values as the engine takes them.
//! **Invariant:** a value that means nothing is an error that names its flag.

use std::collections::BTreeMap;

use super::Context;
use super::project::LoadedProject;
use crate::error::CliError;
use crate::model::ServiceName;
use crate::model::service::PullPolicy;
use crate::plan::{ImagePolicy, Recreate};

/// `--pull`, `--build` and `--no-build`.
pub(super) fn image_policy(pull: Option<&str>, build: bool, no_build: bool) -> Result<ImagePolicy, CliError> {
    if build && no_build {
        return Err(CliError::usage("--build and --no-build exclude each other"));
    }
    let mut policy = ImagePolicy {
        pull: None,
        build,
        no_build,
    };
    match pull {
        None | Some("policy") => {}
        Some("always") => policy.pull = Some(PullPolicy::Always),
        Some("missing" | "if_not_present") => policy.pull = Some(PullPolicy::Missing),
        Some("never") => policy.pull = Some(PullPolicy::Never),
        Some("build") => policy.build = true,
        Some(other) => {
            return Err(CliError::usage(format!("--pull {other} is no policy"))
                .with_hint("use always, missing, never or policy"));
        }
    }
    Ok(policy)
}

/// `--force-recreate` and `--no-recreate`.
pub(super) fn recreate(force: bool, never: bool) -> Result<Recreate, CliError> {
    match (force, never) {
        (true, true) => Err(CliError::usage(
            "--force-recreate and --no-recreate exclude each other",
        )),
        (true, false) => Ok(Recreate::Force),
        (false, true) => Ok(Recreate::Never),
        (false, false) => Ok(Recreate::Diverged),
    }
}

/// `SERVICE=N` of `flag`, each service one of the project.
pub(super) fn scale(
    flag: &str,
    written: &[String],
    files: &LoadedProject,
) -> Result<BTreeMap<ServiceName, u32>, CliError> {
    let mut scale = BTreeMap::new();
    for entry in written {
        let parsed = entry
            .split_once('=')
            .and_then(|(service, count)| Some((service, count.parse::<u32>().ok()?)));
        let Some((service, count)) = parsed else {
            return Err(CliError::usage(format!("{flag}{entry} is not SERVICE=N")));
        };
        if !files.project.services.contains_key(service) {
            return Err(CliError::user(format!("no such service: {service}")));
        }
        scale.insert(ServiceName::new(service), count);
    }
    Ok(scale)
}

/// `--remove-orphans`, or `COMPOSE_REMOVE_ORPHANS`.
pub(super) fn remove_orphans(context: &Context, flag: bool) -> bool {
    flag || context.is_set("COMPOSE_REMOVE_ORPHANS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_mean_nothing_are_errors() {
        assert_eq!(
            image_policy(Some("always"), false, true)
                .map(|policy| policy.pull)
                .ok(),
            Some(Some(PullPolicy::Always))
        );
        assert!(image_policy(Some("build"), false, false).is_ok_and(|policy| policy.build));
        assert!(
            image_policy(Some("policy"), false, false).is_ok_and(|policy| policy == ImagePolicy::default())
        );
        assert!(
            image_policy(Some("sometimes"), false, false)
                .is_err_and(|error| error.message.contains("sometimes"))
        );
        assert!(image_policy(None, true, true).is_err());
        assert!(recreate(true, true).is_err());
    }
}
