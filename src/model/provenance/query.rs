//! In: a path as a person types it. Out: the accounts it means; if there are none, why there are none.
//! **Invariant:** a path means a value or everything below it, never a part of a key.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Account, compose_files};
use crate::diagnostic::nearest;
use crate::source::load::Loaded;
use crate::source::node::{Node, Tag, Value};
use crate::source::resolve;
use crate::source::span::{SourceMap, Span};

/// The accounts at or below a path: `services.web`, `services.*.image`, `services.web.ports[0]`.
pub fn select<'a, 'n>(accounts: &'a [Account<'n>], asked: &str) -> Vec<&'a Account<'n>> {
    accounts
        .iter()
        .filter(|account| fits(asked, &account.path.to_string()))
        .collect()
}

/// Whether `path` is what `asked` means or is below it; `*` stands for any text without a dot or bracket.
fn fits(asked: &str, path: &str) -> bool {
    match asked.split_once('*') {
        None => path
            .strip_prefix(asked)
            .is_some_and(|rest| asked.is_empty() || rest.is_empty() || rest.starts_with(['.', '['])),
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
            (0..=end)
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| fits(after, &rest[at..]) && (!after.is_empty() || at == end))
        }),
    }
}

/// Why a path means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It is written there, but `config` does not print it.
    Unprinted(Span),
    /// The `!reset` here removed it, or something that it was in.
    Reset(Span),
    /// There is no such path, but this one is near.
    Near(String),
    /// There is no such path; these are the keys where it leaves the tree.
    Unknown {
        /// The part of it that is there; empty for the root.
        known: String,
        /// The keys there.
        keys: Vec<String>,
    },
}

/// Why `asked` selects nothing of `printed`.
pub fn absence(asked: &str, printed: &Node, loaded: &Loaded, sources: &SourceMap) -> Absence {
    if let Some(node) = at(&loaded.root, asked) {
        return Absence::Unprinted(node.span);
    }
    let in_services = format!("services.{asked}");
    if let Some(place) = reset(&[asked, &in_services], loaded, sources) {
        return Absence::Reset(place);
    }
    if at(printed, &in_services).is_some() || at(&loaded.root, &in_services).is_some() {
        return Absence::Near(in_services);
    }
    let (mut node, mut known, mut rest) = (printed, String::new(), asked);
    while let Some((child, length)) = step(node, rest) {
        known.push_str(&rest[..length]);
        rest = &rest[length..];
        node = child;
    }
    let wrong = rest.trim_start_matches('.');
    let end = wrong.find(['.', '[']).unwrap_or(wrong.len());
    let keys: Vec<String> = match &node.value {
        Value::Map(mapping) => mapping.keys().map(str::to_owned).collect(),
        Value::Seq(items) => (0..items.len()).map(|index| format!("[{index}]")).collect(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => Vec::new(),
    };
    match nearest(&wrong[..end], keys.iter().map(String::as_str)) {
        Some(near) => {
            let dot = if known.is_empty() { "" } else { "." };
            Absence::Near(format!("{known}{dot}{near}{}", &wrong[end..]))
        }
        None => Absence::Unknown { known, keys },
    }
}

/// The last `!reset` that the files write at one of the paths or above it; it leaves no trace in the merged tree.
fn reset(paths: &[&str], loaded: &Loaded, sources: &SourceMap) -> Option<Span> {
    let files = compose_files(loaded, sources).into_iter().rev();
    let mut documents = files.flat_map(|file| resolve::again(sources, file).into_iter().rev());
    documents.find_map(|document| {
        let mut resets = paths
            .iter()
            .filter_map(|path| reset_on_the_way(&document.node, path));
        resets.next()
    })
}

fn reset_on_the_way(root: &Node, path: &str) -> Option<Span> {
    let (mut node, mut rest) = (root, path);
    while node.tag != Some(Tag::Reset) {
        let (child, length) = step(node, rest)?;
        rest = &rest[length..];
        node = child;
    }
    Some(node.span)
}

/// The node at a typed path.
fn at<'a>(root: &'a Node, path: &str) -> Option<&'a Node> {
    let (mut node, mut rest) = (root, path);
    while !rest.is_empty() {
        let (child, length) = step(node, rest)?;
        rest = &rest[length..];
        node = child;
    }
    Some(node)
}

/// The child that a path begins with and how many bytes of the path name it; a key may have dots in it.
fn step<'a>(node: &'a Node, path: &str) -> Option<(&'a Node, usize)> {
    if let Some(items) = node.as_seq() {
        let inner = path.strip_prefix('[')?;
        let (index, _) = inner.split_once(']')?;
        let item = items.get(index.parse::<usize>().ok()?)?;
        return Some((item, index.len() + 2));
    }
    let dots = path.len() - path.trim_start_matches('.').len();
    let path = &path[dots..];
    let fitting = node.as_map()?.iter().filter(|(key, _)| {
        let rest = path.strip_prefix(key);
        rest.is_some_and(|rest| !key.is_empty() && (rest.is_empty() || rest.starts_with(['.', '['])))
    });
    fitting
        .max_by_key(|(key, _)| key.len())
        .map(|(key, child)| (child, dots + key.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_itself_and_what_is_below() {
        let image = "services.web.image";
        for asked in [
            "",
            "services",
            "services.web",
            image,
            "services.*.image",
            "*.web",
            "services.w*",
        ] {
            assert!(fits(asked, image), "{asked}");
        }
        for asked in [
            "service",
            "services.we",
            "services.*.ports",
            "*.image",
            "services.w*b.x",
        ] {
            assert!(!fits(asked, image), "{asked}");
        }
        assert!(fits("services.web.ports[0]", "services.web.ports[0].target"));
        assert!(!fits("services.web.ports[1]", "services.web.ports[10].target"));
        assert!(fits(
            "services.web.ports[*].target",
            "services.web.ports[10].target"
        ));
    }
}
