//! What a person reads about each kind of mistake, in full: the texts of all stages together.

mod codes;
mod conflicts;
mod doubts;
mod files;
mod keys;
mod references;
mod together;
mod values;
mod yaml;

use std::path::Path;

use super::*;
use crate::diagnostic::Diagnostic;
use crate::source::load::LoadOptions;

/// Checks the files of a directory of their own and gives all that is found.
fn checked(files: &[(&str, &str)]) -> (Diagnostics, SourceMap) {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().canonicalize().expect("a path");
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    let options = Options::new(LoadOptions::new(&root, Vec::new()));
    let (findings, mut sources) = inspect(&options);
    sources.show_from(&root);
    let outcome = model::load(&options);
    assert_eq!(
        outcome.project.is_none(),
        outcome.findings().has_errors(),
        "a project exists exactly when nothing is wrong"
    );
    let hidden = findings
        .into_iter()
        .map(|finding| without(finding, &root))
        .collect();
    (hidden, sources)
}

/// A finding without the path of the directory.
fn without(mut finding: Diagnostic, root: &Path) -> Diagnostic {
    let hide = |text: &str| {
        text.replace(&format!("{}/", root.display()), "")
            .replace(&root.display().to_string(), "DIR")
    };
    finding.message = hide(&finding.message);
    finding.help = finding.help.map(|help| hide(&help));
    finding
}

/// What is said about files.
fn said(files: &[(&str, &str)]) -> String {
    let (findings, sources) = checked(files);
    report::plain(&findings, &sources)
}
