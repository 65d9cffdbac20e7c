//! What is read before a project: its files, their text, variables and names.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Example::{Files, Situation};
use super::{Code, ERROR, WARNING};

pub(super) const CODES: &[Code] = &[
    Code {
        name: "no-compose-file",
        severities: ERROR,
        meaning: "Neither the directory nor one above it has a compose file.",
        example: Situation("in a directory without one"),
        fix: "Name the file `compose.yaml`, or say which with `-f FILE`.",
    },
    Code {
        name: "several-compose-files",
        severities: WARNING,
        meaning: "The directory has compose files of several names; the first is used.",
        example: Files(&[
            (
                "compose.yaml",
                r"services:
  web:
    image: nginx:1.29
",
            ),
            (
                "docker-compose.yml",
                r"services: {}
",
            ),
        ]),
        fix: "Keep one of them, or say which with `-f FILE`.",
    },
    Code {
        name: "empty-file",
        severities: ERROR,
        meaning: "There is nothing in the compose file, or only comments.",
        example: Files(&[(
            "compose.yaml",
            r"# nothing yet
",
        )]),
        fix: "Begin with a `services:` section.",
    },
    Code {
        name: "unreadable-file",
        severities: ERROR,
        meaning: "A file that is asked for cannot be read: a compose file, or one of `include`, `extends` or `--env-file`.",
        example: Files(&[(
            "compose.yaml",
            r"include:
  - databases.yaml
services:
  web:
    image: nginx:1.29
",
        )]),
        fix: "Correct the path, which is relative to the directory of the file that names it, or create the file.",
    },
    Code {
        name: "missing-file",
        severities: ERROR,
        meaning: "A file that a service needs is not there: an `env_file`, a `label_file`, or the file of a config or secret.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    env_file: web.env
",
        )]),
        fix: "Create the file or correct its path; an `env_file` may be absent with `required: false`.",
    },
    Code {
        name: "not-utf-8",
        severities: ERROR,
        meaning: "A file is not text in UTF-8.",
        example: Situation("a file was saved as Latin-1 or UTF-16"),
        fix: "Save the file as UTF-8.",
    },
    Code {
        name: "bad-path",
        severities: ERROR,
        meaning: "The path of the project directory is not text in UTF-8.",
        example: Situation("the directory's name has bytes that are no characters"),
        fix: "Rename the directory.",
    },
    Code {
        name: "invalid-env-file",
        severities: ERROR,
        meaning: "A line of `.env` or of an `env_file` is not `NAME=value`.",
        example: Files(&[
            (
                "compose.yaml",
                r"services:
  web:
    image: nginx:1.29
",
            ),
            (
                ".env",
                r"BAD KEY=2
",
            ),
        ]),
        fix: "Write one `NAME=value` a line; put a value that goes over several lines in quotes.",
    },
    Code {
        name: "unset-variable",
        severities: WARNING,
        meaning: "A variable has no value and no default, so nothing is put in its place.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    hostname: web-${STAGE}
",
        )]),
        fix: "Set it in `.env`, with `--env-file` or in the shell, or give it a default: `${STAGE:-test}`.",
    },
    Code {
        name: "required-variable",
        severities: ERROR,
        meaning: "A variable that must have a value has none: `${NAME:?why}`, or the `environment:` of a config or secret.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:${TAG:?set the version of nginx}
",
        )]),
        fix: "Set it in `.env`, with `--env-file` or in the shell.",
    },
    Code {
        name: "too-long",
        severities: ERROR,
        meaning: "Variables that repeat other variables make a value, or the values of an env file, longer than 16 MiB.",
        example: Situation("an env file of `A=0123456789`, then thirty lines of `A=$A$A`"),
        fix: "Repeat less.",
    },
    Code {
        name: "invalid-interpolation",
        severities: ERROR,
        meaning: "A `$` begins something that is not a variable.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    environment:
      PRICE: ${1USD}
",
        )]),
        fix: "Write `$$` for a literal `$`; a variable is `$NAME`, `${NAME}` or `${NAME:-default}`.",
    },
    Code {
        name: "invalid-project-name",
        severities: ERROR,
        meaning: "The name of the project cannot be used.",
        example: Files(&[(
            "compose.yaml",
            r#"name: "!!!"
services:
  web:
    image: nginx:1.29
"#,
        )]),
        fix: "Use lower-case letters, digits, `-` and `_`, beginning with a letter or digit.",
    },
    Code {
        name: "changed-project-name",
        severities: WARNING,
        meaning: "The name of the project has characters that are left out.",
        example: Files(&[(
            "compose.yaml",
            r"name: My App
services:
  web:
    image: nginx:1.29
",
        )]),
        fix: "Write the name as it is used: lower-case letters, digits, `-` and `_`.",
    },
    Code {
        name: "linked-project-name",
        severities: WARNING,
        meaning: "The project is called after a symbolic link to its directory; reached by another way it is another project.",
        example: Situation("the working directory is `current -> releases/7`, and no file gives a name"),
        fix: "Give it a name with a top-level `name:`.",
    },
    Code {
        name: "invalid-boolean",
        severities: ERROR,
        meaning: "A variable that is a switch is neither true nor false.",
        example: Situation("`COMPOSE_DISABLE_ENV_FILE=maybe` is set"),
        fix: "Write 1 or 0.",
    },
];
