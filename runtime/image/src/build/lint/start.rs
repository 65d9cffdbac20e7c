//! In: the FROM lines. Out: findings about stage names, platforms and arguments in them, and about comments that describe them.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use super::variable::names_in;
use super::{Checked, Found, PREDEFINED, global_arguments, nearest};
use crate::build::HOST;
use crate::build::dockerfile::{From, Instruction, Located};
use crate::build::expand::expand;
use crate::platform::Platform;
use crate::reference::Reference;

pub(super) fn check(checked: &Checked<'_>, found: &mut Found) {
    let mut seen = BTreeSet::new();
    let escape = checked.dockerfile.directives.escape;
    let globals = global_arguments(checked.dockerfile);
    let mut known: Vec<&str> = globals.iter().map(|(name, _)| *name).collect();
    known.extend(PREDEFINED);
    let defaults = defaults(checked, &globals, escape);
    for located in &checked.dockerfile.instructions {
        let Instruction::From(from) = &located.instruction else {
            continue;
        };
        if let Some(name) = &from.name {
            if ["context", "scratch"].contains(&name.as_str()) {
                let message = format!("`{name}` is reserved, and no name for a stage");
                found.at(located, "ReservedStageName", message);
            }
            if !seen.insert(name.clone()) {
                let message = format!("there is a stage `{name}` before this one; names should be unique");
                found.at(located, "DuplicateStageName", message);
            }
        }
        for word in [Some(&from.image), from.platform.as_ref()].into_iter().flatten() {
            for name in names_in(word, escape) {
                if known.contains(&name.as_str()) {
                    continue;
                }
                let hint = nearest(&name, known.iter().copied());
                let hint = hint
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                let message = format!("the argument `{name}` is not declared before the first FROM{hint}");
                found.at(located, "UndefinedArgInFrom", message);
            }
        }
        platform(checked, located, from, escape, found);
        let base = expand(&from.image, escape, &|name| defaults.get(name).cloned());
        if base.is_ok_and(|base| base != HOST && base.parse::<Reference>().is_err()) {
            let message = format!(
                "without build arguments `{}` is no image name; give its ARG a default",
                from.image
            );
            found.at(located, "InvalidDefaultArgInFrom", message);
        }
    }
    descriptions(checked, found);
}

/// The arguments before the first FROM with their own defaults.
fn defaults(
    checked: &Checked<'_>,
    globals: &[(&str, Option<&str>)],
    escape: char,
) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = PREDEFINED
        .iter()
        .map(|name| ((*name).to_owned(), checked.platform.clone()))
        .collect();
    for (name, default) in globals {
        let value =
            default.and_then(|default| expand(default, escape, &|name| values.get(name).cloned()).ok());
        if let Some(value) = value {
            values.insert((*name).to_owned(), value);
        }
    }
    values
}

fn platform(checked: &Checked<'_>, located: &Located, from: &From, escape: char, found: &mut Found) {
    let Some(written) = &from.platform else { return };
    let names: Vec<String> = names_in(written, escape);
    if let [name] = names.as_slice()
        && name == "TARGETPLATFORM"
    {
        let value = expand(written, escape, &|_| Some(checked.platform.clone()));
        if value.is_ok_and(|value| value == checked.platform) {
            let message = format!("`--platform={written}` is what FROM does without it");
            found.at(located, "RedundantTargetPlatform", message);
        }
    }
    if names.is_empty()
        && let Ok(platform) = written.parse::<Platform>()
    {
        let name = from.name.as_deref().unwrap_or_default();
        if !name.contains(&platform.os) && !name.contains(&platform.architecture) {
            let message =
                format!("`--platform={written}` is a constant: the stage is built for that platform only");
            found.at(located, "FromPlatformFlagConstDisallowed", message);
        }
    }
}

/// A comment right above a stage or an argument describes it, and begins with its name.
fn descriptions(checked: &Checked<'_>, found: &mut Found) {
    let lines: Vec<&str> = checked.text.lines().collect();
    for located in &checked.dockerfile.instructions {
        let (what, name) = if let Instruction::From(From { name: Some(name), .. }) = &located.instruction {
            ("FROM", name)
        } else if let Instruction::Arg(arguments) = &located.instruction
            && let [(name, _)] = arguments.as_slice()
        {
            ("ARG", name)
        } else {
            continue;
        };
        let above = located.first_line.checked_sub(2).and_then(|at| lines.get(at));
        let Some(comment) = above.and_then(|line| line.trim().strip_prefix('#')) else {
            continue;
        };
        let comment = comment.trim();
        let is_directive = located.first_line == 2 && comment.contains('=');
        if comment.is_empty() || is_directive || comment.split_whitespace().next() == Some(name) {
            continue;
        }
        let message = format!(
            "the comment above {what} should begin with its name: `# {name} …`; leave a line empty where it is none of it"
        );
        found.at(located, "InvalidDefinitionDescription", message);
    }
}
