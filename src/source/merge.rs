//! One tree over another by Compose's rules: a base and what overrides it come in, one tree goes out.
//! **Invariant:** what the override does not speak of stays as it was; a replaced value is remembered as a step.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::canonical;
use super::implied::Implied;
use super::node::{Mapping, Node, Tag, Value};
use super::path::NodePath;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// What happens where both trees have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Mappings are merged, lists appended, other values replaced.
    Deep,
    /// The override replaces, even with nothing.
    Replace,
    /// Mapping or `K=V` list: the last value of a key wins, a key without a value counts.
    Pairs,
    /// Mapping or `K=V` list whose keys may stand several times: pairs are added.
    Hosts,
    /// One item or a list: appended.
    List,
    /// A list of names stands for a mapping to nothing.
    Names,
    /// A list of names stands for a mapping to `service_started`.
    Dependencies,
    /// Text stands for `{context: text}`.
    Build,
    /// Options are merged unless the drivers differ.
    Logging,
    /// The override's subnets, each merged with the base's of the same subnet.
    Subnets,
}

/// The paths with a rule of their own (Compose Specification, "Merge"; compose-go's `override`).
const RULES: [(&str, Rule); 31] = [
    ("networks.*.ipam.config", Rule::Subnets),
    ("networks.*.labels", Rule::Pairs),
    ("volumes.*.labels", Rule::Pairs),
    ("services.*.annotations", Rule::Pairs),
    ("services.*.build", Rule::Build),
    ("services.*.build.additional_contexts", Rule::Pairs),
    ("services.*.build.args", Rule::Pairs),
    ("services.*.build.extra_hosts", Rule::Hosts),
    ("services.*.build.labels", Rule::Pairs),
    ("services.*.build.ssh", Rule::Pairs),
    ("services.*.command", Rule::Replace),
    ("services.*.depends_on", Rule::Dependencies),
    ("services.*.deploy.labels", Rule::Pairs),
    ("services.*.dns", Rule::List),
    ("services.*.dns_opt", Rule::List),
    ("services.*.dns_search", Rule::List),
    ("services.*.entrypoint", Rule::Replace),
    ("services.*.env_file", Rule::List),
    ("services.*.environment", Rule::Pairs),
    ("services.*.extends", Rule::Replace),
    ("services.*.extra_hosts", Rule::Hosts),
    ("services.*.healthcheck.test", Rule::Replace),
    ("services.*.label_file", Rule::List),
    ("services.*.labels", Rule::Pairs),
    ("services.*.logging", Rule::Logging),
    ("services.*.models", Rule::Names),
    ("services.*.networks", Rule::Names),
    ("services.*.sysctls", Rule::Pairs),
    ("services.*.tmpfs", Rule::List),
    ("services.*.ulimits.*", Rule::Replace),
    ("include", Rule::List),
];

/// Merges a whole file over what was accumulated before it.
pub fn merge(base: Node, over: Node, diagnostics: &mut Diagnostics) -> Node {
    merge_at(base, over, &NodePath::root(), diagnostics)
}

