//! `config --explain`: what the book shows is what the program prints, word by word; and what it says when asked amiss.
//! Through the binary; nothing here needs a kernel's leave.

use crate::loading::Desk;

const BOOK: &str = include_str!("../../book/src/explain.md");

/// The project of the book.
fn shop() -> Desk {
    let desk = Desk::new(&[
        ("cache/compose.yaml", "services:\n  cache:\n    image: redis:7\n"),
        (".env", "# the database\n\nDB_HOST=db\n"),
        ("web.env", "LOG=info\nDB_PASSWORD=secret\n"),
    ]);
    for block in BOOK.split("```yaml\n# ").skip(1) {
        let (name, rest) = block.split_once('\n').expect("a name");
        let (text, _) = rest.split_once("```").expect("an end");
        desk.write(name, text);
    }
    desk
}

#[test]
fn the_book_shows_what_is_printed() {
    let desk = shop();
    let lines: Vec<&str> = BOOK.lines().collect();
    let mut shown = 0;
    for (at, line) in lines.iter().enumerate() {
        let Some(asked) = line.strip_prefix("    $ rcompose config --explain ") else {
            continue;
        };
        let output: String = lines[at + 1..]
            .iter()
            .map_while(|line| line.strip_prefix("    "))
            .flat_map(|line| [line, "\n"])
            .collect();
        let ran = desk
            .run(&format!("config --explain {}", asked.trim_matches('\'')))
            .success();
        assert_eq!(ran.stdout, output, "{asked}");
        shown += 1;
    }
    assert_eq!(shown, 4);
}

#[test]
fn json_says_the_same() {
    let desk = shop();
    let asked = "services.web.environment.DB_HOST";
    let ran = desk
        .run(&format!("config --explain {asked} --format json"))
        .success();
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(told[0]["path"], asked);
    assert_eq!(told[0]["value"], "db");
    let kinds: Vec<&str> = told[0]["chain"]
        .as_array()
        .expect("a chain")
        .iter()
        .filter_map(|link| link["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["written", "variable", "replaced"]);
    assert_eq!(told[0]["chain"][2]["line"], 11);
    let ran = desk.run("config --explain DB_HOST --format json").success();
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(told["lookup"][1]["counts"], true);
    assert_eq!(told["lookup"][1]["line"], 3);
    assert_eq!(told["uses"][0]["expression"], "${DB_HOST}");
}

#[test]
fn a_path_that_is_not_there_is_answered_with_the_nearest() {
    let desk = shop();
    let asked = |path: &str| desk.run(&format!("config --explain {path}")).fails_with(1).stderr;
    let near = asked("services.wbe.image");
    assert!(near.contains("did you mean `services.web.image`?"), "{near}");
    let unprinted = asked("services.web.env_file");
    assert!(unprinted.contains("compose.yaml:13:15"), "{unprinted}");
    assert!(unprinted.contains("services.web.environment"), "{unprinted}");
    let unknown = asked("services.zzzzzz");
    assert!(unknown.contains("`services` has cache, web"), "{unknown}");
}

#[test]
fn what_was_reset_is_answered_with_where() {
    let desk = Desk::new(&[
        (
            "a.yaml",
            "services:\n  web: {image: i, ports: ['80:80'], environment: {A: b, C: d}}\n  old: {image: j}\n",
        ),
        (
            "b.yaml",
            "services:\n  web:\n    ports: !reset []\n    environment: {A: !reset null}\n  old: !reset {}\n",
        ),
        ("c.yaml", "services: {web: {user: u}}\n"),
    ]);
    let asked = |path: &str| {
        let line = format!("-f a.yaml -f b.yaml -f c.yaml config --explain {path}");
        desk.run(&line).fails_with(1).stderr
    };
    for (path, place) in [
        ("services.web.ports", "b.yaml:3:"),
        ("services.web.ports[0].target", "b.yaml:3:"),
        ("web.ports", "b.yaml:3:"),
        ("services.web.environment.A", "b.yaml:4:"),
        ("services.old.image", "b.yaml:5:"),
        ("old", "b.yaml:5:"),
    ] {
        let said = asked(path);
        let expected = format!("there is nothing at `{path}`: the `!reset` at {place}");
        assert!(said.contains(&expected), "{said}");
    }
    let unset = asked("services.web.volumes");
    assert!(!unset.contains("reset"), "{unset}");
}

#[test]
fn a_variable_that_keeps_the_files_from_loading_can_be_asked_about() {
    let desk = Desk::new(&[
        (
            "compose.yaml",
            "services: {web: {image: \"x:${TAG:?}\", env_file: web.env}}\n",
        ),
        ("web.env", "TAG=1\n"),
    ]);
    let failed = desk.run("config").fails_with(1);
    assert!(
        failed.stderr.contains("in an env_file of `web`"),
        "{}",
        failed.stderr
    );
    let told = desk.run("config --explain TAG").success();
    assert!(told.stdout.starts_with("TAG is not set\n"), "{}", told.stdout);
    assert!(
        told.stdout.contains("web.env:1:1, in an env_file of `web`"),
        "{}",
        told.stdout
    );
    assert!(told.stdout.contains("compose.yaml:1:28"), "{}", told.stdout);
}

#[test]
fn an_empty_variable_of_the_shell_hides_the_file() {
    let desk = shop().with("DB_HOST", "");
    let told = desk.run("config --explain DB_HOST").success().stdout;
    assert!(told.contains("environment  \"\", this one counts"), "{told}");
    assert!(told.contains("which hides .env:3:1"), "{told}");
}

#[test]
fn a_dollar_in_an_environment_file_is_pointed_out() {
    let desk = Desk::new(&[
        (
            "compose.yaml",
            "services: {web: {image: x, environment: {P: $PASSWORD}}}\n",
        ),
        (".env", "PASSWORD=a$b\n"),
    ]);
    let told = desk.run("config --explain PASSWORD").success().stdout;
    assert!(
        told.contains("the `$` in its value at .env:1:1 was interpolated"),
        "{told}"
    );
    assert!(told.contains("single quotes"), "{told}");
}
