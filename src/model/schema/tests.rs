//! What the schema accepts and refuses.

use super::*;
use crate::source::span::SourceMap;
use crate::source::yaml;

/// Lines of a service that are right.
const ACCEPTED: &[&str] = &[
    "build: .",
    "build: {context: ., args: [A=1], ssh: [default]}",
    "command: a b",
    "command: [a, b]",
    "command:",
    "depends_on: [db]",
    "depends_on: {db: {condition: service_healthy, required: false}}",
    "environment: [A=1, B]",
    "environment: {A: 1, B: true, C: }",
    "env_file: a.env",
    "env_file: [a.env, {path: b.env, required: false, format: raw}]",
    "ports: [80, \"80:80\", {target: 80, published: \"8080-8090\"}]",
    "volumes: [\"a:/b\", {type: bind, source: ., target: /x, bind: {create_host_path: false}}]",
    "networks: [a]",
    "networks: {a: , b: {aliases: [c]}}",
    "ulimits: {nofile: 10, nproc: {soft: 1, hard: 2}}",
    "extra_hosts: [a=b]",
    "extra_hosts: {a: b, c: [d, e]}",
    "healthcheck: {test: curl x, interval: 1m30s, retries: 3}",
    "gpus: all",
    "deploy:",
    "deploy: {replicas: \"2\", resources: {limits: {cpus: 0.5, memory: 64m}}}",
    "privileged: \"true\"",
    "mem_limit: 64m",
    "mem_limit: 67108864",
    "cpu_quota: 50000",
    "cpu_shares: -1",
    "cpu_shares: 1.5",
    "healthcheck: {retries: 1.5}",
    "scale: -2",
    "networks: {a: {priority: 1.5}}",
    "configs: [a, {source: b, mode: 0440}]",
    "logging: {options: {a: , b: 1}}",
    "gpus: [{driver: d}]",
    "x-anything: {goes: [here]}",
    "provider: {type: p, options: {a: 1, b: [c, 2]}}",
];

/// Lines of a service that are wrong, and how.
const REFUSED: &[(&str, &[&str])] = &[
    ("prots: [80]", &["unknown-key"]),
    ("hostname: 12", &["wrong-type"]),
    ("command: [a, 1]", &["wrong-type"]),
    ("command: \"a 'b\"", &["bad-value"]),
    ("environment: text", &["wrong-type"]),
    ("environment: {A: [b]}", &["wrong-type"]),
    ("environment:", &["wrong-type"]),
    ("volumes:", &["wrong-type"]),
    ("volumes: {a: b}", &["wrong-type"]),
    ("volumes: [{target: /x}]", &["missing-key"]),
    ("volumes: [{type: tmp, target: /x}]", &["unknown-value"]),
    (
        "volumes: [{type: tmpfs, target: /x, tmpfs: {size: -1}}]",
        &["out-of-range"],
    ),
    ("depends_on: {db: }", &["wrong-type"]),
    ("depends_on: {db: {condition: healthy}}", &["unknown-value"]),
    ("depends_on: [db, db]", &["duplicate-item"]),
    ("healthcheck: {interval: 5}", &["wrong-type"]),
    ("healthcheck: {interval: 5 seconds}", &["bad-value"]),
    ("mem_limit: 2gigs", &["bad-value"]),
    ("deploy: {resources: {limits: {memory: 64}}}", &["wrong-type"]),
    ("privileged: maybe", &["bad-value"]),
    ("privileged: 1", &["wrong-type"]),
    ("oom_score_adj: 2000", &["out-of-range"]),
    ("scale: many", &["wrong-type"]),
    ("cpu_percent: 150", &["out-of-range"]),
    (
        "deploy: {resources: {reservations: {devices: [{count: 1}]}}}",
        &["missing-key"],
    ),
    ("cpu_rt_runtime: 1m", &["wrong-type"]),
    ("deploy: {update_config: {parallelism: -1}}", &["out-of-range"]),
    ("deploy: {restart_policy: {max_attempts: -1}}", &["out-of-range"]),
    ("healthcheck: {retries: -1}", &["out-of-range"]),
    ("mem_reservation: 1.5", &["wrong-type"]),
    ("networks: {a: {gw_priority: '1'}}", &["wrong-type"]),
    ("expose: [1.5]", &["wrong-type"]),
    ("group_add: [a, a]", &["duplicate-item"]),
    ("expose: [80, 80]", &["duplicate-item"]),
    ("extra_hosts: [a=1, a=1]", &["duplicate-item"]),
    ("tmpfs: [/a, /a]", &["duplicate-item"]),
    (
        "post_start: [{command: x, environment: [A, A]}]",
        &["duplicate-item"],
    ),
    (
        "develop: {watch: [{path: ., action: sync, ignore: [a, a]}]}",
        &["duplicate-item"],
    ),
    ("ulimits: {nofile: {soft: 1}}", &["missing-key"]),
    (
        "prots: [80]\nhostname: 12\nmem_limit: much",
        &["unknown-key", "wrong-type", "bad-value"],
    ),
];

