//! In: the instructions of each stage. Out: findings about variables, words and instructions that a later one makes vain.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use super::variable::{names_in, names_in_text};
use super::{Checked, Found, PREDEFINED, Variables, global_arguments, nearest, verb};
use crate::build::dockerfile::{Copy, From, Instruction, KeyValue, Located, Words};
use crate::build::expand::expand;

/// Words in the name of a variable that make it a secret, and the one that makes it none.
const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];
const PUBLIC: &str = "public";

/// A stage on the way through it.
#[derive(Clone, Default)]
struct Stage<'a> {
    variables: Variables,
    workdir: bool,
    shell: bool,
    command: Option<&'a Located>,
    entrypoint: Option<&'a Located>,
    health: Option<&'a Located>,
}

pub(super) fn check(checked: &Checked<'_>, found: &mut Found) {
    let mut stages: BTreeMap<String, Stage<'_>> = BTreeMap::new();
    let mut stage = Stage::default();
    let mut name = None;
    let mut begun = false;
    for located in &checked.dockerfile.instructions {
        if let Instruction::From(from) = &located.instruction {
            if let Some(name) = name.take() {
                stages.insert(name, stage);
            }
            stage = start(checked, from, &stages);
            name.clone_from(&from.name);
            begun = true;
        } else if begun {
            stage.instruction(checked, located, found);
        }
    }
}

/// What a stage begins with.
fn start<'a>(checked: &Checked<'_>, from: &From, stages: &BTreeMap<String, Stage<'a>>) -> Stage<'a> {
    if let Some(base) = stages.get(&from.image.to_ascii_lowercase()) {
        return Stage {
            command: None,
            entrypoint: None,
            health: None,
            ..base.clone()
        };
    }
    let mut variables = Variables::default();
    variables.names.insert("PATH".to_owned());
    if !from.image.eq_ignore_ascii_case("scratch") {
        let escape = checked.dockerfile.directives.escape;
        let globals = global_arguments(checked.dockerfile);
        let look_up = |name: &str| {
            let given = checked.arguments.get(name).cloned().flatten();
            let default = globals.iter().rev().find(|(known, _)| *known == name);
            given.or_else(|| default.and_then(|(_, value)| value.map(str::to_owned)))
        };
        let base = expand(&from.image, escape, &look_up).unwrap_or_default();
        match (checked.environment_of)(&base) {
            Some(environment) => variables.names.extend(
                environment
                    .iter()
                    .filter_map(|entry| Some(entry.split('=').next()?.to_owned())),
            ),
            None => variables.open = true,
        }
    }
    Stage {
        variables,
        // The shell of an image that is not known is thought to be the usual one, as in docker's check.
        ..Stage::default()
    }
}

impl<'a> Stage<'a> {
    fn instruction(&mut self, checked: &Checked<'_>, located: &'a Located, found: &mut Found) {
        let escape = checked.dockerfile.directives.escape;
        let verb = verb(located).to_ascii_uppercase();
        for name in names(&located.instruction, escape) {
            self.used(&name, located, found);
        }
        match &located.instruction {
            Instruction::Env(pairs) => {
                legacy(pairs, &verb, located, found);
                for pair in pairs {
                    secret(&pair.name, &verb, located, found);
                    self.variables.names.insert(pair.name.clone());
                }
            }
            Instruction::Label(pairs) => legacy(pairs, &verb, located, found),
            Instruction::Arg(arguments) => {
                for (name, default) in arguments {
                    secret(name, &verb, located, found);
                    let is_given = checked.arguments.get(name).is_some_and(Option::is_some);
                    for used in default
                        .iter()
                        .filter(|_| !is_given)
                        .flat_map(|word| names_in(word, escape))
                    {
                        self.used(&used, located, found);
                    }
                    self.variables.names.insert(name.clone());
                }
            }
            Instruction::Workdir(path) => {
                // A path that begins with a variable may be absolute.
                let known = expand(path, escape, &|_| Some("/".to_owned())).unwrap_or_default();
                if !self.workdir && !known.starts_with('/') {
                    let message = format!(
                        "the working directory `{path}` is relative: where it is depends on the base image"
                    );
                    found.at(located, "WorkdirRelativePath", message);
                }
                self.workdir = true;
            }
            Instruction::Shell(_) => self.shell = true,
            Instruction::Cmd(words) => {
                only_one(&mut self.command, located, &verb, found);
                self.form(words, &verb, located, found);
            }
            Instruction::Entrypoint(words) => {
                only_one(&mut self.entrypoint, located, &verb, found);
                self.form(words, &verb, located, found);
            }
            Instruction::Healthcheck(_) => only_one(&mut self.health, located, &verb, found),
            Instruction::Maintainer(_) => {
                let message =
                    "MAINTAINER is deprecated: write `LABEL org.opencontainers.image.authors=…`".to_owned();
                found.at(located, "MaintainerDeprecated", message);
            }
            Instruction::Expose(ports) => ports.iter().for_each(|port| expose(port, located, found)),
            Instruction::Copy(copy) => ignored(checked, copy, "Copy", located, found),
            Instruction::Add(copy) => ignored(checked, copy, "Add", located, found),
            Instruction::From(_)
            | Instruction::Run(_)
            | Instruction::User(_)
            | Instruction::Volume(_)
            | Instruction::StopSignal(_)
            | Instruction::OnBuild(_) => {}
        }
    }

