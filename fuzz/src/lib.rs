//! What must hold for any bytes: each function takes some, reads them as one kind of input, and panics when a law is
//! broken. The fuzzer calls them, and so does the test `laws`, with the kept corpus and with mutations of it.
//! **Invariant:** nothing is read or written but memory, and by `tar_layer` directories of its own.

use std::mem::discriminant;

use camino::Utf8Path;
use rcompose::diagnostic::Diagnostics;
use rcompose::graph::Graph;
use rcompose::model::project::Project;
use rcompose::model::{decode, normalise, profile, schema, units, validate};
use rcompose::source::comments::Comments;
use rcompose::source::env::Environment;
use rcompose::source::interpolate::interpolate;
use rcompose::source::merge::{merge, settle};
use rcompose::source::node::{Mapping, Node, Value, VariableOrigin};
use rcompose::source::span::{FileId, SourceMap, Span};
use rcompose::source::{dotenv, emit, port_budget, template, toml, unique, yaml};

mod dockerfile;
mod registry_documents;
mod tar_layer;

pub use dockerfile::dockerfile;
pub use registry_documents::{manifest, reference};
pub use tar_layer::tar_layer;

/// Longer inputs find nothing that shorter ones do not.
const LONGEST: usize = 4096;

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= LONGEST)
}

fn inside(span: Span, text: &str) {
    assert!(
        text.get(span.start()..span.end()).is_some(),
        "{span:?} is not in the text"
    );
}

fn said_inside(said: &Diagnostics, text: &str) {
    for label in said.iter().flat_map(|finding| &finding.labels) {
        inside(label.span, text);
    }
}

fn tree_inside(node: &mut Node, text: &str) {
    node.walk_mut(&mut |node| inside(node.span, text));
}

fn environment() -> Environment {
    let mut environment = Environment::new();
    for (name, value) in [("A", "a"), ("EMPTY", ""), ("PORT", "80"), ("D", "$A")] {
        environment.set(name, value, VariableOrigin::Os);
    }
    environment
}

/// YAML → [`Project`]: spans lie in the text, what is written reads back the same, and every stage ends.
pub fn project(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let mut sources = SourceMap::new();
    let file = sources.add("compose.yaml", text);
    let mut said = Diagnostics::new();
    let mut documents = yaml::parse(file, text, &mut said);
    said_inside(&said, text);
    for document in &mut documents {
        tree_inside(document, text);
        if !said.has_errors() {
            reads_back(document);
        }
    }
    let mut all = documents
        .into_iter()
        .filter(|document| document.as_map().is_some());
    let Some(mut root) = all.next() else { return };
    interpolate(&mut root, &environment(), &sources, &mut said);
    for mut document in all {
        interpolate(&mut document, &environment(), &sources, &mut said);
        root = merge(root, document, &mut said);
    }
    settle(&mut root);
    port_budget::fit(&mut root, &mut said);
    unique::enforce(&mut root, None);
    stages(&root, &mut said);
    said_inside(&said, text);
}

fn reads_back(document: &Node) {
    let written = emit::yaml(document);
    let mut sources = SourceMap::new();
    let file = sources.add("again.yaml", written.as_str());
    let mut said = Diagnostics::new();
    let again = yaml::parse(file, &written, &mut said);
    assert!(
        !said.has_errors(),
        "what was written cannot be read: {said:?}\n{written}"
    );
    let again = again.first().map_or_else(|| "null\n".to_owned(), emit::yaml);
    assert_eq!(again, written);
}

/// All that comes after merging.
fn stages(root: &Node, said: &mut Diagnostics) -> Option<Node> {
    said.append(schema::validate(root, false));
    let lookup = |name: &str| environment().get(name).map(str::to_owned);
    let context = normalise::Context {
        project: "fuzz",
        directory: "/fuzz",
        lookup: &lookup,
        implied: true,
        raw: false,
        environment: true,
    };
    let (normal, findings) = normalise::normalise(root, context);
    said.append(findings);
    let enabled = profile::enabled(&normal, &[], &[]);
    said.append(validate::parts(&normal));
    said.append(validate::consistency(&normal, &enabled));
    if said.has_errors() {
        return None;
    }
    said.append(validate::doubts(&normal, &enabled));
    let narrowed = profile::narrow_resources(normal.clone(), &enabled);
    let context = decode::Context {
        project: "fuzz",
        directory: Utf8Path::new("/fuzz"),
        lookup: &lookup,
        enabled: &enabled,
    };
    let (project, findings) = Project::decode(&narrowed, context);
    assert!(
        project.is_some() || findings.has_errors(),
        "a project is refused without a word"
    );
    if let Some(project) = project
        && let Err(cycles) = Graph::of(&project)
    {
        said.append(cycles);
    }
    Some(normal)
}

/// Plain YAML: what the reader for it reads is what the full parser reads, and that has nothing to say about it.
pub fn yaml(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let file = SourceMap::new().add("compose.yaml", text);
    let Some(plain) = yaml::parse_plain(file, text) else {
        return;
    };
    let mut said = Diagnostics::new();
    let full = yaml::parse_fully(file, text, &mut said);
    assert!(said.iter().next().is_none(), "not plain: {said:?}");
    assert_eq!(full.len(), 1, "not one document");
    same(&plain, &full[0]);
}

