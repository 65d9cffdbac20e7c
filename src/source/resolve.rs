//! From compose files to one tree: paths and an environment come in; parsed, interpolated, included, extended and
//! merged they go out. Reads only through [`Files`].
//! **Invariant:** a file's `!reset` and `!override` act on what came before it, never after.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod extends;
mod include;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::env::{self, EnvFormat, Environment};
use super::interpolate::interpolate;
use super::merge::{merge, settle};
use super::node::Node;
use super::rebase::Base;
use super::remote::{Fetched, Remote};
use super::span::{FileId, SourceMap, Span};
use super::{discover, toml, unique, written, yaml};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// What resolving needs of the world.
pub trait Files {
    /// The bytes of a file; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>>;
    /// Whether a file (not a directory) is there.
    fn is_file(&mut self, path: &Path) -> bool;
    /// Whether a directory is there.
    fn is_directory(&mut self, path: &Path) -> bool;
    /// Brings a remote file to this host.
    ///
    /// # Errors
    /// Why it is not there.
    fn fetch(&mut self, remote: &Remote) -> Result<Fetched, String>;
}

/// What a (sub-)project is resolved in.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The directory relative paths are relative to; absolute.
    pub directory: PathBuf,
    /// What interpolation sees.
    pub environment: Environment,
    /// The files being read that led here, with the `include` entries that did.
    pub chain: Vec<(PathBuf, Option<Span>)>,
}

/// One run over the files of a project: what was read, and what was said of it.
pub struct Resolver<'a> {
    /// Where files come from.
    pub files: &'a mut dyn Files,
    /// All texts read.
    pub sources: SourceMap,
    /// Everything said.
    pub diagnostics: Diagnostics,
    /// Whether variables are put in.
    pub interpolate: bool,
    /// Whether relative paths are made absolute.
    pub resolve_paths: bool,
    /// Set when a file could not be read or parsed: the tree lacks what was in it.
    pub broken: bool,
    /// What `~` stands for.
    pub home: Option<String>,
    /// What stood before each further document was laid over it, and each included project: every one of them is
    /// a Compose file in its own right (compose-go checks the schema after each).
    pub earlier: Vec<Node>,
    read: BTreeMap<PathBuf, Read>,
    /// How many files were included so far, each as often as it was.
    included: usize,
}

/// The code of a document that no tree of a project can be made of.
const NOT_A_MAPPING: &str = "not-a-mapping";

/// A compose file that was read: most are asked for once, so only what is asked for again is kept as a tree, too.
enum Read {
    Once(FileId),
    Again(Vec<Document>),
}

/// Where a compose file that is asked for lies.
#[derive(Clone, Debug)]
pub struct Located {
    /// The file.
    pub path: PathBuf,
    /// The directory it was fetched into, if it is remote.
    pub fetched: Option<PathBuf>,
}

/// One document of a compose file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub path: PathBuf,
    /// The tree as written.
    pub node: Node,
}

impl<'a> Resolver<'a> {
    /// A run that has read nothing yet, with interpolation and absolute paths.
    pub fn new(files: &'a mut dyn Files) -> Self {
        Self {
            files,
            sources: SourceMap::new(),
            diagnostics: Diagnostics::new(),
            interpolate: true,
            resolve_paths: true,
            broken: false,
            home: None,
            earlier: Vec::new(),
            read: BTreeMap::new(),
            included: 0,
        }
    }