/// Merges the values of one path. Values tagged `!reset` or `!override` win and keep their tag, so that the
/// result can be merged further; [`settle`] ends that.
pub fn merge_at(base: Node, mut over: Node, path: &NodePath, diagnostics: &mut Diagnostics) -> Node {
    if over.tag.is_some() || base.tag == Some(Tag::Reset) {
        return replace(&base, over);
    }
    let rule = RULES
        .iter()
        .find(|(pattern, _)| path.matches(pattern))
        .map_or(Rule::Deep, |(_, rule)| *rule);
    if rule == Rule::Replace {
        return replace(&base, over);
    }
    if over.is_null() {
        return base;
    }
    if base.is_null() {
        return replace(&base, over);
    }
    match rule {
        Rule::Pairs => merge_pairs(base, over, path, diagnostics),
        Rule::Hosts => append(hosts_to_list(base), hosts_to_list(over), true, path, diagnostics),
        Rule::List => append(to_list(base), to_list(over), false, path, diagnostics),
        Rule::Names => deep(
            names(base, &|item| item.remade(Value::Null)),
            names(over, &|item| item.remade(Value::Null)),
            path,
            diagnostics,
        ),
        Rule::Dependencies => deep(names(base, &started), names(over, &started), path, diagnostics),
        Rule::Build => deep(build(base), build(over), path, diagnostics),
        Rule::Logging => {
            let driver = |node: &Node| node.get("driver").and_then(canonical::text_key);
            match (driver(&base), driver(&over)) {
                (Some(before), Some(after)) if before != after => replace(&base, over),
                _ => deep(base, over, path, diagnostics),
            }
        }
        Rule::Subnets => {
            if let (Value::Seq(before), Value::Seq(after)) = (&base.value, &mut over.value) {
                merge_subnets(before, after, path, diagnostics);
                return over;
            }
            deep(base, over, path, diagnostics)
        }
        Rule::Deep | Rule::Replace => deep(base, over, path, diagnostics),
    }
}

