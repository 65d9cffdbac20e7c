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
