//! The kept inputs, as they are and changed at random: by cutting, repeating and putting in what languages are made of.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::laws;

const PIECES: [&str; 40] = [
    ":",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "<<: *a",
    "!reset ",
    "!override ",
    "|",
    ">-",
    "'",
    "\"",
    "\\",
    "#",
    " #",
    "$",
    "${",
    "${A:-",
    "}",
    "$$",
    "=",
    "\t",
    "\r\n",
    "\0",
    "\u{feff}",
    "é",
    "0x",
    "-1",
    ".5",
    "1e9",
    "9223372036854775808",
    "/",
    "..",
];

/// One change: where, what is taken out, what is put in.
type Change = (prop::sample::Index, prop::sample::Index, u8, prop::sample::Index);

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (from, to, kind, piece) in changes {
        let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let cut: Vec<u8> = bytes[from..to].to_vec();
        let put: Vec<u8> = match kind % 4 {
            0 => Vec::new(),
            1 => [cut.clone(), cut].concat(),
            _ => {
                let piece = PIECES[piece.index(PIECES.len())].as_bytes();
                bytes.splice(from..from, piece.iter().copied());
                continue;
            }
        };
        bytes.splice(from..to, put);
    }
    bytes
}

fn holds(kind: &str, law: fn(&[u8])) {
    let directory = format!("{}/fuzz/corpus/{kind}", env!("CARGO_MANIFEST_DIR"));
    let inputs: Vec<Vec<u8>> = std::fs::read_dir(&directory)
        .expect("a corpus")
        .map(|file| std::fs::read(file.expect("a file").path()).expect("readable"))
        .collect();
    assert!(!inputs.is_empty(), "{directory} is empty");
    for input in &inputs {
        law(input);
    }
    let mut runner = TestRunner::new(Config {
        cases: 3000,
        failure_persistence: None,
        ..Config::default()
    });
    let change = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<u8>(),
        any::<prop::sample::Index>(),
    );
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(change, 0..6));
    let run = runner.run(&strategy, |(input, changes)| {
        let input: &Vec<u8> = input.get(inputs.as_slice());
        law(&changed(input, &changes));
        Ok(())
    });
    if let Err(broken) = run {
        panic!("{kind}: {broken}");
    }
}

#[test]
fn a_project_in_yaml() {
    holds("project", laws::project);
}

#[test]
fn a_plain_file_in_yaml() {
    holds("yaml", laws::yaml);
}

#[test]
fn a_file_in_toml() {
    holds("toml", laws::toml);
}

#[test]
fn interpolation() {
    holds("template", laws::template);
}

#[test]
fn environment_files() {
    holds("dotenv", laws::dotenv);
}

#[test]
fn short_ports() {
    holds("ports", laws::ports);
}

#[test]
fn short_volumes() {
    holds("volumes", laws::volumes);
}

#[test]
fn units() {
    holds("durations", laws::durations);
}

#[test]
fn a_layer_in_tar() {
    holds("tar_layer", laws::tar_layer);
}

#[test]
fn a_dockerfile() {
    holds("dockerfile", laws::dockerfile);
}

#[test]
fn image_names() {
    holds("reference", laws::reference);
}

#[test]
fn manifests() {
    holds("manifest", laws::manifest);
}
