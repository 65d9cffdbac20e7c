//! Names that lead nowhere.

use super::said;

#[test]
fn a_service_without_image_or_build() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    command: x\n")]), @r#"
    compose.yaml:2:3: error[no-image]: the service `web` has neither `image` nor `build`
      2 |   web:
        |   ^^^
      = help: say what it runs:
              services:
                web:
                  image: …
    "#);
}

#[test]
fn an_undefined_dependency() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    depends_on: [databse]\n  database:\n    image: mysql\n")]), @r#"
    compose.yaml:4:18: error[undefined-service]: the service `web` depends on `databse`, which is not defined
      4 |     depends_on: [databse]
        |                  ^^^^^^^
      = help: did you mean `database`?
    "#);
}

#[test]
fn a_dependency_in_an_inactive_profile() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    depends_on: [db]\n  db:\n    image: mysql\n    profiles: [dev]\n")]), @r#"
    compose.yaml:4:18: error[disabled-dependency]: the service `web` depends on `db`, whose profile is not enabled
      4 |     depends_on: [db]
        |                  ^^ needs `db`
      compose.yaml:7:5: `db` is only on with dev
      7 |     profiles: [dev]
        |     ^^^^^^^^
      = help: enable it with `--profile dev`, or write `required: false`
    "#);
}

#[test]
fn an_undefined_volume_and_network() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    volumes: [\"data:/data\"]\n    networks: [front]\n")]), @r#"
    compose.yaml:4:15: error[undefined-volume]: the service `web` uses the volume `data`, which is not defined
      4 |     volumes: ["data:/data"]
        |               ^^^^^^^^^^^^
      = help: define it at the top level:
              volumes:
                data: {}
    compose.yaml:5:16: error[undefined-network]: the service `web` uses the network `front`, which is not defined
      5 |     networks: [front]
        |                ^^^^^
      = help: define it at the top level:
              networks:
                front: {}
    "#);
}

#[test]
fn extending_an_undefined_service() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    extends: bsae\n  base:\n    image: x\n")]), @r#"
    compose.yaml:4:14: error[unknown-service]: `web` extends `bsae`, which is not a service of compose.yaml
      4 |     extends: bsae
        |              ^^^^ no such service
      = help: did you mean `base`?
    "#);
}

#[test]
fn a_secret_from_nowhere() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    secrets: [s]\nsecrets:\n  s: {}\n")]), @r#"
    compose.yaml:6:3: error[no-source]: the secret `s` does not say where it comes from
      6 |   s: {}
        |   ^
      = help: give it one of file, environment:
              secrets:
                s:
                  file: ./s.txt
    "#);
}
