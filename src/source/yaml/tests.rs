//! What reading YAML promises, and what is said of files that are not.

use std::fmt::Write as _;

use super::*;
use crate::diagnostic::Severity;
use crate::source::span::SourceMap;

/// The documents and `severity code line:col message | label… | help` of each finding.
fn read(text: &str) -> (Vec<Node>, Vec<String>, SourceMap) {
    let mut map = SourceMap::new();
    let file = map.add("compose.yaml", text);
    let mut diagnostics = Diagnostics::new();
    let documents = parse(file, text, &mut diagnostics);
    let said = diagnostics
        .iter()
        .map(|finding| {
            let mut line = format!("{}: {}", finding.code, finding.message);
            for label in &finding.labels {
                let at = map.position(label.span);
                let text = map.text(label.span);
                write!(line, " | {}:{} {text:?} {}", at.line, at.column, label.text).expect("text");
            }
            if finding.severity == Severity::Warning {
                line += " (warning)";
            }
            line
        })
        .collect();
    (documents, said, map)
}

fn one(text: &str) -> Node {
    let (mut documents, said, _) = read(text);
    assert_eq!(said, Vec::<String>::new());
    documents.remove(0)
}

#[test]
fn every_scalar_and_key_knows_its_bytes() {
    let text = "services:\r\n  wéb:\r\n    image: \"nginx\" # c\r\n    ports: [80, '81']\r\n";
    let (documents, said, map) = read(text);
    assert!(said.is_empty(), "{said:?}");
    let web = documents[0]
        .get("services")
        .and_then(|s| s.get("wéb"))
        .expect("wéb");
    let image = web.get("image").expect("image");
    assert_eq!(map.text(image.span), "\"nginx\"");
    assert_eq!(map.locate(image.span), "compose.yaml:3:12");
    assert_eq!(image.style, Style::Quoted);
    let ports = web.get("ports").expect("ports");
    assert_eq!(map.text(ports.span), "[80, '81']");
    assert_eq!(ports.as_seq().map(|p| p[0].value.clone()), Some(Value::Int(80)));
    let key = web.as_map().and_then(|m| m.key_span("ports")).expect("span");
    assert_eq!(map.text(key), "ports");
    assert_eq!(
        map.text(web.span),
        "image: \"nginx\" # c\r\n    ports: [80, '81']"
    );
}

#[test]
fn anchors_aliases_and_merge_keys_are_expanded() {
    let node = one(
        "x-a: &a {one: 1, two: 2}\nx-b: &b {two: 22, three: 3}\nall:\n  <<: [*a, *b]\n  one: 11\nsame: *a\n",
    );
    let all = node.get("all").and_then(Node::as_map).expect("all");
    let pairs: Vec<_> = all
        .iter()
        .map(|(key, node)| (key.to_owned(), node.as_i64()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("one".into(), Some(11)),
            ("two".into(), Some(2)),
            ("three".into(), Some(3))
        ]
    );
    assert_eq!(node.get("same"), node.get("x-a"));
    assert_eq!(one("\"<<\": 1\n").get("<<").and_then(Node::as_i64), Some(1));
}

#[test]
fn documents_are_separate_and_empty_ones_are_null() {
    let (documents, said, _) = read("a: 1\n---\n---\nb: 2\n...\n");
    assert!(said.is_empty());
    assert_eq!(documents.len(), 3);
    assert!(documents[1].is_null());
    assert!(read("# nothing\n").0.is_empty());
}

