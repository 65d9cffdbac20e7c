//! The merge rules, path by path, and the laws of merging.

use proptest::prelude::*;

use super::*;
use crate::source::emit;
use crate::source::span::SourceMap;
use crate::source::{longhand, unique, yaml};

/// Merges the files in order as the loader does; gives the tree as YAML, or what was said.
fn merged(files: &[&str]) -> Result<String, String> {
    let mut sources = SourceMap::new();
    let mut diagnostics = Diagnostics::new();
    let mut root: Option<Node> = None;
    for text in files {
        let file = sources.add("compose.yaml", *text);
        for document in yaml::parse(file, text, &mut diagnostics) {
            let mut next = match root.take() {
                Some(base) => merge(base, document, &mut diagnostics),
                None => document,
            };
            settle(&mut next);
            unique::enforce(&mut next, None);
            longhand::write(&mut next, None);
            root = Some(next);
        }
    }
    match diagnostics.iter().next() {
        Some(first) => Err(format!(
            "{}: {} at {} and {}",
            first.code,
            first.message,
            sources.locate(first.labels[0].span),
            sources.locate(first.labels[1].span)
        )),
        None => Ok(emit::yaml(&root.expect("a document"))),
    }
}

/// One service key in two files.
fn service(base: &str, over: &str) -> String {
    let file = |body: &str| format!("services:\n  web:\n    {}\n", body.replace('\n', "\n    "));
    let text = merged(&[&file(base), &file(over)]).unwrap_or_else(|error| error);
    text.trim_start_matches("services:\n  web:\n")
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// As an item of a list it has a place that can be named when it is refused.
#[test]
fn what_is_no_pair_stays_an_item_beside_those_of_a_mapping() {
    insta::assert_snapshot!(service("environment: {A: 1, B: }", "environment: [C=2, 3]"), @r"
    environment:
      - A=1
      - B
      - C=2
      - 3
    ");
}

#[test]
fn scalars_are_replaced_mappings_merged_and_lists_appended() {
    insta::assert_snapshot!(service("image: a\nuser: u\nsecurity_opt: [x]\ndeploy: {mode: global, replicas: 1}", "image: b\nuser:\nsecurity_opt: [x]\ndeploy: {replicas: 2}"), @r#"
    image: b
    user: u
    security_opt:
      - x
      - x
    deploy:
      mode: global
      replicas: 2
    "#);
}

#[test]
fn commands_tests_and_ulimits_are_replaced_even_by_nothing() {
    insta::assert_snapshot!(service("command: [a]\nentrypoint: x\nhealthcheck: {test: a, retries: 1}\nulimits: {n: {soft: 1, hard: 2}}", "command: b\nentrypoint:\nhealthcheck: {test: [CMD, b]}\nulimits: {n: 5}"), @r#"
    command: b
    entrypoint: null
    healthcheck:
      test:
        - CMD
        - b
      retries: 1
    ulimits:
      "n": 5
    "#);
}

#[test]
fn pairs_meet_by_key_whatever_their_form() {
    insta::assert_snapshot!(service("environment: {A: 1, B: 2}\nlabels: [a=1, b]", "environment: [B=3, A, C=x=y]\nlabels: [a=2]"), @r#"
    environment:
      A: null
      B: "3"
      C: x=y
    labels:
      - a=2
      - b
    "#);
    insta::assert_snapshot!(service("environment: [A=1, A=2, B=1]", "environment: [A=3]"), @r#"
    environment:
      - A=3
      - B=1
    "#);
}

#[test]
fn keyed_lists_replace_in_place_across_forms() {
    insta::assert_snapshot!(service("ports: ['8000-8002:80-82', 9000]\nvolumes: ['a:/x', '/y']", "ports: [{target: 81, published: '8001', mode: host}, '9000']\nvolumes: [{type: bind, source: /h, target: /x}]"), @r#"
    ports:
      - 8000:80
      - target: 81
        published: "8001"
        mode: host
      - 8002:82
      - "9000"
    volumes:
      - a:/x
      - /y
      - type: bind
        source: /h
        target: /x
    "#);
    insta::assert_snapshot!(service("secrets: [s, t]\nenv_file: a.env\ndns: 1.1.1.1", "secrets: [{source: u, target: /run/secrets/s}]\nenv_file: [{path: a.env, required: false}, b.env]\ndns: [1.1.1.1, 8.8.8.8]"), @r#"
    secrets:
      - source: u
        target: /run/secrets/s
      - t
    env_file:
      - path: a.env
        required: false
      - b.env
    dns:
      - 1.1.1.1
      - 8.8.8.8
    "#);
}

#[test]
fn lists_of_names_meet_mappings() {
    insta::assert_snapshot!(service("depends_on: [a, b]\nnetworks: [front]\nbuild: .", "depends_on: {a: {condition: service_healthy}}\nnetworks: {front: {aliases: [x]}, back: }\nbuild: {args: [A=1]}"), @r#"
    depends_on:
      a:
        condition: service_healthy
        required: true
      b:
        condition: service_started
        required: true
    networks:
      front:
        aliases:
          - x
      back: null
    build:
      context: .
      args:
        - A=1
    "#);
}

#[test]
fn logging_hosts_and_subnets_have_their_own_rules() {
    insta::assert_snapshot!(service("logging: {driver: json-file, options: {a: 1}}\nextra_hosts: {h: 1.1.1.1}", "logging: {driver: syslog, options: {b: 2}}\nextra_hosts: ['h=1.1.1.1', 'h=2.2.2.2']"), @r#"
    logging:
      driver: syslog
      options:
        b: 2
    extra_hosts:
      - h=1.1.1.1
      - h=2.2.2.2
    "#);
    insta::assert_snapshot!(service("logging: {driver: json-file, options: {a: 1}}", "logging: {options: {b: 2}}"), @r#"
    logging:
      driver: json-file
      options:
        a: 1
        b: 2
    "#);
    let network = |subnets: &str| format!("networks:\n  n:\n    ipam:\n      config: {subnets}\n");
    insta::assert_snapshot!(merged(&[&network("[{subnet: a, gateway: g}, {subnet: b}]"), &network("[{subnet: a, ip_range: r}]")]).expect("valid"), @r#"
    networks:
      "n":
        ipam:
          config:
            - subnet: a
              gateway: g
              ip_range: r
    "#);
}

#[test]
fn reset_removes_and_override_replaces() {
    insta::assert_snapshot!(service("ports: [80]\nimage: a\nenvironment: {A: 1, B: 2}\nvolumes: [a:/a]", "ports: !reset []\nenvironment: {A: !reset null}\nvolumes: !override [b:/b]\nlabels: !override {x: y}\ndns: [1.1.1.1, !reset 2.2.2.2]"), @r#"
    image: a
    environment:
      B: 2
    volumes:
      - b:/b
    labels:
      x: "y"
    dns:
      - 1.1.1.1
    "#);
}

#[test]
fn a_clash_names_both_places() {
    insta::assert_snapshot!(service("ports: [80]", "ports: {a: b}"), @r#"cannot-override: `services.web.ports` is a mapping here and cannot override a list at compose.yaml:3:12 and compose.yaml:3:12"#);
}

/// A tree of mappings with scalars at its leaves.
fn tree() -> impl Strategy<Value = String> {
    let leaf = prop_oneof!["[a-c]", "[0-9]"].prop_map(|leaf| leaf);
    leaf.prop_recursive(3, 12, 3, |inner| {
        proptest::collection::btree_map("[k-n]", inner, 1..3).prop_map(|map| {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            format!("{{{}}}", entries.join(", "))
        })
    })
    .prop_map(|tree| format!("x: {{t: {tree}}}\n"))
}

fn parse(text: &str) -> Node {
    let mut sources = SourceMap::new();
    let file = sources.add("a", text);
    yaml::parse(file, text, &mut Diagnostics::new()).remove(0)
}

proptest! {
    #[test]
    fn merging_a_tree_over_itself_or_over_nothing_changes_nothing(text in tree()) {
        let mut diagnostics = Diagnostics::new();
        prop_assert_eq!(merge(parse(&text), parse(&text), &mut diagnostics), parse(&text));
        prop_assert_eq!(merge(parse("x: {}"), parse(&text), &mut diagnostics), parse(&text));
        prop_assert_eq!(merge(parse(&text), parse("x: {}"), &mut diagnostics), parse(&text));
        prop_assert!(diagnostics.is_empty());
    }

    #[test]
    fn merging_is_associative_where_forms_agree(a in tree(), b in tree(), c in tree()) {
        let mut diagnostics = Diagnostics::new();
        let ab = merge(parse(&a), parse(&b), &mut diagnostics);
        let left = merge(ab, parse(&c), &mut diagnostics);
        let bc = merge(parse(&b), parse(&c), &mut diagnostics);
        let right = merge(parse(&a), bc, &mut diagnostics);
        prop_assume!(!diagnostics.has_errors());
        prop_assert_eq!(left, right);
    }
}

#[test]
fn all_devices_and_a_list_of_them_are_both_asked_for() {
    insta::assert_snapshot!(service("gpus: all", "gpus: [{driver: nvidia, count: 2}]"), @r"
    gpus:
      - count: -1
      - driver: nvidia
        count: 2
    ");
}