fn codes(text: &str) -> Vec<&'static str> {
    let mut sources = SourceMap::new();
    let file = sources.add("compose.yaml", text);
    let mut findings = Diagnostics::new();
    let documents = yaml::parse(file, text, &mut findings);
    assert!(findings.is_empty(), "{text}: {findings:?}");
    validate(&documents[0], false)
        .iter()
        .map(|finding| finding.code)
        .collect()
}

fn service(lines: &str) -> Vec<&'static str> {
    codes(&format!(
        "services:\n  web:\n    image: x\n    {}\n",
        lines.replace('\n', "\n    ")
    ))
}

#[test]
fn both_forms_of_everything_are_welcome() {
    for lines in ACCEPTED {
        assert_eq!(service(lines), Vec::<&str>::new(), "{lines}");
    }
}

#[test]
fn wrong_kinds_and_values_are_refused_at_once() {
    for (lines, expected) in REFUSED {
        assert_eq!(service(lines), *expected, "{lines}");
    }
    assert_eq!(service("tty: yes"), ["old-boolean"]);
    assert_eq!(service("mem_limit: 1.5"), ["ignored-key"]);
    assert_eq!(
        codes("models: {m: {model: x, context_size: '1'}}\n"),
        ["wrong-type"]
    );
    let open = [
        "secrets: {s: {external: {a: 1}}}\n",
        "services: {web: {gpus: [{a: 1}]}}\n",
    ];
    for text in open {
        let mut sources = SourceMap::new();
        let file = sources.add("compose.yaml", text);
        let documents = yaml::parse(file, text, &mut Diagnostics::new());
        let findings = validate(&documents[0], false);
        assert!(
            findings.len() == 1 && !findings.has_errors(),
            "{text}: {findings:?}"
        );
    }
    assert_eq!(codes("services: {web: }\n"), ["empty-service"]);
    assert_eq!(codes("web: {image: x}\n"), ["service-at-root"]);
    assert_eq!(codes("services: {\"a b\": {image: x}}\n"), ["bad-name"]);
    assert_eq!(codes("volumes:\n"), ["wrong-type"]);
    assert_eq!(codes("version: 3\n"), ["wrong-type"]);
    assert_eq!(
        codes("volumes: {a: , b: {external: {name: c}}}\nx-y: 1\n"),
        Vec::<&str>::new()
    );
}

#[test]
fn a_variable_not_put_in_may_become_anything() {
    let mut sources = SourceMap::new();
    let text = "services: {web: {image: x, scale: \"${N}\", mem_limit: \"${M}\", prots: 1}}\n";
    let file = sources.add("compose.yaml", text);
    let documents = yaml::parse(file, text, &mut Diagnostics::new());
    let raw = validate(&documents[0], true);
    assert_eq!(
        raw.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        ["unknown-key"]
    );
    assert_eq!(validate(&documents[0], false).len(), 3);
}

