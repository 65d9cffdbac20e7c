//! Flags, environment and a directory come in; the compose files they mean are found, read, resolved and merged.
//! The door of this room: only here the disk is touched, by [`Disk`].
//! **Invariant:** every file that was read or looked for is in [`Loaded::watched`].

mod environment;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexSet;

use self::environment::project_environment;
pub use self::environment::settings;
use super::discover;
use super::disk::Disk;
use super::env::Environment;
use super::home;
pub use super::name::NameOrigin;
use super::name::{self, NameSource};
use super::node::{Mapping, Node, VariableOrigin};
use super::port_budget;
use super::rebase::{self, Base};
use super::remote::{Remote, Remotes};
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
    /// Who fetches remote files; without it they are refused.
    pub remotes: Option<Arc<dyn Remotes>>,
    /// Whether resources that no service uses are kept (`--all-resources`).
    pub all_resources: bool,
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
            remotes: None,
            all_resources: false,
            interpolate: true,
            resolve_paths: true,
        }
    }

    /// A path as it is from the working directory; `-` and what is remote stays.
    fn seen_from_cwd(&self, path: &Path) -> PathBuf {
        if path == Path::new("-") || is_remote(path) {
            path.to_owned()
        } else {
            rebase::clean(&self.cwd.join(path))
        }
    }

    fn given_files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|path| self.seen_from_cwd(path)).collect()
    }

    /// The project directory, if these are the files.
    fn directory(&self, files: &[PathBuf]) -> PathBuf {
        if let Some(given) = &self.project_directory {
            return self.seen_from_cwd(given);
        }
        match files.iter().find(|path| *path != Path::new("-")) {
            Some(first) if !is_remote(first) => first.parent().unwrap_or(&self.cwd).to_owned(),
            Some(_) | None => self.cwd.clone(),
        }
    }

    fn os_variable(&self, name: &str) -> Option<&str> {
        let mut variables = self.os_env.iter().filter(|(key, _)| key == name);
        variables.next().map(|(_, value)| value.as_str())
    }
}

/// A project's files as one tree.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The merged tree, before defaults; `name` and `version` are as written.
    pub root: Node,
    /// What stood before each further document was laid over it, and each included project.
    pub earlier: Vec<Node>,
    /// The project's name, valid.
    pub project_name: String,
    /// Where that name came from.
    pub name_origin: NameOrigin,
    /// The directory relative paths are relative to; absolute.
    pub project_directory: PathBuf,
    /// What interpolation saw.
    pub environment: Environment,
    /// The environment files that were read or looked for, strongest first; a `.env` may be absent.
    pub env_files: Vec<PathBuf>,
    /// The compose files in order; absolute but for `-`.
    pub files: Vec<PathBuf>,
    /// Every file that was read or looked for, in order.
    pub watched: Vec<PathBuf>,
    /// The profiles asked for by flags or `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
}

/// Loads a project. All findings are given, whether or not there is a tree; without errors there is one.
pub fn load(options: &LoadOptions) -> (Option<Loaded>, Diagnostics, SourceMap) {
    let mut disk = Disk {
        seen: IndexSet::new(),
        remotes: options.remotes.clone(),
    };
    let mut resolver = Resolver::new(&mut disk);
    resolver.interpolate = options.interpolate;
    resolver.resolve_paths = options.resolve_paths;
    resolver.home = options.os_variable("HOME").map(str::to_owned);
    let loaded = run(options, &mut resolver);
    let Resolver {
        sources,
        diagnostics,
        earlier,
        ..
    } = resolver;
    let loaded = loaded.map(|loaded| Loaded {
        watched: disk.seen.into_iter().collect(),
        earlier,
        ..loaded
    });
    (loaded, diagnostics, sources)
}

