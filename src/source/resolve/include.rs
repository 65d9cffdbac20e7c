//! `include`: the entries of a file come in, the resources of the projects they name are imported into the file.
//! **Invariant:** an included project is resolved on its own, in its own directory and environment; what the
//! including file says of the same resource wins.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::{Path, PathBuf};

use super::{Resolver, Scope};
use crate::diagnostic::Diagnostic;
use crate::source::merge::merge_at;
use crate::source::node::{Mapping, Node, Step, Value};
use crate::source::path::NodePath;
use crate::source::rebase;
use crate::source::span::Span;
use crate::source::{home, longhand};

/// The sections that are imported.
const SECTIONS: [&str; 6] = ["services", "volumes", "networks", "secrets", "configs", "models"];

/// One entry of `include`.
struct Entry {
    paths: Vec<(String, Span)>,
    project_directory: Option<String>,
    env_files: Vec<(String, Span)>,
    span: Span,
}

/// How many files may include each other in a row; each is a few stack frames.
const DEEPEST: usize = 100;

/// How many inclusions a project may have: files that each include the next twice double at every step.
const MOST: usize = 2_000;

impl Resolver<'_> {
    /// Takes `include` out of `root` and imports what it names.
    pub(super) fn include(&mut self, root: &mut Node, path: &Path, scope: &Scope) {
        let Some(include) = root.as_map_mut().and_then(|root| root.remove("include")) else {
            return;
        };
        let items = match include.node.value {
            Value::Seq(items) => items,
            Value::Null => return,
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) | Value::Map(_) => {
                let message = format!("`include` must be a list, this is {}", include.node.describe());
                let error = Diagnostic::error("invalid-include", message).at(include.node.span);
                self.diagnostics.push(error.help("write `include: [other.yaml]`"));
                return;
            }
        };
        let mut scope = scope.clone();
        scope.chain.push((path.to_owned(), None));
        for item in items {
            if let Some(entry) = self.entry(&item)
                && let Some(imported) = self.included(&entry, &scope)
            {
                self.import(root, imported);
            }
        }
    }

    fn entry(&mut self, item: &Node) -> Option<Entry> {
        let span = item.span;
        let wrong = match item.as_map() {
            Some(entry) => entry.iter().find(|(key, value)| !is_entry_key(key, value)),
            None if item.as_str().is_some() => None,
            None => Some(("", item)),
        };
        if let Some((key, value)) = wrong {
            let what = match key {
                "" => "an `include` entry must be a path or a mapping".to_owned(),
                "path" | "env_file" => {
                    format!("`{key}` of an `include` entry must be text or a list of texts")
                }
                "project_directory" => format!("`{key}` of an `include` entry must be text"),
                _ => format!("`{key}` is not a key of an `include` entry"),
            };
            let error = Diagnostic::error("invalid-include", what).at(value.span);
            self.diagnostics
                .push(error.help("the keys are `path`, `env_file` and `project_directory`"));
            return None;
        }
        let entry = if item.as_map().is_some() {
            Entry {
                paths: item.get("path").map(texts).unwrap_or_default(),
                project_directory: item
                    .get("project_directory")
                    .and_then(Node::as_str)
                    .map(str::to_owned),
                env_files: item.get("env_file").map(texts).unwrap_or_default(),
                span,
            }
        } else {
            Entry {
                paths: texts(item),
                project_directory: None,
                env_files: Vec::new(),
                span,
            }
        };
        if entry.paths.is_empty() {
            let finding = Diagnostic::warning(
                "invalid-include",
                "an `include` entry without a path includes nothing",
            );
            self.diagnostics.push(
                finding
                    .at(span)
                    .help("write `- other.yaml` or `- path: other.yaml`"),
            );
            return None;
        }
        Some(entry)
    }

    /// The project an entry names, resolved and with absolute paths.
    fn included(&mut self, entry: &Entry, scope: &Scope) -> Option<Node> {
        let mut paths: Vec<(PathBuf, Span)> = Vec::new();
        for (path, span) in &entry.paths {
            paths.push((self.locate(path, &scope.directory, Some(*span))?.path, *span));
        }
        let (first, _) = paths.first()?;
        if paths.iter().any(|(path, span)| self.is_cycle(path, *span, scope)) {
            return None;
        }
        let directory = match &entry.project_directory {
            Some(directory) => self.base(&scope.directory).resolve(directory),
            None => first.parent().unwrap_or(&scope.directory).to_owned(),
        };
        let mut environment = scope.environment.clone();
        let env_files = self.env_files(entry, &directory, scope);
        self.read_env_files(&env_files, &mut environment);
        let mut chain = scope.chain.clone();
        if let Some(last) = chain.last_mut() {
            last.1 = Some(entry.span);
        }
        let inner = Scope {
            directory,
            environment,
            chain,
        };
        let mut documents = Vec::new();
        for (path, span) in &paths {
            documents.extend(self.read_documents(path, Some(*span)));
        }
        let mut root = self.project(documents, &inner)?;
        self.keep(root.clone());
        longhand::write(&mut root, None);
        home::warn(&root, &mut self.diagnostics);
        let way = self.way(&scope.directory, &inner.directory);
        rebase::project(&mut root, self.base(&way), true);
        root.record_below(&Step::Included(entry.span));
        Some(root)
    }

    fn env_files(&mut self, entry: &Entry, directory: &Path, scope: &Scope) -> Vec<(PathBuf, Option<Span>)> {
        if entry.env_files.is_empty() {
            let implied = directory.join(".env");
            return if self.files.is_file(&implied) {
                vec![(implied, None)]
            } else {
                Vec::new()
            };
        }
        let named = entry.env_files.iter().filter(|(path, _)| path != "/dev/null");
        named
            .map(|(path, span)| (self.base(&scope.directory).resolve(path), Some(*span)))
            .collect()
    }

    fn is_cycle(&mut self, path: &Path, span: Span, scope: &Scope) -> bool {
        self.included += 1;
        let many = if scope.chain.len() > DEEPEST {
            Some(format!("files include each other more than {DEEPEST} deep"))
        } else {
            (self.included == MOST).then(|| format!("more than {MOST} files are included"))
        };
        if let Some(message) = many {
            self.diagnostics
                .push(Diagnostic::error("include-cycle", message).label(span, "one too many"));
        }
        if self.included >= MOST || scope.chain.len() > DEEPEST {
            return true;
        }
        let Some(first) = scope.chain.iter().position(|(file, _)| file == path) else {
            return false;
        };
        let names: Vec<String> = scope.chain[first..]
            .iter()
            .map(|(file, _)| file.display().to_string())
            .collect();
        let message = format!(
            "files include each other: {} → {}",
            names.join(" → "),
            path.display()
        );
        let mut error =
            Diagnostic::error("include-cycle", message).label(span, "leads back to the beginning");
        for (file, link) in &scope.chain[first..] {
            if let Some(link) = link {
                error = error.secondary(*link, format!("included by {}", file.display()));
            }
        }
        self.diagnostics.push(error);
        true
    }

    /// Puts imported resources under those of `root`.
    fn import(&mut self, root: &mut Node, imported: Node) {
        let (Value::Map(imported), Some(root)) = (imported.value, root.as_map_mut()) else {
            return;
        };
        for (section, entry) in imported.into_entries() {
            let (true, Value::Map(resources)) = (SECTIONS.contains(&section.as_str()), entry.node.value)
            else {
                continue;
            };
            if root.get(&section).is_none_or(Node::is_null) {
                root.insert(
                    section.clone(),
                    entry.key_span,
                    Node::map(Mapping::new(), entry.node.span),
                );
            }
            let Some(into) = root.get_mut(&section).and_then(Node::as_map_mut) else {
                continue;
            };
            for (name, resource) in resources.into_entries() {
                let Some(slot) = into.get_mut(&name) else {
                    into.insert(name, resource.key_span, resource.node);
                    continue;
                };
                if *slot == resource.node {
                    continue;
                }
                let over = std::mem::replace(slot, Node::null(resource.key_span));
                let path = NodePath::root().key(&section).key(&name);
                *slot = merge_at(resource.node, over, &path, &mut self.diagnostics);
            }
        }
    }
}

/// Whether a mapping of `include` may have this under this key.
fn is_entry_key(key: &str, value: &Node) -> bool {
    let is_text = |node: &Node| node.as_str().is_some();
    match key {
        "path" | "env_file" => {
            is_text(value) || value.as_seq().is_some_and(|items| items.iter().all(is_text))
        }
        "project_directory" => is_text(value),
        _ => false,
    }
}

/// One text or a list of them.
fn texts(node: &Node) -> Vec<(String, Span)> {
    let items = node.as_seq().unwrap_or(std::slice::from_ref(node));
    items
        .iter()
        .filter_map(|item| Some((item.as_str()?.to_owned(), item.span)))
        .collect()
}