    /// Reads and parses a compose file; `named` is where it is asked for. What is wrong is said. A
    /// file that is asked for again is not read again.
    pub fn read_documents(&mut self, path: &Path, named: Option<Span>) -> Vec<Document> {
        match self.read.get(path) {
            Some(Read::Again(documents)) => return documents.clone(),
            Some(Read::Once(file)) => {
                // What there is to say of it was said.
                let documents = self.parse(path, *file, &mut Diagnostics::new());
                self.read.insert(path.to_owned(), Read::Again(documents.clone()));
                return documents;
            }
            None => {}
        }
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.broken = true;
                let mut diagnostic = Diagnostic::error(
                    "unreadable-file",
                    format!("cannot read {}: {}", path.display(), reason(&error)),
                );
                if let Some(span) = named {
                    diagnostic = diagnostic.label(span, "asked for here");
                }
                if let Some(inside) = discover::inside(path, self.files) {
                    diagnostic = diagnostic.help(format!("name the file in it: `{}`", inside.display()));
                }
                self.diagnostics.push(diagnostic);
                return Vec::new();
            }
        };
        let (text, fault) = env::decode_text(bytes);
        let file = self.sources.add(path, text);
        if let Some(offset) = fault {
            self.broken = true;
            self.diagnostics
                .push(env::not_utf8(path).at(Span::new(file, offset, offset + 1)));
            return Vec::new();
        }
        let mut said = Diagnostics::new();
        let documents = self.parse(path, file, &mut said);
        self.broken |= said.iter().any(|finding| finding.code == NOT_A_MAPPING)
            || documents.is_empty() && said.has_errors();
        self.diagnostics.append(said);
        self.read.insert(path.to_owned(), Read::Once(file));
        documents
    }

    /// The documents of a text that was read.
    fn parse(&self, path: &Path, file: FileId, said: &mut Diagnostics) -> Vec<Document> {
        let text = &self.sources.file(file).text;
        let nodes = if written::is_toml(path) {
            toml::parse(file, text, said)
        } else {
            yaml::parse(file, text, said)
        };
        let mut documents = Vec::new();
        let alone = nodes.len() == 1;
        for node in nodes {
            if node.is_null() && alone {
                // The whole file is empty, which matters only if the others are.
            } else if node.as_map().is_some() {
                documents.push(Document {
                    path: path.to_owned(),
                    node,
                });
            } else {
                let message = format!("a compose file is a mapping, this is {}", node.describe());
                let help = "begin with a top-level key such as `services:`";
                said.push(Diagnostic::error(NOT_A_MAPPING, message).at(node.span).help(help));
            }
        }
        documents
    }

    /// Where a path leads that a file in `directory`, or the command line, has; `named` is where it is asked for. What is remote is
    /// fetched, and what is wrong with that is said.
    pub fn locate(&mut self, path: &str, directory: &Path, named: Option<Span>) -> Option<Located> {
        let Some(remote) = Remote::parse(path) else {
            return Some(Located {
                path: self.base(directory).resolve(path),
                fetched: None,
            });
        };
        let fetched = remote.and_then(|remote| self.files.fetch(&remote));
        let located = fetched.and_then(|Fetched { root, path }| {
            let path = if self.files.is_directory(&path) {
                discover::inside(&path, self.files).ok_or_else(|| "no compose file is in it".to_owned())?
            } else {
                path
            };
            Ok(Located {
                path,
                fetched: Some(root),
            })
        });
        located
            .map_err(|why| {
                self.broken = true;
                let error = Diagnostic::error("remote-file", format!("cannot load `{path}`: {why}"));
                self.diagnostics.push(match named {
                    Some(span) => error.label(span, "asked for here"),
                    None => error,
                });
            })
            .ok()
    }

    /// Resolves the documents of one project in order and merges them.
    pub fn project(&mut self, documents: Vec<Document>, scope: &Scope) -> Option<Node> {
        let mut root: Option<Node> = None;
        let mut left = documents.len();
        for Document { path, mut node } in documents {
            left -= 1;
            if self.interpolate {
                interpolate(
                    &mut node,
                    &scope.environment,
                    &self.sources,
                    &mut self.diagnostics,
                );
            }
            self.include(&mut node, &path, scope);
            self.extend(&mut node, &path, scope);
            let mut merged = match root.take() {
                Some(base) => merge(base, node, &mut self.diagnostics),
                None => node,
            };
            settle(&mut merged);
            unique::enforce(&mut merged);
            if left > 0 {
                self.earlier.push(merged.clone());
            }
            root = Some(merged);
        }
        root
    }

    /// Reads environment files in order into `environment`, which keeps what it has; `named` is where they are
    /// asked for. A missing file is an error.
    pub fn read_env_files(&mut self, paths: &[(PathBuf, Option<Span>)], environment: &mut Environment) {
        let mut all = Vec::new();
        for (path, named) in paths {
            let lookup = |name: &str| {
                let earlier = || {
                    all.iter()
                        .rev()
                        .find(|entry: &&super::dotenv::EnvEntry| entry.name == name)
                        .map(|entry| entry.value.clone())
                };
                environment.get(name).map(str::to_owned).or_else(earlier)
            };
            let read = self.files.read(path);
            let entries = read.map(|bytes| {
                env::parse_env_bytes(
                    path,
                    bytes,
                    EnvFormat::Dotenv,
                    &lookup,
                    &mut self.sources,
                    &mut self.diagnostics,
                )
            });
            match entries {
                Ok(entries) => all.extend(entries),
                Err(error) => {
                    let message = format!(
                        "cannot read the environment file {}: {}",
                        path.display(),
                        reason(&error)
                    );
                    let mut diagnostic = Diagnostic::error("unreadable-file", message);
                    if let Some(span) = named {
                        diagnostic = diagnostic.label(*span, "asked for here");
                    }
                    self.diagnostics.push(diagnostic);
                }
            }
        }
        environment.fill_from_files(&all);
    }

    /// The base of relative paths in `directory`.
    pub fn base<'b>(&'b self, directory: &'b Path) -> Base<'b> {
        Base {
            directory,
            home: self.home.as_deref(),
        }
    }

    /// Where the paths of a file in `directory` lead, seen from a project in `project`: there, or if paths stay
    /// relative, the way there.
    fn way(&self, project: &Path, directory: &Path) -> PathBuf {
        if self.resolve_paths {
            directory.to_owned()
        } else {
            relative(project, directory)
        }
    }
}

/// The way from one absolute directory to another.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = from.components().skip(shared).map(|_| "..");
    up.map(PathBuf::from)
        .chain(
            to.components()
                .skip(shared)
                .map(|part| PathBuf::from(part.as_os_str())),
        )
        .collect()
}

/// An error of the operating system in words, without its number.
pub fn reason(error: &io::Error) -> String {
    if let io::ErrorKind::NotFound = error.kind() {
        return "no such file".to_owned();
    }
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    words.to_lowercase()
}
