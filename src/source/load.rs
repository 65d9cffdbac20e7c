//! Flags, environment and a directory come in; the compose files they mean are found, read, resolved and merged.
//! The only file of this room that touches the disk, by [`Disk`].
//! **Invariant:** every file that was read or looked for is in [`Loaded::watched`].

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::discover;
use super::env::Environment;
use super::name::{self, NameSource};
use super::node::{Node, VariableOrigin};
use super::rebase::{self, Base};
use super::resolve::{Document, Files, Resolver, Scope};
use super::span::SourceMap;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// What a command was asked to load, and where it was asked.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// `-f`, in order; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// `--project-directory`.
    pub project_directory: Option<PathBuf>,
    /// `-p`.
    pub project_name: Option<String>,
    /// `--env-file`, in order.
    pub env_files: Vec<PathBuf>,
    /// `--profile`.
    pub profiles: Vec<String>,
    /// The environment of the process.
    pub os_env: Vec<(String, String)>,
    /// The working directory of the process; absolute.
    pub cwd: PathBuf,
    /// Whether variables are put in; off for `config --no-interpolate`.
    pub interpolate: bool,
    /// Whether relative paths are made absolute; off for `config --no-path-resolution`.
    pub resolve_paths: bool,
}

impl LoadOptions {
    /// What a command without flags loads in `cwd`.
    pub fn new(cwd: impl Into<PathBuf>, os_env: Vec<(String, String)>) -> Self {
        Self {
            files: Vec::new(),
            project_directory: None,
            project_name: None,
            env_files: Vec::new(),
            profiles: Vec::new(),
            os_env,
            cwd: cwd.into(),
            interpolate: true,
            resolve_paths: true,
        }
    }
}

/// A project's files as one tree.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The merged tree, before defaults; `name` and `version` are as written.
    pub root: Node,
    /// The project's name, valid.
    pub project_name: String,
    /// The directory relative paths are relative to; absolute.
    pub project_directory: PathBuf,
    /// What interpolation saw.
    pub environment: Environment,
    /// The compose files in order; absolute but for `-`.
    pub files: Vec<PathBuf>,
    /// Every file that was read or looked for, in order.
    pub watched: Vec<PathBuf>,
    /// The profiles asked for by flags or `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
}

/// Loads a project. All findings are given, whether or not there is a tree; without errors there is one.
pub fn load(options: &LoadOptions) -> (Option<Loaded>, Diagnostics, SourceMap) {
    let mut disk = Disk::default();
    let mut resolver = Resolver::new(&mut disk);
    resolver.interpolate = options.interpolate;
    resolver.resolve_paths = options.resolve_paths;
    resolver.home = options
        .os_env
        .iter()
        .find(|(name, _)| name == "HOME")
        .map(|(_, value)| value.clone());
    let loaded = run(options, &mut resolver);
    let Resolver {
        sources, diagnostics, ..
    } = resolver;
    let loaded = loaded.map(|loaded| Loaded {
        watched: disk.seen,
        ..loaded
    });
    (loaded, diagnostics, sources)
}

fn run(options: &LoadOptions, resolver: &mut Resolver<'_>) -> Option<Loaded> {
    let mut environment = Environment::from_os(options.os_env.iter().cloned());
    if environment.get("PWD").is_none() {
        environment.set("PWD", &options.cwd.to_string_lossy(), VariableOrigin::Builtin);
    }
    let from_cwd = |path: &Path| {
        if path == Path::new("-") {
            path.to_owned()
        } else {
            rebase::clean(&options.cwd.join(path))
        }
    };
    let given = options.project_directory.as_deref().map(&from_cwd);
    let directory_of = |files: &[PathBuf]| {
        let first = files
            .iter()
            .find(|path| *path != Path::new("-"))
            .and_then(|path| path.parent());
        given
            .clone()
            .or_else(|| first.map(Path::to_owned))
            .unwrap_or_else(|| options.cwd.clone())
    };
    let mut files: Vec<PathBuf> = options.files.iter().map(|path| from_cwd(path)).collect();

    // `.env` may name the files, and the files' directory may have another `.env`.
    let before = directory_of(&files);
    project_environment(options, &before, resolver, &mut environment);
    if files.is_empty() {
        files = match environment.get("COMPOSE_FILE").filter(|list| !list.is_empty()) {
            Some(list) => {
                let separator = environment
                    .get("COMPOSE_PATH_SEPARATOR")
                    .filter(|text| !text.is_empty())
                    .unwrap_or(":");
                list.split(separator)
                    .map(|path| from_cwd(Path::new(path)))
                    .collect()
            }
            None => discover::compose_files(&before, resolver)?,
        };
    }
    let directory = directory_of(&files);
    if directory != before {
        project_environment(options, &directory, resolver, &mut environment);
    }

    let mut documents = Vec::new();
    for file in &files {
        documents.extend(resolver.read_documents(file, None));
    }
    let project_name = project_name(options, &documents, &directory, &environment, resolver);
    let valid = project_name.clone().unwrap_or_default();
    environment.set("COMPOSE_PROJECT_NAME", &valid, VariableOrigin::Builtin);
    if documents.is_empty() {
        if !resolver.diagnostics.has_errors() {
            let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            let message = format!("the compose file is empty: {}", names.join(", "));
            resolver.diagnostics.push(
                Diagnostic::error("empty-file", message).help("it needs at least a `services:` section"),
            );
        }
        return None;
    }
    let scope = Scope {
        directory: directory.clone(),
        environment: environment.clone(),
        chain: Vec::new(),
    };
    let mut root = resolver.project(documents, &scope)?;
    if resolver.broken {
        return None;
    }
    if options.resolve_paths {
        rebase::project(
            &mut root,
            Base {
                directory: &directory,
                home: resolver.home.as_deref(),
            },
            false,
        );
    }
    let profiles = profiles(options, &environment);
    let watched = Vec::new();
    Some(Loaded {
        root,
        project_name: project_name?,
        project_directory: directory,
        environment,
        files,
        watched,
        profiles,
    })
}

