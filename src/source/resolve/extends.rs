//! `extends`: a file's services come in with the name of what they extend, with the base merged in they go out.
//! **Invariant:** a base is whole before it is extended; relative paths of another file's service speak from there.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Located, Resolver, Scope};
use crate::diagnostic::Diagnostic;
use crate::source::home::warn_service;
use crate::source::interpolate::interpolate;
use crate::source::merge::{merge, merge_at, settle};
use crate::source::node::{Mapping, Node, Step};
use crate::source::path::NodePath;
use crate::source::rebase;
use crate::source::span::Span;

/// The file whose services a name is looked up in.
struct Home<'a> {
    path: &'a Path,
    directory: &'a Path,
    services: &'a Mapping,
}

const CYCLE: &str = "extends-cycle";

/// How many services may extend each other in a row; each is a few stack frames.
const DEEPEST: usize = 100;

/// A service on the way to its base: file, name, and where its `extends` is written.
type Link = (PathBuf, String, Span);

/// The services of one file on their way: what is done is not done again for the next that extends it.
#[derive(Default)]
struct Progress {
    chain: Vec<Link>,
    /// What is whole, with how many others it extends in a row.
    done: HashMap<(PathBuf, String), Extended>,
    /// Other files with their variables put in.
    files: HashMap<PathBuf, Rc<Node>>,
    /// Whether it was said that services extend each other too deep.
    too_deep: bool,
}

/// A service without its `extends`, and how many others it extends in a row.
#[derive(Clone)]
struct Extended {
    service: Node,
    depth: usize,
}

impl Extended {
    /// A service that extends nothing, or nothing that could be found.
    fn alone(service: Node) -> Self {
        Self { service, depth: 0 }
    }
}

/// What an `extends` says.
struct Reference {
    service: String,
    service_span: Span,
    file: Option<(String, Span)>,
    span: Span,
}