fn run(options: &LoadOptions, resolver: &mut Resolver<'_>) -> Option<Loaded> {
    let mut environment = Environment::from_os(options.os_env.iter().cloned());
    if environment.get("PWD").is_none() {
        environment.set("PWD", &options.cwd.to_string_lossy(), VariableOrigin::Builtin);
    }
    let mut files = options.given_files();

    // `.env` may name the files, and the files' directory may have another `.env`.
    let before = options.directory(&files);
    let mut env_files = project_environment(options, &before, resolver, &mut environment);
    if files.is_empty() {
        files = match environment.get("COMPOSE_FILE").filter(|list| !list.is_empty()) {
            Some(list) => {
                let separator = environment
                    .get("COMPOSE_PATH_SEPARATOR")
                    .filter(|text| !text.is_empty())
                    .unwrap_or(":");
                list.split(separator)
                    .map(|path| options.seen_from_cwd(Path::new(path)))
                    .collect()
            }
            None => discover::compose_files(&before, resolver)?,
        };
    }
    let named_after = options.directory(&files);
    if named_after != before {
        let more = project_environment(options, &named_after, resolver, &mut environment);
        env_files.extend(more);
    }
    fetch(&mut files, options, resolver)?;
    let directory = options.directory(&files);

    let mut documents = Vec::new();
    for file in &files {
        documents.extend(resolver.read_documents(file, None));
    }
    let (project_name, name_origin) = project_name(options, &documents, &named_after, &environment, resolver);
    let valid = project_name.clone().unwrap_or_default();
    environment.set("COMPOSE_PROJECT_NAME", &valid, VariableOrigin::Builtin);
    let says_nothing = |document: &Document| document.node.as_map().is_some_and(Mapping::is_empty);
    if documents.iter().all(says_nothing) {
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
    port_budget::fit(&mut root, &mut resolver.diagnostics);
    if resolver.broken {
        return None;
    }
    home::warn(&root, &mut resolver.diagnostics);
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
        earlier: Vec::new(),
        project_name: project_name?,
        name_origin,
        project_directory: directory,
        environment,
        env_files,
        files,
        watched,
        profiles,
    })
}

fn is_remote(path: &Path) -> bool {
    path.to_str().is_some_and(|path| Remote::parse(path).is_some())
}

/// Puts local copies in the place of remote files.
fn fetch(files: &mut [PathBuf], options: &LoadOptions, resolver: &mut Resolver<'_>) -> Option<()> {
    for file in files.iter_mut().filter(|file| is_remote(file)) {
        let located = resolver.locate(&file.to_string_lossy(), &options.cwd, None)?;
        *file = located.path;
    }
    Some(())
}

fn project_name(
    options: &LoadOptions,
    documents: &[Document],
    directory: &Path,
    environment: &Environment,
    resolver: &mut Resolver<'_>,
) -> (Option<String>, NameOrigin) {
    let written = documents
        .iter()
        .rev()
        .find_map(|document| document.node.get("name").filter(|name| !is_blank(name)));
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
    let name = match name::project_name(&source) {
        Ok((name, warning)) => {
            resolver.diagnostics.extend(warning);
            if let NameSource::Directory(directory) = source {
                resolver.diagnostics.extend(linked(directory, &name));
            }
            Some(name)
        }
        Err(error) => {
            resolver.diagnostics.push(error);
            None
        }
    };
    (name, source.origin())
}

/// A warning for a project whose name is that of a symbolic link: reached by another way it is another project.
fn linked(directory: &Path, name: &str) -> Option<Diagnostic> {
    let real = std::fs::canonicalize(directory).ok()?;
    (real.file_name() != directory.file_name()).then(|| {
        let message = format!(
            "the project is called `{name}` after a symbolic link to {}",
            real.display()
        );
        Diagnostic::warning("linked-project-name", message)
            .help("give it a name wherever it is reached from, with a top-level `name:`")
    })
}

/// A name that is not given at all: `name:` and `name: ""`.
fn is_blank(name: &Node) -> bool {
    name.is_null() || name.as_str() == Some("")
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

/// The compose files that a command without `-f` and `COMPOSE_FILE` loads in `directory`; what is wrong with that is said.
pub fn discovered(directory: &Path) -> (Vec<PathBuf>, Diagnostics) {
    let mut disk = Disk::default();
    let mut resolver = Resolver::new(&mut disk);
    let files = discover::compose_files(directory, &mut resolver).unwrap_or_default();
    (files, resolver.diagnostics)
}

/// The bytes of a compose file; `-` is standard input.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    Disk::default().read(path)
}
