//! What a person reads about each kind of mistake: the frames, the plain lines, and the texts of all stages together.

use std::path::Path;

use super::*;
use crate::model::{self, Options};
use crate::source::load::LoadOptions;

fn example() -> (Diagnostics, SourceMap) {
    let mut sources = SourceMap::new();
    let base = sources.add("compose.yaml", "services:\n  web:\n    prots:\n      - 80\n");
    let other = sources.add("other.yaml", "a: b\n");
    let mut findings = Diagnostics::new();
    findings.push(
        Diagnostic::error("unknown-key", "`prots` is not a key of a service")
            .label(Span::new(base, 21, 26), "here")
            .secondary(Span::new(other, 3, 4), "because of this")
            .help("did you mean `ports`?\nor not"),
    );
    findings.push(Diagnostic::warning("no-place", "no place at all"));
    (findings, sources)
}

#[test]
fn plain_lines_have_place_line_caret_and_help() {
    let (findings, sources) = example();
    insta::assert_snapshot!(plain(&findings, &sources), @r"
    compose.yaml:3:5: error[unknown-key]: `prots` is not a key of a service
      3 |     prots:
        |     ^^^^^ here
      other.yaml:1:4: because of this
      1 | a: b
        |    ^
      = help: did you mean `ports`?
              or not
    warning[no-place]: no place at all
    ");
}

#[test]
fn frames_name_both_files() {
    let (findings, sources) = example();
    let text = framed(&findings, &sources);
    for part in [
        "compose.yaml:3:5",
        "other.yaml:1:4",
        "unknown-key",
        "did you mean `ports`?",
        "no place at all",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn of_a_long_line_the_part_in_question_is_shown() {
    let mut sources = SourceMap::new();
    let line = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
    let file = sources.add("compose.yaml", line);
    let mut findings = Diagnostics::new();
    findings.push(Diagnostic::error("wrong", "this").label(Span::new(file, 500, 504), "it"));
    let text = plain(&findings, &sources);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() < 180), "{text}");
    let column = |line: &str, what: &str| {
        line.chars()
            .collect::<String>()
            .find(what)
            .map(|at| line[..at].chars().count())
    };
    assert!(
        lines[1].contains("…") && column(lines[1], "HERE").is_some(),
        "{text}"
    );
    assert_eq!(column(lines[1], "HERE"), column(lines[2], "^^^^ it"), "{text}");
}

/// Loads files from a directory of their own and gives what is said about them, with the directory left out.
fn said(files: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().canonicalize().expect("a path");
    for (name, text) in files {
        std::fs::write(root.join(name), text).expect("a file");
    }
    let outcome = model::load(&Options::new(LoadOptions::new(&root, Vec::new())));
    let findings = outcome.findings();
    assert_eq!(
        outcome.project.is_none(),
        findings.has_errors(),
        "a project exists exactly when nothing is wrong"
    );
    hide(&plain(&findings, &outcome.sources), &root)
}

fn hide(text: &str, root: &Path) -> String {
    text.replace(&format!("{}/", root.display()), "")
        .replace(&root.display().to_string(), "DIR")
}

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
                  …
    "#);
}

#[test]
fn a_service_without_image_or_build() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    command: x\n")]), @r#"
    compose.yaml:2:3: error[no-image]: the service `web` has neither `image` nor `build`
      2 |   web:
        |   ^^^
      = help: say what it runs:
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
                data:
    compose.yaml:5:16: error[undefined-network]: the service `web` uses the network `front`, which is not defined
      5 |     networks: [front]
        |                ^^^^^
      = help: define it at the top level:
              networks:
                front:
    "#);
}

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
fn network_mode_and_networks() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    network_mode: host\n    networks: [front]\nnetworks:\n  front:\n")]), @r#"
    compose.yaml:4:5: error[conflicting-keys]: the service `web` has both `network_mode` and `networks`
      4 |     network_mode: host
        |     ^^^^^^^^^^^^ the mode is set here
      compose.yaml:5:5: networks are listed here
      5 |     networks: [front]
        |     ^^^^^^^^
      = help: keep one of the two
    "#);
}

#[test]
fn a_missing_env_file() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    env_file: nope.env\n")]), @r#"
    compose.yaml:4:15: error[missing-file]: the env_file `nope.env` of `web` cannot be read: no such file
      4 |     env_file: nope.env
        |               ^^^^^^^^
      = help: create it, or let it be absent:
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
fn extending_an_undefined_service() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    extends: bsae\n  base:\n    image: x\n")]), @r#"
    compose.yaml:4:14: error[unknown-service]: `web` extends `bsae`, which is not a service of compose.yaml
      4 |     extends: bsae
        |              ^^^^ no such service
      = help: did you mean `base`?
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
fn an_empty_service() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n")]), @r#"
    compose.yaml:2:3: error[empty-service]: services.web is empty
      2 |   web:
        |   ^^^
      = help: give it at least an image:
                web:
                  image: …
    "#);
}

#[test]
fn a_healthcheck_without_prefix() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    healthcheck:\n      test: [\"curl\", \"-f\", \"http://localhost\"]\n")]), @r#"
    compose.yaml:5:13: error[healthcheck-test]: the healthcheck of `web` begins with `curl`, not with CMD, CMD-SHELL or NONE
      5 |       test: ["curl", "-f", "http://localhost"]
        |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: write `test: ["CMD", "curl", "-f", "http://localhost"]`
    "#);
}