/// Removes what is tagged `!reset` and forgets the `!override` tags: the tree stands for itself.
pub fn settle(node: &mut Node) {
    node.tag = None;
    match &mut node.value {
        Value::Map(mapping) => {
            mapping.retain(|_, entry| entry.node.tag != Some(Tag::Reset));
            mapping.values_mut().for_each(settle);
        }
        Value::Seq(items) => {
            items.retain(|item| item.tag != Some(Tag::Reset));
            items.iter_mut().for_each(settle);
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
}

fn replace(base: &Node, mut over: Node) -> Node {
    over.record_replaced(base);
    over
}

fn deep(mut base: Node, over: Node, path: &NodePath, diagnostics: &mut Diagnostics) -> Node {
    match (&mut base.value, over.value) {
        (Value::Map(into), Value::Map(from)) => {
            merge_mappings(into, from, path, diagnostics);
            base
        }
        (Value::Seq(into), Value::Seq(from)) => {
            into.extend(from);
            base
        }
        (Value::Map(_) | Value::Seq(_), value) => {
            let over = Node { value, ..over };
            if path
                .segments()
                .iter()
                .any(|segment| matches!(segment, super::path::Segment::Key(key) if key.starts_with("x-")))
            {
                return replace(&base, over);
            }
            clash(&base, &over, path, diagnostics);
            base
        }
        (_, value) => replace(&base, Node { value, ..over }),
    }
}

fn clash(base: &Node, over: &Node, path: &NodePath, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::error(
            "cannot-override",
            format!(
                "`{path}` is {} here and cannot override {}",
                over.describe(),
                base.describe()
            ),
        )
        .label(over.span, over.describe())
        .secondary(base.span, base.describe())
        .help("write both in the same form, or put `!override` before the value to replace the other"),
    );
}

fn merge_mappings(into: &mut Mapping, from: Mapping, path: &NodePath, diagnostics: &mut Diagnostics) {
    for (key, entry) in from.into_entries() {
        let Some(base) = into.get_mut(&key) else {
            into.insert(key, entry.key_span, entry.node);
            continue;
        };
        let before = std::mem::replace(base, Node::null(entry.key_span));
        *base = merge_at(before, entry.node, &path.key(&key), diagnostics);
    }
}

/// Both as mappings if their forms differ, so that keys meet; two lists are appended and told apart later. A list with an
/// item that is no text is appended to a mapping, too: as an item it is refused where the schema is checked.
fn merge_pairs(base: Node, over: Node, path: &NodePath, diagnostics: &mut Diagnostics) -> Node {
    let is_bad = |items: &[Node]| items.iter().any(|item| item.as_str().is_none());
    match (base.as_seq(), over.as_seq()) {
        (Some(_), Some(_)) => return deep(base, over, path, diagnostics),
        (None, Some(items)) if base.as_map().is_some() && is_bad(items) => {
            return append(pairs_to_list(base), over, false, path, diagnostics);
        }
        _ => {}
    }
    let (mut base, mut over) = (pairs(base), pairs(over));
    let (Value::Map(into), Value::Map(from)) = (&mut base.value, &mut over.value) else {
        clash(&base, &over, path, diagnostics);
        return base;
    };
    for (key, mut entry) in std::mem::take(from).into_entries() {
        if let Some(before) = into.get(&key) {
            entry.node = replace(before, entry.node);
        }
        into.insert(key, entry.key_span, entry.node);
    }
    base
}

fn pairs(node: Node) -> Node {
    let mapping = node.as_seq().and_then(canonical::pairs_to_mapping);
    mapping.map_or(node.clone(), |mapping| Node {
        value: Value::Map(mapping),
        ..node
    })
}

/// `key: value` as `key=value`, a key without a value as `key`.
fn pairs_to_list(node: Node) -> Node {
    let Value::Map(mapping) = &node.value else {
        return node;
    };
    let items = mapping.iter().map(|(key, value)| {
        let text = value.scalar_text().filter(|_| !value.is_null());
        let pair = text.map_or_else(|| key.to_owned(), |text| format!("{key}={text}"));
        value.with_value(Value::String(pair.into()))
    });
    Node {
        value: Value::Seq(items.collect()),
        ..node
    }
}

fn names(node: Node, default: &dyn Fn(&Node) -> Node) -> Node {
    let mapping = node
        .as_seq()
        .and_then(|items| canonical::names_to_mapping(items, default));
    mapping.map_or(node.clone(), |mapping| Node {
        value: Value::Map(mapping),
        ..node
    })
}

/// What a name in a `depends_on` list stands for.
fn started(item: &Node) -> Node {
    let mut mapping = Mapping::new();
    let condition = item.remade_text("service_started");
    mapping.insert(
        "condition",
        item.span,
        condition.implied_by(Implied::StartedCondition),
    );
    let required = item.remade(Value::Bool(true));
    mapping.insert(
        "required",
        item.span,
        required.implied_by(Implied::RequiredDependency),
    );
    item.remade(Value::Map(mapping))
}

fn build(node: Node) -> Node {
    if !node.is_scalar() {
        return node;
    }
    let span = node.span;
    let mut mapping = Mapping::new();
    mapping.insert("context", span, node);
    Node::map(mapping, span)
}

fn to_list(node: Node) -> Node {
    if node.as_seq().is_some() {
        return node;
    }
    let span = node.span;
    Node::seq(vec![node], span)
}

/// `host: ip` and `host: [ip, ip]` as `host=ip` items.
fn hosts_to_list(node: Node) -> Node {
    let Value::Map(mapping) = &node.value else {
        return to_list(node);
    };
    let mut items = Vec::new();
    for (host, entry) in mapping.entries() {
        let addresses = entry.node.as_seq().unwrap_or(std::slice::from_ref(&entry.node));
        for address in addresses {
            let text = address.scalar_text().unwrap_or_default();
            items.push(address.with_value(Value::String(format!("{host}={text}").into())));
        }
    }
    Node {
        value: Value::Seq(items),
        ..node
    }
}

fn append(
    mut base: Node,
    over: Node,
    distinct: bool,
    path: &NodePath,
    diagnostics: &mut Diagnostics,
) -> Node {
    match (&mut base.value, over.value) {
        (Value::Seq(into), Value::Seq(from)) => {
            let fresh: Vec<Node> = from
                .into_iter()
                .filter(|item| !distinct || !into.contains(item))
                .collect();
            into.extend(fresh);
        }
        (_, value) => clash(&base, &Node { value, ..over }, path, diagnostics),
    }
    base
}

fn merge_subnets(before: &[Node], after: &mut [Node], path: &NodePath, diagnostics: &mut Diagnostics) {
    for item in after {
        let same = before
            .iter()
            .find(|base| base.get("subnet") == item.get("subnet"));
        if let Some(same) = same {
            let over = std::mem::replace(item, Node::null(item.span));
            *item = deep(same.clone(), over, &path.index(0), diagnostics);
        }
    }
}

#[cfg(test)]
mod tests;
