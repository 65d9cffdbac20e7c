//! Snapshots of both directions, and the laws: every tree survives, no comment is lost.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::source::node::Tag;
use crate::source::written;

/// The text in the other language, and what was said.
fn converted(name: &str, text: &str) -> (String, Vec<String>) {
    let language = if written::is_toml(Path::new(name)) {
        Language::Toml
    } else {
        Language::Yaml
    };
    let (converted, said, sources) = convert(Path::new(name), text.as_bytes().to_vec(), language);
    let said = said.iter().map(|finding| {
        let place = finding
            .span()
            .map(|span| sources.locate(span))
            .unwrap_or_default();
        format!("{} {place}: {}", finding.code, finding.message)
    });
    (converted.unwrap_or_default(), said.collect())
}

fn read(language: Language, text: &str) -> Node {
    let mut sources = SourceMap::new();
    let file = sources.add("compose", text);
    let mut said = Diagnostics::new();
    let mut nodes = match language {
        Language::Yaml => yaml::parse(file, text, &mut said),
        Language::Toml => toml::parse(file, text, &mut said),
    };
    assert!(!said.has_errors(), "{said:?}\n{text}");
    mapping_root(nodes.pop(), file, text)
}

const YAML: &str = r#"# A shop, for tests.

name: shop   # its name

x-common: &common
  restart: always
  environment:
    TZ: UTC

# Everything that runs.
services:
  # The site.
  web:
    <<: *common
    image: nginx:${TAG:-1.27}  # pinned
    command: ["sh", "-c", "echo $$HOME"]
    ports:
      # plain
      - 80:80
      - target: 443   # secure
        published: 8443
    # ports:
    #   - 81:81

  db:
    image: mariadb
    mode: 0755
    cpus: 1.50
    volumes: !override
      - type: bind
        source: ./a/very/long/path/that/makes/the/line/far/too/long/for/one/line/of/toml
        target: /data
    secrets: !reset []
    healthcheck: { test: [CMD, "true"], interval: 5s }
    entrypoint: |
      #!/bin/sh
      exec "$@"
    deploy:
      resources:
        limits: { cpus: "0.5", memory: 50M }
    develop:
      watch:
        # first
        - path: ./a/very/long/path/that/makes/the/line/far/too/long/for/one/line
          action: sync
          target: /app
        - path: ./b
          action: rebuild

volumes:
  data:    # kept
  "odd.name": {driver: local}
version: "3"
# The end.
"#;

