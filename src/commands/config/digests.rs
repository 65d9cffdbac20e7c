//! In: a project to print. Out: the same with every image pinned to the digest its registry has now, or only these images.
//! **Invariant:** all images are asked for, at once, and each that has no digest is said at its line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use rcompose_runtime::image_store::published::published_digest;
use rcompose_runtime::image_store::{Configuration, Reference};

use super::super::Context;
use super::super::image_source::registry_configuration;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::error::{CliError, chain};
use crate::source::node::{Mapping, Node};
use crate::source::span::SourceMap;
use crate::ui::print;

/// Pins the images of services, of their `pre_start` hooks and of volumes of type `image`.
pub(super) fn pin(context: &Context, root: &mut Node, sources: &SourceMap) -> Result<(), CliError> {
    let mut wanted = BTreeSet::new();
    each_image(root, &mut |image| {
        wanted.extend(image.as_str().map(str::to_owned));
    });
    let configuration = registry_configuration(&|name| context.variable(name));
    let configuration = configuration.map_err(|error| CliError::user(chain(&*error)))?;
    let pinned = resolve(&configuration, wanted, context.parallel());
    let mut findings = Diagnostics::new();
    each_image(
        root,
        &mut |image| match image.as_str().and_then(|name| pinned.get(name)) {
            Some(Ok(name)) => *image = Node::string(name.clone(), image.span),
            Some(Err(why)) => {
                let name = image.as_str().unwrap_or_default();
                let message = format!("`{name}` cannot be pinned to a digest: {why}");
                findings.push(Diagnostic::error("unresolved-image", message).at(image.span));
            }
            None => {}
        },
    );
    if findings.has_errors() {
        return Err(CliError::findings(&findings, sources));
    }
    Ok(())
}

/// An override file that says nothing but the images.
pub(super) fn lock(root: &Node) -> Node {
    let mut locked = Mapping::new();
    let services = root.get("services").and_then(Node::as_map);
    for (name, service) in services.into_iter().flat_map(Mapping::iter) {
        let mut kept = Mapping::new();
        if let Some(image) = service.get("image") {
            kept.insert("image", image.span, image.clone());
        }
        let volumes = service.get("volumes").and_then(Node::as_seq).unwrap_or_default();
        let images: Vec<Node> = volumes
            .iter()
            .filter(|volume| is_image(volume))
            .cloned()
            .collect();
        if !images.is_empty() {
            kept.insert("volumes", service.span, Node::seq(images, service.span));
        }
        if !kept.is_empty() {
            locked.insert(name, service.span, Node::map(kept, service.span));
        }
        let hooks = service
            .get("pre_start")
            .and_then(Node::as_seq)
            .unwrap_or_default();
        if hooks.iter().any(|hook| hook.get("image").is_some()) {
            // Lists of hooks are appended when files are merged: a hook said again would run twice.
            print::err(&format!(
                "warning: the images of `{name}`'s pre_start hooks are not locked; --resolve-image-digests pins them\n"
            ));
        }
    }
    let mut file = Mapping::new();
    file.insert("services", root.span, Node::map(locked, root.span));
    Node::map(file, root.span)
}

fn is_image(volume: &Node) -> bool {
    volume.get("type").and_then(Node::as_str) == Some("image")
}

fn each_image(root: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    let services = root.as_map_mut().and_then(|root| root.get_mut("services"));
    let Some(services) = services.and_then(Node::as_map_mut) else {
        return;
    };
    let names: BTreeSet<String> = services.keys().map(str::to_owned).collect();
    // The host's own root and what another service builds have no registry.
    let mut visit = |image: &mut Node| {
        let is_elsewhere = |name: &str| !name.is_empty() && !name.starts_with('@') && !names.contains(name);
        if image.as_str().is_some_and(is_elsewhere) {
            visit(image);
        }
    };
    for service in services.values_mut() {
        let Some(service) = service.as_map_mut() else {
            continue;
        };
        if let Some(image) = service.get_mut("image") {
            visit(image);
        }
        for (list, key) in [("pre_start", "image"), ("volumes", "source")] {
            for item in service
                .get_mut(list)
                .and_then(Node::as_seq_mut)
                .into_iter()
                .flatten()
            {
                if (list == "pre_start" || is_image(item))
                    && let Some(image) = item.as_map_mut().and_then(|item| item.get_mut(key))
                {
                    visit(image);
                }
            }
        }
    }
}

/// The pinned name of each, or why there is none.
fn resolve(
    configuration: &Configuration,
    wanted: BTreeSet<String>,
    at_once: usize,
) -> BTreeMap<String, Result<String, String>> {
    let found = Mutex::new(BTreeMap::new());
    let at_once = at_once.clamp(1, wanted.len().max(1));
    let waiting = Mutex::new(wanted.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(name) = next(&waiting) {
                    let pinned = pinned(configuration, &name);
                    found
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(name, pinned);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn next(waiting: &Mutex<impl Iterator<Item = String>>) -> Option<String> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// `docker.io/library/mysql:8@sha256:…`; of a name with both, the digest alone counts (compose-go's `WithImagesResolved`).
fn pinned(configuration: &Configuration, name: &str) -> Result<String, String> {
    let reference: Reference = name.parse().map_err(|error| chain(&error))?;
    if let Some(digest) = reference.digest() {
        return Ok(reference.with_digest(*digest).to_string());
    }
    let digest = published_digest(configuration, &reference).map_err(|error| chain(&error))?;
    Ok(format!("{reference}@{digest}"))
}
