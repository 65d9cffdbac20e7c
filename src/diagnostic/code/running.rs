//! What only the state of this machine shows: findings of `up`, `plan` and other commands.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Example::Situation;
use super::{Code, ERROR, WARNING};

pub(super) const CODES: &[Code] = &[
    Code {
        name: "image-missing",
        severities: ERROR,
        meaning: "An image is not in the local store and may be neither pulled nor built.",
        example: Situation("`up --pull never` needs an image that was never pulled"),
        fix: "Pull or build it first.",
    },
    Code {
        name: "external-missing",
        severities: ERROR,
        meaning: "A network or volume that is made elsewhere does not exist.",
        example: Situation("a volume has `external: true`, and nobody made it"),
        fix: "Make it, or remove `external: true`.",
    },
    Code {
        name: "scaled-container-name",
        severities: ERROR,
        meaning: "A service with a `container_name` is to have several containers.",
        example: Situation("`up --scale web=2`, and `web` has a `container_name`"),
        fix: "Remove `container_name`.",
    },
    Code {
        name: "disabled-service",
        severities: ERROR,
        meaning: "A service that is named on the command line is switched off by its profiles.",
        example: Situation("`restart db`, and the profile of `db` is not enabled"),
        fix: "Enable the profile with `--profile`.",
    },
    Code {
        name: "network-changed",
        severities: WARNING,
        meaning: "A network in use has other settings than the file, and is left as it is.",
        example: Situation("`subnet` of a network was edited while other containers use it"),
        fix: "`down` removes the network; the next `up` makes it anew.",
    },
    Code {
        name: "volume-changed",
        severities: WARNING,
        meaning: "A volume has other settings than the file, and is kept for its data.",
        example: Situation("`driver_opts` of a volume was edited"),
        fix: "`down --volumes` removes it with its data; the next `up` makes it anew.",
    },
    Code {
        name: "unresolved-image",
        severities: ERROR,
        meaning: "An image has no digest to pin it to.",
        example: Situation("`config --resolve-image-digests` with a tag that its registry does not have"),
        fix: "Correct the name, or log in to the registry.",
    },
    Code {
        name: "dockerfile",
        severities: ERROR,
        meaning: "A Dockerfile cannot be built.",
        example: Situation("`build --check`, and the Dockerfile says `FORM debian`"),
        fix: "Correct the line that is pointed at.",
    },
    Code {
        name: "dockerfile-check",
        severities: WARNING,
        meaning: "Something in a Dockerfile works, but could be better; the rule's name is that of docker's build checks.",
        example: Situation("`build --check`, and the Dockerfile says `CMD nginx -g 'daemon off;'`"),
        fix: "Do what the message says, or write `# check=skip=RULE` at the top of the Dockerfile.",
    },
    Code {
        name: "orphan",
        severities: WARNING,
        meaning: "The project has containers of services that are in none of its files.",
        example: Situation("a service was renamed while it ran"),
        fix: "`up --remove-orphans` removes them.",
    },
    Code {
        name: "no-container",
        severities: WARNING,
        meaning: "A service that is to be started, stopped or the like has no container.",
        example: Situation("`start web` before the first `up`"),
        fix: "`up` makes it.",
    },
];
