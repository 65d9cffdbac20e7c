//! What a small file means when everything is spelled out.

use super::*;
use crate::source::emit;
use crate::source::span::SourceMap;
use crate::source::yaml;

fn parse(text: &str) -> Node {
    let mut sources = SourceMap::new();
    let file = sources.add("compose.yaml", text);
    let mut findings = Diagnostics::new();
    let mut documents = yaml::parse(file, text, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    documents.remove(0)
}

fn context(lookup: &(dyn Fn(&str) -> Option<String> + Sync)) -> Context<'_> {
    Context {
        project: "shop",
        directory: "/srv/shop",
        lookup,
        implied: true,
        raw: false,
        environment: true,
    }
}

fn normalised(text: &str) -> Node {
    let lookup = |name: &str| (name == "SET").then(|| "yes".to_owned());
    let (node, findings) = normalise(&parse(text), context(&lookup));
    assert!(!findings.has_errors(), "{findings:?}");
    node
}

const SHOP: &str = r#"
services:
  web:
    build: {args: {SET: , UNSET: , A: 1}}
    command: nginx -g "daemon off;"
    environment: [SET, UNSET, B=2]
    ports: ["8080:80"]
    volumes: ["./html:/srv/../www/:ro", "data:/data"]
    links: ["db:database"]
    secrets: [key]
    mem_limit: 64m
    stop_grace_period: 90s
    init: false
    tty: false
    extra_hosts: {b: "[::1]", a: [1.1.1.1, 2.2.2.2]}
    x-own: 1
  db:
    image: mysql
    network_mode: none
    pull_policy: if_not_present
    volumes_from: [web:ro]
volumes:
  data:
secrets:
  key: {file: /key}
"#;

