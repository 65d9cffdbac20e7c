//! Texts that are no YAML, or no compose file.

use super::said;

#[test]
fn a_tab_is_named_as_such() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n\timage: nginx\n")]), @r#"
    compose.yaml:3:1: error[invalid-yaml]: a tab is used for indentation
      3 | 	image: nginx
        | ^ tab
      = help: YAML allows only spaces here: use two per level
    "#);
}

#[test]
fn ports_indented_too_far() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n      ports:\n        - 80\n")]), @r#"
    compose.yaml:4:7: error[invalid-yaml]: `ports` is indented under `image`, which already has a value
      4 |       ports:
        |       ^^^^^^ indented too far
      compose.yaml:3:5: has its value on its own line
      3 |     image: nginx
        |     ^^^^^^^^^^^^
      = help: align `ports` with `image`, or quote the value of `image` if it goes on here
    "#);
}

#[test]
fn a_key_given_twice() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    image: apache\n")]), @r#"
    compose.yaml:4:5: error[duplicate-key]: the key `image` is given twice
      4 |     image: apache
        |     ^^^^^ again here
      compose.yaml:3:5: first here
      3 |     image: nginx
        |     ^^^^^
      = help: remove one of them, or put the entries of both under one key
    "#);
}

#[test]
fn a_list_at_the_top() {
    insta::assert_snapshot!(said(&[("compose.yaml", "- a\n- b\n")]), @r#"
    compose.yaml:1:1: error[not-a-mapping]: a compose file is a mapping, this is a list
      1 | - a
        | ^^^
      = help: begin with a top-level key such as `services:`
    "#);
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(said(&[("compose.yaml", "")]), @r#"
    error[empty-file]: the compose file is empty: compose.yaml
      = help: it needs at least a `services:` section
    "#);
}

#[test]
fn an_unknown_anchor() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    <<: *base\n    image: nginx\n")]), @r#"
    compose.yaml:3:9: error[unknown-anchor]: no anchor `&base` is defined before this alias
      3 |     <<: *base
        |         ^^^^^ not defined
      = help: an anchor counts only inside its file and must come before its alias
    "#);
}

#[test]
fn a_quote_that_is_never_closed() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: \"nginx:1.29\n    command: x\n")]), @r#"
    compose.yaml:3:12: error[invalid-yaml]: the quote is never closed
      3 |     image: "nginx:1.29
        |            ^ opened here
      = help: add the closing " at the end of the value
    "#);
}
