//! In: the words of a Dockerfile as they were written. Out: findings about how they are written: cases, and empty lines inside an instruction.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Checked, Found, LintFinding, verb, written};
use crate::build::dockerfile::{Instruction, Located};

pub(super) fn check(checked: &Checked<'_>, found: &mut Found) {
    let staged = || {
        let mut instructions = checked.dockerfile.instructions.iter();
        // Arguments before the first stage are not counted.
        let first = instructions.position(|located| matches!(located.instruction, Instruction::From(_)));
        &checked.dockerfile.instructions[first.unwrap_or(0)..]
    };
    let (mut lower, mut upper) = (0, 0);
    for located in staged() {
        let verb = verb(located);
        lower += usize::from(verb == verb.to_ascii_lowercase());
        upper += usize::from(verb == verb.to_ascii_uppercase());
    }
    for located in staged() {
        let verb = verb(located);
        let (right, case) = if lower > upper {
            (verb.to_ascii_lowercase(), "lowercase")
        } else {
            (verb.to_ascii_uppercase(), "uppercase")
        };
        if verb != right {
            let message = format!("`{verb}` is not in {case}, as most instructions of this file are");
            found.at(located, "ConsistentInstructionCasing", message);
        }
        if let Instruction::From(_) = located.instruction {
            names(located, found);
        }
    }
    let escape = checked.dockerfile.directives.escape;
    for located in &checked.dockerfile.instructions {
        empty_continuation(located, escape, found);
    }
}

/// `FROM image AS name`
fn names(located: &Located, found: &mut Found) {
    let words: Vec<&str> = written(located).filter(|word| !word.starts_with("--")).collect();
    let [from, _, join, name, ..] = words.as_slice() else {
        return;
    };
    if name.chars().any(char::is_uppercase) {
        found.at(
            located,
            "StageNameCasing",
            format!("the stage name `{name}` should be lowercase"),
        );
    }
    let is_lower = |word: &str| word == word.to_ascii_lowercase();
    let is_upper = |word: &str| word == word.to_ascii_uppercase();
    let matches = is_lower(from) && is_lower(join) || is_upper(from) && is_upper(join);
    let consistent = is_lower(from) || is_upper(from);
    if !matches && consistent {
        found.at(
            located,
            "FromAsCasing",
            format!("`{from}` and `{join}` are not in the same case"),
        );
    }
}

fn empty_continuation(located: &Located, escape: char, found: &mut Found) {
    let mut continued = false;
    for line in located.source.lines() {
        let trimmed = line.trim();
        if continued && trimmed.is_empty() {
            found.0.push(LintFinding {
                rule: "NoEmptyContinuation",
                // Docker points at the end of the instruction.
                line: located.last_line,
                last_line: located.last_line,
                message:
                    "an empty line inside an instruction will be an error in a future version of Dockerfiles"
                        .to_owned(),
            });
            return;
        }
        if continued && trimmed.starts_with('#') {
            continue;
        }
        continued = trimmed.ends_with(escape);
        if !continued && !trimmed.is_empty() {
            // What follows is a heredoc.
            return;
        }
    }
}
