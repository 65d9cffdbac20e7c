//! What Compose accepts in silence and people regret.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Example::Files;
use super::{Code, EITHER, NOTE, WARNING};

pub(super) const CODES: &[Code] = &[
    Code {
        name: "unknown-volume-option",
        severities: WARNING,
        meaning: "An option of a volume is not known and has no effect.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    volumes: ["./site:/site:readonly"]
"#,
        )]),
        fix: "Take one of `ro`, `rw`, `z`, `Z`, `nocopy` and the propagations.",
    },
    Code {
        name: "one-letter-volume",
        severities: EITHER,
        meaning: "A volume with a name of one letter is taken for a Windows drive, which cannot be mounted here.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    volumes:
      - d:/data
",
        )]),
        fix: "Give it a longer name, or use the long form with `type: volume`.",
    },
    Code {
        name: "home-of-another",
        severities: WARNING,
        meaning: "A path begins with `~name`, which is no other user's home here: as in docker compose, `~` alone is yours.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    volumes: [~bob/www:/www]
",
        )]),
        fix: "Write `~/name`, or the whole path.",
    },
    Code {
        name: "command-cut",
        severities: WARNING,
        meaning: "A command given as one line has an operator of the shell in it; no shell runs it, and the rest is left out.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    command: echo a && echo b
",
        )]),
        fix: "Write `[\"sh\", \"-c\", \"echo a && echo b\"]`.",
    },
    Code {
        name: "doubtful-image",
        severities: WARNING,
        meaning: "The name of an image is one that no registry has.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: Nginx:1.29
",
        )]),
        fix: "Write it in lower case, with one tag and no spaces.",
    },
    Code {
        name: "doubtful-dependency",
        severities: WARNING,
        meaning: "A service waits for something that will not happen.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    depends_on:
      job: {condition: service_completed_successfully}
  job:
    image: busybox:1.37
    restart: always
",
        )]),
        fix: "Change the condition, or what it waits for.",
    },
    Code {
        name: "port-published-twice",
        severities: WARNING,
        meaning: "Two services want the same port of the host.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    ports: ["8080:80"]
  api:
    image: nginx:1.29
    ports: ["8080:80"]
"#,
        )]),
        fix: "Choose another port of the host for one of them.",
    },
    Code {
        name: "ports-without-network",
        severities: WARNING,
        meaning: "A service publishes ports, but has no network of its own.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    network_mode: host
    ports: ["8080:80"]
"#,
        )]),
        fix: "Remove `ports`, or the `network_mode`.",
    },
    Code {
        name: "unused-resource",
        severities: WARNING,
        meaning: "No service uses a network, volume, config or secret of the top level.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
volumes:
  data:
",
        )]),
        fix: "Use it or remove it.",
    },
    Code {
        name: "unpinned-image",
        severities: NOTE,
        meaning: "An image has the tag `latest` or none, so what runs depends on the day. Only `check` says so.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx
",
        )]),
        fix: "Write the version: `nginx:1.29`.",
    },
    Code {
        name: "health-unknown",
        severities: NOTE,
        meaning: "A service waits for the health of one that has no `healthcheck`; unless its image brings one, that never comes. Only `check` says so.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    depends_on:
      db: {condition: service_healthy}
  db:
    image: mysql:8
",
        )]),
        fix: "Give it a `healthcheck:`, or wait for `service_started`.",
    },
];
