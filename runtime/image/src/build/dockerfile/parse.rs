//! In: logical lines. Out: typed instructions. Unknown instructions and flags are errors with the nearest name.
//! **Invariant:** pure; what one line means never depends on another, but for FROM having to come first.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::flags::{Flags, flags};
use super::heredoc::heredoc;
use super::instruction::{Copy, From, HealthcheckInstruction, Instruction, Run, Words};
use super::lines::{self, LogicalLine};
use super::mount::mount;
use super::words::{form, json_list, key_values, list, words};
use super::{Dockerfile, DockerfileError, Located};

const NAMES: [&str; 18] = [
    "FROM",
    "RUN",
    "COPY",
    "ADD",
    "ENV",
    "ARG",
    "LABEL",
    "WORKDIR",
    "USER",
    "EXPOSE",
    "VOLUME",
    "CMD",
    "ENTRYPOINT",
    "SHELL",
    "HEALTHCHECK",
    "STOPSIGNAL",
    "ONBUILD",
    "MAINTAINER",
];

/// Parses a whole Dockerfile.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn parse(text: &str) -> Result<Dockerfile, DockerfileError> {
    let wrong = |line, message: &str| {
        let message = message.to_owned();
        Err(DockerfileError { line, message })
    };
    let (directives, lines) = lines::split(text)?;
    if lines.is_empty() {
        return wrong(1, "the Dockerfile has no instruction");
    }
    let mut instructions = Vec::new();
    let mut has_stage = false;
    for line in &lines {
        let instruction = instruction(line, directives.escape).map_err(|message| DockerfileError {
            line: line.first,
            message,
        })?;
        has_stage |= matches!(instruction, Instruction::From(_));
        if !has_stage && !matches!(instruction, Instruction::Arg(_)) {
            return wrong(
                line.first,
                "no stage yet: only ARG may stand before the first FROM",
            );
        }
        instructions.push(Located {
            instruction,
            first_line: line.first,
            last_line: line.last,
            source: line.source.clone(),
        });
    }
    if !has_stage {
        return wrong(1, "the Dockerfile has no FROM");
    }
    Ok(Dockerfile {
        directives,
        instructions,
    })
}

/// Parses what an `ONBUILD` kept: one instruction, which runs at the line of the FROM that triggers it.
///
/// # Errors
/// What is wrong with it.
pub fn parse_trigger(text: &str, line: usize) -> Result<Located, String> {
    let (_, lines) = lines::split(text).map_err(|error| error.message)?;
    let [only] = lines.as_slice() else {
        return Err("it is not one instruction".to_owned());
    };
    Ok(Located {
        instruction: instruction(only, '\\')?,
        first_line: line,
        last_line: line,
        source: only.source.clone(),
    })
}

fn instruction(line: &LogicalLine, escape: char) -> Result<Instruction, String> {
    let text = line.text.trim();
    let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let verb = verb.to_ascii_uppercase();
    known(&verb)?;
    let (mut flags, rest) = flags(rest);
    let rest = rest.trim();
    if rest.is_empty() && !matches!(verb.as_str(), "RUN" | "CMD" | "ENTRYPOINT") {
        return Err(format!("{verb} needs an argument"));
    }
    let parsed = match verb.as_str() {
        "FROM" => from(&mut flags, rest),
        "RUN" => run(&mut flags, rest, line),
        "COPY" => copy(&mut flags, rest, line, false).map(Instruction::Copy),
        "ADD" => copy(&mut flags, rest, line, true).map(Instruction::Add),
        "ENV" => key_values(rest, "ENV", escape).map(Instruction::Env),
        "LABEL" => key_values(rest, "LABEL", escape).map(Instruction::Label),
        "ARG" => arguments(words(rest, escape)),
        "WORKDIR" => Ok(Instruction::Workdir(rest.to_owned())),
        "USER" => Ok(Instruction::User(rest.to_owned())),
        "EXPOSE" => {
            let mut ports: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
            ports.sort();
            Ok(Instruction::Expose(ports))
        }
        "VOLUME" => volumes(&list(rest)?),
        "CMD" => form(rest).map(Instruction::Cmd),
        "ENTRYPOINT" => form(rest).map(Instruction::Entrypoint),
        "SHELL" => match json_list(rest)? {
            Some(list) if !list.is_empty() => Ok(Instruction::Shell(list)),
            _ => Err("SHELL takes a JSON list, such as [\"/bin/bash\", \"-c\"]".to_owned()),
        },
        "HEALTHCHECK" => healthcheck(&mut flags, rest),
        "STOPSIGNAL" => Ok(Instruction::StopSignal(rest.to_owned())),
        "ONBUILD" => onbuild(rest, line),
        _ => Ok(Instruction::Maintainer(rest.to_owned())),
    }?;
    flags.finish(&verb)?;
    Ok(parsed)
}

fn known(verb: &str) -> Result<(), String> {
    if NAMES.contains(&verb) {
        return Ok(());
    }
    Err(format!(
        "unknown instruction `{verb}`{}",
        suggestion(verb, &NAMES)
    ))
}

