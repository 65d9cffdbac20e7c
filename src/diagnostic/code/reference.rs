//! Names that lead nowhere, and parts that contradict each other.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Example::Files;
use super::{Code, ERROR};

pub(super) const CODES: &[Code] = &[
    Code {
        name: "no-image",
        severities: ERROR,
        meaning: "A service has neither an image nor a build.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    command: nginx
",
        )]),
        fix: "Add `image:` or `build:`.",
    },
    Code {
        name: "undefined-service",
        severities: ERROR,
        meaning: "A service refers to one that is not defined.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    depends_on: [databse]
  database:
    image: mysql:8
",
        )]),
        fix: "Correct the name, or define the service.",
    },
    Code {
        name: "disabled-dependency",
        severities: ERROR,
        meaning: "A service needs one whose profile is not enabled.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    depends_on: [db]
  db:
    image: mysql:8
    profiles: [dev]
",
        )]),
        fix: "Enable the profile with `--profile`, or write `required: false`.",
    },
    Code {
        name: "dependency-cycle",
        severities: ERROR,
        meaning: "Services wait for each other, so none could start.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  a:
    image: nginx:1.29
    depends_on: [b]
  b:
    image: nginx:1.29
    depends_on: [a]
",
        )]),
        fix: "Remove one of the dependencies.",
    },
    Code {
        name: "undefined-network",
        severities: ERROR,
        meaning: "A service uses a network that is not defined.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    networks: [front]
",
        )]),
        fix: "Define it under `networks:` at the top level.",
    },
    Code {
        name: "undefined-volume",
        severities: ERROR,
        meaning: "A service uses a volume that is not defined.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    volumes: ["data:/data"]
"#,
        )]),
        fix: "Define it under `volumes:` at the top level; a directory begins with `./`.",
    },
    Code {
        name: "undefined-config",
        severities: ERROR,
        meaning: "A service uses a config that is not defined.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    configs: [site]
",
        )]),
        fix: "Define it under `configs:` at the top level.",
    },
    Code {
        name: "undefined-secret",
        severities: ERROR,
        meaning: "A service uses a secret that is not defined.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    secrets: [token]
",
        )]),
        fix: "Define it under `secrets:` at the top level.",
    },
    Code {
        name: "undefined-model",
        severities: ERROR,
        meaning: "A service uses a model that is not defined.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    models: [chat]
",
        )]),
        fix: "Define it under `models:` at the top level.",
    },
    Code {
        name: "no-source",
        severities: ERROR,
        meaning: "A config or secret does not say where its content comes from.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    secrets: [token]
secrets:
  token: {}
",
        )]),
        fix: "Give it a `file:` or `environment:`, a config also `content:`.",
    },
    Code {
        name: "conflicting-keys",
        severities: ERROR,
        meaning: "Two keys exclude each other, or say different things about the same.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    network_mode: host
    networks: [front]
networks:
  front:
",
        )]),
        fix: "Keep one of the two.",
    },
    Code {
        name: "duplicate-mount",
        severities: ERROR,
        meaning: "A service mounts two things at one path.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    tmpfs: /cache
    volumes: ["./cache:/cache"]
"#,
        )]),
        fix: "Give one of them another path.",
    },
];
