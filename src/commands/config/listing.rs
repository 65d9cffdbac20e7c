//! In: the tree of a project. Out: one list of what is in it: names, images, profiles, variables.
//! **Invariant:** names come in the order of the files, services that others depend on before them where that is asked for.

use std::collections::BTreeSet;

use crate::source::load::Loaded;
use crate::source::node::{Mapping, Node};

/// Keys of a section, in the order of the file.
pub(super) fn names(root: &Node, section: &str) -> Vec<String> {
    let section = root.get(section).and_then(Node::as_map);
    section
        .map(|section| section.keys().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// Each item on its line.
pub(super) fn lines(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| item + "\n").collect()
}

/// The services with their names.
pub(super) fn services(root: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let services = root.get("services").and_then(Node::as_map);
    services.into_iter().flat_map(Mapping::iter)
}

/// The names of services in the order of their names, but none before what it depends on.
pub(super) fn dependencies_first(root: &Node) -> Vec<String> {
    fn visit(name: &str, services: &Node, order: &mut Vec<String>, on_the_way: &mut Vec<String>) {
        let Some(service) = services.get(name) else { return };
        if order.iter().chain(&*on_the_way).any(|known| known == name) {
            return;
        }
        on_the_way.push(name.to_owned());
        let dependencies = service.get("depends_on");
        for name in dependencies
            .and_then(Node::as_map)
            .into_iter()
            .flat_map(Mapping::keys)
        {
            visit(name, services, order, on_the_way);
        }
        on_the_way.pop();
        order.push(name.to_owned());
    }
    let (mut order, mut on_the_way) = (Vec::new(), Vec::new());
    if let Some(services) = root.get("services") {
        for name in services.as_map().into_iter().flat_map(Mapping::keys) {
            visit(name, services, &mut order, &mut on_the_way);
        }
    }
    order
}

/// The image of each service; one that is only built has the name its build gives, with the separator between project and
/// service.
pub(super) fn images(root: &Node, separator: char) -> Vec<String> {
    let project = root.get("name").and_then(Node::as_str).unwrap_or_default();
    let image = |(name, service): (&str, &Node)| match service.get("image").and_then(Node::as_str) {
        Some(image) => image.to_owned(),
        None => format!("{project}{separator}{name}"),
    };
    services(root).map(image).collect()
}

/// The profiles of all services.
pub(super) fn profiles(root: &Node) -> BTreeSet<String> {
    let of = |(_, service)| {
        let profiles = Node::get(service, "profiles").and_then(Node::as_seq);
        profiles.unwrap_or_default().iter().filter_map(Node::as_str)
    };
    services(root).flat_map(of).map(str::to_owned).collect()
}

/// The variables that interpolation sees.
pub(super) fn environment(loaded: &Loaded) -> String {
    let variables = loaded.environment.iter();
    lines(variables.map(|(name, variable)| format!("{name}={}", variable.value)))
}
