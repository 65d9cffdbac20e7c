//! Keys that are not known, missing, or in the wrong place.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Example::Files;
use super::{Code, EITHER, ERROR, WARNING};

pub(super) const CODES: &[Code] = &[
    Code {
        name: "unknown-key",
        severities: EITHER,
        meaning: "The Compose Specification has no such key here.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    prots: ["8080:80"]
"#,
        )]),
        fix: "Take the proposed key; a key of your own begins with `x-`.",
    },
    Code {
        name: "service-at-root",
        severities: ERROR,
        meaning: "A service stands at the top of the file, as in files of version 1.",
        example: Files(&[(
            "compose.yaml",
            r"web:
  image: nginx:1.29
",
        )]),
        fix: "Put all services under `services:`.",
    },
    Code {
        name: "missing-key",
        severities: ERROR,
        meaning: "A key that must be there is not.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    develop:
      watch:
        - path: ./src
",
        )]),
        fix: "Add the key.",
    },
    Code {
        name: "empty-service",
        severities: ERROR,
        meaning: "A service has nothing in it.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
",
        )]),
        fix: "Give it at least an image, or remove it.",
    },
    Code {
        name: "bad-name",
        severities: ERROR,
        meaning: "A name has characters that it cannot have.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  my web:
    image: nginx:1.29
",
        )]),
        fix: "Use letters, digits, `.`, `_` and `-`.",
    },
    Code {
        name: "obsolete-version",
        severities: WARNING,
        meaning: "`version:` has no meaning any more.",
        example: Files(&[(
            "compose.yaml",
            r#"version: "3.8"
services:
  web:
    image: nginx:1.29
"#,
        )]),
        fix: "Remove the line.",
    },
    Code {
        name: "deprecated-key",
        severities: WARNING,
        meaning: "A key is written in a form of older versions.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    volumes: ["data:/data"]
volumes:
  data:
    external:
      name: shared
"#,
        )]),
        fix: "Write `name: shared` and `external: true`.",
    },
    Code {
        name: "ignored-key",
        severities: WARNING,
        meaning: "A setting of something that is made elsewhere, or a size written with a point, has no effect.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    networks: [front]
networks:
  front:
    external: true
    driver: bridge
",
        )]),
        fix: "Remove the key; an external network is only named.",
    },
];
