//! Two places that contradict each other.

use super::said;

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
fn services_that_wait_for_each_other() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  a:\n    image: x:1\n    depends_on: [b]\n  b:\n    image: x:1\n    depends_on: [c]\n  c:\n    image: x:1\n    network_mode: service:a\n    prots: []\n")]), @r#"
    compose.yaml:4:18: error[dependency-cycle]: services wait for each other: a -> b -> c -> a
      4 |     depends_on: [b]
        |                  ^ a waits for b
      compose.yaml:7:18: b waits for c
      7 |     depends_on: [c]
        |                  ^
      compose.yaml:10:19: c waits for a
      10 |     network_mode: service:a
         |                   ^^^^^^^^^
      = help: remove one of these dependencies
    compose.yaml:11:5: error[unknown-key]: `prots` is not a key of services.c (a service)
      11 |     prots: []
         |     ^^^^^
      = help: did you mean `ports`?
    "#);
}
