//! Several mistakes in one file: all at once, and none as a consequence of another.

use super::said;

#[test]
fn everything_at_once() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  web:\n    prots: [80]\n    image: 12\n    depends_on: [nobody]\n  db:\n    restart: sometimes\n    mem_limit: lots\n")]), @r#"
    compose.yaml:3:5: error[unknown-key]: `prots` is not a key of services.web (a service)
      3 |     prots: [80]
        |     ^^^^^
      = help: did you mean `ports`?
    compose.yaml:4:12: error[wrong-type]: services.web.image must be text, not the number 12
      4 |     image: 12
        |            ^^ text is expected here
      = help: quote it: `"12"`
    compose.yaml:5:18: error[undefined-service]: the service `web` depends on `nobody`, which is not defined
      5 |     depends_on: [nobody]
        |                  ^^^^^^
      = help: the other services are db
    compose.yaml:6:3: error[no-image]: the service `db` has neither `image` nor `build`
      6 |   db:
        |   ^^
      = help: say what it runs:
              services:
                db:
                  image: …
    compose.yaml:8:16: error[bad-value]: services.db.mem_limit: `lots` is not a size: it has no number
      8 |     mem_limit: lots
        |                ^^^^
    "#);
}

#[test]
fn one_mistake_is_told_once() {
    insta::assert_snapshot!(said(&[("compose.yaml", "services:\n  typo:\n    imagee: x:1\n  empty:\n    image:\n  limits:\n    image: x:1\n    mem_limit: 2gigs\n    cpus: two\n    depends_on:\n      typo: {conditon: service_started}\n    deploy:\n      resources:\n        limits: {memory: 1g, cpus: \"1\"}\nnetworks: [default]\n")]), @r#"
    compose.yaml:3:5: error[unknown-key]: `imagee` is not a key of services.typo (a service)
      3 |     imagee: x:1
        |     ^^^^^^
      = help: did you mean `image`?
    compose.yaml:5:10: error[wrong-type]: services.empty.image must be text, not nothing
      5 |     image:
        |          ^ text is expected here
      = help: give it a value or remove the key
    compose.yaml:8:16: error[bad-value]: services.limits.mem_limit: `2gigs` is not a size: the unit is one of b, k, m, g, t and p
      8 |     mem_limit: 2gigs
        |                ^^^^^
      = help: try `2g`
    compose.yaml:9:11: error[wrong-type]: services.limits.cpus must be a number, not text
      9 |     cpus: two
        |           ^^^ a number is expected here
    compose.yaml:11:14: error[unknown-key]: `conditon` is not a key of services.limits.depends_on.typo (a dependency)
      11 |       typo: {conditon: service_started}
         |              ^^^^^^^^
      = help: did you mean `condition`?
    compose.yaml:15:11: error[wrong-type]: networks must be a mapping, not a list
      15 | networks: [default]
         |           ^^^^^^^^^ a mapping is expected here
      = help: write a mapping:
              networks:
                default: null
    "#);
}
