//! In: logical lines. Out: typed instructions. Unknown instructions and flags are errors with the nearest name.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::instruction::{
    Copy, Flags, From, HealthcheckInstruction, Instruction, KeyValue, Mount, MountKind, Run, Words,
};
use super::lines::{self, LogicalLine};
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
pub fn parse(text: &str) -> Result<Dockerfile, DockerfileError> {
    let (directives, lines) = lines::split(text)?;
    if lines.is_empty() {
        return Err(DockerfileError {
            line: 1,
            message: "the Dockerfile has no instruction".to_owned(),
        });
    }
    let mut instructions = Vec::new();
    for line in &lines {
        let instruction = instruction(line).map_err(|message| DockerfileError {
            line: line.first,
            message,
        })?;
        if !matches!(instruction, Instruction::From(_) | Instruction::Arg(_))
            && !instructions
                .iter()
                .any(|located: &Located| matches!(located.instruction, Instruction::From(_)))
        {
            let message = "no stage yet: only ARG may stand before the first FROM".to_owned();
            return Err(DockerfileError {
                line: line.first,
                message,
            });
        }
        instructions.push(Located {
            instruction,
            first_line: line.first,
            last_line: line.last,
            source: line.source.clone(),
        });
    }
    if !instructions
        .iter()
        .any(|located| matches!(located.instruction, Instruction::From(_)))
    {
        return Err(DockerfileError {
            line: 1,
            message: "the Dockerfile has no FROM".to_owned(),
        });
    }
    Ok(Dockerfile {
        directives,
        instructions,
    })
}

fn instruction(line: &LogicalLine) -> Result<Instruction, String> {
    let (verb, rest) = line
        .text
        .split_once(char::is_whitespace)
        .unwrap_or((&line.text, ""));
    let rest = rest.trim();
    let verb = verb.to_ascii_uppercase();
    if !NAMES.contains(&verb.as_str()) {
        return Err(format!(
            "unknown instruction `{verb}`{}",
            suggestion(&verb, &NAMES)
        ));
    }
    if rest.is_empty() {
        return Err(format!("{verb} needs an argument"));
    }
    let (flags, rest) = flags(rest);
    if !matches!(verb.as_str(), "FROM" | "RUN" | "COPY" | "ADD" | "HEALTHCHECK")
        && let Some((name, _)) = flags.0.first()
    {
        return Err(format!("{verb} has no flag --{name}"));
    }
    match verb.as_str() {
        "FROM" => from(flags, rest),
        "RUN" => run(flags, rest, line),
        "COPY" => copy(flags, rest, line, false).map(Instruction::Copy),
        "ADD" => copy(flags, rest, line, true).map(Instruction::Add),
        "ENV" => key_values(rest, "ENV").map(Instruction::Env),
        "LABEL" => key_values(rest, "LABEL").map(Instruction::Label),
        "ARG" => Ok(Instruction::Arg(words(rest).into_iter().map(argument).collect())),
        "WORKDIR" => Ok(Instruction::Workdir(rest.to_owned())),
        "USER" => one(rest, "USER").map(Instruction::User),
        "EXPOSE" => Ok(Instruction::Expose(words(rest))),
        "VOLUME" => Ok(Instruction::Volume(
            json_list(rest).unwrap_or_else(|| words(rest)),
        )),
        "CMD" => Ok(Instruction::Cmd(form(rest))),
        "ENTRYPOINT" => Ok(Instruction::Entrypoint(form(rest))),
        "SHELL" => match json_list(rest) {
            Some(list) if !list.is_empty() => Ok(Instruction::Shell(list)),
            _ => Err("SHELL takes a JSON list, such as [\"/bin/bash\", \"-c\"]".to_owned()),
        },
        "HEALTHCHECK" => healthcheck(flags, rest),
        "STOPSIGNAL" => one(rest, "STOPSIGNAL").map(Instruction::StopSignal),
        "ONBUILD" => onbuild(rest),
        _ => Ok(Instruction::Maintainer(rest.to_owned())),
    }
}

fn from(flags: Flags, rest: &str) -> Result<Instruction, String> {
    let mut platform = None;
    for (name, value) in flags.0 {
        match name.as_str() {
            "platform" => platform = value,
            _ => {
                return Err(format!(
                    "FROM has no flag --{name}{}",
                    suggestion(&name, &["platform"])
                ));
            }
        }
    }
    let words = words(rest);
    match words.as_slice() {
        [image] => Ok(Instruction::From(From {
            image: image.clone(),
            name: None,
            platform,
        })),
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
            Ok(Instruction::From(From {
                image: image.clone(),
                name: Some(name),
                platform,
            }))
        }
        _ => Err("FROM takes an image, and may name the stage: FROM image AS name".to_owned()),
    }
}

