//! What is wrong with a file as YAML or TOML, whatever it says.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Example::{Files, Situation};
use super::{Code, ERROR, WARNING};

pub(super) const CODES: &[Code] = &[
    Code {
        name: "invalid-yaml",
        severities: ERROR,
        meaning: "The text is not YAML: a tab, a quote or bracket that is never closed, a line indented by too much.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
      ports: []
",
        )]),
        fix: "Indent by spaces, two a level, and put text with `: ` or ` #` in it in quotes.",
    },
    Code {
        name: "invalid-toml",
        severities: ERROR,
        meaning: "The text is not TOML.",
        example: Files(&[(
            "compose.toml",
            r"[services.web]
image = nginx
",
        )]),
        fix: "Put text in quotes; a table is `[services.web]`.",
    },
    Code {
        name: "not-a-mapping",
        severities: ERROR,
        meaning: "A compose file is a list or a single value.",
        example: Files(&[(
            "compose.yaml",
            r"- nginx
- mysql
",
        )]),
        fix: "Begin with a key such as `services:`.",
    },
    Code {
        name: "duplicate-key",
        severities: ERROR,
        meaning: "A mapping has the same key twice.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    image: nginx:1.28
",
        )]),
        fix: "Remove one of them, or put the entries of both under one key.",
    },
    Code {
        name: "non-string-key",
        severities: ERROR,
        meaning: "A key is a number, a boolean, nothing, or a collection.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  1:
    image: nginx:1.29
",
        )]),
        fix: "Put the key in quotes.",
    },
    Code {
        name: "unknown-anchor",
        severities: ERROR,
        meaning: "An alias `*name` stands before its anchor `&name`, or without one.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    <<: *base
    image: nginx:1.29
",
        )]),
        fix: "Define the anchor above, in the same file.",
    },
    Code {
        name: "anchor-cycle",
        severities: ERROR,
        meaning: "An alias stands inside of what it repeats.",
        example: Files(&[(
            "compose.yaml",
            r"x-all: &all
  again: *all
services:
  web:
    image: nginx:1.29
",
        )]),
        fix: "Take the alias out of its own anchor.",
    },
    Code {
        name: "invalid-merge-key",
        severities: ERROR,
        meaning: "`<<` is given something else than a mapping or a list of mappings.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    <<: nginx
    image: nginx:1.29
",
        )]),
        fix: "Write `<<: *name`, where `&name` stands before a mapping.",
    },
    Code {
        name: "invalid-tag",
        severities: ERROR,
        meaning: "A value is not what its YAML tag says.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    scale: !!int many
",
        )]),
        fix: "Correct the value, or remove the tag.",
    },
    Code {
        name: "unknown-tag",
        severities: WARNING,
        meaning: "A YAML tag means nothing in a compose file and is ignored.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: !latest nginx:1.29
",
        )]),
        fix: "Remove it; Compose knows `!reset` and `!override`.",
    },
    Code {
        name: "too-many-nodes",
        severities: ERROR,
        meaning: "The file has more values or documents than any project, or its aliases repeat so much that it would.",
        example: Files(&[(
            "compose.yaml",
            r"x-a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
x-b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
x-c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
x-d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
x-e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
x-f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]
",
        )]),
        fix: "Repeat less.",
    },
    Code {
        name: "date-as-text",
        severities: WARNING,
        meaning: "A date of TOML is read as text, which is all that Compose knows of dates.",
        example: Files(&[(
            "compose.toml",
            r#"[services.web]
image = "nginx:1.29"
labels = { released = 2026-01-31 }
"#,
        )]),
        fix: "Put the date in quotes.",
    },
    Code {
        name: "several-documents",
        severities: ERROR,
        meaning: "A YAML file of several documents cannot become one TOML file.",
        example: Situation("`convert` is given a file with a `---` between two documents"),
        fix: "Merge the documents into one, or make a file of each.",
    },
    Code {
        name: "aliases-written-out",
        severities: WARNING,
        meaning: "TOML has no anchors, so what aliases repeat is written out.",
        example: Situation("`convert` is given a YAML file with an alias"),
        fix: "Nothing, if the repetition is welcome; else keep the file in YAML.",
    },
];