#[test]
fn everything_implied_is_spelled_out() {
    insta::assert_snapshot!(emit::yaml(&printed(normalised(SHOP), View::Yaml)), @r#"
    name: shop
    services:
      db:
        depends_on:
          web:
            condition: service_started
            required: true
        image: mysql
        network_mode: none
        pull_policy: missing
        volumes_from:
          - web:ro
      web:
        build:
          context: /srv/shop
          dockerfile: Dockerfile
          args:
            A: "1"
            SET: "yes"
        command:
          - nginx
          - -g
          - daemon off;
        depends_on:
          db:
            condition: service_started
            restart: true
            required: true
        environment:
          B: "2"
          SET: "yes"
          UNSET: null
        extra_hosts:
          - a=1.1.1.1
          - a=2.2.2.2
          - b=::1
        init: false
        links:
          - db:database
        mem_limit: "67108864"
        networks:
          default: null
        ports:
          - mode: ingress
            target: 80
            published: "8080"
            protocol: tcp
        secrets:
          - source: key
            target: /run/secrets/key
        stop_grace_period: 1m30s
        volumes:
          - type: bind
            source: ./html
            target: /www
            read_only: true
            bind: {}
          - type: volume
            source: data
            target: /data
            volume: {}
        x-own: 1
    networks:
      default:
        name: shop_default
    volumes:
      data:
        name: shop_data
    secrets:
      key:
        name: shop_key
        file: /key
    "#);
}

#[test]
fn normalising_twice_changes_nothing() {
    let once = normalised(SHOP);
    let lookup = |_: &str| None;
    let (twice, findings) = normalise(&once, context(&lookup));
    assert!(!findings.has_errors(), "{findings:?}");
    assert_eq!(emit::yaml(&once), emit::yaml(&twice));
}

#[test]
fn json_has_no_inner_extensions_and_yaml_no_empty_sections() {
    let root = normalised("services: {web: {image: x, deploy: {}, x-a: 1}}\nx-b: {x-c: 2}\n");
    let json = emit::json(&printed(root.clone(), View::Json)).to_string();
    assert!(
        json.contains(r#""ipam":{}"#) && json.contains(r#""placement":{}"#) && json.contains("x-c"),
        "{json}"
    );
    assert!(!json.contains("x-a"), "{json}");
    let yaml = emit::yaml(&printed(root.clone(), View::Yaml));
    assert!(
        yaml.contains("x-a") && !yaml.contains("ipam") && !yaml.contains("placement"),
        "{yaml}"
    );
}

#[test]
fn block_devices_are_printed_whole_in_capitals_in_json_only() {
    let root = normalised(
        "services: {web: {image: x, blkio_config: {device_read_bps: [{rate: 1k}], weight_device: [{path: /d}]}, \
         deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {value: 2}}]}}}}}\n",
    );
    let json = emit::json(&printed(root.clone(), View::Json)).to_string();
    for expected in [
        r#""device_read_bps":[{"Path":"","Rate":"1024"}]"#,
        r#""weight_device":[{"Path":"/d","Weight":0}]"#,
        r#""discrete_resource_spec":{"kind":"","value":2}"#,
    ] {
        assert!(json.contains(expected), "{expected} in {json}");
    }
    let yaml = emit::yaml(&printed(root, View::Yaml));
    assert!(yaml.contains("path: /d") && !yaml.contains("Path"), "{yaml}");
}

#[test]
fn values_that_say_nothing_are_not_printed_and_those_that_do_are() {
    let cases = [
        ("mem_limit: 1000.0", "mem_limit", false),
        ("mem_limit: -2", "mem_limit\":\"-2\"", true),
        ("cpu_shares: 1.5", "\"cpu_shares\":1", true),
        ("pids_limit: 0.5", "pids_limit", false),
        ("networks: {default: {priority: 2.5}}", "\"priority\":2", true),
        (
            "storage_opt: {size: 1, rest: }",
            "\"storage_opt\":{\"rest\":\"\",\"size\":\"1\"}",
            true,
        ),
        ("expose: ['']", "\"expose\":[\"\"]", true),
        ("healthcheck: {test: ''}", "[\"CMD-SHELL\",\"\"]", true),
        ("gpus: [{count: 0}]", "count", false),
        ("gpus: [{count: ALL}]", "\"count\":-1", true),
        ("build: {args: [UNSET]}", "args", false),
        (
            "build: {additional_contexts: [a=]}",
            "\"additional_contexts\":{\"a\":\"\"}",
            true,
        ),
        ("labels: {a: 1000000.0}", "\"a\":\"1e+06\"", true),
    ];
    for (lines, text, is_printed) in cases {
        let root = normalised(&format!("services: {{web: {{image: x, {lines}}}}}\n"));
        let json = emit::json(&printed(root, View::Json)).to_string();
        assert_eq!(json.contains(text), is_printed, "{lines}: {json}");
    }
}

#[test]
fn an_env_file_is_printed_as_short_as_it_can_be() {
    let root = normalised("services: {web: {image: x, env_file: [/a, {path: /b, required: false}]}}\n");
    let json = emit::json(&printed(root.clone(), View::Json)).to_string();
    assert!(
        json.contains(r#""env_file":["/a",{"path":"/b","required":false}]"#),
        "{json}"
    );
}

#[test]
fn what_was_added_late_stands_where_it_belongs() {
    let mut root =
        normalised("x-b: {d: 1, c: [{f: 1, e: 2}]}\nservices: {web: {image: x, x-z: 1, x-a: 2}}\n");
    let span = root.span;
    let web = root
        .as_map_mut()
        .and_then(|file| {
            file.get_mut("services")?
                .as_map_mut()?
                .get_mut("web")?
                .as_map_mut()
        })
        .expect("a service");
    let names = ["A10", "A2", "AB", "A_B"];
    let environment = names.iter().fold(Mapping::new(), |mut all, name| {
        all.insert(*name, span, Node::string("1", span));
        all
    });
    web.insert("environment", span, Node::map(environment, span));
    insta::assert_snapshot!(emit::yaml(&printed(root.clone(), View::Yaml)), @r#"
    name: shop
    services:
      web:
        environment:
          A_B: "1"
          A2: "1"
          A10: "1"
          AB: "1"
        image: x
        networks:
          default: null
        x-a: 2
        x-z: 1
    networks:
      default:
        name: shop_default
    x-b:
      c:
        - e: 2
          f: 1
      d: 1
    "#);
    let json = emit::json(&printed(root.clone(), View::Json)).to_string();
    assert_eq!(
        json,
        r#"{"name":"shop","networks":{"default":{"name":"shop_default","ipam":{}}},"services":{"web":{"command":null,"entrypoint":null,"environment":{"A10":"1","A2":"1","AB":"1","A_B":"1"},"image":"x","networks":{"default":null}}},"x-b":{"c":[{"e":2,"f":1}],"d":1}}"#
    );
}

fn raw_tree(text: &str, implied: bool) -> String {
    let context = Context {
        raw: true,
        implied,
        ..context(&|_| None)
    };
    let (root, findings) = normalise(&parse(text), context);
    assert!(!findings.has_errors(), "{findings:?}");
    emit::json(&printed_raw(&root, View::Json)).to_string()
}

#[test]
fn without_interpolation_the_file_is_printed_as_it_says_it() {
    let text = "services: {web: {image: '${I}', env_file: [./a, {path: ./b, required: false}], networks: {n: {x-p: 1}}, volumes_from: [db]}}\n";
    assert_eq!(
        raw_tree(text, false),
        r#"{"services":{"web":{"env_file":[{"path":"./a","required":true},{"path":"./b","required":false}],"image":"${I}","networks":{"n":{"x-p":1}},"volumes_from":["db"]}}}"#
    );
    let long = raw_tree(
        "services: {web: {build: {context: ., ssh: [default, k=v], additional_contexts: ['c=docker-image://x'], provenance: false, sbom: '${S}'}, dns: 1.1.1.1, label_file: ./l, gpus: all, develop: {watch: [{path: a, action: rebuild, ignore: b}]}}}\n",
        false,
    );
    for part in [
        r#""ssh":{"default":null,"k":"v"}"#,
        r#""additional_contexts":{"c":"docker-image://x"}"#,
        r#""provenance":"false","sbom":"${S}""#,
        r#""dns":["1.1.1.1"]"#,
        r#""label_file":["./l"]"#,
        r#""gpus":[{"count":"all"}]"#,
        r#""ignore":["b"]"#,
    ] {
        assert!(long.contains(part), "{part} in {long}");
    }
    let implied = raw_tree(text, true);
    assert!(
        implied.starts_with(r#"{"name":"shop","#)
            && implied.contains(r#"{"condition":"service_started","required":true,"restart":false}"#),
        "{implied}"
    );
}

#[test]
fn a_few_values_are_printed_in_a_way_of_their_own() {
    let root = normalised(
        "services: {web: {image: x, ulimits: {core: 0, nofile: {soft: 0, hard: 5}, nproc: 3}, build: {ulimits: {a: 0}}, blkio_config: {weight: 5, weight_device: [{path: /a, weight: 1}], device_read_bps: [{path: /b, rate: 1k}]}, x-a: {mode: 0o17, b: 1.50}}}\nnetworks: {default: {ipam: {driver: d, options: {a: b}}}}\nx-t: 0x10\n",
    );
    let json = emit::json(&printed(root.clone(), View::Json)).to_string();
    for part in [
        r#""ulimits":{"core":{},"nofile":{"hard":5},"nproc":3}"#,
        r#""ulimits":{"a":{}}"#,
        r#""blkio_config":{"weight":5,"weight_device":[{"Path":"/a","Weight":1}],"device_read_bps":[{"Path":"/b","Rate":"1024"}]}"#,
        r#""ipam":{"driver":"d"}"#,
        r#""x-t":16"#,
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
    let yaml = emit::yaml(&printed(root.clone(), View::Yaml));
    for part in [
        "      core:\n        soft: 0\n        hard: 0\n      nofile:\n        soft: 0\n        hard: 5\n      nproc: 3\n",
        "        - path: /b\n          rate: \"1024\"\n",
        "    x-a:\n      b: 1.5\n      mode: 15\n",
        "    ipam:\n      driver: d\nx-t: 16\n",
    ] {
        assert!(yaml.contains(part), "{part} in {yaml}");
    }
}

#[test]
fn dollars_are_doubled_in_values() {
    let mut root = normalised("services: {web: {image: x, environment: {A: 'b$c'}}}\n");
    escape_dollars(&mut root);
    assert!(emit::yaml(&root).contains("b$$c"));
}

#[test]
fn names_are_implied_only_where_none_is_written() {
    let root =
        normalised("volumes: {a: , b: {external: true}, c: {name: own}, d: {external: {name: old}}}\n");
    let name = |key: &str| {
        root.get("volumes")
            .and_then(|all| all.get(key)?.get("name")?.as_str())
            .map(str::to_owned)
    };
    assert_eq!(name("a").as_deref(), Some("shop_a"));
    assert_eq!(name("b").as_deref(), Some("b"));
    assert_eq!(name("c").as_deref(), Some("own"));
    assert_eq!(name("d").as_deref(), Some("old"));
}

#[test]
fn paths_are_cleaned_as_text() {
    let table = [
        ("/a/../b/", "/b"),
        ("/", "/"),
        ("/..", "/"),
        ("a//b/.", "a/b"),
        ("../a", "../a"),
        ("", "."),
        ("a/../..", ".."),
    ];
    for (path, cleaned) in table {
        assert_eq!(clean(path), cleaned, "{path}");
    }
}