#[test]
fn hints_know_typos_synonyms_and_places() {
    let service = SERVICE.keys.all().iter().map(|key| key.name);
    assert!(service.clone().count() > 90 && service.clone().any(|key| key == "pre_start"));
    let table = [
        ("prots", "did you mean `ports`?"),
        ("env", "did you mean `environment`?"),
        ("net", "did you mean `network_mode`?"),
        ("dockerfile", "`dockerfile` belongs under `build:`"),
        ("replicas", "`replicas` belongs under `deploy:`"),
        (
            "services",
            "`services` belongs at the top of the file; check the indentation",
        ),
        ("whatever", "keys of your own must begin with `x-`"),
    ];
    let said = |key: &str, object: &'static Object, value: &str| {
        let span = Span::new(SourceMap::new().add("a", value), 0, 1);
        let finding = Diagnostic::error("unknown-key", "x").at(span);
        let path = NodePath::root().key("services").key("web");
        let found = hint::unknown_key(finding, (key, &Node::string(value, span)), object, &path);
        found.help.unwrap_or_default()
    };
    for (key, help) in table {
        let said = said(key, &SERVICE, "x");
        assert_eq!(said.lines().next(), Some(help), "{key}");
    }
    assert_eq!(
        said("image", &FILE, "x"),
        "`image` belongs to a service, under `services:`"
    );
    for (key, help) in [
        (
            "dockerfile",
            "`dockerfile` belongs under `build:`\nservices:\n  web:\n    build:\n      dockerfile: one",
        ),
        (
            "port",
            "did you mean `ports`?\nservices:\n  web:\n    ports:\n      - one",
        ),
        (
            "log_driver",
            "it is `driver`, under `logging:`\nservices:\n  web:\n    logging:\n      driver: one",
        ),
        ("Container-Name", "did you mean `container_name`?"),
    ] {
        assert_eq!(said(key, &SERVICE, "one"), help, "{key}");
    }
    let conditions = [
        "service_started",
        "service_healthy",
        "service_completed_successfully",
    ];
    let words = [
        ("healthy", Some("service_healthy")),
        ("started", Some("service_started")),
        ("completed", Some("service_completed_successfully")),
        ("exited", Some("service_completed_successfully")),
        ("service_helthy", Some("service_healthy")),
        ("service", None),
        ("tuesday", None),
    ];
    for (word, meant) in words {
        assert_eq!(hint::word(word, &conditions), meant, "{word}");
    }
}

#[test]
fn synonyms_lead_to_keys_that_are_there_from_words_that_are_not() {
    let mut told = Told::new();
    collect(&FILE, &mut told);
    let elsewhere = synonym::ELSEWHERE.iter().copied();
    let service = synonym::SERVICE
        .iter()
        .map(|(word, meant)| ("a service", *word, *meant));
    for (title, word, meant) in elsewhere.chain(service) {
        assert!(!told.contains(&(title, word)), "{word} is a key of {title}");
        let first = meant.split('.').next().expect("a part");
        assert!(told.contains(&(title, first)), "{meant} is no key of {title}");
    }
}

type Told = std::collections::BTreeSet<(&'static str, &'static str)>;

fn collect(object: &'static Object, told: &mut Told) {
    for key in object.keys.all() {
        told.insert((object.title, key.name));
        inner(&key.shape, told);
    }
}
fn inner(shape: &'static Shape, told: &mut Told) {
    if let Shape::Object(object) = shape {
        collect(object, told);
    } else if let Shape::Map(shape)
    | Shape::List(shape)
    | Shape::OrText(shape)
    | Shape::OrPort(shape)
    | Shape::OrNames(shape)
    | Shape::OrInteger(shape)
    | Shape::OrNull(shape) = shape
    {
        inner(shape, told);
    }
}

#[test]
fn every_key_has_one_sentence_about_it() {
    let mut sentences = 0;
    for listed in keys() {
        assert!(
            listed.about.ends_with('.') && listed.about.len() > 5,
            "{} has no sentence in about.txt",
            listed.path
        );
        sentences += 1;
    }
    assert!(sentences > 300);
    let words = include_str!("about.txt");
    let titles: Vec<&str> = words.lines().filter(|line| line.starts_with('[')).collect();
    let mut told = Told::new();
    collect(&FILE, &mut told);
    let lines = words.lines().filter(|line| !line.is_empty()).count();
    assert_eq!(
        lines - titles.len(),
        told.len(),
        "about.txt tells of keys that are not there"
    );
}

