//! In: an instruction, expanded. Out: what the image's history says of it, `created_by` as BuildKit writes it: other tools read it.
//! **Invariant:** pure; the text never holds a secret or a proxy that is merely given.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Write as _;

use super::dockerfile::{Copy, Instruction, KeyValue};
use crate::image_config::{HealthCheck, ImageConfig};

/// Who wrote an entry of the history.
pub(super) const COMMENT: &str = "buildkit.dockerfile.v0";

/// An instruction that changes no file; `config` is the configuration with it applied. None for those that leave no entry.
pub(super) fn of_configuration(instruction: &Instruction, config: &ImageConfig) -> Option<String> {
    let list = |list: &Option<Vec<String>>| quoted(list.as_deref().unwrap_or_default());
    Some(match instruction {
        Instruction::Env(pairs) => pairs_text("ENV", pairs),
        Instruction::Label(pairs) => pairs_text("LABEL", pairs),
        Instruction::User(user) => format!("USER {user}"),
        Instruction::Expose(ports) => format!("EXPOSE [{}]", ports.join(" ")),
        Instruction::Volume(paths) => format!("VOLUME [{}]", paths.join(" ")),
        Instruction::Cmd(_) => format!("CMD {}", list(&config.cmd)),
        Instruction::Entrypoint(_) => format!("ENTRYPOINT {}", list(&config.entrypoint)),
        Instruction::Shell(words) => format!("SHELL [{}]", words.join(" ")),
        Instruction::Healthcheck(_) => config.healthcheck.as_ref().map(health)?,
        Instruction::StopSignal(signal) => format!("STOPSIGNAL {signal}"),
        Instruction::Maintainer(author) => format!("MAINTAINER {author}"),
        Instruction::OnBuild(_)
        | Instruction::From(_)
        | Instruction::Arg(_)
        | Instruction::Run(_)
        | Instruction::Copy(_)
        | Instruction::Add(_)
        | Instruction::Workdir(_) => return None,
    })
}

/// `ARG`, with the values the arguments have got.
pub(super) fn of_arguments(arguments: &[(String, Option<String>)]) -> String {
    arguments
        .iter()
        .fold("ARG".to_owned(), |text, (name, value)| match value {
            Some(value) => format!("{text} {name}={value}"),
            None => format!("{text} {name}"),
        })
}

/// `RUN`: the ARGs in scope and the command line.
pub(super) fn of_run(arguments: &[String], command: &[String]) -> String {
    let command = command.join(" ");
    if arguments.is_empty() {
        return format!("RUN {command} # buildkit");
    }
    let count = arguments.len();
    format!("RUN |{count} {} {command} # buildkit", arguments.join(" "))
}

/// `COPY` and `ADD`; of their flags, who owns and who may.
pub(super) fn of_copy(copy: &Copy, is_add: bool) -> String {
    let mut text = if is_add { "ADD" } else { "COPY" }.to_owned();
    for (flag, value) in [("chown", &copy.chown), ("chmod", &copy.chmod)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            text = format!("{text} --{flag}={value}");
        }
    }
    for source in &copy.sources {
        text = format!("{text} {source}");
    }
    for heredoc in &copy.heredocs {
        text = format!("{text} <<{}", heredoc.name);
    }
    format!("{text} {} # buildkit", copy.destination)
}

/// `WORKDIR`, absolute.
pub(super) fn of_workdir(path: &str) -> String {
    format!("WORKDIR {path}")
}

fn pairs_text(verb: &str, pairs: &[KeyValue]) -> String {
    pairs.iter().fold(verb.to_owned(), |text, pair| {
        format!("{text} {}={}", pair.name, pair.value)
    })
}

/// A pointer to Go's `HealthConfig` under `%q`: durations as quoted texts, the number of retries as a character.
fn health(check: &HealthCheck) -> String {
    let times = [
        check.interval,
        check.timeout,
        check.start_period,
        check.start_interval,
    ];
    let times = times.map(|time| format!("\"{}\"", duration(time))).join(" ");
    let retries = u32::try_from(check.retries)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER);
    let retries = match retries {
        '\'' => "\\'".to_owned(),
        '"' => "\"".to_owned(),
        other => escaped(other),
    };
    format!("HEALTHCHECK &{{{} {times} '{retries}'}}", quoted(&check.test))
}

/// Go's `time.Duration` as text: `1h30m0s`, `1.5s`, `500ms`.
fn duration(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let fraction = |whole: u64, unit: u64| {
        let (whole, rest) = (whole / unit, whole % unit);
        let digits = unit.to_string().len() - 1;
        let rest = format!("{rest:0digits$}");
        match rest.trim_end_matches('0') {
            "" => whole.to_string(),
            rest => format!("{whole}.{rest}"),
        }
    };
    match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{magnitude}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(magnitude, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(magnitude, 1_000_000)),
        _ => {
            let minutes = magnitude / 60_000_000_000;
            let seconds = format!("{}s", fraction(magnitude % 60_000_000_000, 1_000_000_000));
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// Go's `%q` of a list of texts.
fn quoted(list: &[String]) -> String {
    let texts = list.iter().map(|text| {
        let inside: String = text.chars().map(escaped).collect();
        format!("\"{inside}\"")
    });
    format!("[{}]", texts.collect::<Vec<_>>().join(" "))
}

/// A character inside Go's double quotes.
fn escaped(character: char) -> String {
    match character {
        '"' | '\\' => format!("\\{character}"),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        ' '..='~' => character.to_string(),
        '\0'..='\u{7f}' => format!("\\x{:02x}", u32::from(character)),
        other if printable(other) => other.to_string(),
        other => {
            let mut text = String::new();
            let number = u32::from(other);
            let _infallible = if number > 0xffff {
                write!(text, "\\U{number:08x}")
            } else {
                write!(text, "\\u{number:04x}")
            };
            text
        }
    }
}

/// What Go's `strconv.IsPrint` calls printable, of what is beyond ASCII: no controls, no blanks, no formatting marks, no private use.
fn printable(character: char) -> bool {
    let formatting = matches!(character, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    !(character.is_control() || character.is_whitespace() || formatting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_texts_as_go_prints_them() {
        let cases = [
            (0, "0s"),
            (1_500, "1.5µs"),
            (500_000_000, "500ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (5_400_000_000_000, "1h30m0s"),
            (360_000_000_000_000, "100h0m0s"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(duration(nanoseconds), text);
        }
        let list = ["a \"b\"\\", "c\td\n", "é日\u{a0}\u{1}"].map(str::to_owned);
        assert_eq!(
            quoted(&list),
            "[\"a \\\"b\\\"\\\\\" \"c\\td\\n\" \"é日\\u00a0\\x01\"]"
        );
    }

    #[test]
    fn a_run_names_its_arguments() {
        let command = ["/bin/sh", "-c", "echo hi"].map(str::to_owned);
        assert_eq!(of_run(&[], &command), "RUN /bin/sh -c echo hi # buildkit");
        assert_eq!(
            of_run(&["A=b".to_owned(), "C=".to_owned()], &command),
            "RUN |2 A=b C= /bin/sh -c echo hi # buildkit"
        );
    }
}
