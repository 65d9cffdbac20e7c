//! Values that are not of the kind or in the form their key wants.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Example::Files;
use super::{Code, ERROR, WARNING};

pub(super) const CODES: &[Code] = &[
    Code {
        name: "wrong-type",
        severities: ERROR,
        meaning: "A value is of another kind than its key wants, such as text in place of a list.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    environment: 12
",
        )]),
        fix: "Write what is expected; numbers that are meant as text are put in quotes.",
    },
    Code {
        name: "bad-value",
        severities: ERROR,
        meaning: "A text is not in the form its key wants: a size, a duration, a mode, a boolean.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    mem_limit: 2gigs
    stop_grace_period: 5 seconds
",
        )]),
        fix: "Sizes are `512m` or `2g`, durations `90s` or `1m30s`.",
    },
    Code {
        name: "unknown-value",
        severities: ERROR,
        meaning: "A word is not one of those that its key knows.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    depends_on:
      db: {condition: healthy}
  db:
    image: mysql:8
",
        )]),
        fix: "Take one of the words that are listed.",
    },
    Code {
        name: "out-of-range",
        severities: ERROR,
        meaning: "A number is too small or too large.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    oom_score_adj: 5000
",
        )]),
        fix: "Choose one in the range that is named.",
    },
    Code {
        name: "too-many-ports",
        severities: ERROR,
        meaning: "Ranges in `ports` stand for more ports than any host has.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    ports: [1-65535, 1-65535/udp, 1-1000/sctp]
",
        )]),
        fix: "Publish the ports that something listens on.",
    },
    Code {
        name: "duplicate-item",
        severities: ERROR,
        meaning: "A list that is a set has an item twice.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    security_opt: [no-new-privileges, no-new-privileges]
",
        )]),
        fix: "Remove one of the two.",
    },
    Code {
        name: "bad-port",
        severities: ERROR,
        meaning: "An entry of `ports` cannot be read.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    ports: ["8080:http"]
"#,
        )]),
        fix: "Write `[HOST_IP:][HOST_PORT:]CONTAINER_PORT[/tcp|/udp]`.",
    },
    Code {
        name: "bad-volume",
        severities: ERROR,
        meaning: "An entry of `volumes` or `tmpfs` cannot be read or mounted.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    volumes: ["./site:"]
"#,
        )]),
        fix: "Write `SOURCE:/path/in/container[:ro]`.",
    },
    Code {
        name: "bad-device",
        severities: ERROR,
        meaning: "An entry of `devices` cannot be read.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    devices: ["/dev/fuse:/dev/fuse:rwx"]
"#,
        )]),
        fix: "Write `/dev/HOST:/dev/CONTAINER:rwm`.",
    },
    Code {
        name: "bad-host",
        severities: ERROR,
        meaning: "An entry of `extra_hosts` has no address.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    extra_hosts: [database]
",
        )]),
        fix: "Write `name=address`, or `name=host-gateway` for the host itself.",
    },
    Code {
        name: "healthcheck-test",
        severities: ERROR,
        meaning: "The list of a healthcheck's `test` begins with the program itself.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    healthcheck:
      test: [curl, -f, "http://localhost"]
"#,
        )]),
        fix: "Begin with `CMD` for a program, or `CMD-SHELL` for a line of shell.",
    },
    Code {
        name: "old-boolean",
        severities: WARNING,
        meaning: "A word that was a boolean in YAML 1.1 is read as one.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    tty: yes
",
        )]),
        fix: "Write `true` or `false`.",
    },
];
