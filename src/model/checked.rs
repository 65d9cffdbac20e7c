//! In: a project that was loaded and checked. Out: the tree to print, in parts or whole, and the typed project.
//! **Invariant:** nothing is found here that was not checked before but what this host cannot do.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use super::load::Outcome;
use super::project::Project;
use super::service_files::without_files;
use super::{decode, profile};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::load::Loaded;
use crate::source::node::{Entry, Mapping, Node, Value};
use crate::source::parallel::is_large;
use crate::source::span::SourceMap;

/// The key of the services.
pub(super) const SERVICES: &str = "services";

/// A project that was loaded and checked, but not decoded: its tree can be printed meanwhile.
#[derive(Debug)]
pub struct Checked {
    /// The tree, as far as it is right.
    pub(super) tree: Option<CheckedTree>,
    /// Whether resources that no service uses are printed.
    pub(super) all_resources: bool,
    /// Whether what `env_file` says was put in.
    pub(super) environment: bool,
    /// What is wrong with the files, ordered by place.
    pub diagnostics: Diagnostics,
    /// All texts read, for showing findings.
    pub sources: SourceMap,
    /// The merged tree and what was read for it; none when a file could not be read.
    pub loaded: Option<Loaded>,
}

/// A tree without errors.
#[derive(Debug)]
pub(super) enum CheckedTree {
    /// Variables were not put in, so there is nothing to decode.
    Raw(Node),
    /// Everything is in its canonical form, and there are no resources that nobody uses.
    Whole {
        tree: Node,
        /// The services that are on.
        enabled: BTreeSet<String>,
        /// Those of them that are asked for, with what they depend on.
        selected: BTreeSet<String>,
    },
}

impl Checked {
    /// Whether it is worth more than one processor.
    pub fn is_large(&self) -> bool {
        self.loaded.as_ref().is_some_and(|loaded| is_large(&loaded.root))
    }

    /// Whether a service that is named is among what is printed; without interpolation everything is.
    pub fn selects(&self, service: &str) -> bool {
        match &self.tree {
            Some(CheckedTree::Whole { selected, .. }) => selected.contains(service),
            Some(CheckedTree::Raw(_)) | None => true,
        }
    }

    /// The tree to print, with the selected services; none when the files are no valid Compose files.
    pub fn to_print(&self) -> Option<Node> {
        self.parts().map(Parts::whole)
    }

    /// The same, but every service is copied only when its turn comes.
    pub fn parts(&self) -> Option<Parts<'_>> {
        let (tree, narrowed) = match self.tree.as_ref()? {
            CheckedTree::Raw(tree) => (tree, None),
            CheckedTree::Whole {
                tree,
                enabled,
                selected,
            } => (tree, Some((enabled, selected))),
        };
        let is_selected = |name: &str| narrowed.is_none_or(|(_, selected)| selected.contains(name));
        let section = tree.as_map().and_then(|file| file.entry(SERVICES));
        let all = section.and_then(|section| section.node.as_map());
        let services = all
            .into_iter()
            .flat_map(Mapping::entries)
            .filter(|(name, _)| is_selected(name))
            .collect();
        let mut rest = Mapping::new();
        for (key, entry) in tree.as_map().into_iter().flat_map(Mapping::entries) {
            let without = || Node::map(Mapping::new(), entry.node.span);
            let is_split = key == SERVICES && all.is_some();
            let node = if is_split { without() } else { entry.node.clone() };
            rest.insert(key, entry.key_span, node);
        }
        let mut rest = Node::map(rest, tree.span);
        if let Some((enabled, selected)) = narrowed
            && selected != enabled
            && !self.all_resources
        {
            profile::remove_unused(&mut rest, tree, selected);
        }
        Some(Parts {
            rest,
            services,
            with_files: !self.environment || narrowed.is_none(),
        })
    }

    /// The typed project, and what is right, but not possible here.
    pub fn project(&self) -> (Option<Project>, Diagnostics) {
        let decoded = self.decoded(Project::decode);
        decoded.unwrap_or_default()
    }

    /// What is right, but not possible here.
    pub fn refusals(&self) -> Diagnostics {
        let decoded = self.decoded(|tree, context| (None, Project::refusals(tree, context)));
        decoded.unwrap_or_default().1
    }

    fn decoded(
        &self,
        decode: impl Fn(&Node, decode::Context<'_>) -> (Option<Project>, Diagnostics),
    ) -> Option<(Option<Project>, Diagnostics)> {
        let (Some(CheckedTree::Whole { tree, enabled, .. }), Some(loaded)) = (&self.tree, &self.loaded)
        else {
            return None;
        };
        let directory = match Utf8PathBuf::from_path_buf(loaded.project_directory.clone()) {
            Ok(directory) => directory,
            Err(path) => {
                let message = format!("the project directory `{}` is not valid UTF-8", path.display());
                let refused = Diagnostic::error("bad-path", message);
                return Some((None, [refused].into_iter().collect()));
            }
        };
        let context = decode::Context {
            project: &loaded.project_name,
            directory: &directory,
            lookup: &|name| loaded.environment.get(name).map(str::to_owned),
            enabled,
        };
        let (project, mut refusals) = decode(tree, context);
        refusals.sort();
        Some((project, refusals))
    }

    /// Everything, with what [`Checked::project`] gave.
    pub fn with(self, project: Option<Project>, refusals: Diagnostics) -> Outcome {
        Outcome {
            project,
            normalised: self.to_print(),
            diagnostics: self.diagnostics,
            refusals,
            sources: self.sources,
            loaded: self.loaded,
        }
    }
}

/// A tree to print, in parts: of a large project it is never there twice.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Everything but the services, of which only the empty section is there.
    pub rest: Node,
    services: Vec<(&'a str, &'a Entry)>,
    /// Whether `env_file` and `label_file` are printed: what they say was not put in.
    with_files: bool,
}

/// A service of a tree in parts.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its name.
    pub name: &'a str,
    entry: &'a Entry,
    with_files: bool,
}

impl Part<'_> {
    /// The service, with the place of its name.
    pub fn copied(&self) -> Entry {
        let mut entry = self.entry.clone();
        if let Some(service) = entry.node.as_map_mut().filter(|_| !self.with_files) {
            without_files(service);
        }
        entry
    }
}

impl<'a> Parts<'a> {
    /// The services.
    pub fn services(&self) -> impl Iterator<Item = Part<'a>> + use<'_, 'a> {
        self.services.iter().map(|(name, entry)| Part {
            name,
            entry,
            with_files: self.with_files,
        })
    }

    /// The whole tree.
    pub fn whole(self) -> Node {
        let mut services = Mapping::new();
        for service in self.services() {
            let entry = service.copied();
            services.insert(service.name, entry.key_span, entry.node);
        }
        let mut root = self.rest;
        if let Some(section) = root.as_map_mut().and_then(|file| file.get_mut(SERVICES))
            && section.as_map().is_some()
        {
            section.value = Value::Map(services);
        }
        root
    }
}