#[test]
fn compose_tags_are_kept_and_others_said() {
    let (documents, said, _) =
        read("a: !reset []\nb: !override\n  - 1\nc: !reset null\nd: !foo 1\ne: !!str 12\nf: !!int \"7\"\n");
    let root = &documents[0];
    assert_eq!(root.get("a").map(|n| n.tag), Some(Some(Tag::Reset)));
    assert_eq!(root.get("b").map(|n| n.tag), Some(Some(Tag::Override)));
    assert_eq!(root.get("c").map(|n| n.tag), Some(Some(Tag::Reset)));
    assert_eq!(root.get("d").and_then(Node::as_i64), Some(1));
    assert_eq!(root.get("e").and_then(Node::as_str), Some("12"));
    assert_eq!(root.get("f").and_then(Node::as_i64), Some(7));
    insta::assert_debug_snapshot!(said, @r#"
    [
        "unknown-tag: the tag `!foo` means nothing here and is ignored | 5:4 \"!foo\"  (warning)",
    ]
    "#);
}

#[test]
fn plain_scalars_keep_their_text() {
    let node = one("mode: 0755\nversion: 3.10\nnothing:\n");
    assert_eq!(node.get("mode").and_then(Node::as_i64), Some(493));
    assert_eq!(
        node.get("mode").and_then(|n| n.scalar_text().map(String::from)),
        Some("0755".into())
    );
    assert_eq!(
        node.get("version")
            .and_then(|n| n.scalar_text().map(String::from)),
        Some("3.10".into())
    );
    assert!(node.get("nothing").is_some_and(Node::is_null));
}

#[test]
fn bad_files_are_explained_where_they_are_wrong() {
    let said = |text: &str| read(text).1.join("\n");
    insta::assert_snapshot!(said("services:\n  web:\n\timage: nginx\n"), @r#"invalid-yaml: a tab is used for indentation | 3:1 "\t" tab"#);
    insta::assert_snapshot!(said("services:\n  web:\n    image: alpine\n      ports:\n      - 8080:8080\n"), @r#"invalid-yaml: `ports` is indented under `image`, which already has a value | 4:7 "ports:" indented too far | 3:5 "image: alpine" has its value on its own line"#);
    insta::assert_snapshot!(said("a:\n  image: x\n  ports: []\n  image: y\n"), @r#"duplicate-key: the key `image` is given twice | 4:3 "image" again here | 2:3 "image" first here"#);
    insta::assert_snapshot!(said("x-base: &base {a: 1}\nweb:\n  <<: *bsae\n"), @r#"unknown-anchor: no anchor `&bsae` is defined before this alias | 3:7 "*bsae" not defined"#);
    insta::assert_snapshot!(said("a: &a [*a]\n"), @r#"anchor-cycle: `*a` stands inside the value it names | 1:8 "*a""#);
    insta::assert_snapshot!(said("x: &s text\nb:\n  <<: *s\n"), @r#"invalid-merge-key: `<<` needs a mapping or a list of mappings | 3:3 "<<"  | 1:7 "text" this is neither"#);
    insta::assert_snapshot!(said("80: a\ntrue: b\n[1]: c\n"), @r#"
    non-string-key: a key must be text, this is the number 80 | 1:1 "80" 
    non-string-key: a key must be text, this is the boolean true | 2:1 "true" 
    non-string-key: a key must be text, this is a list | 3:1 "["
    "#);
    insta::assert_snapshot!(said("a: [1, 2\nb: 3\n"), @r#"invalid-yaml: a `key: value` inside an open `[` | 2:2 ":""#);
    insta::assert_snapshot!(said("a: 'x\n"), @r#"
    invalid-yaml: the quote is never closed | 1:4 "'" opened here
    "#);
    insta::assert_snapshot!(said("a: @x\n"), @r#"invalid-yaml: the character `@` cannot begin a value | 1:4 "@""#);
    insta::assert_snapshot!(said("a: \"\\d\"\n"), @r#"invalid-yaml: an escape that YAML does not know | 1:4 "\"""#);
}

#[test]
fn a_billion_laughs_are_refused_quickly() {
    let mut text = String::from("x-a: &a {k: v}\n");
    for (before, name) in ('a'..='h').zip('b'..='i') {
        let aliases = vec![format!("*{before}"); 9].join(", ");
        writeln!(text, "x-{name}: &{name} [{aliases}]").expect("text");
    }
    let (documents, said, _) = read(&text);
    assert!(documents.is_empty());
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("too-many-nodes"), "{said:?}");
}

#[test]
fn anchors_within_anchors_are_not_copied_without_end() {
    let nested = |depth: usize| {
        let open = "&a [".repeat(depth);
        format!("services: {open}{}{}\n", "1,".repeat(10_000), "]".repeat(depth))
    };
    assert_eq!(read(&nested(90)).1, Vec::<String>::new());
    let (documents, said, _) = read(&nested(110));
    assert!(documents.is_empty() && said.len() == 1, "{said:?}");
    assert!(
        said[0].starts_with("too-many-nodes: anchors name more than"),
        "{said:?}"
    );
}

#[test]
fn deep_nesting_is_refused_not_crashed_on() {
    let (documents, said, _) = read(&"[".repeat(5000));
    assert!(documents.is_empty());
    assert!(said[0].contains("255 levels"), "{said:?}");
}

#[test]
fn json_with_tabs_is_yaml() {
    let node = one("{\n\t\"services\": {\n\t\t\"web\": {\"image\": \"a\\u00e9\"}\n\t}\n}\n");
    let image = node
        .get("services")
        .and_then(|s| s.get("web"))
        .and_then(|w| w.get("image"));
    assert_eq!(image.and_then(Node::as_str), Some("aé"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_and_places_lie_inside(text in "([a-c]|: |- |\n *|\\[|\\]|\\{|\\}|,|&a |\\*a|<<|!reset |'|\"|\t|#|\\||é|\\?|---\n){0,24}") {
        let mut map = SourceMap::new();
        let file = map.add("a", text.as_str());
        let mut diagnostics = Diagnostics::new();
        for mut node in parse(file, &text, &mut diagnostics) {
            node.walk_mut(&mut |node| {
                assert!(text.get(node.span.start()..node.span.end()).is_some(), "{text:?} {:?}", node.span);
            });
        }
        for finding in &diagnostics {
            for label in &finding.labels {
                assert!(label.span.end() <= text.len(), "{text:?} {finding:?}");
            }
        }
    }
}

#[test]
fn services_may_be_many_but_extensions_and_aliases_not() {
    let list = |key: &str, count: usize| format!("{key}: [{}]\n", "1,".repeat(count));
    assert_eq!(read(&list("services", 150_000)).1, Vec::<String>::new());
    assert_eq!(
        read(&(list("x-a", 60_000) + &list("services", 90_000))).1,
        Vec::<String>::new()
    );
    let (documents, said, _) = read(&(list("x-a", 60_000) + &list("x-b", 60_000)));
    assert!(
        documents.is_empty() && said[0].starts_with("too-many-nodes"),
        "{said:?}"
    );
    let aliased = format!("x-a: &a [{}]\nb: [{}]\n", "1,".repeat(300), "*a,".repeat(400));
    assert!(read(&aliased).1[0].starts_with("too-many-nodes"));
}

#[test]
fn a_complaint_about_a_wide_character_covers_it() {
    let text = "a: |-\n  x\n\u{2026} y\n b: c\n";
    let (_, said, _) = read(text);
    assert!(said[0].starts_with("invalid-yaml"), "{said:?}");
    let mut map = SourceMap::new();
    let mut diagnostics = Diagnostics::new();
    parse(map.add("a.yaml", text), text, &mut diagnostics);
    for label in diagnostics.iter().flat_map(|finding| &finding.labels) {
        assert!(
            text.get(label.span.start()..label.span.end()).is_some(),
            "{label:?}"
        );
    }
}
