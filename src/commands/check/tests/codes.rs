//! The table of codes: complete, true, and the book's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::checked;
use crate::diagnostic::code::{self, Example};
use crate::source::comments::Comments;
use crate::source::{toml, yaml};

/// Where the book has them.
const BOOK: &str = "book/src/diagnostics.md";

#[test]
fn every_example_has_its_finding_and_no_other() {
    let mut wrong = Vec::new();
    for code in code::all() {
        let Example::Files(files) = code.example else {
            continue;
        };
        let (findings, _) = checked(files);
        let found: BTreeSet<&str> = findings.iter().map(|finding| finding.code).collect();
        if found != BTreeSet::from([code.name]) {
            wrong.push(format!("{}: {found:?}", code.name));
        }
        if findings
            .iter()
            .any(|finding| !code.severities.contains(&finding.severity))
        {
            wrong.push(format!("{}: its severity is not {}", code.name, code.severity()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_snippet_is_yaml_and_toml() {
    for code in code::all() {
        let Example::Files(files) = code.example else {
            continue;
        };
        let (findings, _) = checked(files);
        for snippet in findings.iter().filter_map(|finding| finding.advice()?.1) {
            let mut faults = crate::diagnostic::Diagnostics::new();
            let file = crate::source::span::SourceMap::new().add("snippet", snippet);
            let nodes = yaml::parse(file, snippet, &mut faults);
            assert!(faults.is_empty() && nodes.len() == 1, "{}: {snippet}", code.name);
            assert!(
                nodes[0].as_map().is_some(),
                "{}: not under a key: {snippet}",
                code.name
            );
            let written = toml::write(&nodes[0], &mut Comments::none());
            toml::parse(file, &written, &mut faults);
            assert!(faults.is_empty(), "{}: {written}", code.name);
        }
    }
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory)
        .expect("a directory")
        .filter_map(Result::ok)
    {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The engine's sources without their tests and without the table.
fn engine() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let texts = found.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).expect("text");
        let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        (path.display().to_string(), text[..end].to_owned())
    });
    texts
        .filter(|(path, _)| !path.contains("/tests") && !path.contains("/diagnostic/"))
        .collect()
}

#[test]
fn every_code_in_use_is_in_the_table_and_every_row_in_use() {
    let engine = engine();
    let mut wrong = Vec::new();
    for (path, text) in &engine {
        for call in ["Diagnostic::error(", "Diagnostic::warning(", "Diagnostic::note("] {
            for rest in text.split(call).skip(1) {
                let Some(rest) = rest.trim_start().strip_prefix('"') else {
                    continue;
                };
                let name = rest.split('"').next().unwrap_or_default();
                if code::find(name).is_none() {
                    wrong.push(format!("{path}: `{name}` has no row in src/diagnostic/code"));
                }
            }
        }
    }
    for code in code::all() {
        if !engine
            .iter()
            .any(|(_, text)| text.contains(&format!("\"{}\"", code.name)))
        {
            wrong.push(format!("`{}` is used nowhere", code.name));
        }
    }
    let names: Vec<&str> = code::all().map(|code| code.name).collect();
    let different: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), different.len(), "a code has two rows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn book() -> String {
    let row = |code: &code::Code| {
        let meaning = code.meaning.replace('|', "\\|");
        format!("| [{0}](#{0}) | {1} | {meaning} |", code.name, code.severity())
    };
    let mut lines = vec![
        include_str!("diagnostics_head.md").to_owned(),
        "| code | severity | meaning |\n|---|---|---|".to_owned(),
    ];
    lines.extend(code::all().map(row));
    for (title, codes) in code::GROUPS {
        lines.push(format!("\n## {title}"));
        lines.extend(
            codes
                .iter()
                .map(|code| format!("\n{}", code.explanation().trim_end())),
        );
    }
    lines.join("\n") + "\n"
}

/// `WRITE_BOOK=1` writes it anew.
#[test]
fn the_book_lists_the_codes_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(BOOK);
    let wanted = book();
    if std::env::var_os("WRITE_BOOK").is_some() {
        std::fs::write(&path, &wanted).expect("the book");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == wanted,
        "{BOOK} is not what src/diagnostic/code says; `WRITE_BOOK=1 cargo nextest run -p rcompose --lib the_book_lists` writes it"
    );
}
