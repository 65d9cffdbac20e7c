//! Every contradiction has its code, and what is consistent has none.

use super::*;
use crate::model::consequence::independent;
use crate::model::normalise::{Context, normalise};
use crate::source::span::SourceMap;
use crate::source::yaml;

fn codes(text: &str) -> Vec<&'static str> {
    let mut texts = SourceMap::new();
    let file = texts.add("compose.yaml", text);
    let mut findings = Diagnostics::new();
    let documents = yaml::parse(file, text, &mut findings);
    let context = Context {
        project: "p",
        directory: "/p",
        lookup: &|_| None,
        implied: true,
        raw: false,
        environment: true,
    };
    let (root, more) = normalise(&documents[0], context);
    findings.append(more);
    let enabled = profile::enabled(&root, &[], &[]);
    findings.append(sources(&documents[0]));
    findings.append(parts(&root));
    let inconsistent = consistency(&root, &enabled);
    findings.append(independent(inconsistent, &findings, &root));
    findings.append(doubts(&root, &enabled));
    findings.iter().map(|finding| finding.code).collect()
}

fn service(lines: &str) -> Vec<&'static str> {
    codes(&format!("services: {{web: {{image: x, {lines}}}}}\n"))
}

#[test]
fn references_must_lead_somewhere() {
    let table: [(&str, &[&str]); 10] = [
        ("depends_on: [db]", &["undefined-service"]),
        ("depends_on: [web]", &["dependency-cycle"]),
        ("links: ['db:x']", &["undefined-service"]),
        ("network_mode: 'service:db'", &["undefined-service"]),
        ("volumes_from: [db]", &["undefined-service"]),
        ("networks: [a]", &["undefined-network"]),
        ("volumes: ['a1:/a']", &["undefined-volume"]),
        ("configs: [a]", &["undefined-config"]),
        ("secrets: [a]", &["undefined-secret"]),
        ("models: [a]", &["undefined-model"]),
    ];
    for (lines, expected) in table {
        assert_eq!(service(lines), expected, "{lines}");
    }
}

#[test]
fn an_optional_dependency_may_be_switched_off_but_must_be_defined() {
    let with = |required: bool, other: &str| {
        codes(&format!(
            "services: {{web: {{image: x, depends_on: {{{other}: {{condition: service_started, required: {required}}}}}}}, db: {{image: x, profiles: [p]}}}}\n"
        ))
    };
    assert_eq!(with(true, "db"), ["disabled-dependency"]);
    assert_eq!(with(false, "db"), Vec::<&str>::new());
    assert_eq!(with(false, "none"), ["undefined-service"]);
}

#[test]
fn contradictions_are_found() {
    let table: [(&str, &[&str]); 14] = [
        ("network_mode: host, networks: {}", &[]),
        (
            "build: {dockerfile: D, dockerfile_inline: F}",
            &["conflicting-keys"],
        ),
        ("platform: a, build: {platforms: [b]}", &["conflicting-keys"]),
        (
            "cpus: 1, deploy: {resources: {limits: {cpus: '2'}}}",
            &["conflicting-keys"],
        ),
        ("cpus: 1, deploy: {resources: {limits: {cpus: '1'}}}", &[]),
        (
            "cpus: 1, deploy: {resources: {limits: {memory: 1g}}}",
            &["conflicting-keys"],
        ),
        (
            "mem_limit: 1024m, deploy: {resources: {limits: {memory: 1g}}}",
            &[],
        ),
        ("scale: 2, deploy: {replicas: 3}", &["conflicting-keys"]),
        ("scale: 2, container_name: web", &["conflicting-keys"]),
        ("healthcheck: {test: [curl, x]}", &["healthcheck-test"]),
        ("tmpfs: [/x], volumes: [/x]", &["duplicate-mount"]),
        ("develop: {watch: [{path: a, action: sync}]}", &["missing-key"]),
        ("pull_policy: sometimes", &["unknown-value"]),
        ("ports: [{target: 80, host_ip: nowhere}]", &["bad-port"]),
    ];
    for (lines, expected) in table {
        assert_eq!(service(lines), expected, "{lines}");
    }
}

#[test]
fn resources_say_where_they_come_from() {
    let table: [(&str, &[&str]); 14] = [
        ("secrets: {s: {}}", &["no-source", "unused-resource"]),
        ("secrets: {s: {driver: d}}", &["no-source", "unused-resource"]),
        (
            "secrets: {s: {file: a, environment: B}}",
            &["conflicting-keys", "unused-resource"],
        ),
        ("configs: {c: {content: a}}", &["unused-resource"]),
        ("configs: {c: {content: ''}}", &["unused-resource"]),
        (
            "secrets: {s: {external: false}}",
            &["no-source", "unused-resource"],
        ),
        ("configs: {c: {external: false}}", &["unused-resource"]),
        (
            "secrets: {s: {external: true, file: a}}",
            &["ignored-key", "unused-resource"],
        ),
        (
            "configs: {c: {file: a, content: ''}}",
            &["conflicting-keys", "unused-resource"],
        ),
        (
            "volumes: {v: {external: true, driver: local}}",
            &["conflicting-keys", "unused-resource"],
        ),
        ("volumes: {v: {external: true, name: n}}", &["unused-resource"]),
        (
            "configs: {c: {external: true, file: /x}}",
            &["ignored-key", "unused-resource"],
        ),
        ("networks: {default: {driver: bridge}}", &[]),
        (
            "networks: {default: {external: true, driver: bridge}}",
            &["ignored-key"],
        ),
    ];
    for (lines, expected) in table {
        assert_eq!(
            codes(&format!("services: {{web: {{image: x}}}}\n{lines}\n")),
            expected,
            "{lines}"
        );
    }
}

#[test]
fn two_services_cannot_share_a_container_name() {
    let text = "services: {a: {image: x, container_name: same}, b: {image: x, container_name: same}}\n";
    assert_eq!(codes(text), ["conflicting-keys"]);
}