    fn used(&self, name: &str, located: &Located, found: &mut Found) {
        if self.variables.open || self.variables.names.contains(name) {
            return;
        }
        let near = nearest(name, self.variables.names.iter().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean `${near}`?"));
        let hint = hint.or_else(|| {
            PREDEFINED
                .contains(&name)
                .then(|| format!("; declare it with `ARG {name}`"))
        });
        let message = format!(
            "the variable `${name}` is not defined{}",
            hint.unwrap_or_default()
        );
        found.at(located, "UndefinedVar", message);
    }

    fn form(&self, words: &Words, verb: &str, located: &Located, found: &mut Found) {
        if matches!(words, Words::Shell(_)) && !self.shell {
            let message = format!(
                "{verb} in its shell form runs below a shell, which gets the signals instead: write a JSON list, `[\"program\", \"argument\"]`"
            );
            found.at(located, "JSONArgsRecommended", message);
        }
    }
}

/// Variables that an instruction uses, RUN aside: its shell knows better.
fn names(instruction: &Instruction, escape: char) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut word = |word: &str| {
        for name in names_in(word, escape) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    };
    match instruction {
        Instruction::Env(pairs) | Instruction::Label(pairs) => pairs.iter().for_each(|pair| {
            word(&pair.name);
            word(&pair.value);
        }),
        Instruction::Workdir(text) | Instruction::User(text) | Instruction::StopSignal(text) => word(text),
        Instruction::Volume(words) => words.iter().for_each(|text| word(text)),
        Instruction::Copy(copy) | Instruction::Add(copy) => {
            copy.sources.iter().for_each(|text| word(text));
            let flags = [
                Some(&copy.destination),
                copy.chown.as_ref(),
                copy.chmod.as_ref(),
                copy.checksum.as_ref(),
            ];
            for text in flags.into_iter().flatten() {
                word(text);
            }
            for heredoc in copy.heredocs.iter().filter(|heredoc| heredoc.expand) {
                for name in names_in_text(&heredoc.content) {
                    word(&format!("${{{name}}}"));
                }
            }
        }
        Instruction::Run(run) => {
            for mount in &run.mounts {
                for text in [&mount.target, &mount.source, &mount.id].into_iter().flatten() {
                    word(text);
                }
            }
        }
        Instruction::From(_)
        | Instruction::Arg(_)
        | Instruction::Expose(_)
        | Instruction::Cmd(_)
        | Instruction::Entrypoint(_)
        | Instruction::Shell(_)
        | Instruction::Healthcheck(_)
        | Instruction::OnBuild(_)
        | Instruction::Maintainer(_) => {}
    }
    names
}

/// The one before is the one that is in vain.
fn only_one<'a>(before: &mut Option<&'a Located>, located: &'a Located, verb: &str, found: &mut Found) {
    if let Some(before) = before.replace(located) {
        let message = format!("of several {verb} in a stage only the last one counts");
        found.at(before, "MultipleInstructionsDisallowed", message);
    }
}

fn legacy(pairs: &[KeyValue], verb: &str, located: &Located, found: &mut Found) {
    if let [pair] = pairs
        && !located.source.contains(&format!("{}=", pair.name))
    {
        let message = format!("`{verb} {0} …` is an old form: write `{verb} {0}=…`", pair.name);
        found.at(located, "LegacyKeyValueFormat", message);
    }
}

fn secret(name: &str, verb: &str, located: &Located, found: &mut Found) {
    let parts: Vec<String> = name.split('_').map(str::to_ascii_lowercase).collect();
    if parts.iter().any(|part| SECRET.contains(&part.as_str())) && !parts.iter().any(|part| part == PUBLIC) {
        let message = format!(
            "`{verb} {name}` looks like a secret, and everybody can read it in the image: use `RUN --mount=type=secret`"
        );
        found.at(located, "SecretsUsedInArgOrEnv", message);
    }
}

fn expose(port: &str, located: &Located, found: &mut Found) {
    let (ports, protocol) = port.split_once('/').unwrap_or((port, ""));
    if protocol != protocol.to_ascii_lowercase() {
        let message = format!("the protocol of `{port}` should be lowercase");
        found.at(located, "ExposeProtoCasing", message);
    }
    if ports
        .rsplit_once(':')
        .is_some_and(|(before, _)| !before.is_empty())
    {
        let message = format!("`{port}` is an address or a mapping; EXPOSE takes the port inside only");
        found.at(located, "ExposeInvalidFormat", message);
    }
}

fn ignored(checked: &Checked<'_>, copy: &Copy, verb: &str, located: &Located, found: &mut Found) {
    // What a list brings back is not told statically.
    if copy.from.is_some() || checked.ignore.is_empty() || checked.ignore.brings_back() {
        return;
    }
    for source in &copy.sources {
        let path = source.trim_start_matches("./").trim_matches('/');
        if !path.is_empty() && path != "." && checked.ignore.matches(path) {
            let message = format!("{verb} of `{source}`, which the .dockerignore leaves out");
            found.at(located, "CopyIgnoredFile", message);
        }
    }
}
