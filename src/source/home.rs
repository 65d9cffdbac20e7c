//! Paths that begin with somebody's home: a tree comes in before its paths are made absolute, warnings go out.
//! **Invariant:** docker compose cuts the `~` alone, so does [`super::rebase`]; whoever means another user hears of it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::canonical::ShortVolume;
use super::node::{Mapping, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Warns of the paths of a whole project.
pub fn warn(root: &Node, diagnostics: &mut Diagnostics) {
    for service in members(root, "services") {
        warn_service(service, diagnostics);
    }
    for object in ["configs", "secrets"]
        .iter()
        .flat_map(|section| members(root, section))
    {
        path(object.get("file"), diagnostics);
    }
}

/// Warns of the paths of one service: those that [`super::rebase::service`] changes.
pub fn warn_service(service: &Node, diagnostics: &mut Diagnostics) {
    for volume in each(service.get("volumes")) {
        match volume.as_str().and_then(ShortVolume::parse) {
            Some(short) => named(short.host_path(), volume, diagnostics),
            None => path(volume.get("source"), diagnostics),
        }
    }
    for key in ["env_file", "label_file"] {
        for file in each(service.get(key)) {
            path(file.get("path").or(Some(file)), diagnostics);
        }
    }
    for rule in each(service.get("develop").and_then(|develop| develop.get("watch"))) {
        path(rule.get("path"), diagnostics);
    }
    let Some(build) = service.get("build") else { return };
    path(build.get("context").or(Some(build)), diagnostics);
    for key in ["additional_contexts", "ssh"] {
        let pairs = build.get(key);
        for (_, value) in pairs.and_then(Node::as_map).into_iter().flat_map(Mapping::iter) {
            path(Some(value), diagnostics);
        }
        for item in pairs.and_then(Node::as_seq).unwrap_or_default() {
            let value = item.as_str().and_then(|pair| pair.split_once('='));
            named(value.map(|(_, value)| value), item, diagnostics);
        }
    }
}

/// The items of a list, or one value.
fn each(node: Option<&Node>) -> &[Node] {
    node.map_or(&[], |node| node.as_seq().unwrap_or(std::slice::from_ref(node)))
}

fn members<'a>(root: &'a Node, section: &str) -> impl Iterator<Item = &'a Node> + use<'a> {
    let section = root.get(section).and_then(Node::as_map);
    section.into_iter().flat_map(Mapping::iter).map(|(_, node)| node)
}

fn path(node: Option<&Node>, diagnostics: &mut Diagnostics) {
    if let Some(node) = node {
        named(node.as_str(), node, diagnostics);
    }
}

fn named(path: Option<&str>, node: &Node, diagnostics: &mut Diagnostics) {
    let Some(rest) = path.and_then(|path| path.strip_prefix('~')) else {
        return;
    };
    if rest.is_empty() || rest.starts_with('/') {
        return;
    }
    diagnostics.push(
        Diagnostic::warning(
            "home-of-another",
            format!("`~{rest}` is `{rest}` in your own home, not in that of a user"),
        )
        .at(node.span)
        .help(format!("write `~/{rest}`, or the whole path of the other home")),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::SourceMap;
    use crate::source::yaml;

    #[test]
    fn only_a_home_with_a_name_is_doubtful() {
        let text = "services:\n  a:\n    build: ~bob/a\n    volumes: ['~bob/b:/b', '~/c:/c', '~:/d', {type: bind, source: ~bob, target: /e}, 'v~:/f']\n    env_file: [~bob/e, {path: ~bob/p}, ~/n]\n    develop: {watch: [{path: ~bob/f}]}\n  b: {label_file: ~bob/l, build: {context: ~bob/g, additional_contexts: {c: ~bob/c}, ssh: ['k=~bob/k', default]}}\nsecrets: {s: {file: ~bob/h}, t: {file: ~/h}}\n";
        let mut sources = SourceMap::new();
        let file = sources.add("compose.yaml", text);
        let mut said = Diagnostics::new();
        let root = yaml::parse(file, text, &mut said).remove(0);
        warn(&root, &mut said);
        let places: Vec<String> = said
            .iter()
            .filter_map(|finding| Some(sources.text(finding.span()?).to_owned()))
            .collect();
        assert_eq!(
            places,
            [
                "'~bob/b:/b'",
                "~bob",
                "~bob/e",
                "~bob/p",
                "~bob/f",
                "~bob/a",
                "~bob/l",
                "~bob/g",
                "~bob/c",
                "'k=~bob/k'",
                "~bob/h"
            ]
        );
    }
}