#[test]
fn yaml_becomes_toml_that_people_would_write() {
    let (text, said) = converted("compose.yaml", YAML);
    insta::assert_snapshot!(said.join("\n"), @"aliases-written-out compose.yaml:14:9: TOML has no anchors: one alias is written out in full");
    insta::assert_snapshot!(text, @r#"
    # A shop, for tests.

    name = "shop" # its name
    version = "3"

    [x-common]
    restart = "always"
    environment.TZ = "UTC"

    # Everything that runs.

    # The site.
    [services.web]
    image = "nginx:${TAG:-1.27}" # pinned
    command = ["sh", "-c", "echo $$HOME"]
    ports = [
      # plain
      "80:80",
      # secure
      { target = 443, published = 8443 },
    ]
    # ports:
    #   - 81:81
    restart = "always"
    environment.TZ = "UTC"

    [services.db]
    image = "mariadb"
    mode = 0o755
    cpus = 1.50
    volumes = { "!override" = [
      { type = "bind", source = "./a/very/long/path/that/makes/the/line/far/too/long/for/one/line/of/toml", target = "/data" },
    ] }
    secrets = { "!reset" = [] }
    healthcheck = { test = ["CMD", "true"], interval = "5s" }
    entrypoint = """
    #!/bin/sh
    exec "$@"
    """

    [services.db.deploy.resources]
    limits = { cpus = "0.5", memory = "50M" }

    # first
    [[services.db.develop.watch]]
    path = "./a/very/long/path/that/makes/the/line/far/too/long/for/one/line"
    action = "sync"
    target = "/app"

    [[services.db.develop.watch]]
    path = "./b"
    action = "rebuild"

    [volumes]
    data = {} # kept

    [volumes."odd.name"]
    driver = "local"
    # The end.
    "#);
}

#[test]
fn toml_becomes_yaml_that_people_would_write() {
    let (text, _) = converted("compose.yaml", YAML);
    let (back, said) = converted("compose.toml", &text);
    assert_eq!(said, Vec::<String>::new());
    insta::assert_snapshot!(back, @r#"
    # A shop, for tests.

    name: shop # its name
    version: "3"

    x-common:
      restart: always
      environment:
        TZ: UTC

    # Everything that runs.
    services:
      # The site.
      web:
        image: nginx:${TAG:-1.27} # pinned
        command:
          - sh
          - -c
          - echo $$HOME
        ports:
          # plain
          - 80:80
          # secure
          - target: 443
            published: 8443
        # ports:
        #   - 81:81
        restart: always
        environment:
          TZ: UTC

      db:
        image: mariadb
        mode: 0o755
        cpus: 1.50
        volumes: !override
          - type: bind
            source: ./a/very/long/path/that/makes/the/line/far/too/long/for/one/line/of/toml
            target: /data
        secrets: !reset []
        healthcheck:
          test:
            - CMD
            - "true"
          interval: 5s
        entrypoint: |
          #!/bin/sh
          exec "$@"

        deploy:
          resources:
            limits:
              cpus: "0.5"
              memory: 50M
        develop:
          watch:
            # first
            - path: ./a/very/long/path/that/makes/the/line/far/too/long/for/one/line
              action: sync
              target: /app

            - path: ./b
              action: rebuild

    volumes:
      data: {} # kept

      odd.name:
        driver: local
    # The end.
    "#);
}

#[test]
fn what_toml_cannot_say_is_said() {
    insta::assert_snapshot!(converted("a.yaml", "a: 1\n---\nb: 2\n").1.join("\n"), @"several-documents a.yaml:3:1: the file has 2 documents, TOML has no form for that");
    insta::assert_snapshot!(converted("a.yaml", "- a\n").1.join("\n"), @"not-a-mapping a.yaml:1:1: a compose file is a mapping, this is a list");
    insta::assert_snapshot!(converted("a.yaml", "a: &x {b: 1}\nc: *x\nd: {<<: *x}\n").1.join("\n"), @"aliases-written-out a.yaml:2:4: TOML has no anchors: 2 aliases are written out in full");
    assert_eq!(
        converted("a.yaml", "# nothing\n"),
        ("# nothing\n".to_owned(), Vec::new())
    );
    assert_eq!(
        converted("a.toml", "# nothing\n"),
        ("# nothing\n".to_owned(), Vec::new())
    );
    assert!(converted("a.toml", "a = 1\na = 2\n").1[0].starts_with("duplicate-key a.toml:2:1"));
}

/// Keys from the top down, in order, but at the top level, where TOML puts plain keys first.
fn order(node: &Node, is_root: bool) -> Vec<String> {
    match &node.value {
        Value::Map(mapping) => {
            let mut keys: Vec<Vec<String>> = mapping
                .iter()
                .map(|(key, node)| [vec![key.to_owned()], order(node, false)].concat())
                .collect();
            if is_root {
                keys.sort();
            }
            keys.concat()
        }
        Value::Seq(items) => items.iter().flat_map(|item| order(item, false)).collect(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => Vec::new(),
    }
}

fn scalar(lines: bool) -> BoxedStrategy<Value> {
    let text = if lines {
        "\\PC*|[ \\n:#-'\"a\\t\\r\\\\]{0,12}|[0-9xeE.:+_-]{0,8}"
    } else {
        "[a-z$ {}#:'\"0-9.-]{0,12}"
    };
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e6..1e6).prop_map(Value::Float),
        text.prop_map(|text| Value::String(text.into())),
    ]
    .boxed()
}

/// Trees such as compose files are, and worse.
fn tree(lines: bool) -> impl Strategy<Value = Node> {
    let span = Span::new(SourceMap::new().add("", ""), 0, 0);
    let key = prop_oneof![
        "[a-z]{1,6}",
        Just("services".to_owned()),
        Just("volumes".to_owned()),
        "[a-z. \"'#:/-]{1,9}"
    ];
    let tag = prop_oneof![8 => Just(None), 1 => Just(Some(Tag::Override)), 1 => Just(Some(Tag::Reset))];
    let mapping = |entries: Vec<(String, Node)>| {
        let mut mapping = Mapping::new();
        for (key, node) in entries {
            mapping.insert(key, node.span, node);
        }
        Value::Map(mapping)
    };
    let inner_key = key.clone();
    let inner = (scalar(lines).prop_map(move |value| Node::new(value, span))).prop_recursive(
        5,
        60,
        6,
        move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Seq);
            let table = prop::collection::vec((inner_key.clone(), inner), 0..5).prop_map(mapping);
            (prop_oneof![list, table], tag.clone()).prop_map(move |(value, tag)| Node {
                tag,
                ..Node::new(value, span)
            })
        },
    );
    prop::collection::vec((key, inner), 0..6).prop_map(move |entries| Node::new(mapping(entries), span))
}

proptest! {
    #[test]
    fn any_tree_survives_both_languages(node in tree(true)) {
        let toml = toml::write(&node, &mut Comments::none());
        let read_toml = read(Language::Toml, &toml);
        prop_assert_eq!(&read_toml, &node, "{}", toml);
        prop_assert_eq!(order(&read_toml, true), order(&node, true), "{}", toml);
        let yaml = emit::yaml_with_comments(&node, &mut Comments::none());
        let read_yaml = read(Language::Yaml, &yaml);
        prop_assert_eq!(&read_yaml, &node, "{}", yaml);
        prop_assert_eq!(order(&read_yaml, true), order(&node, true), "{}", yaml);
    }

    #[test]
    fn no_comment_is_lost_there_or_back(node in tree(false), places in prop::collection::vec((0..7_usize, 0..7_usize), 1..40)) {
        let mut text = String::new();
        let mut count = 0;
        let lines = emit::yaml_with_comments(&node, &mut Comments::none());
        for (line, (above, behind)) in lines.lines().zip(places.iter().cycle()) {
            if *above < 5 {
                write!(text, "{}# <{count}>\n{}", " ".repeat(*above), if *above == 1 { "\n" } else { "" }).expect("text");
                count += 1;
            }
            text.push_str(line);
            if *behind < 3 {
                write!(text, "  # <{count}>").expect("text");
                count += 1;
            }
            text.push('\n');
        }
        prop_assert_eq!(read(Language::Yaml, &text), node.clone(), "{}", text);
        let (toml, said) = converted("a.yaml", &text);
        prop_assert_eq!(said, Vec::<String>::new());
        let mut settled = node;
        empty_settings(&mut settled);
        prop_assert_eq!(read(Language::Toml, &toml), settled.clone(), "{}\n{}", text, toml);
        let (yaml, _) = converted("a.toml", &toml);
        prop_assert_eq!(read(Language::Yaml, &yaml), settled, "{}\n{}", toml, yaml);
        for number in 0..count {
            let comment = format!("# <{number}>");
            prop_assert_eq!(toml.matches(&comment).count(), 1, "{}\n{}\n{}", comment, text, toml);
            prop_assert_eq!(yaml.matches(&comment).count(), 1, "{}\n{}\n{}", comment, toml, yaml);
        }
    }
}
