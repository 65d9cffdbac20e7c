//! What the plain reader reads, as the full parser does, and what it leaves to that.

use super::*;
use crate::diagnostic::Diagnostics;
use crate::source::span::SourceMap;
use crate::source::yaml::{parse_fully, parse_plain};

/// What both readers make of a text; the full one has nothing to say of one that is plain.
fn both(text: &str) -> (Option<Node>, Vec<Node>) {
    let file = SourceMap::new().add("compose.yaml", text);
    let mut said = Diagnostics::new();
    let full = parse_fully(file, text, &mut said);
    let plain = parse_plain(file, text);
    assert!(plain.is_none() || said.iter().next().is_none(), "{text:?}");
    (plain, full)
}

#[test]
fn plain_files_are_read_to_the_last_byte() {
    for text in [
        "a: b",
        "a: b\n",
        "\n# c\n\n  a: b   \n  # d\n\n  c: d # e\n  \n",
        "a:\n  b:\n    c: 1\n  d:\n\n\n    - e\n",
        "a:\n- b\n-   c\nd:\n  - e\n  -   f: g\n      h:\n      - i\n      j:\n",
        "a:\n  - b: 1\n    c: 2\n  - d:\n  - e: [f]\n",
        "a: 0755\nb: ~\nc: null\nd: 1e3\ne: true\nf: yes\ng: 2001-01-01\nh: -1\ni: .5\nj: -\u{7e}\n",
        "a: b:c#d\nf: g :h - i, [j] {k} & * ! | > ' \" % @ ` ?\n\"l m\": n\n'o': p\nq r : s\nt:u: v\nw:: x\n",
        "a: 'it''s # : x'\nb: \"q\\\"\\\\\\n\\t\\/ # : z\"\nc: ''\nd: \"\"\ne: ' f '\ng: \"''\"\n",
        "a: []\nb: {}\nc: [ ]\nd: {  }\ne: [a, 'b', \"c\", [d], {e: f, 'g': {h: i}, }, ]\n",
        "a: [80:80, http://b/c?d=e, -f, g h , --i, *]\n"
            .replace(", *", ", j*")
            .as_str(),
        "a: {b: 1, c: , d: , e:   }\n",
        "a: [b,\n  c, # d\n\n  # e\n  f\n  , 'g'\n]\nh:\n  i: {\n    j: k,\n    l: [m,\nn]}\n",
        "{\n  \"services\": {\"web\": {\"image\": \"a\", \"ports\": [80, 81]}\n}\n}\n# end\n",
        "a:   # b\n  c: d\ne: # f\n- g # h\n# i\n   # j\nk:  # l\n",
        "a: -b\nc:\n- -d\n- --e=f\n- g: -h\n",
        "x-a: {b: c}\nx-d:\n- 1\n",
        "'<<': a\n\"80\": b\n\"\": c\n'true': d\n",
    ] {
        let (plain, full) = both(text);
        // Debug tells everything, in small mappings without chance.
        let plain = plain.unwrap_or_else(|| panic!("given up: {text}"));
        assert_eq!(format!("[{plain:?}]"), format!("{full:?}"), "{text}");
    }
}

fn all_are_left(texts: &[&str]) {
    for text in texts {
        let (plain, _) = both(text);
        assert!(plain.is_none(), "{text:?} was read: {plain:?}");
    }
}

#[test]
fn more_or_less_than_one_mapping_is_left() {
    all_are_left(&[
        "",
        "\n",
        "# a\n",
        "a",
        "'a'\n",
        "- a\n",
        "[a]\n",
        "a: b\n---\n",
        "---\na: b\n",
        "a: b\n...\n",
        "%YAML 1.2\n---\na: b\n",
        "{a: b}\n---\n",
        "{a: b,\n---\n}",
        "{a: b} c\n",
        "{a: b}: c\n",
    ]);
}

#[test]
fn other_bytes_are_left() {
    all_are_left(&[
        "a: é\n",
        "a:\tb\n",
        "a: b\t\n",
        "a: b\r\n",
        "\u{feff}a: b\n",
        "a: \u{7f}\n",
        "a: \0\n",
    ]);
}

#[test]
fn the_rest_of_the_language_is_left() {
    all_are_left(&[
        "a: &b c\n",
        "a: *b\n",
        "a: !reset b\n",
        "&a b: c\n",
        "? a\n: b\n",
        "a: |\n  b\n",
        "a: >-\n  b\n",
        "<<: {a: b}\n",
        "a: {<<: {b: c}}\n",
        "a: !!str 1\n",
    ]);
}