/// The keys of the specification's own schema, as of the date in the file's head. How to take them anew stands there too.
#[test]
fn every_key_of_the_specification_has_a_fate() {
    let ours: std::collections::BTreeSet<String> = keys().into_iter().map(|listed| listed.path).collect();
    let specification = include_str!("../../../tests/data/specification-keys.txt");
    let theirs: Vec<&str> = specification
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(theirs.len() > 300);
    let missing: Vec<&&str> = theirs.iter().filter(|path| !ours.contains(**path)).collect();
    assert!(
        missing.is_empty(),
        "keys of the specification without a fate: {missing:?}"
    );
    // Keys that are newer than the schema.
    let newer: Vec<&String> = ours
        .iter()
        .filter(|path| !theirs.contains(&path.as_str()))
        .filter(|path| !path.starts_with("services.*.pre_start") && !path.ends_with(".build.no_cache_filter"))
        .collect();
    assert!(
        newer.is_empty(),
        "keys the specification does not have: {newer:?}"
    );
}

#[test]
fn the_page_of_the_book_is_as_the_tables_say() {
    let committed = include_str!("../../../book/src/keys.md");
    assert!(
        committed == page(),
        "run `rcompose schema --keys > book/src/keys.md`"
    );
}

fn document(text: &str) -> serde_json::Value {
    let file = SourceMap::new().add("compose.yaml", text);
    let documents = yaml::parse(file, text, &mut Diagnostics::new());
    crate::source::emit::json(&documents[0])
}

#[test]
fn editors_are_told_what_the_loader_tells() {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let of = |lines: &str| document(&format!("services: {{web: {{{lines}}}}}\n"));
    for lines in ACCEPTED {
        let errors: Vec<String> = validator
            .iter_errors(&of(lines))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{lines}: {errors:?}");
    }
    // A pattern cannot know how a shell splits a line.
    let beyond_patterns = ["command: \"a 'b\""];
    for (lines, _) in REFUSED {
        let lines = lines.replace('\n', ", ");
        let is_valid = validator.is_valid(&of(&lines));
        assert_eq!(is_valid, beyond_patterns.contains(&lines.as_str()), "{lines}");
    }
    let files: [(&str, bool); 12] = [
        ("services: {web: }", false),
        ("web: {image: x}", false),
        ("services: {\"a b\": {image: x}}", false),
        ("volumes:", false),
        ("version: 3", false),
        ("volumes: {a: , b: {external: {name: c}}}\nx-y: 1", true),
        (
            "services: {web: {scale: \"${N}\", mem_limit: \"${M}\", use_api_socket: \"${A}\"}}",
            true,
        ),
        ("services: {web: {scale: many}}", false),
        (
            "services: {web: {stop_grace_period: 1.5h30µs, shm_size: 1.5 GiB, tty: oN}}",
            true,
        ),
        (
            "services: {web: {environment: {\"!override\": {A: b}}, ports: {\"!reset\": true}}}",
            true,
        ),
        ("services: {web: {ports: {\"!rest\": true}}}", false),
        ("networks: {\"any name\": {}}", true),
    ];
    for (text, expected) in files {
        assert_eq!(validator.is_valid(&document(text)), expected, "{text}");
    }
    let every = [
        include_str!("../../../tests/data/every-key/compose.yaml"),
        include_str!("../../../tests/data/every-key/refused.yaml"),
        include_str!("../../../examples/wordpress/compose.yaml"),
        include_str!("../../../examples/wordpress-hub/compose.yaml"),
    ];
    for text in every {
        let document = document(text);
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn a_bare_date_is_no_text() {
    for lines in [
        "labels: {built: 2024-01-31}",
        "environment: [2024-1-3]",
        "logging: {options: {a: 2001-12-14 21:59:43}}",
    ] {
        assert_eq!(service(lines), ["wrong-type"], "{lines}");
    }
    for lines in [
        "labels: {built: '2024-01-31'}",
        "labels: {built: !!str 2024-01-31}",
        "labels: {version: 2024-13-31}",
        "environment: [A=2024-01-31]",
        "x-built: 2024-01-31",
    ] {
        assert_eq!(service(lines), [""; 0], "{lines}");
    }
}
