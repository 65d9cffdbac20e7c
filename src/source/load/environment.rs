//! In: a command's options and a directory. Out: the variables of `--env-file`, `COMPOSE_ENV_FILES` or `.env`.
//! **Invariant:** the environment of the process wins; of the files the strongest is given first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::LoadOptions;
use crate::diagnostic::Diagnostic;
use crate::source::disk::Disk;
use crate::source::env::Environment;
use crate::source::node::VariableOrigin;
use crate::source::rebase::Base;
use crate::source::resolve::Resolver;

/// What the environment files of the command line, or the `.env` beside it, say of `COMPOSE_*`: these count for all of a command
/// as if the process had them (docker compose's `setEnvWithDotEnv`). What is wrong with the files is said when they are loaded.
pub fn settings(options: &LoadOptions) -> BTreeMap<String, String> {
    let mut disk = Disk::default();
    let mut resolver = Resolver::new(&mut disk);
    let mut environment = Environment::from_os(options.os_env.iter().cloned());
    let directory = options.directory(&options.given_files());
    project_environment(options, &directory, &mut resolver, &mut environment);
    environment
        .iter()
        .filter(|(name, variable)| {
            name.starts_with(SETTING) && matches!(variable.origin, VariableOrigin::File(_))
        })
        .map(|(name, variable)| (name.to_owned(), variable.value.clone()))
        .collect()
}

/// How the names of variables begin that are docker compose's own.
const SETTING: &str = "COMPOSE_";

/// Fills the environment from `--env-file`, `COMPOSE_ENV_FILES` or the `.env` of `directory`; gives the files, strongest
/// first.
pub(super) fn project_environment(
    options: &LoadOptions,
    directory: &Path,
    resolver: &mut Resolver<'_>,
    environment: &mut Environment,
) -> Vec<PathBuf> {
    let home = resolver.home.clone();
    let here = Base {
        directory: &options.cwd,
        home: home.as_deref(),
    };
    let listed: Vec<PathBuf> = if options.env_files.is_empty() {
        let list = options.os_variable("COMPOSE_ENV_FILES").unwrap_or_default();
        let paths = list.split(',').filter(|path| !path.is_empty());
        paths.map(|path| here.resolve(path)).collect()
    } else {
        let paths = options.env_files.iter();
        paths.map(|path| here.resolve(&path.to_string_lossy())).collect()
    };
    if !listed.is_empty() {
        let named: Vec<(PathBuf, Option<_>)> = listed.iter().map(|path| (path.clone(), None)).collect();
        resolver.read_env_files(&named, environment);
        return listed.into_iter().rev().collect();
    }
    let implied = directory.join(".env");
    if is_disabled(options.os_variable(DISABLE), resolver) {
        return Vec::new();
    }
    if !resolver.files.is_file(&implied) {
        return vec![implied];
    }
    let mut found = environment.clone();
    resolver.read_env_files(&[(implied.clone(), None)], &mut found);
    // A file that switches itself off still has its say in what it says of docker compose's own variables.
    let disabled = is_disabled(found.get(DISABLE), resolver);
    for (name, variable) in found.iter() {
        if !disabled || name.starts_with(SETTING) {
            environment.fill(name, &variable.value, variable.origin.clone());
        }
    }
    if disabled { Vec::new() } else { vec![implied] }
}

const DISABLE: &str = "COMPOSE_DISABLE_ENV_FILE";

/// Whether `COMPOSE_DISABLE_ENV_FILE` says yes; a value that is neither yes nor no (Go's `strconv.ParseBool`) is an error.
fn is_disabled(value: Option<&str>, resolver: &mut Resolver<'_>) -> bool {
    match value {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
        None | Some("" | "0" | "f" | "F" | "false" | "FALSE" | "False") => false,
        Some(other) => {
            let error = Diagnostic::error(
                "invalid-boolean",
                format!("{DISABLE} is neither true nor false: `{other}`"),
            );
            resolver.diagnostics.push(error.help("write 1 or 0"));
            false
        }
    }
}
