//! What is right, but not possible here.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Example::{Files, Situation};
use super::{Code, EITHER, ERROR, WARNING};

pub(super) const CODES: &[Code] = &[
    Code {
        name: "unsupported-key",
        severities: EITHER,
        meaning: "A key of the Compose Specification cannot be honoured on this host: an error where the service would not run as meant, else a warning.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    gpus: all
",
        )]),
        fix: "Remove the key, or do as the help says.",
    },
    Code {
        name: "unsupported-value",
        severities: ERROR,
        meaning: "A value of the Compose Specification cannot be honoured on this host.",
        example: Files(&[(
            "compose.yaml",
            r#"services:
  web:
    image: nginx:1.29
    security_opt: ["apparmor=strict"]
"#,
        )]),
        fix: "Take one of the values that are listed.",
    },
    Code {
        name: "scaled-address",
        severities: ERROR,
        meaning: "A service has one fixed address for several containers.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    scale: 2
    networks:
      front: {ipv4_address: 172.30.0.10}
networks:
  front:
    ipam:
      config: [{subnet: 172.30.0.0/24}]
",
        )]),
        fix: "Remove the address, or have one container.",
    },
    Code {
        name: "several-subnets",
        severities: WARNING,
        meaning: "A network has several IPv4 subnets; the first is used.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    networks: [front]
networks:
  front:
    ipam:
      config: [{subnet: 172.30.0.0/24}, {subnet: 172.31.0.0/24}]
",
        )]),
        fix: "Keep one of them.",
    },
    Code {
        name: "network-option",
        severities: WARNING,
        meaning: "An option of a network has no effect.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    networks: [front]
networks:
  front:
    driver_opts: {com.example.color: red}
",
        )]),
        fix: "Remove it.",
    },
    Code {
        name: "logging-option",
        severities: WARNING,
        meaning: "An option of the log has no effect.",
        example: Files(&[(
            "compose.yaml",
            r"services:
  web:
    image: nginx:1.29
    logging:
      options: {tag: web}
",
        )]),
        fix: "Remove it; `max-size` and `max-file` are known.",
    },
    Code {
        name: "limit-not-honoured",
        severities: WARNING,
        meaning: "The kernel of this host has no means for a limit.",
        example: Situation("`mem_limit` is given on a host without the memory control group"),
        fix: "Remove the limit, or enable the control group on the host.",
    },
    Code {
        name: "watch-below-bind-mount",
        severities: WARNING,
        meaning: "A watch rule copies files to where the service has mounted a directory of the host.",
        example: Situation("`target` of a `develop.watch` rule is below a bind mount"),
        fix: "Remove the rule or the mount: the files are there already.",
    },
];
