//! Too much of everything: a hundred thousand mistakes, or a few lines that stand for millions of things.

use std::os::unix::fs::PermissionsExt as _;

use super::{SERVICE, config, refused, yaml};

/// `line` for each number up to `count`.
fn many(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[track_caller]
fn accepted(text: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("compose.yaml"), text).expect("written");
    let (code, said) = config(directory.path(), &[]);
    let short: String = said.chars().take(2_000).collect();
    assert_eq!(code, Some(0), "{short}");
}

#[test]
fn ranges_of_ports_cannot_stand_for_millions() {
    accepted("services: {a: {image: x, ports: ['1-65535:1-65535']}}\n");
    let words = "error[too-many-ports]: with `1-65535";
    for entry in ["1-65535", "1-65535:1-65535"] {
        let each = |number| format!("  s{number}: {{image: x, ports: ['{entry}']}}\n");
        yaml(&format!("services:\n{}", many(50, each)), words);
        let each = |number| format!("  s{number}: {{extends: base}}\n");
        let base = format!("services:\n  base: {{image: x, ports: ['{entry}', '80']}}\n");
        yaml(&format!("{base}{}", many(50, each)), words);
        let items = format!("      - {entry}\n").repeat(50);
        yaml(&format!("{SERVICE}    ports:\n{items}"), words);
    }
    let file = |number: usize| format!("services: {{s{number}: {{image: x, ports: ['1-65535', '80']}}}}\n");
    let files: Vec<(String, String)> = (0..20).map(|n| (format!("c{n}.yaml"), file(n))).collect();
    let includes = many(20, |number| format!("  - c{number}.yaml\n"));
    let compose = format!("include:\n{includes}");
    let mut all = vec![("compose.yaml", compose.as_bytes())];
    all.extend(files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())));
    refused(&all, &[], words);
}

#[test]
fn ten_thousand_services_in_a_row_of_extensions_are_refused_once() {
    let link = |number: usize| format!("  a{}: {{extends: a{number}}}\n", number + 1);
    let back = |number: usize| link(9_999 - number);
    for text in [
        format!("services:\n  a0: {{image: x}}\n{}", many(10_000, link)),
        format!("services:\n{}  a0: {{image: x}}\n", many(10_000, back)),
    ] {
        yaml(&text, "more than 100 deep");
    }
    let other = many(2_000, |number| format!("  b{number}: {{image: x, user: $A}}\n"));
    let each =
        |number| format!("  a{number}: {{extends: {{file: b.yaml, service: b{number}}}, prots: []}}\n");
    let compose = format!("services:\n{}", many(2_000, each));
    let other = format!("services:\n{other}");
    let files = [("compose.yaml", compose.as_bytes()), ("b.yaml", other.as_bytes())];
    refused(&files, &[], "did you mean `ports`");
}

/// A service with a hundred thousand lines below a key.
fn below(key: &str, line: impl Fn(usize) -> String) -> String {
    format!("{SERVICE}    {key}:\n{}", many(100_000, line))
}

const MORE: &str = "… and 99900 more";

#[test]
fn a_hundred_thousand_mistakes_of_a_kind_are_said_in_short() {
    yaml(&below("environment", |n| format!("      - A{n}=${{\n")), MORE);
    yaml(
        &below("environment", |_| "      A: 1\n".to_owned()),
        "duplicate-key",
    );
    yaml(
        &format!("services:\n{}", many(100_000, |n| format!("  s{n}: 1\n"))),
        MORE,
    );
    yaml(&format!("x-a: [{}]\n", "*b,".repeat(900_000)), "unknown-anchor");
    let toml = many(100_000, |n| format!("k{n} = 1\n"));
    let toml = format!("[services.a]\nimage = \"x\"\n{toml}");
    refused(&[("compose.toml", toml.as_bytes())], &[], MORE);
}

#[test]
fn a_hundred_thousand_names_that_lead_nowhere_are_said_in_short() {
    yaml(&below("volumes", |n| format!("      - v{n}:/t{n}\n")), MORE);
    yaml(&below("networks", |n| format!("      - n{n}\n")), MORE);
    yaml(&below("depends_on", |n| format!("      - s{n}\n")), MORE);
    yaml(
        &(below("volumes", |n| format!("      - ./v{n}:/t\n")) + "    prots: []\n"),
        "did you mean",
    );
}