/// Fills the environment from `--env-file`, `COMPOSE_ENV_FILES` or the `.env` of `directory`.
fn project_environment(
    options: &LoadOptions,
    directory: &Path,
    resolver: &mut Resolver<'_>,
    environment: &mut Environment,
) {
    let from_os = |name: &str| {
        options
            .os_env
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let listed: Vec<PathBuf> = if options.env_files.is_empty() {
        let list = from_os("COMPOSE_ENV_FILES").unwrap_or_default();
        list.split(',')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .collect()
    } else {
        options.env_files.clone()
    };
    let paths: Vec<(PathBuf, Option<_>)> = if !listed.is_empty() {
        listed
            .iter()
            .map(|path| (rebase::clean(&options.cwd.join(path)), None))
            .collect()
    } else if from_os("COMPOSE_DISABLE_ENV_FILE")
        .is_some_and(|value| matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    {
        Vec::new()
    } else {
        let implied = directory.join(".env");
        if resolver.files.is_file(&implied) {
            vec![(implied, None)]
        } else {
            Vec::new()
        }
    };
    resolver.read_env_files(&paths, environment);
}

fn project_name(
    options: &LoadOptions,
    documents: &[Document],
    directory: &Path,
    environment: &Environment,
    resolver: &mut Resolver<'_>,
) -> Option<String> {
    let written = documents
        .iter()
        .rev()
        .find_map(|document| document.node.get("name").filter(|name| !name.is_null()));
    let source = if let Some(name) = options.project_name.as_deref().filter(|name| !name.is_empty()) {
        NameSource::Flag(name)
    } else if let Some(name) = environment
        .get("COMPOSE_PROJECT_NAME")
        .filter(|name| !name.is_empty())
    {
        NameSource::Variable(name, environment.origin("COMPOSE_PROJECT_NAME"))
    } else if let Some(name) = written {
        NameSource::File(name, environment)
    } else {
        NameSource::Directory(directory)
    };
    match name::project_name(&source) {
        Ok((name, warning)) => {
            resolver.diagnostics.extend(warning);
            Some(name)
        }
        Err(error) => {
            resolver.diagnostics.push(error);
            None
        }
    }
}

fn profiles(options: &LoadOptions, environment: &Environment) -> Vec<String> {
    if !options.profiles.is_empty() {
        return options.profiles.clone();
    }
    let listed = environment.get("COMPOSE_PROFILES").unwrap_or_default();
    listed
        .split(',')
        .map(str::trim)
        .filter(|profile| !profile.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The file system and standard input, remembering what was asked of them.
#[derive(Debug, Default)]
struct Disk {
    seen: Vec<PathBuf>,
}

impl Disk {
    fn note(&mut self, path: &Path) {
        if path != Path::new("-") && !self.seen.iter().any(|seen| seen == path) {
            self.seen.push(path.to_owned());
        }
    }
}

impl Files for Disk {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.note(path);
        if path != Path::new("-") {
            return std::fs::read(path);
        }
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn is_file(&mut self, path: &Path) -> bool {
        self.note(path);
        path.is_file()
    }
}

#[cfg(test)]
mod tests;