fn run(flags: Flags, rest: &str, line: &LogicalLine) -> Result<Instruction, String> {
    let (mut mounts, mut network, mut security) = (Vec::new(), None, None);
    for (name, value) in flags.0 {
        match name.as_str() {
            "mount" => mounts.push(mount(value.as_deref().unwrap_or_default())?),
            "network" => network = value,
            "security" => security = value,
            _ => {
                return Err(format!(
                    "RUN has no flag --{name}{}",
                    suggestion(&name, &["mount", "network", "security"])
                ));
            }
        }
    }
    if rest.is_empty() {
        return Err("RUN needs a command".to_owned());
    }
    let command = if line.heredocs.is_empty() {
        form(rest)
    } else {
        Words::Shell(rest.to_owned())
    };
    Ok(Instruction::Run(Run {
        command,
        heredocs: line.heredocs.clone(),
        mounts,
        network,
        security,
    }))
}

fn mount(text: &str) -> Result<Mount, String> {
    let mut mount = Mount {
        kind: MountKind::Bind,
        target: None,
        source: None,
        from: None,
        id: None,
        read_only: None,
        sharing: None,
        mode: None,
        uid: None,
        gid: None,
        size: None,
        required: false,
        env: None,
    };
    for field in text.split(',').filter(|field| !field.is_empty()) {
        let (name, value) = field
            .split_once('=')
            .map_or((field, None), |(name, value)| (name, Some(value)));
        let truth = || value.is_none_or(|value| matches!(value, "true" | "1"));
        let text = || value.map(|value| value.trim_matches('"').to_owned());
        match name.trim().to_ascii_lowercase().as_str() {
            "type" => {
                mount.kind = match value.unwrap_or_default() {
                    "bind" => MountKind::Bind,
                    "cache" => MountKind::Cache,
                    "tmpfs" => MountKind::Tmpfs,
                    "secret" => MountKind::Secret,
                    "ssh" => MountKind::Ssh,
                    other => {
                        return Err(format!(
                            "unknown mount type `{other}`{}",
                            suggestion(other, &["bind", "cache", "tmpfs", "secret", "ssh"])
                        ));
                    }
                }
            }
            "target" | "dst" | "destination" => mount.target = text(),
            "source" | "src" => mount.source = text(),
            "from" => mount.from = text(),
            "id" => mount.id = text(),
            "ro" | "readonly" => mount.read_only = Some(truth()),
            "rw" | "readwrite" => mount.read_only = Some(!truth()),
            "sharing" => mount.sharing = text(),
            "mode" => mount.mode = text(),
            "uid" => mount.uid = text(),
            "gid" => mount.gid = text(),
            "size" => mount.size = text(),
            "required" => mount.required = truth(),
            "env" => mount.env = text(),
            other => return Err(format!("RUN --mount has no field `{other}`")),
        }
    }
    Ok(mount)
}

fn copy(flags: Flags, rest: &str, line: &LogicalLine, is_add: bool) -> Result<Copy, String> {
    let verb = if is_add { "ADD" } else { "COPY" };
    let mut words = json_list(rest).unwrap_or_else(|| words(rest));
    words.retain(|word| !word.starts_with("<<"));
    let destination = words
        .pop()
        .filter(|_| !words.is_empty() || !line.heredocs.is_empty());
    let destination =
        destination.ok_or_else(|| format!("{verb} takes at least one source and a destination"))?;
    let mut copy = Copy {
        sources: words,
        heredocs: line.heredocs.clone(),
        destination,
        from: None,
        chown: None,
        chmod: None,
        link: false,
        parents: false,
        exclude: Vec::new(),
        checksum: None,
        keep_git_dir: false,
        unpack: None,
    };
    for (name, value) in flags.0 {
        let truth = value.as_deref().is_none_or(|value| matches!(value, "true" | "1"));
        match (name.as_str(), is_add) {
            ("from", false) => copy.from = value,
            ("chown", _) => copy.chown = value,
            ("chmod", _) => copy.chmod = value,
            ("link", _) => copy.link = truth,
            ("parents", false) => copy.parents = truth,
            ("exclude", _) => copy.exclude.extend(value),
            ("checksum", true) => copy.checksum = value,
            ("keep-git-dir", true) => copy.keep_git_dir = truth,
            ("unpack", true) => copy.unpack = Some(truth),
            _ => {
                let known = [
                    "from",
                    "chown",
                    "chmod",
                    "link",
                    "parents",
                    "exclude",
                    "checksum",
                    "keep-git-dir",
                    "unpack",
                ];
                return Err(format!(
                    "{verb} has no flag --{name}{}",
                    suggestion(&name, &known)
                ));
            }
        }
    }
    Ok(copy)
}

