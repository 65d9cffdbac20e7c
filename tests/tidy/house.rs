//! The house rules that a compiler cannot check: who may import whom, how long a file may be, how it opens, what it may be called.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines a file may have before its tests.
const LONGEST: usize = 500;
/// Lines of `//!` at the head of a file.
const LONGEST_HEADER: usize = 5;
/// Names that say nothing.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "common", "manager", "types"];

/// Rooms of the engine and what each may import of the others; `runtime` is the door.
const IMPORTS: [(&str, &[&str]); 14] = [
    ("diagnostic", &["source"]),
    ("source", &["diagnostic"]),
    ("model", &["source", "diagnostic"]),
    ("graph", &["model", "diagnostic", "source"]),
    ("plan", &["model", "graph", "diagnostic", "source", "runtime"]),
    ("event", &["diagnostic", "model", "plan", "runtime"]),
    ("state", &["event", "model", "diagnostic", "runtime"]),
    (
        "engine",
        &[
            "plan",
            "graph",
            "model",
            "event",
            "state",
            "diagnostic",
            "source",
            "runtime",
        ],
    ),
    ("watch", &["model", "diagnostic", "source", "event", "runtime"]),
    ("logs", &["model"]),
    (
        "error",
        &[
            "diagnostic",
            "engine",
            "model",
            "source",
            "state",
            "ui",
            "watch",
            "runtime",
        ],
    ),
    (
        "ui",
        &[
            "diagnostic",
            "source",
            "event",
            "logs",
            "plan",
            "model",
            "state",
            "runtime",
        ],
    ),
    ("cli", &["commands", "ui"]),
    (
        "commands",
        &[
            "cli",
            "diagnostic",
            "source",
            "model",
            "graph",
            "plan",
            "engine",
            "watch",
            "event",
            "state",
            "logs",
            "error",
            "ui",
            "runtime",
        ],
    ),
];

/// Files that do no I/O, and must let the compiler prove it.
const PURE: [&str; 12] = [
    "src/diagnostic.rs",
    "src/graph.rs",
    "src/plan",
    "src/model",
    "src/source/node.rs",
    "src/source/yaml.rs",
    "src/source/merge.rs",
    "src/source/interpolate.rs",
    "src/engine/lower",
    "src/watch/rules.rs",
    "runtime/shim/src/restart.rs",
    "runtime/network/src/ipam.rs",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for directory in ["src", "runtime", "tests", "benches", "fuzz"] {
        sources(&root.join(directory), &mut found);
    }
    assert!(found.len() > 100, "the tree was not found");
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("source is text");
            (
                path.strip_prefix(root)
                    .expect("below the root")
                    .to_str()
                    .expect("utf-8 path")
                    .to_owned(),
                text,
            )
        })
        .collect()
}

#[track_caller]
fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} places:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn files_are_short_and_open_with_what_they_are() {
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        let is_test = path.contains("/tests") || path.starts_with("tests/");
        let before_tests = text
            .lines()
            .position(|line| line.trim() == "#[cfg(test)]")
            .unwrap_or(text.lines().count());
        if before_tests > LONGEST && !is_test {
            wrong.push(format!(
                "{path}: {before_tests} lines before its tests, at most {LONGEST}"
            ));
        }
        let header = text.lines().take_while(|line| line.starts_with("//!")).count();
        if header == 0 || header > LONGEST_HEADER {
            wrong.push(format!(
                "{path}: opens with {header} lines of `//!`, 1 to {LONGEST_HEADER} are wanted"
            ));
        }
    }
    report(&wrong);
}

#[test]
fn names_say_something() {
    let empty = |path: &str| path.split(['/', '.']).any(|part| EMPTY_NAMES.contains(&part));
    report(
        &all_sources()
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| empty(path))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn rooms_import_only_what_they_may() {
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        let Some(inside) = path.strip_prefix("src/") else {
            if path.starts_with("runtime/") && text.contains("use rcompose::") {
                wrong.push(format!("{path}: the runtime never imports the engine"));
            }
            continue;
        };
        let room = inside.split(['/', '.']).next().unwrap_or_default();
        let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == room) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if line.trim() == "#[cfg(test)]" {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            for part in code.split("crate::").skip(1) {
                let other: String = part
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let is_room = IMPORTS.iter().any(|(name, _)| *name == other);
                if is_room && other != room && !allowed.contains(&other.as_str()) {
                    wrong.push(format!("{path}:{}: {room} must not import {other}", number + 1));
                }
            }
            for inner in [
                "rcompose_container",
                "rcompose_network",
                "rcompose_image",
                "rcompose_sys",
            ] {
                if code.contains(inner) {
                    wrong.push(format!(
                        "{path}:{}: the engine imports the door only, not {inner}",
                        number + 1
                    ));
                }
            }
            if code.contains("rcompose_runtime") && !allowed.contains(&"runtime") {
                wrong.push(format!(
                    "{path}:{}: {room} must not import the runtime",
                    number + 1
                ));
            }
        }
    }
    report(&wrong);
}

#[test]
fn pure_files_let_the_compiler_prove_it() {
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        let pure = PURE
            .iter()
            .any(|pure| path == *pure || path.starts_with(&format!("{pure}/")));
        let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
        // A file is covered by its own header or, as a submodule, by that of the file that declares it.
        let covered =
            |text: &str| text.contains("deny(clippy::disallowed_methods, clippy::disallowed_types)");
        if pure && !is_test && !covered(&text) && !path.ends_with("/mod.rs") {
            wrong.push(format!("{path}: pure, but does not open with the purity lint"));
        }
    }
    report(&wrong);
}

#[test]
fn only_sys_is_unsafe_and_only_ui_prints() {
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        if path == "tests/tidy/house.rs" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("unsafe {") && !path.starts_with("runtime/sys/") {
                wrong.push(format!("{path}:{}: unsafe outside runtime/sys", number + 1));
            }
            if code.trim_start().starts_with("#[allow(") || code.trim_start().starts_with("#![allow(") {
                wrong.push(format!(
                    "{path}:{}: expect with a reason, do not allow",
                    number + 1
                ));
            }
        }
    }
    report(&wrong);
}