#[test]
fn keys_that_are_no_text_or_stand_twice_are_left() {
    all_are_left(&[
        "1: a\n",
        "true: a\n",
        "~: a\n",
        ": a\n",
        "a: {1: b}\n",
        "a: {1.5: b}\n",
        "a: b\na: c\n",
        "a: {b: c, b: d}\n",
        "a: b\n'a': c\n",
    ]);
}

#[test]
fn values_on_other_lines_are_left() {
    all_are_left(&[
        "a: b\n  c\n",
        "a: 'b\n  c'\n",
        "a: \"b\n  c\"\n",
        "a:\n  b\n",
        "a:\n  'b'\n",
        "a:\n  [b]\n",
        "a: [b\n  c]\n",
        "- a\n  b\n",
        "a:\n- b\n  c\n",
        "a: b\n\n  c\n",
        "a: 'b\n",
        "a: \"b",
        "a: [b\n",
        "a: {b: c\n",
        "a: [b,\n",
        "a: [",
    ]);
}

#[test]
fn most_escapes_are_left() {
    all_are_left(&[
        "a: \"\\x41\"\n",
        "a: \"\\u00e9\"\n",
        "a: \"\\d\"\n",
        "a: \"b\\\n  c\"\n",
        "a: \"\\",
        "a: \"\\e\"\n",
    ]);
}

#[test]
fn collections_that_are_not_what_they_seem_are_left() {
    all_are_left(&[
        "a: [b: c]\n",
        "a: ['b': c]\n",
        "a: {b}\n",
        "a: {b, c: d}\n",
        "a: {\"b\":1}\n",
        "a: {b:1}\n",
        "a: [b:]\n",
        "a: {b:}\n",
        "a: [,]\n",
        "a: [b,,c]\n",
        "a: {,}\n",
        "a: [b}\n",
        "a: [b] c\n",
        "a: [b]: c\n",
        "a: {b: c: d}\n",
        "a: {b:\n  c}\n",
        "a: {b\n: c}\n",
        "a: [- b]\n",
        "a: [-]\n",
        "a: [-, b]\n",
        "a: [? b]\n",
        "a: [b]#c\n",
        "a: [b,#c\n]\n",
        "a: {? b : c}\n",
        "a: [b, c\n",
    ]);
}

#[test]
fn crooked_indentation_is_left() {
    all_are_left(&[
        "a:\n    b: c\n  d: e\n",
        "a: b\n  c: d\n",
        " a: b\nc: d\n",
        "a:\n  - b\n  c: d\n",
        "a:\n  - b\n c: d\n",
        "a: b\n- c\n",
        "a:\n- b\n - c\n",
        "a:\n  b: c\n  - d\n",
        "a:\n  - b: c\n    - d\n",
        "a:\n- b: c\n   d: e\n",
        "a:\n  - b\n- c\n",
    ]);
}

#[test]
fn rare_forms_of_items_are_left() {
    all_are_left(&[
        "a:\n-\n",
        "a:\n- - b\n",
        "a:\n-\n  - b\n",
        "a:\n- # b\n  c\n",
        "a:\n  - b\n  -\n",
        "a:\n- [b]: c\n",
    ]);
}

#[test]
fn indicators_that_mean_something_else_are_left() {
    all_are_left(&[
        "a: b: c\n",
        "a: b:\n",
        "a: 'b' c\n",
        "a: 'b'#c\n",
        "a: 'b': c\n",
        "a #b: c\n",
        "a\n",
        "a:b\n",
        "a: - b\n",
        "a: ? b\n",
        "a: @b\n",
        "a: `b\n",
        "a: %b\n",
        "a: ,b\n",
        "a: ]\n",
        "a: }\n",
        "a: :b\n",
        "a: b # c\n   d\n",
        "'a':b\n",
        "-a: b\n",
        ".a: b\n",
    ]);
}

#[test]
fn depth_length_and_number_are_limited() {
    let deep = |depth| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        both(&format!("a: {open}{close}\n")).0.is_some()
    };
    assert_eq!((deep(DEEPEST - 1), deep(DEEPEST)), (true, false));
    let long = |length| both(&format!("{}: a\n", "k".repeat(length))).0.is_some();
    assert_eq!((long(LONGEST_KEY), long(LONGEST_KEY + 1)), (true, false));
    let list = |key: &str, count: usize| parse_list(&format!("{key}: [{}]\n", "1,".repeat(count)));
    assert_eq!(
        (list("a", NODE_LIMIT - 3), list("a", NODE_LIMIT - 2)),
        (true, false)
    );
    assert_eq!(
        (list("x-a", ALIAS_LIMIT - 3), list("x-a", ALIAS_LIMIT - 2)),
        (true, false)
    );
    assert!(list("a", ALIAS_LIMIT));
}

fn parse_list(text: &str) -> bool {
    parse_plain(SourceMap::new().add("compose.yaml", text), text).is_some()
}
