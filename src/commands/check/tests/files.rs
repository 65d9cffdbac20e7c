//! Files that are missing, and variables.

use super::said;

#[test]
fn a_required_variable() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx:${TAG:?set TAG}\n")]), @r#"
    compose.yaml:3:18: error[required-variable]: the variable `TAG` is required by `services.web.image`: set TAG
      3 |     image: nginx:${TAG:?set TAG}
        |                  ^^^^^^^^^^^^^^^ not set
      = help: set it in `.env`, with `--env-file`, or in the shell: `TAG=… rcompose …`
    "#);
}

#[test]
fn an_invalid_variable() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    environment:\n      PS: ${1BAD}\n")]), @r#"
    compose.yaml:5:11: error[invalid-interpolation]: `${1BAD}` in `services.web.environment.PS` is not a valid interpolation
      5 |       PS: ${1BAD}
        |           ^^^^^^^ not a variable
      = help: write `$${1BAD}` if a literal `$` is meant; a variable is `${NAME}` or `${NAME:-default}`
    "#);
}

#[test]
fn a_missing_env_file() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    env_file: nope.env\n")]), @r#"
    compose.yaml:4:15: error[missing-file]: the env_file `nope.env` of `web` cannot be read: no such file
      4 |     env_file: nope.env
        |               ^^^^^^^^
      = help: create it, or let it be absent:
              services:
                web:
                  env_file:
                    - path: nope.env
                      required: false
    "#);
}

#[test]
fn a_missing_include() {
    insta::assert_snapshot!(said(&[("compose.yaml", "include:\n  - nope.yaml\nservices:\n  web:\n    image: nginx\n")]), @r#"
    compose.yaml:2:5: error[unreadable-file]: cannot read nope.yaml: no such file
      2 |   - nope.yaml
        |     ^^^^^^^^^ asked for here
    "#);
}

#[test]
fn a_bad_key_in_dotenv() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n"), (".env", "OK=1\nBAD KEY=2\n")]), @r#"
    .env:2:1: error[invalid-env-file]: the name `BAD KEY` contains a space
      2 | BAD KEY=2
        | ^^^^^^^
      = help: a line is `NAME=value`
    "#);
}

#[test]
fn a_file_that_a_later_one_would_mend() {
    insta::assert_snapshot!(said(&[
        ("compose.yaml", "services:\n  web:\n    image: nginx\n    hostname: 1\n    ports: [80]\n  db:\n    image: mysql\n    ports: [\"x\"]\n"),
        ("compose.override.yaml", "services:\n  web:\n    hostname: web\n  db:\n    ports: !reset []\n"),
    ]), @r#"
    compose.yaml:4:15: error[wrong-type]: services.web.hostname must be text, not the number 1
      4 |     hostname: 1
        |               ^ text is expected here
      = help: quote it: `"1"`
    compose.yaml:8:13: error[bad-port]: services.db.ports[0]: `x` is not a port of the container (1 to 65535)
      8 |     ports: ["x"]
        |             ^^^
      = help: write `[HOST_IP:][HOST_PORT:]CONTAINER_PORT[/tcp|/udp]`, e.g. `"8080:80"`
    "#);
    insta::assert_snapshot!(said(&[("compose.yaml", "services: {web: {image: nginx, ports: [\"x\"]}}\n---\nservices: {web: {ports: !reset []}}\n")]), @r#"
    compose.yaml:1:40: error[bad-port]: services.web.ports[0]: `x` is not a port of the container (1 to 65535)
      1 | services: {web: {image: nginx, ports: ["x"]}}
        |                                        ^^^
      = help: write `[HOST_IP:][HOST_PORT:]CONTAINER_PORT[/tcp|/udp]`, e.g. `"8080:80"`
    "#);
}