/// Whether nothing at all tells two trees apart.
fn same(one: &Node, other: &Node) {
    let of = |node: &Node| {
        let scalar = node.is_scalar().then(|| format!("{:?}", node.value));
        let text = node.scalar_text().map(String::from);
        (
            node.span,
            node.tag,
            node.style,
            node.implied,
            scalar,
            text,
            node.steps().to_vec(),
        )
    };
    assert_eq!(of(one), of(other));
    match (&one.value, &other.value) {
        (Value::Seq(one), Value::Seq(other)) => {
            assert_eq!(one.len(), other.len());
            for (one, other) in one.iter().zip(other) {
                same(one, other);
            }
        }
        (Value::Map(one), Value::Map(other)) => {
            assert_eq!(one.len(), other.len());
            for ((key, one), (other_key, other)) in one.entries().zip(other.entries()) {
                assert_eq!((key, one.key_span), (other_key, other.key_span));
                same(&one.node, &other.node);
            }
        }
        // Scalars were compared above, as text: not a number is not equal to itself.
        (one, other) => assert_eq!(discriminant(one), discriminant(other)),
    }
}

/// TOML: spans lie in the text, and what is written can be read.
pub fn toml(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let mut sources = SourceMap::new();
    let file = sources.add("compose.toml", text);
    let mut said = Diagnostics::new();
    let mut documents = toml::parse(file, text, &mut said);
    said_inside(&said, text);
    let Some(document) = documents.first_mut().filter(|_| !said.has_errors()) else {
        return;
    };
    tree_inside(document, text);
    let written = toml::write(document, &mut Comments::none());
    let file = sources.add("again.toml", written.as_str());
    let again = toml::parse(file, &written, &mut said);
    assert!(
        !said.has_errors(),
        "what was written cannot be read: {said:?}\n{written}"
    );
    assert_eq!(
        again
            .first()
            .map(|again| toml::write(again, &mut Comments::none())),
        Some(written)
    );
    reads_back(document);
}

/// Interpolation: places lie in the text, an escaped text is itself, and a text without `$` too.
pub fn template(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let lookup = |name: &str| environment().get(name).map(str::to_owned);
    let found = template::substitute(text, &lookup);
    for one in &found.uses {
        let expression = text.get(one.start..one.end).unwrap_or_default();
        assert!(
            expression.starts_with('$') && expression.contains(&one.name),
            "{one:?}"
        );
    }
    for fault in &found.faults {
        let (template::Fault::Invalid { start, end, .. }
        | template::Fault::Required { start, end, .. }
        | template::Fault::TooLong { start, end }) = fault;
        assert!(
            text.get(*start..*end).is_some_and(|text| text.starts_with('$')),
            "{fault:?}"
        );
    }
    let escaped = template::substitute(&template::escape(text), &lookup);
    assert_eq!(
        (escaped.text.as_str(), escaped.uses.len(), escaped.faults.len()),
        (text, 0, 0)
    );
    let mut names: Vec<String> = template::asked(text)
        .into_iter()
        .map(|asked| asked.name)
        .collect();
    names.sort();
    let mut listed = template::variables(text);
    listed.sort();
    assert_eq!(names, listed);
}

/// Environment files in both grammars: places lie in the text, `docker run`'s has no empty names.
pub fn dotenv(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let lookup = |name: &str| environment().get(name).map(str::to_owned);
    let file = SourceMap::new().add(".env", text);
    let mut said = Diagnostics::new();
    for entry in dotenv::parse(file, text, &lookup, &mut said) {
        inside(entry.span, text);
    }
    for entry in dotenv::parse_raw(file, text, &lookup, &mut said) {
        inside(entry.span, text);
        assert!(!entry.name.is_empty());
    }
    said_inside(&said, text);
}

/// One entry of a list of a service, from the short form to the project.
fn entry(key: &str, text: &str) {
    let mut sources = SourceMap::new();
    let file: FileId = sources.add("compose.yaml", text);
    let here = Span::new(file, 0, text.len());
    let map = |pairs: Vec<(&str, Node)>| {
        let mut mapping = Mapping::new();
        for (key, node) in pairs {
            mapping.insert(key, here, node);
        }
        Node::map(mapping, here)
    };
    let item = Node::string(text, here);
    let service = map(vec![
        ("image", Node::string("i", here)),
        (key, Node::seq(vec![item], here)),
    ]);
    let volume = map(vec![]);
    let mut root = map(vec![
        ("services", map(vec![("s", service)])),
        ("volumes", map(vec![("v", volume)])),
    ]);
    unique::enforce(&mut root, None);
    let mut said = Diagnostics::new();
    if let Some(normal) = stages(&root, &mut said) {
        let again = stages(&normal, &mut said);
        assert_eq!(
            again.as_ref().map(emit::yaml),
            Some(emit::yaml(&normal)),
            "{said:?}"
        );
    }
}

/// The short form of a port.
pub fn ports(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        entry("ports", text);
    }
}

/// The short form of a volume.
pub fn volumes(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        entry("volumes", text);
    }
}

/// Durations, sizes, modes and booleans: what is printed reads back the same.
pub fn durations(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(duration) = units::parse_duration(text) {
        let printed = units::print_duration(duration);
        assert_eq!(units::parse_duration(&printed).ok(), Some(duration), "{printed}");
    }
    if let Ok(size) = units::parse_bytes(text) {
        assert_eq!(units::parse_bytes(&size.to_string()).ok(), Some(size));
    }
    if let Ok(mode) = units::parse_mode(text) {
        assert_eq!(units::parse_mode(&format!("0{mode:o}")).ok(), Some(mode));
    }
    units::parse_bool(text);
}
