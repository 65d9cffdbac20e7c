//! Provenance of rich projects, read from real files.
#![expect(
    clippy::disallowed_methods,
    reason = "the law is about files, so these tests write some"
)]

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::model::normalise::{View, printed};
use crate::model::{self, Options, Outcome, units};
use crate::source::load::LoadOptions;

/// All that can happen to a value, in two languages and six files.
const RICH: [(&str, &str); 9] = [
    (
        "compose.yaml",
        r#"name: $PROJECT
include:
  - lib/cache.yaml
x-env: &env
  TZ: UTC
  LEVEL: info
services:
  web:
    extends: {service: base, file: lib/base.yaml}
    image: "nginx:${TAG:-1.27}"
    build: .
    environment:
      <<: *env
      DB_HOST: localhost
      LEVEL: debug
      SECRET: ${KEY:-none}
      EMPTY: "$BLANK"
      HOME:
      NOBODY:
    env_file: web.env
    label_file: [web.labels]
    ports: ["8080:80", "9000-9002:90-92/udp", "127.0.0.1::53"]
    volumes: ["./data:/data:ro", "cache:/c", {type: tmpfs, target: /t}]
    depends_on: [db]
    links: ["cache"]
    command: echo "$DB_HOST" hi
    entrypoint: |
      sh -c
    mem_limit: 2g
    shm_size: 1024
    healthcheck: {test: "curl -f localhost", interval: 90s, retries: 3}
    secrets: [token]
    devices: ["/dev/null", "/dev/zero:/dev/z:r"]
    gpus: all
    tmpfs: /run
    extra_hosts: {a: 10.0.0.1}
    init: yes
    stop_grace_period: 1m
    ulimits: {nofile: 10}
  db:
    image: postgres:17
    environment: *env
    scale: 2
    deploy: {labels: [a=b]}
    labels: ["com.example.tier=back", "empty"]
    user: "a\tb"
    expose: [80, "81"]
    network_mode: service:cache
    read_only: true
volumes: {cache: , out: {external: true}}
secrets: {token: {file: ./token}}
networks: {default: {driver_opts: {a: 1}}}
"#,
    ),
    (
        "compose.toml",
        r#"[services.web]
hostname = "h-${PROJECT}"
ports = ["443:443"]
environment = ["DB_HOST=${DB_HOST}"]
[services.db]
command = ["postgres", "-c", "x"]
labels = { "!override" = { tier = "front" } }
cpus = 1.5
"#,
    ),
    (
        "lib/base.yaml",
        "services:\n  base:\n    user: \"1000\"\n    restart: always\n    command: [old]\n    volumes: [./lib:/lib]\n",
    ),
    (
        "lib/cache.yaml",
        "services:\n  cache:\n    image: redis:${REDIS}\n",
    ),
    ("lib/.env", "REDIS=7\n"),
    (".env", "# all\nPROJECT=shop\nDB_HOST=db\nBLANK=\n"),
    (
        "web.env",
        "API=abc\nDB_HOST=fromfile\nURL=\"http://${DB_HOST}/\"\nRAW='$x'\n",
    ),
    ("web.labels", "tier=web\n"),
    ("token", "t"),
];

fn project(files: &[(&str, &str)], given: &[&str], interpolate: bool) -> (TempDir, Outcome) {
    let directory = tempfile::tempdir().expect("a directory");
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(path, text).expect("file");
    }
    let mut options = LoadOptions::new(
        fs::canonicalize(directory.path()).expect("exists"),
        vec![("HOME".into(), "/home/u".into())],
    );
    options.files = given.iter().map(PathBuf::from).collect();
    options.interpolate = interpolate;
    let outcome = model::load(&Options::new(options));
    let said: Vec<&str> = outcome
        .diagnostics
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert!(!outcome.diagnostics.has_errors(), "{said:?}");
    (directory, outcome)
}

