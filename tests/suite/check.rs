//! `rcompose check` as editors, hooks and pipelines call it: what it prints where, what it ends with, and that it touches nothing.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `rcompose check` on a file in a directory of its own.
fn check(file: &str, flags: &[&str]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("compose.yaml"), file).expect("a file");
    let output = check_in(directory.path(), flags);
    let left: Vec<_> = std::fs::read_dir(directory.path())
        .expect("a directory")
        .collect();
    assert_eq!(left.len(), 1, "nothing is made: {left:?}");
    output
}

fn check_in(directory: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rcompose"))
        .arg("check")
        .args(flags)
        .current_dir(directory)
        .env_clear()
        .env("RCOMPOSE_DATA_ROOT", directory.join("data"))
        .env("RCOMPOSE_RUN_ROOT", directory.join("run"))
        .output()
        .expect("rcompose runs")
}

fn out(output: &Output) -> String {
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "findings are the output"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const FINE: &str = "services:\n  web:\n    image: nginx:1.29\n";
const DOUBTFUL: &str = "version: '3'\nservices:\n  web:\n    image: nginx\n";
const WRONG: &str = "services:\n  web:\n    image: \"nginx:1.29\"\n    prots: [80]\n    depends_on:\n      db: {condition: \"healthy\"}\n  db:\n    image: mysql:8\n    depends_on: [web]\n";

#[test]
fn the_end_tells_whether_the_files_can_be_used() {
    for (file, flags, code) in [
        (FINE, &[][..], 0),
        (FINE, &["--deny-warnings"], 0),
        (DOUBTFUL, &[], 0),
        (DOUBTFUL, &["--deny-warnings"], 1),
        ("services:\n  web:\n    image: nginx\n", &["--deny-warnings"], 0),
        (WRONG, &[], 1),
        (WRONG, &["-q"], 1),
        (WRONG, &["--format", "json"], 1),
        (
            "services:\n  web:\n    image: nginx:1.29\n    gpus: all\n",
            &[],
            1,
        ),
    ] {
        assert_eq!(check(file, flags).status.code(), Some(code), "{flags:?} {file}");
    }
}

#[test]
fn paths_are_short_and_the_last_line_counts() {
    let text = out(&check(WRONG, &[]));
    assert!(
        text.starts_with("compose.yaml:4:5: error[unknown-key]: `prots`"),
        "{text}"
    );
    assert!(text.ends_with("\n3 errors in compose.yaml\n"), "{text}");
    assert_eq!(out(&check(FINE, &[])), "no findings in compose.yaml\n");
    assert!(out(&check(DOUBTFUL, &[])).ends_with("\n1 warning, 1 note in compose.yaml\n"));
}

#[test]
fn quiet_prints_what_failed_and_nothing_else() {
    assert_eq!(out(&check(DOUBTFUL, &["-q"])), "");
    let denied = out(&check(DOUBTFUL, &["-q", "--deny-warnings"]));
    assert!(
        denied.starts_with("compose.yaml:1:1: warning[obsolete-version]"),
        "{denied}"
    );
    assert!(
        !denied.contains("note[") && !denied.contains(" in compose.yaml\n"),
        "{denied}"
    );
}

#[test]
fn json_is_one_object_a_line_with_places_and_fixes() {
    let text = out(&check(WRONG, &["--format", "json"]));
    let findings: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let codes: Vec<&str> = findings
        .iter()
        .filter_map(|finding| finding["code"].as_str())
        .collect();
    assert_eq!(codes, ["unknown-key", "dependency-cycle", "unknown-value"]);
    let key = &findings[0];
    assert!(
        key["file"]
            .as_str()
            .is_some_and(|file| file.starts_with('/') && file.ends_with("/compose.yaml"))
    );
    assert_eq!(
        key["range"]["start"],
        serde_json::json!({"line": 4, "column": 5, "offset": WRONG.find("prots")})
    );
    assert_eq!(key["fix"]["text"], "ports");
    assert_eq!(
        findings[2]["fix"]["text"], "\"service_healthy\"",
        "what was quoted stays quoted"
    );
    // Applied, the fix is right.
    let start = key["fix"]["range"]["start"]["offset"].as_u64().expect("a number");
    let end = key["fix"]["range"]["end"]["offset"].as_u64().expect("a number");
    let (start, end) = (
        usize::try_from(start).expect("small"),
        usize::try_from(end).expect("small"),
    );
    let mended = format!("{}ports{}", &WRONG[..start], &WRONG[end..]);
    assert!(!out(&check(&mended, &["--format", "json"])).contains("unknown-key"));
    assert_eq!(out(&check(FINE, &["--format", "json"])), "");
}

#[test]
fn a_code_is_explained_and_an_unknown_one_has_a_neighbour() {
    let text = out(&check(FINE, &["--explain", "unknown-key"]));
    assert!(
        text.starts_with("### unknown-key") && text.contains("Fix: "),
        "{text}"
    );
    let unknown = check(FINE, &["--explain", "unknown-kye"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `unknown-key`?"));
}

#[test]
fn files_of_services_and_references_are_looked_at() {
    let text = out(&check(
        "services:\n  web:\n    image: nginx:1.29\n    env_file: web.env\n    secrets: [token]\n    ports: ['80:80']\nsecrets:\n  token: {file: ./token}\n",
        &[],
    ));
    assert!(text.contains("compose.yaml:4:15: error[missing-file]"), "{text}");
    let text = out(&check(
        "services:\n  web:\n    image: nginx:1.29\n    secrets: [token]\nsecrets:\n  token: {file: ./token}\n",
        &[],
    ));
    assert!(text.contains("compose.yaml:4:15: error[missing-file]"), "{text}");
}
