//! Which services are on, and what is left of a project.

use camino::Utf8Path;

use super::*;
use crate::diagnostic::Diagnostics;
use crate::model::{decode, normalise};
use crate::source::span::SourceMap;
use crate::source::yaml;

const TEXT: &str = "
services:
  web: {image: x, depends_on: [db], networks: [front]}
  db: {image: x, volumes: ['data:/d'], networks: [back]}
  debug: {image: x, profiles: [dev, test], networks: [back]}
networks: {front: , back: , unused: }
volumes: {data: }
";

fn tree() -> Node {
    let mut sources = SourceMap::new();
    let file = sources.add("compose.yaml", TEXT);
    yaml::parse(file, TEXT, &mut Diagnostics::new()).remove(0)
}

fn names(set: &BTreeSet<String>) -> Vec<&str> {
    set.iter().map(String::as_str).collect()
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

#[test]
fn profiles_flags_stars_and_names_switch_services_on() {
    let on = |profiles: &[&str], named: &[&str]| enabled(&tree(), &texts(profiles), &texts(named));
    assert_eq!(names(&on(&[], &[])), ["db", "web"]);
    assert_eq!(names(&on(&["test"], &[])), ["db", "debug", "web"]);
    assert_eq!(names(&on(&["*"], &[])), ["db", "debug", "web"]);
    assert_eq!(names(&on(&[], &["debug"])), ["db", "debug", "web"]);
    assert_eq!(names(&on(&["other"], &["web"])), ["db", "web"]);
}

fn project() -> Project {
    let lookup = |_: &str| None;
    let context = normalise::Context {
        project: "shop",
        directory: "/srv",
        lookup: &lookup,
        implied: true,
        raw: false,
        environment: true,
    };
    let (root, _) = normalise::normalise(&tree(), context);
    let enabled = enabled(&root, &[], &[]);
    let context = decode::Context {
        project: "shop",
        directory: Utf8Path::new("/srv"),
        lookup: &lookup,
        enabled: &enabled,
    };
    let (project, findings) = Project::decode(&narrow_resources(root.clone(), &enabled), context);
    project.unwrap_or_else(|| panic!("{findings:?}"))
}

#[test]
fn a_loaded_project_knows_what_is_off_and_drops_what_is_unused() {
    let project = project();
    assert_eq!(project.services.len(), 2);
    assert!(project.disabled.contains_key("debug"));
    assert!(!project.networks.contains_key("unused"));
    assert!(!project.networks.contains_key("default"));
}

#[test]
fn selecting_takes_dependencies_along_when_asked() {
    let project = project();
    let all = select(&project, &[ServiceName::new("web")], true).expect("web is there");
    assert_eq!(all.services.len(), 2);
    let one = select(&project, &[ServiceName::new("web")], false).expect("web is there");
    assert_eq!(
        one.services.keys().map(ServiceName::as_str).collect::<Vec<_>>(),
        ["web"]
    );
    assert!(one.disabled.contains_key("db") && one.volumes.is_empty());
    assert!(one.networks.contains_key("front") && !one.networks.contains_key("back"));
}

#[test]
fn selecting_what_is_not_there_says_what_is() {
    let project = project();
    let said = |name: &str| {
        let findings = select(&project, &[ServiceName::new(name)], true).expect_err(name);
        (findings[0].code, findings[0].help.clone().unwrap_or_default())
    };
    assert_eq!(said("wbe"), ("unknown-service", "did you mean `web`?".to_owned()));
    assert_eq!(
        said("nothing"),
        ("unknown-service", "the services are db, web".to_owned())
    );
    assert_eq!(said("debug").0, "disabled-service");
}
