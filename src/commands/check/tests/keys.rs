//! Keys that are not known or in the wrong place.

use super::said;

#[test]
fn an_unknown_key() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    prots:\n      - \"80:80\"\n")]), @r#"
    compose.yaml:4:5: error[unknown-key]: `prots` is not a key of services.web (a service)
      4 |     prots:
        |     ^^^^^
      = help: did you mean `ports`?
    "#);
}

#[test]
fn a_file_of_version_1() {
    insta::assert_snapshot!(said(&[("compose.yaml", "web:\n  image: nginx\n")]), @r#"
    compose.yaml:1:1: error[service-at-root]: `web` looks like a service, but stands at the top of the file
      1 | web:
        | ^^^
      = help: put services under `services:`
              services:
                web:
                  image: nginx
    "#);
}

#[test]
fn an_empty_service() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n")]), @r#"
    compose.yaml:2:3: error[empty-service]: services.web is empty
      2 |   web:
        |   ^^^
      = help: give it at least an image:
              services:
                web:
                  image: …
    "#);
}
