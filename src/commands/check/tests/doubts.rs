//! What is accepted, and what this host cannot do.

use super::said;

#[test]
fn what_is_accepted_but_hardly_meant() {
    insta::assert_snapshot!(said(&[("compose.yaml", "version: \"3\"\nname: My App\nservices:\n  web:\n    image: Nginx:latest:1\n    volumes:\n      - \"c:/d\"\n      - data:/data:rx\n    ports: [\"80:80\"]\n    depends_on:\n      job:\n        condition: service_completed_successfully\n      none:\n        condition: service_started\n  job:\n    image: busybox\n    restart: always\n    command: echo a && echo b\n    ports: [\"80:81\"]\n    tty: yes\n  none:\n    image: busybox\n    scale: 0\nvolumes:\n  data:\n")]), @r#"
    compose.yaml:1:1: warning[obsolete-version]: `version` is obsolete and ignored
      1 | version: "3"
        | ^^^^^^^
      = help: remove the line
    compose.yaml:2:7: warning[changed-project-name]: the project name `My App` becomes `myapp`
      2 | name: My App
        |       ^^^^^^
      = help: a project name has lower-case letters, digits, `-` and `_`, and begins with a letter or digit
    compose.yaml:5:12: warning[doubtful-image]: the image `Nginx:latest:1` of `web` has two tags
      5 |     image: Nginx:latest:1
        |            ^^^^^^^^^^^^^^
    compose.yaml:7:9: error[one-letter-volume]: services.web.volumes[0]: `c:/d` is taken for a path of Windows, which cannot be mounted here
      7 |       - "c:/d"
        |         ^^^^^^
      = help: give the volume a name of two letters or more, or use the long form with `type: volume`
    compose.yaml:8:9: warning[unknown-volume-option]: services.web.volumes[1]: the option `rx` is not known and has no effect
      8 |       - data:/data:rx
        |         ^^^^^^^^^^^^^
      = help: the options are ro, rw, z, Z, nocopy and rprivate, rshared, rslave, private, shared, slave
    compose.yaml:12:20: warning[doubtful-dependency]: `web` waits for the end of `job`, which is restarted whenever it ends
      12 |         condition: service_completed_successfully
         |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ waits for its end
      compose.yaml:17:14: restarted here
      17 |     restart: always
         |              ^^^^^^
      = help: write `restart: on-failure` for `job`
    compose.yaml:13:7: warning[doubtful-dependency]: `web` waits for `none`, which has no containers
      13 |       none:
         |       ^^^^ waits for it
      compose.yaml:21:3: scaled to 0
      21 |   none:
         |   ^^^^
    compose.yaml:16:12: note[unpinned-image]: the image `busybox` of `job` has no tag, which means `latest`: what runs depends on the day
      16 |     image: busybox
         |            ^^^^^^^
      = help: name the version of busybox you know to work: `busybox:VERSION`
    compose.yaml:18:14: warning[command-cut]: services.job.command: `&& echo b` is ignored, because no shell runs this command
      18 |     command: echo a && echo b
         |              ^^^^^^^^^^^^^^^^
      = help: write `["sh", "-c", "…"]` to have a shell run it
    compose.yaml:19:13: warning[port-published-twice]: port 80 of the host is published by `web` and by `job`
      19 |     ports: ["80:81"]
         |             ^^^^^^^ again here
      compose.yaml:9:13: first here
      9 |     ports: ["80:80"]
        |             ^^^^^^^
      = help: only one of them can have it; choose another port of the host
    compose.yaml:20:10: warning[old-boolean]: services.job.tty: `yes` is read as true
      20 |     tty: yes
         |          ^^^
      = help: write `true`
    compose.yaml:22:12: note[unpinned-image]: the image `busybox` of `none` has no tag, which means `latest`: what runs depends on the day
      22 |     image: busybox
         |            ^^^^^^^
      = help: name the version of busybox you know to work: `busybox:VERSION`
    "#);
}

#[test]
fn what_cannot_be_honoured_here() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    userns_mode: keep-id\n    gpus: all\n    runtime: nvidia\n    logging: {driver: syslog}\n    deploy:\n      placement: {constraints: [node.role == manager]}\n    networks: [overlay]\nnetworks:\n  overlay:\n    driver: overlay\n    enable_ipv6: true\n")]), @r#"
    compose.yaml:3:12: note[unpinned-image]: the image `nginx` of `web` has no tag, which means `latest`: what runs depends on the day
      3 |     image: nginx
        |            ^^^^^
      = help: name the version of nginx you know to work: `nginx:VERSION`
    compose.yaml:4:18: warning[unsupported-key]: services.web.userns_mode has no effect here
      4 |     userns_mode: keep-id
        |                  ^^^^^^^
      = help: `keep-id` is not set up; users are the host's
    compose.yaml:5:5: error[unsupported-key]: services.web.gpus cannot be honoured here
      5 |     gpus: all
        |     ^^^^
      = help: GPUs are not passed into containers
    compose.yaml:6:14: error[unsupported-key]: services.web.runtime cannot be honoured here
      6 |     runtime: nvidia
        |              ^^^^^^
      = help: there is no runtime `nvidia`, remove the key
    compose.yaml:7:23: warning[unsupported-key]: services.web.logging.driver has no effect here
      7 |     logging: {driver: syslog}
        |                       ^^^^^^
      = help: `syslog` is not there; logs are kept as with `json-file`
    compose.yaml:9:19: warning[unsupported-key]: services.web.deploy.placement.constraints has no effect here
      9 |       placement: {constraints: [node.role == manager]}
        |                   ^^^^^^^^^^^
      = help: there is one host only, everything is placed on it
    compose.yaml:13:13: error[unsupported-key]: networks.overlay.driver cannot be honoured here
      13 |     driver: overlay
         |             ^^^^^^^
      = help: there is no network driver `overlay`; use `bridge`
    compose.yaml:14:18: warning[unsupported-key]: networks.overlay.enable_ipv6 has no effect here
      14 |     enable_ipv6: true
         |                  ^^^^
      = help: addresses are IPv4 only
    "#);
}

