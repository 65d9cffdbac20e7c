//! Values that are not of the kind or in the form they should be.

use super::said;

#[test]
fn a_port_that_is_a_word() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    ports:\n      - \"80:eighty\"\n")]), @r#"
    compose.yaml:5:9: error[bad-port]: services.web.ports[0]: `eighty` is not a port of the container (1 to 65535)
      5 |       - "80:eighty"
        |         ^^^^^^^^^^^
      = help: write `[HOST_IP:][HOST_PORT:]CONTAINER_PORT[/tcp|/udp]`, e.g. `"8080:80"`
    "#);
}

#[test]
fn port_ranges_of_different_lengths() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    ports:\n      - \"8000-8010:80-81\"\n")]), @r#"
    compose.yaml:5:9: error[bad-port]: services.web.ports[0]: the ranges differ in length: `8000-8010` has 11 ports, `80-81` has 2
      5 |       - "8000-8010:80-81"
        |         ^^^^^^^^^^^^^^^^^
      = help: make both ranges equally long, or publish a range of the host to one port of the container
    "#);
}

#[test]
fn an_environment_that_is_a_number() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    environment: 12\n")]), @r#"
    compose.yaml:4:18: error[wrong-type]: services.web.environment must be a mapping, or a list of `KEY=VALUE`, not the number 12
      4 |     environment: 12
        |                  ^^ a mapping, or a list of `KEY=VALUE` is expected here
    "#);
}

#[test]
fn durations_and_sizes_in_words() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    mem_limit: 2gigs\n    healthcheck:\n      test: [CMD, x]\n      interval: 5 seconds\n")]), @r#"
    compose.yaml:4:16: error[bad-value]: services.web.mem_limit: `2gigs` is not a size: the unit is one of b, k, m, g, t and p
      4 |     mem_limit: 2gigs
        |                ^^^^^
      = help: try `2g`
    compose.yaml:7:17: error[bad-value]: services.web.healthcheck.interval: `5 seconds` is not a duration: the units are ns, us, ms, s, m, h, d and w
      7 |       interval: 5 seconds
        |                 ^^^^^^^^^
      = help: try `5s`
    "#);
}

#[test]
fn a_condition_in_short() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    depends_on:\n      db:\n        condition: healthy\n  db:\n    image: mysql\n")]), @r#"
    compose.yaml:6:20: error[unknown-value]: services.web.depends_on.db.condition must be `service_started`, `service_healthy` or `service_completed_successfully`, not `healthy`
      6 |         condition: healthy
        |                    ^^^^^^^
      = help: did you mean `service_healthy`?
    "#);
}

#[test]
fn a_healthcheck_without_prefix() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    healthcheck:\n      test: [\"curl\", \"-f\", \"http://localhost\"]\n")]), @r#"
    compose.yaml:5:13: error[healthcheck-test]: the healthcheck of `web` begins with `curl`, not with CMD, CMD-SHELL or NONE
      5 |       test: ["curl", "-f", "http://localhost"]
        |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: begin with CMD:
              services:
                web:
                  healthcheck:
                    test:
                      - CMD
                      - curl
                      - -f
                      - http://localhost
    "#);
}

#[test]
fn a_volume_without_target() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    volumes:\n      - \"./a:\"\n")]), @r#"
    compose.yaml:5:9: error[bad-volume]: services.web.volumes[0]: `./a:` has nothing between two colons or at an end
      5 |       - "./a:"
        |         ^^^^^^
      = help: write `SOURCE:/path/in/container[:ro]`; SOURCE is a path (`./data`) or the name of a volume
    "#);
}

#[test]
fn short_forms_where_there_are_none() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: x:1\n    restart: true\n    logging: json-file\n    ports: \"80:80\"\n    environment: A=1\n    healthcheck: {test: curl, interval: 30}\n    depends_on:\n      db: healthy\n      job:\n  db: mysql:8\n  job:\n    image:x\n  other:\n    image: x:1\n    environment:\n      - A: 1\nnetworks: [front, back]\n")]), @r#"
    compose.yaml:4:14: error[wrong-type]: services.web.restart must be text, not the boolean true
      4 |     restart: true
        |              ^^^^ text is expected here
      = help: `always` restarts it whenever it ends; `on-failure` only after an error
              services:
                web:
                  restart: always
    compose.yaml:5:14: error[wrong-type]: services.web.logging must be a mapping, not text
      5 |     logging: json-file
        |              ^^^^^^^^^ a mapping is expected here
      = help: write it as:
              services:
                web:
                  logging:
                    driver: json-file
    compose.yaml:6:12: error[wrong-type]: services.web.ports must be a list, not text
      6 |     ports: "80:80"
        |            ^^^^^^^ a list is expected here
      = help: write a list:
              services:
                web:
                  ports:
                    - 80:80
    compose.yaml:7:18: error[wrong-type]: services.web.environment must be a mapping, or a list of `KEY=VALUE`, not text
      7 |     environment: A=1
        |                  ^^^ a mapping, or a list of `KEY=VALUE` is expected here
      = help: write a list:
              services:
                web:
                  environment:
                    - A=1
    compose.yaml:8:41: error[wrong-type]: services.web.healthcheck.interval must be a duration such as `30s` or `1m30s`, not the number 30
      8 |     healthcheck: {test: curl, interval: 30}
        |                                         ^^ a duration such as `30s` or `1m30s` is expected here
      = help: give a unit: `30s`
    compose.yaml:10:11: error[wrong-type]: services.web.depends_on.db must be a mapping, not text
      10 |       db: healthy
         |           ^^^^^^^ a mapping is expected here
      = help: write it as:
              services:
                web:
                  depends_on:
                    db:
                      condition: service_healthy
    compose.yaml:11:10: error[wrong-type]: services.web.depends_on.job must be a mapping, not nothing
      11 |       job:
         |          ^ a mapping is expected here
      = help: write it as:
              services:
                web:
                  depends_on:
                    job:
                      condition: service_started
    compose.yaml:12:7: error[wrong-type]: services.db must be a mapping, not text
      12 |   db: mysql:8
         |       ^^^^^^^ a mapping is expected here
      = help: write it as:
              services:
                db:
                  image: mysql:8
    compose.yaml:14:5: error[wrong-type]: services.job must be a mapping, not text
      14 |     image:x
         |     ^^^^^^^ a mapping is expected here
      = help: a space is missing after the colon
              services:
                job:
                  image: x
    compose.yaml:18:9: error[wrong-type]: services.other.environment[0] must be text, not a mapping
      18 |       - A: 1
         |         ^^^^ text is expected here
      = help: write `KEY=VALUE`, or leave out the dashes:
              services:
                other:
                  environment:
                    A: 1
    compose.yaml:19:11: error[wrong-type]: networks must be a mapping, not a list
      19 | networks: [front, back]
         |           ^^^^^^^^^^^^^ a mapping is expected here
      = help: write a mapping:
              networks:
                front: null
                back: null
    "#);
}