#[test]
fn environment_files_are_bounded_in_mistakes_and_variables() {
    let service = format!("{SERVICE}    env_file: e\n");
    for (text, words) in [
        ("a b c\n".repeat(100_000), "… and 99900 more"),
        ("A='x\n".repeat(99_999), "invalid-env-file"),
        ("A=${\n".repeat(100_000), "invalid-interpolation"),
        ("A=x\n".repeat(1_000_000), "more than 100000 variables"),
        (
            many(1_000_000, |number| format!("A{number}=x\n")),
            "more than 100000 variables",
        ),
        (
            many(90_000, |number| format!("A{number}=$B\n")) + "a b\n",
            "contains a space",
        ),
    ] {
        for (name, compose) in [("e", service.as_str()), (".env", SERVICE)] {
            refused(
                &[("compose.yaml", compose.as_bytes()), (name, text.as_bytes())],
                &[],
                words,
            );
        }
    }
}

#[test]
fn files_of_nothing_but_length_are_read_or_refused() {
    let long = "x".repeat(15_900_000);
    accepted(&format!(
        "{{services: {{a: {{image: x, command: [\"{long}\"]}}}}}}"
    ));
    accepted(&format!("{SERVICE}#{long}\n"));
    yaml(
        &format!("{SERVICE}    command: '{long}'\n"),
        "no program takes more than 2 MiB",
    );
    yaml(
        &format!("{SERVICE}    command: '{}'\n", "x ".repeat(7_900_000)),
        "no program takes",
    );
    let nested = format!("{}x{}", "${B:-".repeat(2_000_000), "}".repeat(2_000_000));
    yaml(
        &format!("{SERVICE}    user: '{nested}'\n"),
        "invalid-interpolation",
    );
    yaml(
        &format!("{SERVICE}    user: '{}'\n", "${".repeat(5_000_000)),
        "invalid-interpolation",
    );
    yaml(
        &format!("{SERVICE}    command: [{}]\n", "a,".repeat(1_100_000)),
        "too-many-nodes",
    );
    let toml = format!("[services.a]\ncommand = [{}]\n", "1,".repeat(5_000_000));
    refused(&[("compose.toml", toml.as_bytes())], &[], "too-many-nodes");
}

#[test]
fn many_documents_and_files_are_looked_at_once_each() {
    yaml(
        &format!("{SERVICE}{}", "---\n".repeat(100_000)),
        "more than 10000 documents",
    );
    let document = |number| format!("---\nservices: {{s{number}: {{image: x}}}}\n");
    yaml(
        &format!("{}    prots: []\n", many(9_000, document) + "---\n" + SERVICE),
        "did you mean `ports`",
    );
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
    let mut flags = Vec::new();
    for number in 0..1_000 {
        write(
            &format!("c{number}.yaml"),
            &format!("services: {{s{number}: {{image: x}}}}\n"),
        );
    }
    for number in 0..100 {
        flags.extend(["-f".to_owned(), format!("c{number}.yaml")]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert_eq!(config(directory.path(), &flags).0, Some(0));
    let include = many(1_000, |number| format!("  - c{number}.yaml\n"));
    write("compose.yaml", &format!("include:\n{include}"));
    assert_eq!(config(directory.path(), &[]).0, Some(0));
    let include = many(100_000, |number| format!("  - gone{number}.yaml\n"));
    write("compose.yaml", &format!("include:\n{include}"));
    let (code, said) = config(directory.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("no such file") && said.contains("… and 1"),
        "{said:.2000}"
    );
}

/// Root's processes are not counted by this limit, so the program runs as nobody, from a copy that nobody may read.
#[test]
fn a_large_project_loads_where_no_thread_can_be_started() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).expect("opened");
    let program = directory.path().join("rcompose");
    std::fs::copy(env!("CARGO_BIN_EXE_rcompose"), &program).expect("copied");
    let services = many(300, |at| format!("  s{at}: {{image: x}}\n"));
    std::fs::write(
        directory.path().join("compose.yaml"),
        format!("services:\n{services}"),
    )
    .expect("written");
    let output = std::process::Command::new("prlimit")
        .args([
            "--nproc=1:1",
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ])
        .arg(&program)
        .args(["config", "--services"])
        .current_dir(directory.path())
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 300);
}