#[test]
fn a_container_name_for_several() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    container_name: web\n    scale: 2\n")]), @r#"
    compose.yaml:4:5: error[conflicting-keys]: the service `web` has one `container_name` for 2 containers
      4 |     container_name: web
        |     ^^^^^^^^^^^^^^ a container's name is unique
      compose.yaml:5:12: 2 containers are asked for
      5 |     scale: 2
        |            ^
      = help: remove `container_name`
    "#);
}

#[test]
fn a_secret_from_nowhere() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    secrets: [s]\nsecrets:\n  s: {}\n")]), @r#"
    compose.yaml:6:3: error[no-source]: the secret `s` does not say where it comes from
      6 |   s: {}
        |   ^
      = help: give it one of file, environment:
              s:
                file: ./s.txt
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
fn two_mounts_at_one_target() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    tmpfs: /x\n    volumes:\n      - ./a:/x\n")]), @r#"
    compose.yaml:6:9: error[duplicate-mount]: the service `web` mounts two things at `/x`
      6 |       - ./a:/x
        |         ^^^^^^ again here
      compose.yaml:4:12: first here
      4 |     tmpfs: /x
        |            ^^
      = help: give one of them another path
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
fn an_external_volume_with_a_driver() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\nvolumes:\n  d:\n    external: true\n    driver: local\n")]), @r#"
    compose.yaml:7:5: error[conflicting-keys]: the volume `d` is external and has `driver`
      7 |     driver: local
        |     ^^^^^^ what is made elsewhere has its own
      compose.yaml:6:5: external here
      6 |     external: true
        |     ^^^^^^^^
      = help: remove `driver` or `external`
    "#);
}

#[test]
fn limits_that_disagree() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    cpus: 1\n    deploy:\n      resources:\n        limits:\n          cpus: \"2\"\n")]), @r#"
    compose.yaml:4:11: error[conflicting-keys]: the service `web` has different values for `cpus` and `deploy.resources.limits.cpus`
      4 |     cpus: 1
        |           ^ one value here
      compose.yaml:8:17: another here
      8 |           cpus: "2"
        |                 ^^^
      = help: keep only `deploy.resources.limits.cpus`
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
fn everything_at_once() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    prots: [80]\n    image: 12\n    depends_on: [nobody]\n  db:\n    restart: sometimes\n    mem_limit: lots\n")]), @r#"
    compose.yaml:3:5: error[unknown-key]: `prots` is not a key of services.web (a service)
      3 |     prots: [80]
        |     ^^^^^
      = help: did you mean `ports`?
    compose.yaml:4:12: error[wrong-type]: services.web.image must be text, not the number 12
      4 |     image: 12
        |            ^^ text is expected here
      = help: quote it: `"12"`
    compose.yaml:5:18: error[undefined-service]: the service `web` depends on `nobody`, which is not defined
      5 |     depends_on: [nobody]
        |                  ^^^^^^
      = help: the other services are db
    compose.yaml:6:3: error[no-image]: the service `db` has neither `image` nor `build`
      6 |   db:
        |   ^^
      = help: say what it runs:
              db:
                image: …
    compose.yaml:8:16: error[bad-value]: services.db.mem_limit: `lots` is not a size: it has no number
      8 |     mem_limit: lots
        |                ^^^^
    "#);
}

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
    compose.yaml:7:9: warning[one-letter-volume]: services.web.volumes[0]: `c:` is taken for a Windows drive, not for a volume
      7 |       - "c:/d"
        |         ^^^^^^
      = help: give the volume a name of two letters or more, or use the long form with `type: volume`
    compose.yaml:8:9: warning[unknown-volume-option]: services.web.volumes[1]: the option `rx` is not known and has no effect
      8 |       - data:/data:rx
        |         ^^^^^^^^^^^^^
      = help: the options are ro, rw, z, Z, nocopy and rprivate, rshared, rslave, private, shared, slave
    compose.yaml:9:13: warning[port-published-twice]: port 80 of the host is published by `job` and by `web`
      9 |     ports: ["80:80"]
        |             ^^^^^^^ again here
      compose.yaml:19:13: first here
      19 |     ports: ["80:81"]
         |             ^^^^^^^
      = help: only one of them can have it; choose another port of the host
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
    compose.yaml:18:14: warning[command-cut]: services.job.command: `&& echo b` is ignored, because no shell runs this command
      18 |     command: echo a && echo b
         |              ^^^^^^^^^^^^^^^^
      = help: write `["sh", "-c", "…"]` to have a shell run it
    compose.yaml:20:10: warning[old-boolean]: services.job.tty: `yes` is read as true
      20 |     tty: yes
         |          ^^^
      = help: write `true`
    compose.yaml:7:9: error[bad-volume]: services.web.volumes[0]: `c:/d` is not an absolute path of the container
      7 |       - "c:/d"
        |         ^^^^^^ the path in the container must begin with `/`
      = help: write `SOURCE:/path/in/container`
    "#);
}

#[test]
fn what_cannot_be_honoured_here() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    image: nginx\n    userns_mode: keep-id\n    gpus: all\n    runtime: nvidia\n    logging: {driver: syslog}\n    deploy:\n      placement: {constraints: [node.role == manager]}\n    networks: [overlay]\nnetworks:\n  overlay:\n    driver: overlay\n    enable_ipv6: true\n")]), @r#"
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
