//! From compose files to one tree: paths and an environment come in; parsed, interpolated, included, extended and
//! merged they go out. Reads only through [`Files`].
//! **Invariant:** a file's `!reset` and `!override` act on what came before it, never after.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod document;
mod extends;
mod include;

pub use self::document::{Document, again};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use super::env::{self, EnvFormat, Environment};
use super::interpolate::interpolate;
use super::merge::{merge, settle};
use super::node::Node;
use super::port_budget::{self, PortBudget};
use super::rebase::Base;
use super::remote::{Fetched, Remote};
use super::span::{FileId, SourceMap, Span};
use super::touched::Touched;
use super::{discover, longhand, unique};
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
    /// What ranges of ports were written out.
    ports: PortBudget,
}

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
            ports: PortBudget::default(),
        }
    }

    /// Reads and parses a compose file; `named` is where it is asked for. What is wrong is said. A
    /// file that is asked for again is not read again.
    pub fn read_documents(&mut self, path: &Path, named: Option<Span>) -> Vec<Document> {
        match self.read.get(path) {
            Some(Read::Again(documents)) => return documents.clone(),
            Some(Read::Once(file)) => {
                let documents = again(&self.sources, *file);
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
        if let Some(why) = fault {
            self.broken = true;
            self.diagnostics.push(env::not_utf8(path, file, why));
            return Vec::new();
        }
        let text = &self.sources.file(file).text;
        let (documents, whole) = document::read(path, file, text, &mut self.diagnostics);
        self.broken |= !whole;
        self.read.insert(path.to_owned(), Read::Once(file));
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
            let tagged = node.has_tag();
            let (mut merged, touched) = match root.take() {
                Some(base) => {
                    let touched = Touched::by(&node);
                    (merge(base, node, &mut self.diagnostics), Some(touched))
                }
                None => (node, None),
            };
            if tagged {
                settle(&mut merged);
            }
            let touched = touched.as_ref();
            port_budget::spend(&mut merged, touched, &mut self.ports, &mut self.diagnostics);
            unique::enforce(&mut merged, touched);
            if left > 0 {
                self.keep(touched.map_or_else(|| merged.clone(), |touched| touched.part_of(&merged)));
                longhand::write(&mut merged, touched);
            }
            root = Some(merged);
        }
        root
    }

    /// Keeps a tree that is to be a Compose file in its own right.
    fn keep(&mut self, mut tree: Node) {
        port_budget::fit(&mut tree, &mut self.diagnostics);
        self.earlier.push(tree);
    }

    /// Reads environment files in order into `environment`, which keeps what it has; `named` is where they are
    /// asked for. A missing file is an error.
    pub fn read_env_files(&mut self, paths: &[(PathBuf, Option<Span>)], environment: &mut Environment) {
        let mut all = Vec::new();
        let mut values: HashMap<String, String> = HashMap::new();
        for (path, named) in paths {
            let lookup = |name: &str| {
                let earlier = || values.get(name).cloned();
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
                Ok(entries) => {
                    let set = entries
                        .iter()
                        .map(|entry| (entry.name.clone(), entry.value.clone()));
                    values.extend(set);
                    all.extend(entries);
                }
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
