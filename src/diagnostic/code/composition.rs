//! What is wrong between files: overrides, `extends` and `include`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Example::Files;
use super::{Code, EITHER, ERROR};

pub(super) const CODES: &[Code] = &[
    Code {
        name: "cannot-override",
        severities: ERROR,
        meaning: "A later file gives a key another kind of value than the one it would be merged with.",
        example: Files(&[
            (
                "compose.yaml",
                r#"services:
  web:
    image: nginx:1.29
    ports: ["8080:80"]
"#,
            ),
            (
                "compose.override.yaml",
                r"services:
  web:
    ports: {http: 80}
",
            ),
        ]),
        fix: "Write both in the same form, or replace the value with `!override`.",
    },
    Code {
        name: "invalid-extends",
        severities: ERROR,
        meaning: "`extends` does not say which service.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    extends: {file: base.yaml}
",
        )]),
        fix: "Name it: `extends: {service: base}`.",
    },
    Code {
        name: "extends-cycle",
        severities: ERROR,
        meaning: "Services extend each other in a circle.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  a:
    extends: b
  b:
    extends: a
",
        )]),
        fix: "Take what they share into a service that extends nothing.",
    },
    Code {
        name: "unknown-service",
        severities: ERROR,
        meaning: "`extends` or the command line names a service that is not there.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    extends: bsae
  base:
    image: nginx:1.29
",
        )]),
        fix: "Correct the name.",
    },
    Code {
        name: "invalid-include",
        severities: EITHER,
        meaning: "`include` is not a list, or an entry has no path.",
        example: Files(&[(
            "compose.yaml",
            r"include: 5
services:
  web:
    image: nginx:1.29
",
        )]),
        fix: "Write a list of paths, or of mappings with `path:`.",
    },
    Code {
        name: "include-cycle",
        severities: ERROR,
        meaning: "Files include each other in a circle.",
        example: Files(&[
            (
                "compose.yaml",
                r"include: [other.yaml]
services:
  web:
    image: nginx:1.29
",
            ),
            (
                "other.yaml",
                r"include: [compose.yaml]
",
            ),
        ]),
        fix: "Remove one of the includes.",
    },
    Code {
        name: "remote-file",
        severities: ERROR,
        meaning: "A file elsewhere cannot be fetched, or is nothing that can be.",
        example: Files(&[(
            "compose.yaml",
            r#"include: ["https://example.com/stack.yaml"]
services:
  web:
    image: nginx:1.29
"#,
        )]),
        fix: "Name a git repository (`….git#REF:DIRECTORY`) or an artifact (`oci://NAME`) that you may read.",
    },
];
