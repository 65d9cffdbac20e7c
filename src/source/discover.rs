//! Which files make a project when none is named: a directory comes in, the compose file found there or in a
//! parent, with its override file, goes out. **Invariant:** of several candidates the first counts, with a warning.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::{Path, PathBuf};

use super::resolve::{Files, Resolver};
use crate::diagnostic::Diagnostic;

/// The names of compose files, in order of preference; the first four are Compose's.
pub(super) const NAMES: [&str; 5] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.toml",
];

/// The names of override files, in order of preference.
const OVERRIDES: [&str; 5] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
    "compose.override.toml",
];

/// The compose file of `directory` or its nearest parent that has one, and the override file beside it.
pub(super) fn compose_files(directory: &Path, resolver: &mut Resolver<'_>) -> Option<Vec<PathBuf>> {
    for candidate in directory.ancestors() {
        if let Some(file) = first(candidate, &NAMES, resolver) {
            let mut files = vec![file];
            files.extend(first(candidate, &OVERRIDES, resolver));
            return Some(files);
        }
    }
    let message = format!("no compose file in {} or its parents", directory.display());
    let help = format!("name it `{}`, or say which with `-f FILE`", NAMES[0]);
    resolver
        .diagnostics
        .push(Diagnostic::error("no-compose-file", message).help(help));
    None
}

/// The compose file in a directory that was named in place of it.
pub(super) fn inside(directory: &Path, files: &mut dyn Files) -> Option<PathBuf> {
    let mut candidates = NAMES.iter().map(|name| directory.join(name));
    candidates.find(|path| files.is_file(path))
}

fn first(directory: &Path, names: &[&str], resolver: &mut Resolver<'_>) -> Option<PathBuf> {
    let found: Vec<PathBuf> = names
        .iter()
        .map(|name| directory.join(name))
        // A directory of that name is no compose file, but that it is passed over must not go unsaid: reading it fails.
        .filter(|path| resolver.files.is_file(path) || resolver.files.is_directory(path))
        .collect();
    if let [used, ignored, ..] = &found[..] {
        let message = format!(
            "several compose files, {} is used and {} is not",
            used.display(),
            ignored.display()
        );
        resolver
            .diagnostics
            .push(Diagnostic::warning("several-compose-files", message).help("say which with `-f FILE`"));
    }
    found.into_iter().next()
}