fn from(flags: &mut Flags, rest: &str) -> Result<Instruction, String> {
    let platform = flags.value("platform")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (image, name) = match words.as_slice() {
        [image] => (image, None),
        [image, r#as, name] if r#as.eq_ignore_ascii_case("as") => {
            let name = name.to_ascii_lowercase();
            let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
            if !valid {
                return Err(format!(
                    "stage name `{name}` must begin with a letter and have only letters, digits, `-`, `_` and `.`"
                ));
            }
            (image, Some(name))
        }
        _ => return Err("FROM takes an image, and may name the stage: FROM image AS name".to_owned()),
    };
    Ok(Instruction::From(From {
        image: (*image).to_owned(),
        name,
        platform,
    }))
}

fn run(flags: &mut Flags, rest: &str, line: &LogicalLine) -> Result<Instruction, String> {
    let mounts = flags.all("mount")?;
    Ok(Instruction::Run(Run {
        command: form(rest)?,
        heredocs: line.heredocs.clone(),
        mounts: mounts.iter().map(|text| mount(text)).collect::<Result<_, _>>()?,
        network: flags.value("network")?,
        security: flags.value("security")?,
    }))
}

fn copy(flags: &mut Flags, rest: &str, line: &LogicalLine, is_add: bool) -> Result<Copy, String> {
    let verb = if is_add { "ADD" } else { "COPY" };
    let json = json_list(rest)?.is_some();
    let mut words = list(rest)?;
    let destination = words
        .pop()
        .filter(|_| !words.is_empty())
        .ok_or_else(|| format!("{verb} takes at least one source and a destination"))?;
    if !json && heredoc(&destination)?.is_some() {
        return Err(format!(
            "{verb} has no destination behind the heredoc `{destination}`"
        ));
    }
    let (mut sources, mut heredocs) = (Vec::new(), Vec::new());
    for word in words {
        match heredoc(&word)?.filter(|_| !json) {
            Some(named) => {
                heredocs.extend(
                    line.heredocs
                        .iter()
                        .find(|document| document.name == named.name)
                        .cloned(),
                );
            }
            None => sources.push(word),
        }
    }
    let mut copy = Copy {
        sources,
        heredocs,
        destination,
        chown: flags.value("chown")?,
        chmod: flags.value("chmod")?,
        link: flags.truth("link")?.unwrap_or(false),
        exclude: flags.all("exclude")?,
        from: None,
        parents: false,
        checksum: None,
        keep_git_dir: false,
        unpack: None,
    };
    if is_add {
        copy.checksum = flags.value("checksum")?;
        copy.keep_git_dir = flags.truth("keep-git-dir")?.unwrap_or(false);
        copy.unpack = flags.truth("unpack")?;
    } else {
        copy.from = flags.value("from")?;
        if let Some(from) = copy.from.as_deref().filter(|from| from.contains('$')) {
            return Err(format!(
                "--from={from} takes no variable: name a stage for it, FROM {from} AS name"
            ));
        }
        copy.parents = flags.truth("parents")?.unwrap_or(false);
    }
    Ok(copy)
}

fn healthcheck(flags: &mut Flags, rest: &str) -> Result<Instruction, String> {
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    // They may stand in front of NONE, too, where they mean nothing.
    let interval = flags.value("interval")?;
    let timeout = flags.value("timeout")?;
    let start_period = flags.value("start-period")?;
    let start_interval = flags.value("start-interval")?;
    let retries = flags.value("retries")?;
    if kind.eq_ignore_ascii_case("none") {
        return match command.trim() {
            "" => Ok(Instruction::Healthcheck(HealthcheckInstruction::None)),
            _ => Err("HEALTHCHECK NONE takes no argument".to_owned()),
        };
    }
    let command = form(command.trim())?;
    let empty = matches!(&command, Words::Shell(line) if line.is_empty())
        || matches!(&command, Words::Exec(list) if list.is_empty());
    if !kind.eq_ignore_ascii_case("cmd") || empty {
        return Err("HEALTHCHECK takes NONE, or CMD and a command".to_owned());
    }
    Ok(Instruction::Healthcheck(HealthcheckInstruction::Probe {
        command,
        interval,
        timeout,
        start_period,
        start_interval,
        retries,
    }))
}

/// The instruction as written, with the documents it opens.
fn onbuild(rest: &str, line: &LogicalLine) -> Result<Instruction, String> {
    let verb = rest
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    if matches!(verb.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
        return Err(format!("ONBUILD {verb} is not allowed"));
    }
    known(&verb)?;
    let text = line.text.trim_start();
    let mut text = text["ONBUILD".len()..].trim_start().to_owned();
    for document in &line.heredocs {
        text = format!("{text}\n{}{}", document.content, document.name);
    }
    Ok(Instruction::OnBuild(text))
}

fn volumes(paths: &[String]) -> Result<Instruction, String> {
    let paths: Vec<String> = paths.iter().map(|path| path.trim().to_owned()).collect();
    if paths.is_empty() || paths.contains(&String::new()) {
        return Err("VOLUME needs a path, and one that is not empty".to_owned());
    }
    Ok(Instruction::Volume(paths))
}

fn arguments(words: Vec<String>) -> Result<Instruction, String> {
    let arguments = words.into_iter().map(|word| match word.split_once('=') {
        Some(("", _)) => Err(format!(
            "ARG has a value without a name: `{word}`; write NAME=value without blanks"
        )),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Ok((word, None)),
    });
    arguments.collect::<Result<_, _>>().map(Instruction::Arg)
}

/// `; did you mean X?` when a known word is near.
pub(super) fn suggestion(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|candidate| {
            (
                strsim::osa_distance(&word.to_ascii_lowercase(), &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .min();
    near.filter(|(distance, _)| *distance <= 2)
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}