fn told(outcome: &Outcome, check: impl Fn(&[Account<'_>], &Loaded)) {
    let loaded = outcome.loaded.as_ref().expect("loaded");
    let root = printed(outcome.normalised.clone().expect("a tree"), View::Yaml);
    check(&accounts(&root, loaded, &outcome.sources), loaded);
}

/// Whether what is written means the value: the same text, or another way to write it.
fn means(written: &str, node: &Node) -> bool {
    if node.is_null() {
        return written.is_empty();
    }
    let value = node.scalar_text().unwrap_or_default();
    let bare = written.trim_matches(['"', '\'']);
    let path = bare.trim_start_matches("./").trim_end_matches('.');
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    bare.contains(&*value)
        || words(bare).ends_with(&words(&value)) && !value.is_empty()
        || value.starts_with('/') && value.ends_with(path)
        || units::parse_bytes(bare).is_ok_and(|bytes| bytes.to_string() == value)
        || units::parse_duration(bare).is_ok_and(|time| units::print_duration(time) == value)
        || units::parse_bool(bare).is_some_and(|(flag, _)| node.as_bool() == Some(flag))
        || bare.replace("\\t", "\t") == value
        || value.split_once('=').is_some_and(|(_, value)| bare == value)
}

/// Every printed value is written where its account says, or interpolates to it, or has a rule.
fn keeps_the_law(outcome: &Outcome) {
    told(outcome, |accounts, loaded| {
        assert!(accounts.len() > 30, "only {} values", accounts.len());
        let lookup = |name: &str| loaded.environment.get(name).map(str::to_owned);
        for account in accounts {
            let Account { path, node, links } = account;
            let first = links.first().unwrap_or_else(|| panic!("{path} has no origin"));
            match (&first.part, first.place) {
                (Part::Written(_), Some(place)) => {
                    let written = outcome.sources.text(place);
                    let put_in = template::substitute(written, &lookup).text;
                    let by_include = links.iter().any(|link| link.part == Part::Included);
                    let is_right = means(written, node) || means(&put_in, node) || by_include;
                    assert!(is_right, "{path} = {node:?} is not what {written:?} says");
                }
                (Part::Implied(rule), Some(_)) => assert!(!rule.words().is_empty()),
                (Part::Variable { value, .. }, _) => assert_eq!(value.as_deref(), node.as_str(), "{path}"),
                (Part::NameByFlag | Part::NameByDirectory, None) => assert_eq!(path.to_string(), "name"),
                other => panic!("{path} begins with {other:?}"),
            }
        }
    });
}

#[test]
fn every_value_has_a_place_that_says_it_or_a_rule() {
    let (_directory, outcome) = project(&RICH, &["compose.yaml", "compose.toml"], true);
    keeps_the_law(&outcome);
}

#[test]
fn the_law_holds_without_interpolation() {
    let (_directory, outcome) = project(&RICH, &["compose.yaml", "compose.toml"], false);
    keeps_the_law(&outcome);
}

fn chain(outcome: &Outcome, path: &str) -> String {
    let loaded = outcome.loaded.as_ref().expect("loaded");
    let root = printed(outcome.normalised.clone().expect("a tree"), View::Yaml);
    let accounts = accounts(&root, loaded, &outcome.sources);
    let found = select(&accounts, path);
    assert_eq!(found.len(), 1, "{path}");
    let line = |link: &Link| {
        let place = link.place.map(|place| {
            let position = outcome.sources.position(place);
            let file = outcome.sources.path(place.file).file_name().expect("a name");
            format!(
                "{}:{}:{} ",
                file.to_string_lossy(),
                position.line,
                position.column
            )
        });
        let part = if let Part::Variable {
            name, value, instead, ..
        } = &link.part
        {
            format!("{name} = {value:?}, instead {instead:?}")
        } else {
            format!("{:?}", link.part)
        };
        format!("{}{part}", place.unwrap_or_default())
    };
    found[0].links.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn chains_tell_every_way_a_value_can_go() {
    let (_directory, outcome) = project(&RICH, &["compose.yaml", "compose.toml"], true);
    let chains = [
        "name",
        "services.web.environment.DB_HOST",
        "services.web.environment.TZ",
        "services.web.environment.LEVEL",
        "services.web.environment.URL",
        "services.web.environment.RAW",
        "services.web.environment.HOME",
        "services.web.image",
        "services.web.restart",
        "services.web.command[0]",
        "services.web.ports[2].published",
        "services.web.ports[3].protocol",
        "services.db.labels.tier",
        "services.db.deploy.replicas",
        "services.cache.image",
    ]
    .map(|path| format!("{path}\n{}", chain(&outcome, path)));
    insta::assert_snapshot!(chains.join("\n\n"), @r#"
    name
    compose.yaml:1:7 Written(Some("$PROJECT"))
    .env:2:1 PROJECT = Some("shop"), instead None

    services.web.environment.DB_HOST
    compose.toml:4:25 Written(Some("${DB_HOST}"))
    .env:3:1 DB_HOST = Some("db"), instead None
    web.env:2:1 Replaced("DB_HOST=fromfile")
    compose.yaml:14:16 Replaced("localhost")

    services.web.environment.TZ
    compose.yaml:5:7 Written(None)
    compose.yaml:13:7 MergedIn("<<: *env")

    services.web.environment.LEVEL
    compose.yaml:15:14 Written(None)
    compose.yaml:6:10 Replaced("info")

    services.web.environment.URL
    web.env:3:5 Written(Some("http://${DB_HOST}/"))
    .env:3:1 DB_HOST = Some("db"), instead None
    compose.yaml:20:15 ReadFrom

    services.web.environment.RAW
    web.env:4:5 Written(None)
    compose.yaml:20:15 ReadFrom

    services.web.environment.HOME
    compose.yaml:18:11 Implied(FromEnvironment)
    HOME = Some("/home/u"), instead None

    services.web.image
    compose.yaml:10:12 Written(Some("\"nginx:${TAG:-1.27}\""))
    compose.yaml:10:19 TAG = None, instead Some("1.27")

    services.web.restart
    base.yaml:4:14 Written(None)
    compose.yaml:9:14 Extended

    services.web.command[0]
    compose.yaml:26:14 Written(Some("echo \"$DB_HOST\" hi"))
    .env:3:1 DB_HOST = Some("db"), instead None
    base.yaml:5:14 Replaced("[old]")

    services.web.ports[2].published
    compose.yaml:22:24 Implied(PortOfRange)

    services.web.ports[3].protocol
    compose.yaml:22:41 Written(Some("\"9000-9002:90-92/udp\""))

    services.db.labels.tier
    compose.toml:7:35 Written(None)
    compose.yaml:45:13 Replaced("[\"com.example.tier=back\", \"empty\"]")

    services.db.deploy.replicas
    compose.yaml:43:12 Implied(Replicas)

    services.cache.image
    cache.yaml:3:12 Written(Some("redis:${REDIS}"))
    .env:1:1 REDIS = Some("7"), instead None
    compose.yaml:3:5 Included
    "#);
}

#[test]
fn a_variable_is_followed_through_all_files() {
    let (_directory, outcome) = project(&RICH, &["compose.yaml", "compose.toml"], true);
    let Outcome {
        loaded, mut sources, ..
    } = outcome;
    let loaded = loaded.expect("loaded");
    let definitions = model::env_file::definitions(&loaded, &mut sources);
    let mut told = Vec::new();
    for name in ["DB_HOST", "BLANK", "API", "REDIS", "PROJCET", "HOME"] {
        let at = |span: Span| {
            let file = sources.path(span.file).file_name().expect("a name");
            format!("{}:{}", file.to_string_lossy(), sources.position(span).line)
        };
        let os = [("HOME".to_owned(), "/home/u".to_owned())];
        let story = story(name, &loaded, &sources, &os, &definitions, &at);
        let counts = story.candidates.iter().filter(|one| one.counts).count();
        assert_eq!(counts, usize::from(story.value.is_some()), "{name}");
        let places: Vec<String> = story.usages.iter().map(|usage| at(usage.place)).collect();
        told.push(format!(
            "{name} = {:?}, used at {places:?}\n{}",
            story.value,
            story.hints.join("\n")
        ));
    }
    insta::assert_snapshot!(told.join("\n"), @r#"
    DB_HOST = Some("db"), used at ["compose.yaml:26", "compose.toml:4"]
    `DB_HOST` is also set at web.env:2, in an env_file of `web`: its container gets that, unless `environment` says otherwise
    BLANK = Some(""), used at ["compose.yaml:17"]
    it is set to nothing at .env:4
    API = None, used at []
    `API` is set at web.env:1, in an env_file of `web`: that is given to the container, but is not used for interpolation; put it into `.env`, or name the file with `--env-file`
    no compose file uses it
    REDIS = None, used at ["cache.yaml:3"]

    PROJCET = None, used at []
    `PROJECT` is set: is that what is meant?
    no compose file uses it
    HOME = Some("/home/u"), used at []
    no compose file uses it
    "#);
}

#[test]
fn a_missing_variable_that_an_env_file_sets_is_explained() {
    let files = [
        (
            "compose.yaml",
            "services: {web: {image: 'x:$TAG', env_file: web.env}}\n",
        ),
        ("web.env", "A=1\nTAG=2\n"),
    ];
    let (_directory, outcome) = project(&files, &[], true);
    let warning = outcome
        .diagnostics
        .iter()
        .find(|one| one.code == "unset-variable");
    let warning = warning.expect("a warning");
    let help = warning.help.as_deref().expect("help");
    assert!(help.contains("web.env:2:1, in an env_file of `web`"), "{help}");
    assert!(help.contains("not used for interpolation"), "{help}");
    assert_eq!(outcome.sources.text(warning.labels[1].span), "TAG=2");
}

#[test]
fn a_path_that_means_nothing_is_answered_with_what_is_near() {
    let (_directory, outcome) = project(&RICH, &["compose.yaml", "compose.toml"], true);
    let root = printed(outcome.normalised.clone().expect("a tree"), View::Yaml);
    let loaded = outcome.loaded.as_ref().expect("loaded");
    let near = |path: &str| {
        let Absence::Near(near) = absence(path, &root, loaded, &outcome.sources) else {
            panic!("nothing is near {path}");
        };
        near
    };
    assert_eq!(near("services.wbe.image"), "services.web.image");
    assert_eq!(near("web.environment"), "services.web.environment");
    assert_eq!(near("services.web.prots[0]"), "services.web.ports[0]");
    let Absence::Unprinted(place) = absence("services.web.env_file", &root, loaded, &outcome.sources) else {
        panic!("it is written");
    };
    assert_eq!(outcome.sources.text(place), "web.env");
    let Absence::Unknown { known, keys } = absence("services.zzzzzzz", &root, loaded, &outcome.sources)
    else {
        panic!("it is nowhere");
    };
    assert_eq!((known.as_str(), keys.len()), ("services", 3));
}
