//! Every key does what its fate says: `tests/data/every-key` has each of them once, and they are taken out one by one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rcompose_runtime::image_store::ImageStore;
use rcompose_runtime::image_store::build::remote::{RemoteAccess, Sources};

use super::super::{BuildOptions, LoadedProject, Surroundings, build_request};
use crate::diagnostic::Diagnostics;
use crate::engine::{prepare, read_inputs};
use crate::model::schema::{Listed, keys};
use crate::model::{self, Outcome};
use crate::source::load::LoadOptions;
use crate::source::node::{Entry, Node, Value};
use crate::source::span::SourceMap;
use crate::source::{emit, yaml};
use crate::watch::rules;

/// Keys that are notes or have one possible value, as their remark says: without them everything stays as it is.
const NOTES: [&str; 7] = [
    "networks.*.attachable",
    "secrets.*.name",
    "configs.*.name",
    "services.*.ports[].name",
    "services.*.ports[].mode",
    "services.*.ports[].app_protocol",
    "services.*.volumes[].consistency",
];

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/every-key")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn load(directory: &Path, file: &str) -> (Outcome, LoadOptions) {
    let environment = vec![("PASSWORD".to_owned(), "word".to_owned())];
    let options = LoadOptions {
        files: vec![file.into()],
        ..LoadOptions::new(directory, environment)
    };
    (model::load(&model::Options::new(options.clone())), options)
}

/// All that follows from a file, but where in the file it stands.
fn behaviour(directory: &Path, file: &str) -> String {
    let (outcome, options) = load(directory, file);
    let mut said = String::new();
    for finding in &outcome.findings() {
        writeln!(said, "{}: {}; {:?}", finding.code, finding.message, finding.help).unwrap();
    }
    let (Some(project), Some(loaded)) = (outcome.project, outcome.loaded) else {
        return said;
    };
    let files = LoadedProject {
        project,
        loaded,
        sources: outcome.sources,
        options,
    };
    let facts = read_inputs(&files.project, files.origin());
    let prepared = prepare(&files.project, &facts);
    said += &without_places(&format!("{prepared:?}"));
    let watched = rules::prepare(&files.project, &|_| None);
    said += &without_places(&format!("{watched:?}"));
    let store = tempfile::tempdir().unwrap();
    let store = ImageStore::open(store.path()).unwrap();
    let remote = RemoteAccess {
        environment: vec![("SSH_AUTH_SOCK".to_owned(), "/agent".to_owned())],
        ..RemoteAccess::default()
    };
    let cancel = AtomicBool::new(false);
    let around = Surroundings {
        files: &files,
        options: &BuildOptions::default(),
        remote: &remote,
        sources: &Sources::new(&store, &remote, &cancel),
        variable: &|_| None,
        image_id: &|_| Ok(None),
    };
    for service in files.project.services.values() {
        // Read by a foreground `up`.
        writeln!(said, "{} attach {}", service.name, service.attach).unwrap();
        if let Some(section) = &service.build {
            // Read before and after the build.
            writeln!(said, "{:?} {:?}", section.cache_from, section.cache_to).unwrap();
            let request = build_request(&around, service, section);
            // Read where the request is carried out.
            writeln!(said, "{request:?} pull {} tags {:?}", section.pull, section.tags).unwrap();
        }
    }
    said
}

/// Debug output without spans.
fn without_places(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once("Span {") {
        kept += before;
        rest = after.split_once('}').unwrap().1;
    }
    kept + rest
}

fn tree(directory: &Path, file: &str) -> Node {
    let text = std::fs::read_to_string(directory.join(file)).unwrap();
    let id = SourceMap::new().add(file, text.clone());
    let mut findings = Diagnostics::new();
    let documents = yaml::parse(id, &text, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    documents.into_iter().next().unwrap()
}

/// Takes every key of a path out of a tree.
fn take(node: &mut Node, path: &[&str], taken: &mut Vec<Entry>) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    match &mut node.value {
        Value::Map(mapping) if rest.is_empty() => taken.extend(mapping.remove(step)),
        Value::Map(mapping) if *step == "*" => {
            for (_, value) in mapping.iter_mut() {
                take(value, rest, taken);
            }
        }
        Value::Map(mapping) => {
            if let Some(value) = mapping.get_mut(step) {
                take(value, rest, taken);
            }
        }
        Value::Seq(items) if *step == "[]" => {
            for item in items {
                take(item, rest, taken);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) | Value::Seq(_) => {
        }
    }
}

fn steps(path: &str) -> Vec<&str> {
    let parts = path.split('.');
    parts
        .flat_map(|part| match part.strip_suffix("[]") {
            Some(name) => vec![name, "[]"],
            None => vec![part],
        })
        .collect()
}

fn own_keys() -> Vec<Listed> {
    keys().into_iter().filter(|listed| !listed.inherited).collect()
}

#[test]
fn every_honoured_key_makes_a_difference() {
    let home = tempfile::tempdir().unwrap();
    copy(&samples(), home.path());
    let samples = ["compose.yaml", "refused.yaml"];
    let whole = samples.map(|file| behaviour(home.path(), file));
    assert!(whole[0].contains("ContainerRequest"), "{}", whole[0]);
    let trees = samples.map(|file| tree(home.path(), file));
    let (mut absent, mut dropped) = (Vec::new(), Vec::new());
    for listed in own_keys() {
        let path = steps(&listed.path);
        let (mut found, mut differs) = (false, false);
        for (place, file) in samples.iter().enumerate() {
            let mut without = trees[place].clone();
            let mut taken = Vec::new();
            take(&mut without, &path, &mut taken);
            if !taken.is_empty() {
                found = true;
                std::fs::write(home.path().join(file), emit::yaml(&without)).unwrap();
                differs |= behaviour(home.path(), file) != whole[place];
                std::fs::write(home.path().join(file), emit::yaml(&trees[place])).unwrap();
            }
        }
        if !found {
            absent.push(listed.path);
        } else if differs == (NOTES.contains(&listed.path.as_str())) {
            dropped.push(listed.path);
        }
    }
    assert!(absent.is_empty(), "the sample has none of {absent:#?}");
    assert!(dropped.is_empty(), "nothing reads {dropped:#?}");
}

#[test]
fn every_key_that_is_left_out_is_told_at_its_line() {
    let mut silent = Vec::new();
    let loads = ["compose.yaml", "refused.yaml"].map(|file| {
        let (outcome, _) = load(&samples(), file);
        let places: BTreeSet<(usize, usize)> = outcome
            .findings()
            .iter()
            .flat_map(|finding| finding.labels.clone())
            .map(|label| (label.span.start(), label.span.end()))
            .collect();
        (tree(&samples(), file), places)
    });
    for listed in own_keys().into_iter().filter(|listed| listed.left_out) {
        let is_told = loads.iter().any(|(tree, places)| {
            let mut taken = Vec::new();
            take(&mut tree.clone(), &steps(&listed.path), &mut taken);
            let told = |entry: &Entry| {
                [entry.key_span, entry.node.span]
                    .iter()
                    .any(|span| places.contains(&(span.start(), span.end())))
            };
            taken.iter().any(told)
        });
        // A model is refused where a service uses it.
        if !is_told && listed.path != "models" {
            silent.push(listed.path);
        }
    }
    assert!(silent.is_empty(), "nothing is said of {silent:#?}");
}

#[test]
fn the_committed_schema_is_what_the_model_says() {
    let committed =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/compose.schema.json"));
    let made = emit::json_text(&model::schema::json_schema());
    assert!(
        committed.is_ok_and(|text| text == made),
        "run `rcompose schema > schemas/compose.schema.json`"
    );
}
