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

#[test]
fn words_of_other_tools() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: x:1\n    env: {A: 1}\n    port: \"80:80\"\n    net: host\n    log_driver: syslog\n    dockerfile: Dockerfile.dev\n    memory: 1g\n    depend_on: [db]\n    healthcheck:\n      command: curl localhost\n      retires: 3\nvolumes:\n  data:\n    driver_opt: {type: tmpfs}\n")]), @r#"
    compose.yaml:4:5: error[unknown-key]: `env` is not a key of services.web (a service)
      4 |     env: {A: 1}
        |     ^^^
      = help: did you mean `environment`?
    compose.yaml:5:5: error[unknown-key]: `port` is not a key of services.web (a service)
      5 |     port: "80:80"
        |     ^^^^
      = help: did you mean `ports`?
              services:
                web:
                  ports:
                    - 80:80
    compose.yaml:6:5: error[unknown-key]: `net` is not a key of services.web (a service)
      6 |     net: host
        |     ^^^
      = help: did you mean `network_mode`?
    compose.yaml:7:5: error[unknown-key]: `log_driver` is not a key of services.web (a service)
      7 |     log_driver: syslog
        |     ^^^^^^^^^^
      = help: it is `driver`, under `logging:`
              services:
                web:
                  logging:
                    driver: syslog
    compose.yaml:8:5: error[unknown-key]: `dockerfile` is not a key of services.web (a service)
      8 |     dockerfile: Dockerfile.dev
        |     ^^^^^^^^^^
      = help: `dockerfile` belongs under `build:`
              services:
                web:
                  build:
                    dockerfile: Dockerfile.dev
    compose.yaml:9:5: error[unknown-key]: `memory` is not a key of services.web (a service)
      9 |     memory: 1g
        |     ^^^^^^
      = help: did you mean `mem_limit`?
    compose.yaml:10:5: error[unknown-key]: `depend_on` is not a key of services.web (a service)
      10 |     depend_on: [db]
         |     ^^^^^^^^^
      = help: did you mean `depends_on`?
    compose.yaml:12:7: error[unknown-key]: `command` is not a key of services.web.healthcheck (a healthcheck)
      12 |       command: curl localhost
         |       ^^^^^^^
      = help: did you mean `test`?
    compose.yaml:13:7: error[unknown-key]: `retires` is not a key of services.web.healthcheck (a healthcheck)
      13 |       retires: 3
         |       ^^^^^^^
      = help: did you mean `retries`?
    compose.yaml:16:5: error[unknown-key]: `driver_opt` is not a key of volumes.data (a volume)
      16 |     driver_opt: {type: tmpfs}
         |     ^^^^^^^^^^
      = help: did you mean `driver_opts`?
    "#);
}

#[test]
fn a_snippet_for_toml_is_toml() {
    insta::assert_snapshot!(said(&[("compose.toml", "[services.web]\nport = \"80:80\"\nvolumes = [\"data:/data\"]\n")]), @r#"
    compose.toml:1:11: error[no-image]: the service `web` has neither `image` nor `build`
      1 | [services.web]
        |           ^^^
      = help: say what it runs:
              [services.web]
              image = "…"
    compose.toml:2:1: error[unknown-key]: `port` is not a key of services.web (a service)
      2 | port = "80:80"
        | ^^^^
      = help: did you mean `ports`?
              [services.web]
              ports = ["80:80"]
    compose.toml:3:12: error[undefined-volume]: the service `web` uses the volume `data`, which is not defined
      3 | volumes = ["data:/data"]
        |            ^^^^^^^^^^^^
      = help: define it at the top level:
              [volumes]
              data = {}
    "#);
}