impl Resolver<'_> {
    /// Replaces every service of `root` that extends another by the result.
    pub(super) fn extend(&mut self, root: &mut Node, path: &Path, scope: &Scope) {
        let Some(services) = root.get("services").and_then(Node::as_map) else {
            return;
        };
        if !services
            .iter()
            .any(|(_, service)| service.get("extends").is_some())
        {
            return;
        }
        let services = services.clone();
        let home = Home {
            path,
            directory: &scope.directory,
            services: &services,
        };
        let mut progress = Progress::default();
        let names: Vec<&str> = services.keys().collect();
        for name in names {
            let resolved = self.extended(name, &home, scope, &mut progress);
            let slot = root
                .as_map_mut()
                .and_then(|root| root.get_mut("services"))
                .and_then(Node::as_map_mut);
            if let (Some(resolved), Some(slot)) = (resolved, slot.and_then(|services| services.get_mut(name)))
            {
                *slot = resolved.service;
            }
        }
    }

    /// A service with all it extends merged in and without its `extends` key.
    fn extended(
        &mut self,
        name: &str,
        home: &Home<'_>,
        scope: &Scope,
        progress: &mut Progress,
    ) -> Option<Extended> {
        let service = home.services.get(name)?;
        if service.get("extends").is_none() {
            return Some(Extended::alone(service.clone()));
        }
        let place = (home.path.to_owned(), name.to_owned());
        if let Some(done) = progress.done.get(&place) {
            return Some(done.clone());
        }
        let extended = self.extend_one(service.clone(), name, home, scope, progress);
        progress.done.insert(place, extended.clone());
        Some(extended)
    }

    /// A service that has an `extends`, with its base merged in.
    fn extend_one(
        &mut self,
        mut service: Node,
        name: &str,
        home: &Home<'_>,
        scope: &Scope,
        progress: &mut Progress,
    ) -> Extended {
        let Some(extends) = service.as_map_mut().and_then(|service| service.remove("extends")) else {
            return Extended::alone(service);
        };
        let Some(reference) = self.reference(&extends.node) else {
            return Extended::alone(service);
        };
        if progress.too_deep || progress.chain.len() >= DEEPEST {
            self.too_deep(&reference, progress);
            return Extended::alone(service);
        }
        progress
            .chain
            .push((home.path.to_owned(), name.to_owned(), reference.span));
        let base = match &reference.file {
            None => self.base_in(&reference, name, home, scope, progress),
            Some((file, span)) => self.base_from_file(&reference, (file, *span), name, home, scope, progress),
        };
        progress.chain.pop();
        let Some(Extended {
            service: mut base,
            depth,
        }) = base
        else {
            return Extended::alone(service);
        };
        if base.is_null() {
            // An empty base gives nothing; compose-go leaves the key as it is then.
            if let Some(mapping) = service.as_map_mut() {
                mapping.insert("extends", extends.key_span, extends.node);
            }
            return Extended::alone(service);
        }
        if depth >= DEEPEST {
            self.too_deep(&reference, progress);
            return Extended::alone(service);
        }
        settle(&mut base);
        base.record_below(&Step::Extended(reference.span));
        let place = NodePath::root().key("services").key(name);
        Extended {
            service: merge_at(base, service, &place, &mut self.diagnostics),
            depth: depth + 1,
        }
    }

    /// Says, once, that services extend each other in too long a row.
    fn too_deep(&mut self, reference: &Reference, progress: &mut Progress) {
        if std::mem::replace(&mut progress.too_deep, true) {
            return;
        }
        self.diagnostics.push(
            Diagnostic::error(
                CYCLE,
                format!("services extend each other more than {DEEPEST} deep"),
            )
            .label(reference.span, "one too many")
            .help("take what they share into a service that extends nothing"),
        );
    }

    fn reference(&mut self, node: &Node) -> Option<Reference> {
        let span = node.span;
        if let Some(name) = node.as_str() {
            return Some(Reference {
                service: name.to_owned(),
                service_span: span,
                file: None,
                span,
            });
        }
        let service = node
            .get("service")
            .and_then(|service| Some((service.as_str()?.to_owned(), service.span)));
        let Some((service, service_span)) = service else {
            let help = "write `extends: {service: name}`, with `file: other.yaml` if it is in another file";
            self.diagnostics.push(
                Diagnostic::error("invalid-extends", "`extends` does not name a service")
                    .at(span)
                    .help(help),
            );
            return None;
        };
        let file = node.get("file");
        if let Some(wrong) = file.filter(|file| file.as_str().is_none()) {
            let message = format!("the `file` of `extends` must be text, not {}", wrong.describe());
            self.diagnostics
                .push(Diagnostic::error("invalid-extends", message).at(wrong.span));
            return None;
        }
        let file = file.and_then(|file| Some((file.as_str()?.to_owned(), file.span)));
        Some(Reference {
            service,
            service_span,
            file,
            span,
        })
    }

    fn base_in(
        &mut self,
        reference: &Reference,
        name: &str,
        home: &Home<'_>,
        scope: &Scope,
        progress: &mut Progress,
    ) -> Option<Extended> {
        let wanted = &reference.service;
        if !home.services.contains_key(wanted) {
            let file = home.path.display();
            let mut error = Diagnostic::error(
                "unknown-service",
                format!("`{name}` extends `{wanted}`, which is not a service of {file}"),
            )
            .label(reference.service_span, "no such service");
            if let Some(near) = self.diagnostics.nearest(wanted, home.services.keys()) {
                error = error.help(format!("did you mean `{near}`?"));
            }
            self.diagnostics.push(error);
            return None;
        }
        let first = progress
            .chain
            .iter()
            .position(|(path, link, _)| path == home.path && link == wanted);
        if let Some(first) = first {
            let is_said = |said: &Diagnostic| {
                said.code == CYCLE && said.labels.iter().any(|label| label.span == reference.span)
            };
            if self.diagnostics.iter().any(is_said) {
                return None;
            }
            let cycle = &progress.chain[first..];
            let names: Vec<&str> = cycle
                .iter()
                .map(|(_, link, _)| link.as_str())
                .chain([wanted.as_str()])
                .collect();
            let mut error = Diagnostic::error(
                "extends-cycle",
                format!("services extend each other: {}", names.join(" → ")),
            )
            .label(reference.span, format!("leads back to `{wanted}`"))
            .help("take what they share into a service that extends nothing");
            for (_, link, span) in cycle.iter().filter(|(.., span)| *span != reference.span) {
                error = error.secondary(*span, format!("`{link}` extends here"));
            }
            self.diagnostics.push(error);
            return None;
        }
        self.extended(wanted, home, scope, progress)
    }

    fn base_from_file(
        &mut self,
        reference: &Reference,
        (file, file_span): (&str, Span),
        name: &str,
        home: &Home<'_>,
        scope: &Scope,
        progress: &mut Progress,
    ) -> Option<Extended> {
        let Located { path, fetched } = self.locate(file, home.directory, Some(file_span))?;
        let root = if let Some(root) = progress.files.get(&path) {
            Rc::clone(root)
        } else {
            let root = Rc::new(self.other_file(&path, file_span, scope)?);
            progress.files.insert(path.clone(), Rc::clone(&root));
            root
        };
        let Some(services) = root.get("services").and_then(Node::as_map) else {
            let message = format!("{} has no services", path.display());
            self.diagnostics
                .push(Diagnostic::error("unknown-service", message).label(file_span, "asked for here"));
            return None;
        };
        // Paths of a fetched file speak from the root of what was fetched, as compose-go has it.
        let beside = || path.parent().unwrap_or(home.directory).to_owned();
        let directory = fetched.unwrap_or_else(beside);
        let there = Home {
            path: &path,
            directory: &directory,
            services,
        };
        let mut base = self.base_in(reference, name, &there, scope, progress)?;
        warn_service(&base.service, &mut self.diagnostics);
        let way = self.way(home.directory, &directory);
        rebase::service(&mut base.service, self.base(&way));
        Some(base)
    }

    /// The documents of another file as one tree with its variables put in.
    fn other_file(&mut self, path: &Path, named: Span, scope: &Scope) -> Option<Node> {
        let mut root: Option<Node> = None;
        for mut document in self.read_documents(path, Some(named)) {
            if self.interpolate {
                interpolate(
                    &mut document.node,
                    &scope.environment,
                    &self.sources,
                    &mut self.diagnostics,
                );
            }
            root = Some(match root {
                Some(base) => merge(base, document.node, &mut self.diagnostics),
                None => document.node,
            });
        }
        root
    }
}