fn healthcheck(flags: Flags, rest: &str) -> Result<Instruction, String> {
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if kind.eq_ignore_ascii_case("none") {
        return Ok(Instruction::Healthcheck(HealthcheckInstruction::None));
    }
    if !kind.eq_ignore_ascii_case("cmd") || command.trim().is_empty() {
        return Err("HEALTHCHECK takes NONE, or CMD and a command".to_owned());
    }
    let (mut interval, mut timeout, mut start_period, mut start_interval, mut retries) =
        (None, None, None, None, None);
    for (name, value) in flags.0 {
        match name.as_str() {
            "interval" => interval = value,
            "timeout" => timeout = value,
            "start-period" => start_period = value,
            "start-interval" => start_interval = value,
            "retries" => retries = value,
            _ => {
                let known = ["interval", "timeout", "start-period", "start-interval", "retries"];
                return Err(format!(
                    "HEALTHCHECK has no flag --{name}{}",
                    suggestion(&name, &known)
                ));
            }
        }
    }
    let command = form(command.trim());
    Ok(Instruction::Healthcheck(HealthcheckInstruction::Probe {
        command,
        interval,
        timeout,
        start_period,
        start_interval,
        retries,
    }))
}

fn onbuild(rest: &str) -> Result<Instruction, String> {
    let verb = rest
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    if matches!(verb.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
        return Err(format!("ONBUILD {verb} is not allowed"));
    }
    if !NAMES.contains(&verb.as_str()) {
        return Err(format!(
            "unknown instruction `{verb}`{}",
            suggestion(&verb, &NAMES)
        ));
    }
    Ok(Instruction::OnBuild(rest.to_owned()))
}

/// `--name=value` words at the front.
fn flags(text: &str) -> (Flags, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(after) = rest.strip_prefix("--") {
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let word = &after[..end];
        if word.is_empty() {
            break;
        }
        let (name, value) = word
            .split_once('=')
            .map_or((word, None), |(name, value)| (name, Some(value)));
        found.push((
            name.to_owned(),
            value.map(|value| value.trim_matches('"').to_owned()),
        ));
        rest = after[end..].trim_start();
    }
    (Flags(found), rest)
}

fn form(text: &str) -> Words {
    json_list(text).map_or_else(|| Words::Shell(text.to_owned()), Words::Exec)
}

/// A JSON list of strings; anything else is not one.
fn json_list(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') {
        serde_json::from_str(text).ok()
    } else {
        None
    }
}

fn one(text: &str, verb: &str) -> Result<String, String> {
    match words(text).as_slice() {
        [word] => Ok(word.clone()),
        _ => Err(format!("{verb} takes one argument")),
    }
}

fn argument(word: String) -> (String, Option<String>) {
    match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word, None),
    }
}

/// Splits at blanks outside quotes; quotes and escapes stay for the expansion.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, blank) if blank.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => {
                word.push(character);
                word.extend(characters.next());
                continue;
            }
            _ => {}
        }
        word.push(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `NAME=value …`, or the old form `NAME the rest of the line`.
fn key_values(text: &str, verb: &str) -> Result<Vec<KeyValue>, String> {
    let words = words(text);
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{verb} takes NAME=value"))?;
        return Ok(vec![KeyValue {
            name: name.to_owned(),
            value: value.trim_start().to_owned(),
        }]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(format!("{verb} has a value without a name: `{word}`")),
            Some((name, value)) => Ok(KeyValue {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            None => Err(format!(
                "{verb} takes NAME=value, `{word}` has no `=`; quote values that have blanks"
            )),
        })
        .collect()
}

/// `; did you mean X?` when a known word is near.
fn suggestion(word: &str, known: &[&str]) -> String {
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