#[test]
fn notes_on_what_could_be_better() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx:latest\n    depends_on:\n      db: {condition: service_healthy}\n  db:\n    image: registry.example.com:5000/mysql\nvolumes:\n  data:\n")]), @r#"
    compose.yaml:3:12: note[unpinned-image]: the image `nginx:latest` of `web` has the tag `latest`: what runs depends on the day
      3 |     image: nginx:latest
        |            ^^^^^^^^^^^^
      = help: name the version of nginx you know to work: `nginx:VERSION`
    compose.yaml:5:23: note[health-unknown]: `web` waits for the health of `db`, which has no `healthcheck`; its image may bring one, or may not
      5 |       db: {condition: service_healthy}
        |                       ^^^^^^^^^^^^^^^ waits for health
      compose.yaml:6:3: has no healthcheck
      6 |   db:
        |   ^^
      = help: give it one, or wait for `service_started`:
              services:
                db:
                  healthcheck:
                    test: [CMD-SHELL, "…"]
                    interval: 5s
    compose.yaml:7:12: note[unpinned-image]: the image `registry.example.com:5000/mysql` of `db` has no tag, which means `latest`: what runs depends on the day
      7 |     image: registry.example.com:5000/mysql
        |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: name the version of mysql you know to work: `registry.example.com:5000/mysql:VERSION`
    compose.yaml:9:3: warning[unused-resource]: volumes.data is used by no service
      9 |   data:
        |   ^^^^
    "#);
}

#[test]
fn an_unset_variable_in_a_path_and_a_port() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx:1.29\n    ports: [\"${PORT}:80\"]\n    volumes: [\"${DIR}/data:/data\"]\n")]), @r#"
    compose.yaml:4:14: warning[unset-variable]: the variable `PORT` is not set, nothing is put in its place
      4 |     ports: ["${PORT}:80"]
        |              ^^^^^^^ not set
      = help: set it in `.env` or the environment, or give a default: `${PORT:-value}`
    compose.yaml:5:16: warning[unset-variable]: the variable `DIR` is not set, nothing is put in its place
      5 |     volumes: ["${DIR}/data:/data"]
        |                ^^^^^^ not set
      = help: set it in `.env` or the environment, or give a default: `${DIR:-value}`
    "#);
}

#[test]
fn ports_of_all_addresses_and_of_one() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx:1.29\n    ports: [\"8080:80\"]\n  api:\n    image: nginx:1.29\n    ports: [\"127.0.0.1:8080:80\"]\n  local:\n    image: nginx:1.29\n    ports: [\"127.0.0.2:8081:80\"]\n  other:\n    image: nginx:1.29\n    ports: [\"127.0.0.1:8081:80\"]\n")]), @r#"
    compose.yaml:7:13: warning[port-published-twice]: port 8080 of the host is published by `web` and by `api`
      7 |     ports: ["127.0.0.1:8080:80"]
        |             ^^^^^^^^^^^^^^^^^^^ again here
      compose.yaml:4:13: first here
      4 |     ports: ["8080:80"]
        |             ^^^^^^^^^
      = help: only one of them can have it; choose another port of the host
    "#);
}
